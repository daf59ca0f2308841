'use strict';
// Inside the sandbox, the first program of a `nodejs` function's process: loads
// the handler named by its argument (`index.main_handler`), says so on descriptor
// 3, then answers each line of standard input with a line there. One call at a
// time. The other side is notify/function_call.cpp; docs/functions.md says what
// a handler may expect.

const fs = require('fs');
const path = require('path');
const { pathToFileURL } = require('url');

const CODE = '/fn/code';
const ANSWERS = 3;

function say(message) {
  const line = Buffer.from(JSON.stringify(message) + '\n');
  for (let done = 0; done < line.length;) done += fs.writeSync(ANSWERS, line, done);
}

function words(error) {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

async function load(handler) {
  const dot = handler.lastIndexOf('.');
  const file = path.join(CODE, handler.slice(0, dot));
  const name = handler.slice(dot + 1);
  const found = ['.js', '.cjs', '.mjs'].map((end) => file + end).find((f) => fs.existsSync(f));
  if (!found) throw new Error(`there is no ${handler.slice(0, dot)}.js`);
  let exported;
  try {
    exported = found.endsWith('.mjs') ? await import(pathToFileURL(found)) : require(found);
  } catch (error) {
    if (error.code !== 'ERR_REQUIRE_ESM') throw error;
    exported = await import(pathToFileURL(found));
  }
  const run = exported[name] || (exported.default && exported.default[name]);
  if (typeof run !== 'function') throw new Error(`${path.basename(found)} exports no function ${name}`);
  // The older shape, with a callback as third argument, is as good.
  if (run.length < 3) return run;
  return (event, context) => new Promise((done, refuse) => {
    run(event, context, (error, answer) => (error ? refuse(error) : done(answer)));
  });
}

async function answer(run, line) {
  try {
    const call = JSON.parse(line);
    const value = await run(call.Event, call.Context);
    return { Ok: true, Answer: value === undefined ? null : value };
  } catch (error) {
    console.error(error);
    return { Ok: false, Error: words(error) };
  }
}

async function main() {
  let run;
  try {
    run = await load(process.argv[2]);
  } catch (error) {
    console.error(error);
    run = async () => { throw new Error(`the code cannot be loaded: ${words(error)}`); };
  }
  say({ Ready: true });

  let pieces = [];
  process.stdin.on('data', async (piece) => {
    pieces.push(piece);
    if (piece[piece.length - 1] !== 0x0a) return;
    const line = Buffer.concat(pieces).toString();
    pieces = [];
    const told = await answer(run, line);
    try {
      say(told);
    } catch (error) { // what it answered is no JSON: a cycle, a BigInt
      say({ Ok: false, Error: `its answer cannot be sent: ${words(error)}` });
    }
  });
  process.stdin.on('end', () => process.exit(0));
}

main();
