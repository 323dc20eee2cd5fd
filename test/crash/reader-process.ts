// A member of a consumer group in a process of its own, to be killed and paused: prints what it reads, before it commits it.
//
//   node test/crash/reader-process.ts ADDRESS GROUP TOPIC

import { Kafka, logLevel } from 'kafkajs'

const [address = '', groupId = '', topic = ''] = process.argv.slice(2)
const kafka = new Kafka({
  brokers: [address],
  logLevel: logLevel.NOTHING,
  retry: { initialRetryTime: 50, maxRetryTime: 300, retries: 1000 },
})
const consumer = kafka.consumer({
  groupId,
  sessionTimeout: 2000,
  rebalanceTimeout: 2000,
  heartbeatInterval: 300,
  maxWaitTimeInMs: 100,
})
await consumer.connect()
await consumer.subscribe({ topics: [topic], fromBeginning: true })
await consumer.run({
  eachBatch: async ({ batch }) => {
    const lines = batch.messages.map(({ offset, value }) => `${batch.partition} ${offset} ${value}\n`)
    process.stdout.write(lines.join(''))
  },
})
