'use strict';
// over_daemon.js FRAMEMILLD SCRIPT: starts a daemon on a directory of its own, drives
// it with the script, and stops it.
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const [program, script] = process.argv.slice(2);
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'framemill-sdk-'));
const data = path.join(directory, 'data');
let log = '';
let driving = false;

const daemon = spawn(program, ['--data-dir', data, '--api-listen', '127.0.0.1:0'],
  { stdio: ['ignore', 'ignore', 'pipe'] });

function drive() {
  driving = true;
  const keys = JSON.parse(fs.readFileSync(path.join(data, 'credentials.json'), 'utf8'));
  const driver = spawn(process.execPath, [path.join(__dirname, script)], {
    stdio: 'inherit',
    env: {
      ...process.env,
      FRAMEMILL_ENDPOINT: fs.readFileSync(path.join(data, 'endpoint'), 'utf8').trim(),
      FRAMEMILL_SECRET_ID: keys.SecretId,
      FRAMEMILL_SECRET_KEY: keys.SecretKey,
    },
  });
  driver.on('exit', (code) => {
    process.exitCode = code ?? 1;
    daemon.kill('SIGTERM');
  });
}

daemon.stderr.on('data', (text) => {
  log += text;
  if (!driving && log.includes('framemilld: ready')) drive();
});
daemon.on('exit', (code) => {
  if (code !== 0) process.exitCode = 1;
  if (process.exitCode || !driving) {
    process.exitCode ||= 1;
    console.error(log);
  }
  fs.rmSync(directory, { recursive: true });
});
