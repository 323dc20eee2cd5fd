// Offsets by time, and by the special times below 0.

import { type Case, otherThanKafka, sameAsKafka } from '#test/long/differential/case.ts'
import type { Conversation } from '#test/long/differential/conversation.ts'

const TIMESTAMP_MS = 1_700_000_000_000
const LATEST = -1
const EARLIEST = -2
const MAX_TIMESTAMP = -3
const EARLIEST_LOCAL = -4
const LATEST_TIERED = -5
/** Not -6, what is to be uploaded next: without tiered storage, as the peer runs, Kafka has no answer. */
const SPECIAL = { LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL, LATEST_TIERED }

/** Batches of records with these times after TIMESTAMP_MS. */
async function written(broker: Conversation, batches: readonly (readonly number[])[], codec: 'none' | 'zstd' = 'none') {
  const topic = await broker.topic('offsets')
  for (const times of batches) {
    const records = times.map(time => ({ value: `${time}`, timestampMs: TIMESTAMP_MS + time }))
    await broker.produce(topic, records, { codec })
  }
  return topic
}

async function timeless(broker: Conversation): Promise<string> {
  const topic = await broker.topic('offsets')
  await broker.produce(topic, [{ value: 'v', timestampMs: -1 }], { baseTimestampMs: -1, maxTimestampMs: -1 })
  return topic
}

async function deleteRecords(broker: Conversation, name: string, offset: number): Promise<void> {
  const topics = [{ name, partitions: [{ partitionIndex: 0, offset }] }]
  await broker.send('DeleteRecords', 2, { topics, timeoutMs: 5_000 })
}

const REMEMBERED = 'a deleted record has no time: Kafka remembers the largest of each segment'
const NOWHERE = { partitionIndex: 0, errorCode: 'NONE', timestamp: -1, offset: -1, leaderEpoch: -1 }
const YOUNGEST_FIRST = [
  [90, 10],
  [20, 30],
]
const ORDERED = [[0, 10, 20], [30, 40], [50]]
// The second batch is the youngest, the third reaches back before the first.
const DISORDERED = [
  [20, 10],
  [70, 90, 80, 90],
  [5, 60, 40],
]

