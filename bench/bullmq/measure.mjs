// BullMQ's side of bench/control.py: no-op jobs, or flows of no-op children and
// a join, `window` of them in flight; latency from add to the completion event.
//   node measure.mjs SOCKET RUNS WINDOW CHILDREN JOIN
import { Queue, Worker, QueueEvents, FlowProducer } from 'bullmq'

const [path, runs, window, children, join] =
  process.argv.slice(2).map((x, i) => (i === 0 ? x : JSON.parse(x)))
const name = `q${process.pid}`
const connection = { path }
const keep = { removeOnComplete: false }
const queue = new Queue(name, { connection })
const flows = new FlowProducer({ connection })
const events = new QueueEvents(name, { connection })
const worker = new Worker(name, async () => null, { connection, concurrency: 50 })
await Promise.all([queue.waitUntilReady(), flows.waitUntilReady(), events.waitUntilReady(),
  worker.waitUntilReady()])

const waiting = new Map()
events.on('completed', ({ jobId }) => {
  const done = waiting.get(jobId)
  waiting.delete(jobId)
  done?.()
})

async function once(jobId) {
  const finished = new Promise((resolve) => waiting.set(jobId, resolve))
  if (join) {
    const child = (_, i) => ({ name: 'shard', queueName: name, opts: keep, data: { i } })
    await flows.add({ name: 'join', queueName: name, opts: { jobId, ...keep },
      children: Array.from({ length: children }, child) })
  } else {
    await queue.add('shard', {}, { jobId, ...keep })
  }
  await finished
}

const latencies = []
let next = 0
async function lane() {
  while (next < runs) {
    const jobId = `run-${next++}`
    const begin = performance.now()
    await once(jobId)
    latencies.push(performance.now() - begin)
  }
}
const cpu = process.cpuUsage()
const begin = performance.now()
await Promise.all(Array.from({ length: window }, lane))
const seconds = (performance.now() - begin) / 1000
const used = process.cpuUsage(cpu)

latencies.sort((a, b) => a - b)
const percentile = (p) => latencies[Math.round(p * (latencies.length - 1))]
const shards = runs * (join ? children + 1 : 1)
console.log(JSON.stringify({ shards, shards_per_second: shards / seconds, p50_ms: percentile(0.5),
  p99_ms: percentile(0.99), cpu_us_per_shard: (used.user + used.system) / shards }))
await Promise.all([worker.close(), events.close(), queue.close(), flows.close()])
process.exit(0)
