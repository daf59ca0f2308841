'use strict';
// Sends a mail for each finished task, with the event as an attachment: SMTP
// (RFC 5321) over TCP or TLS, STARTTLS (RFC 3207), AUTH PLAIN or LOGIN (RFC 4954).

const crypto = require('crypto');
const net = require('net');
const os = require('os');
const tls = require('tls');

const REPLY_TIME_MAX_MS = 10000;
const REPLY_BYTES_MAX = 64 * 1024;

/// One connection to a mail server: commands and their replies.
class Smtp {
  constructor(socket) {
    this.listen(socket);
  }

  listen(socket) {
    this.socket = socket;
    this.text = '';
    this.waiting = null;
    this.failure = null;
    socket.setTimeout(REPLY_TIME_MAX_MS, () => socket.destroy(new Error('it does not answer')));
    socket.on('data', (bytes) => {
      this.text += bytes.toString();
      if (this.text.length > REPLY_BYTES_MAX) socket.destroy(new Error('its reply has no end'));
      this.deliver();
    });
    socket.on('error', (error) => this.fail(error));
    socket.on('close', () => this.fail(new Error('it closed the connection')));
  }

  fail(error) {
    this.failure = this.failure || error;
    this.deliver();
  }

  deliver() {
    if (!this.waiting) return;
    // The last line of a reply has a space behind its code, the others a hyphen.
    const whole = /^(?:\d{3}-[^\n]*\n)*(\d{3})(?: [^\n]*)?\r?\n/.exec(this.text);
    if (!whole && !this.failure) return;
    const { done, refuse } = this.waiting;
    this.waiting = null;
    if (!whole) return refuse(this.failure);
    this.text = this.text.slice(whole[0].length);
    done({ code: Number(whole[1]), text: whole[0].trim() });
  }

  reply() {
    return new Promise((done, refuse) => {
      this.waiting = { done, refuse };
      this.deliver();
    });
  }

  /// Sends a line and wants one of these codes. `shown` stands for a line with a password.
  async ask(line, codes, shown = line) {
    if (line !== null) this.socket.write(line + '\r\n');
    const reply = await this.reply();
    if (codes.includes(reply.code)) return reply;
    throw new Error(`the mail server refused ${shown === null ? 'the connection' : shown}: ${reply.text}`);
  }

  async greet() {
    const hello = await this.ask(`EHLO ${os.hostname() || 'localhost'}`, [250], 'EHLO');
    const words = hello.text.split(/\r?\n/).map((l) => l.slice(4).toUpperCase());
    this.offers_tls = words.includes('STARTTLS');
    this.logins = (words.find((w) => w.startsWith('AUTH ')) || '').split(' ').slice(1);
  }

  async start_tls(options) {
    await this.ask('STARTTLS', [220]);
    if (this.text) throw new Error('the mail server spoke before TLS began'); // CVE-2011-0411
    this.socket.removeAllListeners();
    this.listen(await secured({ ...options, socket: this.socket }));
    await this.greet();
  }

  async log_in(user, password) {
    const base64 = (text) => Buffer.from(text).toString('base64');
    if (this.logins.includes('PLAIN')) {
      await this.ask(`AUTH PLAIN ${base64(`\0${user}\0${password}`)}`, [235], 'AUTH PLAIN');
    } else if (this.logins.includes('LOGIN')) {
      await this.ask('AUTH LOGIN', [334]);
      await this.ask(base64(user), [334], 'the user');
      await this.ask(base64(password), [235], 'the password');
    } else {
      throw new Error(`the mail server takes neither PLAIN nor LOGIN, but ${this.logins.join(' ') || 'no login'}`);
    }
  }

  async send(from, to, message) {
    await this.ask(`MAIL FROM:<${from}>`, [250]);
    for (const address of to) await this.ask(`RCPT TO:<${address}>`, [250, 251]);
    await this.ask('DATA', [354]);
    // A line that begins with a dot would end the message.
    await this.ask(message.replace(/^\./gm, '..') + '\r\n.', [250], 'the message');
    await this.ask('QUIT', [221]);
  }
}

function opened(socket, event) {
  return new Promise((done, refuse) => {
    socket.once(event, () => { socket.removeListener('error', refuse); done(socket); });
    socket.once('error', refuse);
    socket.setTimeout(REPLY_TIME_MAX_MS, () => socket.destroy(new Error('it does not answer')));
  });
}
const secured = (options) => opened(tls.connect(options), 'secureConnect');

async function connect(url, is_insecure) {
  const is_tls = url.protocol === 'smtps:';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = Number(url.port) || (is_tls ? 465 : 25);
  const security = { host, servername: net.isIP(host) ? '' : host, rejectUnauthorized: !is_insecure };
  const socket = is_tls ? await secured({ ...security, port })
    : await opened(net.connect(port, host), 'connect');
  const server = new Smtp(socket);
  await server.ask(null, [220]);
  await server.greet();
  if (!is_tls && server.offers_tls) await server.start_tls(security);
  server.is_secure = server.socket.encrypted === true;
  return server;
}