export const listOffsetsCases: Case[] = [
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11].map(version =>
    sameAsKafka(`ListOffsets v${version}: the special times that it has, and those that it has not`, async broker => {
      const topic = await written(broker, ORDERED)
      return Promise.all(Object.values(SPECIAL).map(timestamp => broker.offsetAt(topic, timestamp, { version })))
    }),
  ),
  sameAsKafka('the special times of an empty partition', async broker => {
    const topic = await broker.topic('offsets')
    return Promise.all(Object.values(SPECIAL).map(timestamp => broker.offsetAt(topic, timestamp)))
  }),
  sameAsKafka('the special times when all records are deleted', async broker => {
    const topic = await written(broker, ORDERED)
    await deleteRecords(broker, topic, -1)
    const times = [...Object.values(SPECIAL).filter(time => time !== MAX_TIMESTAMP), 0, TIMESTAMP_MS]
    return Promise.all(times.map(timestamp => broker.offsetAt(topic, timestamp)))
  }),
  otherThanKafka(
    'the largest time when all records are deleted',
    { because: REMEMBERED, ours: NOWHERE },
    async broker => {
      const topic = await written(broker, ORDERED)
      await deleteRecords(broker, topic, -1)
      return broker.offsetAt(topic, MAX_TIMESTAMP)
    },
  ),
  sameAsKafka('special times that do not exist', async broker => {
    const topic = await written(broker, ORDERED)
    return Promise.all([-7, -100].map(timestamp => broker.offsetAt(topic, timestamp)))
  }),
  ...(['none', 'zstd'] as const).flatMap(codec => [
    sameAsKafka(`the first record at or after a time (${codec})`, async broker => {
      const topic = await written(broker, ORDERED, codec)
      const times = [-5, 0, 1, 10, 15, 20, 21, 30, 35, 49, 50, 51, 1_000]
      return Promise.all(times.map(time => broker.offsetAt(topic, TIMESTAMP_MS + time)))
    }),
    sameAsKafka(`the first record at or after a time, where times are not in order (${codec})`, async broker => {
      const topic = await written(broker, DISORDERED, codec)
      const times = [0, 5, 6, 10, 11, 20, 25, 60, 70, 75, 80, 85, 90, 91]
      return Promise.all(times.map(time => broker.offsetAt(topic, TIMESTAMP_MS + time)))
    }),
    sameAsKafka(`the first of the records with the largest time (${codec})`, async broker =>
      broker.offsetAt(await written(broker, DISORDERED, codec), MAX_TIMESTAMP),
    ),
  ]),
  sameAsKafka('a time before a log start within a batch', async broker => {
    const topic = await written(broker, ORDERED)
    await deleteRecords(broker, topic, 2)
    return Promise.all([0, 10, 20, 25].map(time => broker.offsetAt(topic, TIMESTAMP_MS + time)))
  }),
  otherThanKafka(
    'the largest time, once its record is deleted',
    { because: REMEMBERED, ours: { ...NOWHERE, timestamp: TIMESTAMP_MS + 30, offset: 3, leaderEpoch: 0 } },
    async broker => {
      const topic = await written(broker, YOUNGEST_FIRST)
      await deleteRecords(broker, topic, 2)
      return broker.offsetAt(topic, MAX_TIMESTAMP)
    },
  ),
  sameAsKafka('times that only deleted records had', async broker => {
    const topic = await written(broker, YOUNGEST_FIRST)
    await deleteRecords(broker, topic, 2)
    return Promise.all([90, 25].map(time => broker.offsetAt(topic, TIMESTAMP_MS + time)))
  }),
  sameAsKafka('times on a topic with LogAppendTime are those of the broker', async broker => {
    const topic = await broker.topic('offsets', { configs: { 'message.timestamp.type': 'LogAppendTime' } })
    const records = [0, 10].map(time => ({ value: 'v', timestampMs: TIMESTAMP_MS + time }))
    const first = await broker.produce(topic, records)
    const largest = await broker.offsetAt(topic, MAX_TIMESTAMP)
    return {
      ofTheFirst: (await broker.offsetAt(topic, first.logAppendTimeMs)).offset,
      behind: await broker.offsetAt(topic, first.logAppendTimeMs + 1),
      largest: largest.offset,
      isItsTime: largest.timestamp === first.logAppendTimeMs,
    }
  }),
  sameAsKafka('records without a time are found by no time', async broker => {
    const topic = await timeless(broker)
    return Promise.all([0, TIMESTAMP_MS].map(timestamp => broker.offsetAt(topic, timestamp)))
  }),
  otherThanKafka(
    'the largest time of records without any',
    { because: 'no record has it: Kafka names the first record', ours: NOWHERE },
    async broker => broker.offsetAt(await timeless(broker), MAX_TIMESTAMP),
  ),
  sameAsKafka('read_committed asks for the same where there are no transactions', async broker => {
    const topic = await written(broker, ORDERED)
    const partitions = [{ partitionIndex: 0, timestamp: LATEST }]
    return broker.send('ListOffsets', 5, { replicaId: -1, isolationLevel: 1, topics: [{ name: topic, partitions }] })
  }),
  ...[0, 1, 9].map(epoch =>
    sameAsKafka(`the current leader epoch ${epoch}`, async broker =>
      broker.offsetAt(await written(broker, ORDERED), LATEST, { epoch }),
    ),
  ),
  sameAsKafka('an unknown partition and an unknown topic', async broker => {
    const topic = await broker.topic('offsets')
    return [
      await broker.offsetAt(topic, LATEST, { partition: 7 }),
      await broker.offsetAt(topic, LATEST, { partition: -1 }),
      await broker.offsetAt(broker.topicName('nowhere'), LATEST),
    ]
  }),
  sameAsKafka('the same partition twice in one request', async broker => {
    const topic = await written(broker, ORDERED)
    const partitions = [LATEST, EARLIEST].map(timestamp => ({ partitionIndex: 0, timestamp }))
    const answer = await broker.send('ListOffsets', 7, { replicaId: -1, topics: [{ name: topic, partitions }] })
    // Once or twice: it is an error of the request.
    return answer.topics[0]!.partitions[0]
  }),
]
