'use strict';
// Drives the queues of a running server with AWS's own SQS client: only endpoint
// and credentials are set. Exit code 0 when every step held. The client itself
// verifies the MD5s of bodies and attributes.
//
//   FRAMEMILL_ENDPOINT      host:port of the API
//   FRAMEMILL_SECRET_ID, FRAMEMILL_SECRET_KEY

const assert = require('node:assert/strict');
const sqs = require('@aws-sdk/client-sqs');

const env = (name) => {
  assert.notEqual(process.env[name], undefined, `${name} is not set`);
  return process.env[name];
};

function connect(secretAccessKey = env('FRAMEMILL_SECRET_KEY')) {
  return new sqs.SQSClient({
    endpoint: `http://${env('FRAMEMILL_ENDPOINT')}`,
    region: 'anywhere-1',
    credentials: { accessKeyId: env('FRAMEMILL_SECRET_ID'), secretAccessKey },
  });
}
const client = connect();
const call = (name, input, to = client) => to.send(new sqs[`${name}Command`](input));

async function refused(name, promise) {
  try {
    await promise;
  } catch (e) {
    assert.equal(e.name, name, `${e.name}: ${e.message}`);
    assert.ok(e.message.length > 0);
    assert.match(e.$metadata.requestId, /^[0-9a-f-]{36}$/);
    return e;
  }
  return assert.fail(`the call should have failed with ${name}`);
}

async function step(name, run) {
  process.stdout.write(`${name} … `);
  await run();
  console.log('ok');
}

const suffix = `${process.pid}-${Date.now()}`;
const urls = {};
const send = (MessageBody, more = {}) =>
  call('SendMessage', { QueueUrl: urls.q, MessageBody, ...more });
const receive = async (more = {}) =>
  (await call('ReceiveMessage', { QueueUrl: urls.q, ...more })).Messages ?? [];
const erase = (ReceiptHandle) => call('DeleteMessage', { QueueUrl: urls.q, ReceiptHandle });
const attributes = async (QueueUrl = urls.q) =>
  (await call('GetQueueAttributes', { QueueUrl, AttributeNames: ['All'] })).Attributes;

async function queues() {
  await step('CreateQueue', async () => {
    for (const name of ['q', 'dead'])
      urls[name] = (await call('CreateQueue', { QueueName: `${name}-${suffix}`, tags: {} })).QueueUrl;
    assert.equal((await call('CreateQueue', { QueueName: `q-${suffix}` })).QueueUrl, urls.q);
    await refused('QueueNameExists', call('CreateQueue',
      { QueueName: `q-${suffix}`, Attributes: { VisibilityTimeout: '99' } }));
  });
  await step('GetQueueUrl and ListQueues', async () => {
    assert.equal((await call('GetQueueUrl', { QueueName: `q-${suffix}` })).QueueUrl, urls.q);
    const e = await refused('QueueDoesNotExist', call('GetQueueUrl', { QueueName: 'none' }));
    assert.ok(e instanceof sqs.QueueDoesNotExist);
    const first = await call('ListQueues', { QueueNamePrefix: 'q-', MaxResults: 1 });
    assert.equal(first.QueueUrls.length, 1);
  });
  await step('attributes', async () => {
    const { QueueArn } = await attributes(urls.dead);
    await call('SetQueueAttributes', { QueueUrl: urls.q, Attributes: {
      VisibilityTimeout: '20',
      RedrivePolicy: JSON.stringify({ deadLetterTargetArn: QueueArn, maxReceiveCount: 2 }) } });
    assert.equal((await attributes()).VisibilityTimeout, '20');
    await refused('InvalidAttributeName', call('SetQueueAttributes',
      { QueueUrl: urls.q, Attributes: { Colour: 'red' } }));
    await refused('InvalidAttributeValue', call('SetQueueAttributes',
      { QueueUrl: urls.q, Attributes: { VisibilityTimeout: '43201' } }));
    await refused('UnsupportedOperation', call('TagQueue', { QueueUrl: urls.q, Tags: { a: 'b' } }));
  });
  await step('ListDeadLetterSourceQueues', async () => {
    const sources = (QueueUrl) => call('ListDeadLetterSourceQueues', { QueueUrl, MaxResults: 10 });
    assert.deepEqual((await sources(urls.dead)).queueUrls, [urls.q]);
    assert.deepEqual((await sources(urls.q)).queueUrls, []);
  });
}

