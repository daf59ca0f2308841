// Consumes as a user would, with the brokers' own clients, and prints what it gets, a
// line each; the first line says that it is there.
// usage: node broker_consumer.js nats|amqp ADDRESS queue|topic NAME [TAG]
'use strict'

const [protocol, address, model, name, tag] = process.argv.slice(2)
const print = (what) => console.log(JSON.stringify(what))

async function overNats() {
  const { connect, AckPolicy, RetentionPolicy } = require('nats')
  const user = new URL(address)
  const connection = await connect({ servers: user.host,
                                     user: decodeURIComponent(user.username) || undefined,
                                     pass: decodeURIComponent(user.password) || undefined })
  const streams = await connection.jetstreamManager()
  const stream = `${model}-${name}`
  const consumer = { durable_name: `mine-${tag || 'all'}`, ack_policy: AckPolicy.Explicit }
  if (tag) consumer.filter_subject = `topic.${name}.${tag}`
  for (let tries = 100; ; --tries) { // the first message makes the stream
    try {
      await streams.consumers.add(stream, consumer)
      break
    } catch (e) {
      if (tries === 0 || e.message !== 'stream not found') throw e
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  const { config } = await streams.streams.info(stream)
  print({ Ready: true, Retention: config.retention, Storage: config.storage })
  const messages = await (await connection.jetstream().consumers.get(stream, consumer.durable_name))
    .consume({ max_messages: 100 })
  for await (const m of messages) {
    const attributes = Object.fromEntries([...m.headers].map(([key, [value]]) => [key, value]))
    print({ Body: m.string(), Id: attributes['Nats-Msg-Id'], Key: m.subject,
            Type: attributes['Content-Type'], Again: m.redelivered, Attributes: attributes })
    m.ack()
  }
}

async function overAmqp() {
  const connection = await require('amqplib').connect(address)
  const channel = await connection.createChannel()
  await channel.prefetch(100)
  let from = name
  if (model === 'topic') {
    await channel.checkExchange(name)
    from = `mine-${tag || 'all'}`
    await channel.assertQueue(from, { durable: true })
    await channel.bindQueue(from, name, tag || '#')
  } else {
    await channel.assertQueue(name, { durable: true })
  }
  print({ Ready: true }) // bound: nothing is missed from here on
  await channel.consume(from, (m) => {
    print({ Body: m.content.toString(), Id: m.properties.messageId, Key: m.fields.routingKey,
            Type: m.properties.contentType, Mode: m.properties.deliveryMode,
            Again: m.fields.redelivered, Attributes: m.properties.headers })
    channel.ack(m)
  })
}

(protocol === 'nats' ? overNats() : overAmqp()).catch((e) => {
  console.error(e)
  process.exit(1)
})
