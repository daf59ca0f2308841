'use strict';
// over_fake.js SERVER: starts tests/api's fake server and drives it.
const { spawn } = require('node:child_process');
const path = require('node:path');

const server = spawn(process.argv[2], ['127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'inherit'] });
server.stdout.once('data', (port) => {
  const drive = spawn(process.execPath, [path.join(__dirname, 'drive.js')], {
    stdio: 'inherit',
    env: {
      ...process.env,
      FRAMEMILL_ENDPOINT: `127.0.0.1:${String(port).trim()}`,
      FRAMEMILL_SECRET_ID: 'AKIDEXAMPLE',
      FRAMEMILL_SECRET_KEY: 'SKEXAMPLE',
    },
  });
  drive.on('exit', (code) => {
    process.exitCode = code ?? 1;
    server.kill('SIGTERM');
  });
});
server.on('exit', (code) => {
  if (code !== 0) process.exitCode = 1;
});
