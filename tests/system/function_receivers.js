'use strict';
// Receivers for the built-in functions, told apart by the first argument; each
// says its port on a line, then a JSON line for everything that it received.
//   webhook            WeCom's robot: checks the message, answers errcode
//   smtp plain|login|tls CERT KEY   a small mail server

const fs = require('fs');
const http = require('http');
const net = require('net');
const tls = require('tls');

const say = (what) => fs.writeSync(1, JSON.stringify(what) + '\n');

function webhook() {
  const server = http.createServer((request, response) => {
    let body = '';
    request.on('data', (piece) => { body += piece; });
    request.on('end', () => {
      const end = (status, text) => { response.writeHead(status); response.end(text); };
      if (request.url.startsWith('/broken')) return end(500, 'out of order');
      if (request.url.startsWith('/moved')) { response.setHeader('Location', '/robot'); return end(302, ''); }
      if (request.url.startsWith('/full')) return end(200, '{"errcode":45009,"errmsg":"api freq out of limit"}');
      let message;
      try { message = JSON.parse(body); } catch { return end(200, '{"errcode":40008,"errmsg":"no JSON"}'); }
      const text = message.msgtype === 'markdown' ? message.markdown.content
        : message.msgtype === 'text' ? message.text.content : null;
      if (typeof text !== 'string' || !text) return end(200, '{"errcode":40008,"errmsg":"invalid message type"}');
      say({ type: message.msgtype, text, mentioned: message.text && message.text.mentioned_list,
            method: request.method, content_type: request.headers['content-type'] });
      end(200, '{"errcode":0,"errmsg":"ok"}');
    });
  });
  server.listen(0, '127.0.0.1', () => say({ port: server.address().port }));
}

function smtp(mode, cert, key) {
  const secure = mode === 'tls' ? { cert: fs.readFileSync(cert), key: fs.readFileSync(key) } : null;
  function talk(socket, is_secure) {
    const reply = (text) => socket.write(text + '\r\n');
    const mail = { to: [], secure: is_secure };
    let text = '', data = null, login = null;
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      for (let end; (end = text.indexOf('\r\n')) >= 0;) {
        const line = text.slice(0, end);
        text = text.slice(end + 2);
        if (data !== null) {
          if (line !== '.') { data += line.replace(/^\./, '') + '\n'; continue; }
          say({ ...mail, data });
          data = null;
          reply('250 kept');
        } else if (login !== null) {
          login.push(Buffer.from(line, 'base64').toString());
          if (login.length < 2) { reply('334 UGFzc3dvcmQ6'); continue; }
          mail.login = login;
          login = null;
          reply(mail.login[1] === 'right' ? '235 welcome' : '535 no such user');
        } else if (line.startsWith('EHLO ')) {
          reply('250-mail.test at your service');
          if (secure && !is_secure) reply('250-STARTTLS');
          if (mode === 'login') reply('250-AUTH LOGIN');
          if (is_secure) reply('250-AUTH PLAIN LOGIN');
          reply('250 SIZE 1000000');
        } else if (line === 'STARTTLS') {
          reply('220 go on');
          socket.removeAllListeners('data');
          return talk(new tls.TLSSocket(socket, { isServer: true, ...secure }), true);
        } else if (line.startsWith('AUTH PLAIN ')) {
          mail.login = Buffer.from(line.slice(11), 'base64').toString().split('\0').slice(1);
          reply(mail.login[1] === 'right' ? '235 welcome' : '535 no such user');
        } else if (line === 'AUTH LOGIN') {
          login = [];
          reply('334 VXNlcm5hbWU6');
        } else if (line.startsWith('MAIL FROM:')) {
          mail.from = line.slice(10);
          reply('250 ok');
        } else if (line.startsWith('RCPT TO:')) {
          if (line.includes('nobody@')) { reply('550 no such mailbox'); continue; }
          mail.to.push(line.slice(8));
          reply('250 ok');
        } else if (line === 'DATA') {
          data = '';
          reply('354 end with a dot');
        } else if (line === 'QUIT') {
          reply('221 bye');
          socket.end();
        } else {
          reply('500 what?');
        }
      }
    });
  }
  const server = net.createServer((socket) => { socket.write('220 mail.test\r\n'); talk(socket, false); });
  server.listen(0, '127.0.0.1', () => say({ port: server.address().port }));
}

const [what, ...rest] = process.argv.slice(2);
({ webhook, smtp })[what](...rest);