// ---- The message ----------------------------------------------------------------

function task_of(event) {
  const task = event.WorkflowTaskEvent || event.EditMediaTaskEvent || event.ScheduleTaskEvent;
  if (!task) throw new Error(`no task in an event of type ${event.EventType}`);
  return task;
}

/// Header text that is not plain ASCII, in words of RFC 2047.
function header_text(text) {
  const line = text.replace(/[\r\n]+/g, ' ');
  if (/^[\x20-\x7e]*$/.test(line)) return line;
  const words = [];
  let word = '';
  for (const c of line) {
    if (Buffer.byteLength(word + c) > 45) { words.push(word); word = ''; }
    word += c;
  }
  words.push(word);
  return words.map((w) => `=?UTF-8?B?${Buffer.from(w).toString('base64')}?=`).join('\r\n ');
}

const encoded = (text) => Buffer.from(text).toString('base64').replace(/.{76}/g, '$&\r\n');

function place_of(info) {
  const input = (info && info.CosInputInfo) || {};
  return input.Bucket ? `${input.Bucket}${input.Object}` : '';
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

function message_of(event, context, from, to) {
  const task = task_of(event);
  const failed = task.ErrCode !== 0;
  const lines = [`Task ${task.TaskId} ${failed ? 'failed' : 'succeeded'}.`];
  if (source_of(task)) lines.push(`Source: ${source_of(task)}`);
  if (failed) lines.push(`Why: ${task.ErrCode} ${task.Message}`);
  if (task.Output && task.Output.Path) lines.push(`Output: ${task.Output.Path}`);
  for (const result of results_of(task)) {
    const done = Object.values(result).find((v) => v && typeof v === 'object' && v.Status);
    if (done) lines.push(`${result.Type}: ${done.Status} ${(done.Output && done.Output.Path) || done.Message || ''}`);
  }
  const boundary = `framemill-${crypto.randomBytes(12).toString('hex')}`;
  const part = (headers, text) => ['', `--${boundary}`, ...headers, 'Content-Transfer-Encoding: base64', '', encoded(text)];
  // The same event is the same message: mail programs then show it once.
  const id = `${task.TaskId}.${context.event_id || context.request_id}@framemill`;
  return [
    `From: <${from}>`, `To: ${to.map((a) => `<${a}>`).join(', ')}`,
    `Subject: ${header_text(`[Framemill] ${failed ? 'failed' : 'succeeded'}: ${source_of(task) || task.TaskId}`)}`,
    `Date: ${new Date().toUTCString().replace('GMT', '+0000')}`, `Message-ID: <${id}>`,
    'MIME-Version: 1.0', `Content-Type: multipart/mixed; boundary="${boundary}"`,
    ...part(['Content-Type: text/plain; charset=utf-8'], lines.join('\r\n') + '\r\n'),
    ...part(['Content-Type: application/json; charset=utf-8',
             `Content-Disposition: attachment; filename="${task.TaskId}.json"`],
            JSON.stringify(event, null, 2)),
    '', `--${boundary}--`,
  ].join('\r\n');
}

// ---- The function ---------------------------------------------------------------

function setting(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

function addresses(text) {
  const all = text.split(',').map((a) => a.trim()).filter(Boolean);
  for (const a of all)
    if (!/^[^\s<>@]+@[^\s<>@]+$/.test(a)) throw new Error(`${a} is not a mail address`);
  return all;
}

exports.main_handler = async (event, context) => {
  const task = task_of(event);
  const url = new URL(setting('SMTP_URL'));
  if (url.protocol !== 'smtp:' && url.protocol !== 'smtps:')
    throw new Error('SMTP_URL begins with neither smtp:// nor smtps://');
  const [from] = addresses(setting('MAIL_FROM'));
  const to = addresses(setting('MAIL_TO'));
  if (task.Status !== 'FINISH' || (process.env.MAIL_ONLY === 'failed' && task.ErrCode === 0)) {
    console.log(`${task.TaskId} is ${task.Status}, code ${task.ErrCode}: no mail`);
    return { sent: false };
  }
  const is_insecure = process.env.SMTP_INSECURE === 'yes';
  const server = await connect(url, is_insecure);
  try {
    if (process.env.SMTP_USER) {
      if (!server.is_secure && !is_insecure)
        throw new Error('the mail server offers no TLS: a password is not sent in the clear unless SMTP_INSECURE is yes');
      await server.log_in(process.env.SMTP_USER, setting('SMTP_PASSWORD'));
    }
    await server.send(from, to, message_of(event, context, from, to));
  } finally {
    server.socket.destroy();
  }
  console.log(`mailed ${to.join(', ')} about ${task.TaskId}`);
  return { sent: true };
};
