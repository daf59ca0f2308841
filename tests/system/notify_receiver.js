// A receiver of notifications as its author would write it: checks both
// signatures with node's own crypto, and prints what it got, a line each.
// usage: [PORT=N] node notify_receiver.js NOTIFY_KEY SECRET [KEY.pem CERT.pem]
'use strict'
const crypto = require('crypto')
const fs = require('fs')

const [notifyKey, secret, keyFile, certFile] = process.argv.slice(2)

function headerHolds(header, body) {
  if (!header) return false
  const [t, ...macs] = header.split(',').map((part) => part.slice(part.indexOf('=') + 1))
  const mac = crypto.createHmac('sha256', secret).update(`${t}.`).update(body).digest('hex')
  return macs.includes(mac) && Math.abs(Date.now() / 1000 - t) < 300
}

function signHolds({ Timestamp, Sign }) {
  const md5 = crypto.createHash('md5').update(`${Timestamp}${notifyKey}`).digest('hex')
  return Sign === md5 && Timestamp > Date.now() / 1000
}

function receive(request, response) {
  const pieces = []
  request.on('data', (piece) => pieces.push(piece))
  request.on('end', () => {
    const body = Buffer.concat(pieces)
    const event = JSON.parse(body)
    console.log(JSON.stringify({
      Event: Number(request.headers['framemill-event-id']),
      Run: Number(request.headers['framemill-run-id']),
      Attempt: Number(request.headers['framemill-attempt']),
      Macs: (request.headers['framemill-signature'] || '').split('v1=').length - 1,
      HeaderHolds: headerHolds(request.headers['framemill-signature'], body),
      SignHolds: signHolds(event),
      Type: event.EventType,
      Status: event[`${event.EventType}Event`].Status,
      Body: body.toString(),
    }))
    response.end('ok')
  })
}

const server = keyFile
  ? require('https').createServer({ key: fs.readFileSync(keyFile), cert: fs.readFileSync(certFile) },
                                  receive)
  : require('http').createServer(receive)
server.listen(Number(process.env.PORT || 0), '127.0.0.1', () => console.log(JSON.stringify({ Port: server.address().port })))
