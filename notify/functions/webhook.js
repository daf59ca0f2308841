'use strict';
// Tells a WeCom group robot of each task: a POST of {"msgtype": "markdown", …} or
// "text" to WEBHOOK_URL. The robot answers {"errcode": 0}; anything else is an
// error, so that the message is tried again.

const MARKDOWN_BYTES_MAX = 4096; // WeCom's bound; of text, 2048
const TEXT_BYTES_MAX = 2048;
const ANSWER_TIME_MAX_MS = 15000;

/// The one task that an event is about.
function task_of(event) {
  const task = event.WorkflowTaskEvent || event.EditMediaTaskEvent || event.ScheduleTaskEvent;
  if (!task) throw new Error(`no task in an event of type ${event.EventType}`);
  return task;
}

function state_of(task) {
  if (task.Status !== 'FINISH') return { word: task.Status, colour: 'comment' };
  return task.ErrCode === 0 ? { word: 'succeeded', colour: 'info' }
    : { word: 'failed', colour: 'warning' };
}

function place_of(info) {
  const input = (info && (info.CosInputInfo || info.UrlInputInfo)) || {};
  return input.Url || (input.Bucket ? `${input.Bucket}${input.Object}` : '');
}

/// Of an edit all its files.
function source_of(task) {
  if (!task.Input) return place_of(task.InputInfo);
  return (task.Input.FileInfoSet || []).map((file) => place_of(file.InputInfo)).join(', ');
}

/// What each activity came to, in any kind of task.
function results_of(task) {
  return task.MediaProcessResultSet || (task.ActivityResultSet || []).map(
    ({ ActivityType, ActivityResItem }) => ({ Type: ActivityType, ...ActivityResItem }));
}

function outputs_of(task) {
  const names = task.Output && task.Output.Path ? [task.Output.Path] : [];
  for (const result of results_of(task)) {
    const done = Object.values(result).find((v) => v && typeof v === 'object' && v.Output);
    if (!done) continue;
    const out = done.Output;
    const paths = out.Path ? [out.Path] : out.ImagePathSet || out.PicUrlSet || [];
    names.push(`${result.Type}: ${paths[0] || ''}${paths.length > 1 ? ` and ${paths.length - 1} more` : ''}`);
  }
  return names;
}

function facts_of(event) {
  const task = task_of(event);
  const state = state_of(task);
  const facts = [['task', task.TaskId], ['source', source_of(task)]];
  if (state.word === 'failed') facts.push(['why', `${task.ErrCode} ${task.Message}`]);
  for (const output of outputs_of(task)) facts.push(['output', output]);
  return { state, facts: facts.filter(([, value]) => value) };
}

/// UTF-8 text of at most so many bytes, whole characters.
function cut(text, bytes_max) {
  if (Buffer.byteLength(text) <= bytes_max) return text;
  let bytes = 3; // of the sign that something is missing
  let kept = '';
  for (const c of text) {
    bytes += Buffer.byteLength(c);
    if (bytes > bytes_max) break;
    kept += c;
  }
  return kept + '…';
}

function message_of(event, format, mention) {
  const { state, facts } = facts_of(event);
  const users = state.word === 'failed' ? mention : [];
  if (format === 'text') {
    const lines = [`Framemill: ${event.EventType} ${state.word}`, ...facts.map(([k, v]) => `${k}: ${v}`)];
    return { msgtype: 'text',
             text: { content: cut(lines.join('\n'), TEXT_BYTES_MAX), mentioned_list: users } };
  }
  const quoted = facts.map(([k, v]) => `>${k}: <font color="comment">${v}</font>`);
  const lines = [`Framemill: ${event.EventType} <font color="${state.colour}">${state.word}</font>`,
                 ...quoted, ...users.map((u) => `<@${u}>`)];
  return { msgtype: 'markdown', markdown: { content: cut(lines.join('\n'), MARKDOWN_BYTES_MAX) } };
}

async function post(url, message) {
  let reply;
  try {
    reply = await fetch(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(message),
      redirect: 'error',
      signal: AbortSignal.timeout(ANSWER_TIME_MAX_MS),
    });
  } catch (error) { // its own words may name the URL, which holds the key
    const why = (error.cause && (error.cause.code || error.cause.message)) || error.name;
    throw new Error(`the webhook cannot be reached: ${why}`);
  }
  const text = await reply.text();
  if (!reply.ok) throw new Error(`the webhook answered ${reply.status}: ${text.slice(0, 200)}`);
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new Error(`the webhook answered no JSON: ${text.slice(0, 200)}`);
  }
  if (answer.errcode !== 0)
    throw new Error(`the webhook refused: errcode ${answer.errcode} ${answer.errmsg || ''}`);
}

exports.main_handler = async (event) => {
  const url = process.env.WEBHOOK_URL;
  if (!url) throw new Error('WEBHOOK_URL is not set');
  const format = process.env.WEBHOOK_FORMAT || 'markdown';
  if (format !== 'markdown' && format !== 'text')
    throw new Error(`WEBHOOK_FORMAT is ${format}, neither markdown nor text`);
  const mention = (process.env.MENTION || '').split(',').map((u) => u.trim()).filter(Boolean);
  const message = message_of(event, format, mention);
  await post(url, message);
  console.log(`told of ${task_of(event).TaskId}`);
  return { sent: message.msgtype };
};