async function messages() {
  await step('a message comes as it was sent', async () => {
    const MessageAttributes = {
      text: { DataType: 'String', StringValue: 'größer ≠ kleiner' },
      number: { DataType: 'Number.int', StringValue: '42' },
      bytes: { DataType: 'Binary', BinaryValue: new Uint8Array([0, 1, 254, 255]) },
    };
    const body = '{"EventType":"WorkflowTask","Text":"ünïcode ✓"}';
    const sent = await send(body, { MessageAttributes });
    const [m] = await receive({ MessageAttributeNames: ['All'], AttributeNames: ['All'] });
    assert.equal(m.Body, body);
    assert.equal(m.MessageId, sent.MessageId);
    assert.equal(m.MD5OfMessageAttributes, sent.MD5OfMessageAttributes);
    assert.deepEqual(m.MessageAttributes.text, MessageAttributes.text);
    assert.deepEqual([...m.MessageAttributes.bytes.BinaryValue], [0, 1, 254, 255]);
    assert.equal(m.Attributes.ApproximateReceiveCount, '1');
    assert.ok(Math.abs(Number(m.Attributes.SentTimestamp) - Date.now()) < 60_000);
    assert.equal(m.Attributes.SenderId, env('FRAMEMILL_SECRET_ID'));
    assert.deepEqual(await receive(), []);
    await erase(m.ReceiptHandle);
    await erase(m.ReceiptHandle);
  });
  await step('a wrong name of an attribute takes no message', async () => {
    await send('x', { MessageSystemAttributes: {} });
    await refused('InvalidAttributeName', receive({ MessageSystemAttributeNames: ['Colour'] }));
    const [m] = await receive({ AttributeNames: ['ApproximateReceiveCount'] });
    assert.equal(m.Attributes.ApproximateReceiveCount, '1');
    await erase(m.ReceiptHandle);
  });
  await step('a long poll waits, and ends when a message comes', async () => {
    const waiting = receive({ WaitTimeSeconds: 20 });
    await send('late');
    const begin = Date.now();
    const [m] = await waiting;
    assert.ok(Date.now() - begin < 10_000);
    await erase(m.ReceiptHandle);
    const empty = Date.now();
    assert.deepEqual(await receive({ WaitTimeSeconds: 1 }), []);
    assert.ok(Date.now() - empty >= 950);
  });
  await step('a delayed message comes later', async () => {
    await send('delayed', { DelaySeconds: 1 });
    assert.deepEqual(await receive(), []);
    assert.equal((await attributes()).ApproximateNumberOfMessagesDelayed, '1');
    const [m] = await receive({ WaitTimeSeconds: 10 });
    assert.equal(m.Body, 'delayed');
    await erase(m.ReceiptHandle);
  });
  await step('visibility: it comes back, is prolonged, given up, and dies', async () => {
    const { MessageId } = await send('again');
    const [first] = await receive({ VisibilityTimeout: 1 });
    const [second] = await receive({ WaitTimeSeconds: 10, AttributeNames: ['All'] });
    assert.equal(second.Attributes.ApproximateReceiveCount, '2');
    await refused('ReceiptHandleIsInvalid', erase(first.ReceiptHandle));
    const hide = (VisibilityTimeout) => call('ChangeMessageVisibility',
      { QueueUrl: urls.q, ReceiptHandle: second.ReceiptHandle, VisibilityTimeout });
    await hide(60);
    assert.equal((await attributes()).ApproximateNumberOfMessagesNotVisible, '1');
    await hide(0); // received twice: it goes to the dead-letter queue
    const { Messages: [dead] } = await call('ReceiveMessage',
      { QueueUrl: urls.dead, WaitTimeSeconds: 10, AttributeNames: ['All'] });
    assert.equal(dead.MessageId, MessageId);
    assert.match(dead.Attributes.DeadLetterQueueSourceArn, /:q-/);
    await refused('ReceiptHandleIsInvalid', erase(second.ReceiptHandle));
    await call('DeleteMessage', { QueueUrl: urls.dead, ReceiptHandle: dead.ReceiptHandle });
  });
}

async function batches() {
  await step('batches', async () => {
    const Entries = [...Array(10).keys()].map((i) => ({ Id: `e${i}`, MessageBody: `body ${i}`,
      MessageAttributes: { i: { DataType: 'Number', StringValue: String(i) } } }));
    Entries[3].MessageBody = 'not allowed: \u0001';
    Entries[7].MessageAttributes = { i: { DataType: 'Number' } };
    const sent = await call('SendMessageBatch', { QueueUrl: urls.q, Entries });
    assert.equal(sent.Successful.length, 8);
    assert.deepEqual(sent.Failed.map((f) => f.Id).sort(), ['e3', 'e7']);
    assert.ok(sent.Failed.every((f) => f.SenderFault));
    const received = await receive({ MaxNumberOfMessages: 10, MessageAttributeNames: ['i'] });
    assert.equal(received.length, 8);
    const entries = received.map((m) => ({ Id: m.MessageId, ReceiptHandle: m.ReceiptHandle }));
    const hidden = await call('ChangeMessageVisibilityBatch', { QueueUrl: urls.q,
      Entries: entries.map((e) => ({ ...e, VisibilityTimeout: 30 })) });
    assert.equal(hidden.Successful.length, 8);
    const deleted = await call('DeleteMessageBatch', { QueueUrl: urls.q, Entries: entries });
    assert.equal(deleted.Successful.length, 8);
  });
  await step('batches that are none', async () => {
    const batch = (Entries) => call('SendMessageBatch', { QueueUrl: urls.q, Entries });
    await refused('EmptyBatchRequest', batch([]));
    await refused('BatchEntryIdsNotDistinct',
      batch([{ Id: 'a', MessageBody: 'x' }, { Id: 'a', MessageBody: 'y' }]));
  });
}

async function ends() {
  await step('PurgeQueue', async () => {
    await send('x');
    await call('PurgeQueue', { QueueUrl: urls.q });
    assert.deepEqual(await receive(), []);
  });
  await step('a wrong key is noticed', () =>
    refused('SignatureDoesNotMatch', call('ListQueues', {}, connect('wrong'))));
  await step('DeleteQueue', async () => {
    await refused('ResourceInUse', call('DeleteQueue', { QueueUrl: urls.dead }));
    await call('DeleteQueue', { QueueUrl: urls.q });
    await call('DeleteQueue', { QueueUrl: urls.dead });
    await refused('QueueDoesNotExist', send('x'));
  });
}

(async () => {
  await queues();
  await messages();
  await batches();
  await ends();
  console.log('all held');
})().catch((e) => {
  console.log('FAILED');
  console.error(e);
  process.exitCode = 1;
});
