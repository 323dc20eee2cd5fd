// KIP-227: a session remembers the partitions of a fetch, and its answers leave out what has not changed.

import { type Case, otherThanKafka, sameAsKafka } from '#test/long/differential/case.ts'
import type { Conversation, FetchOptions, FetchPartition } from '#test/long/differential/conversation.ts'
import { buildBatch, type RecordFields } from '#test/support/batch-builder.ts'

const records = (count: number): RecordFields[] => Array.from({ length: count }, (_, i) => ({ value: `${i}` }))
const FINAL_EPOCH = -1
const FULL_EPOCH = 0
const UNKNOWN_SESSION = 1_234_567_890

/** A session over these partitions, created by a full fetch. */
async function open(broker: Conversation, partitions: readonly FetchPartition[], options: FetchOptions = {}) {
  const first = await broker.fetch(partitions, { sessionEpoch: FULL_EPOCH, ...options })
  const next = (sessionEpoch: number, changed: readonly FetchPartition[] = [], more: FetchOptions = {}) =>
    broker.fetch(changed, { ...options, sessionId: first.sessionId, sessionEpoch, ...more })
  return { first, next }
}

async function written(broker: Conversation, count = 2): Promise<string> {
  const topic = await broker.topic('session')
  await broker.produce(topic, records(count))
  return topic
}

export const fetchSessionCases: Case[] = [
  sameAsKafka('a full fetch opens a session and answers for all its partitions', async broker => {
    const { first } = await open(broker, [{ topic: await written(broker) }, { topic: await broker.topic('session') }])
    return first
  }),
  sameAsKafka('an incremental fetch leaves out what has not changed', async broker => {
    const topic = await written(broker)
    const { next } = await open(broker, [{ topic, fetchOffset: 2 }])
    return [await next(1), await next(2)]
  }),
  sameAsKafka('an incremental fetch returns records until the position moves on', async broker => {
    const topic = await written(broker)
    const { next } = await open(broker, [{ topic }])
    return [await next(1), await next(2, [{ topic, fetchOffset: 2 }]), await next(3)]
  }),
  sameAsKafka('an incremental fetch tells a new high watermark', async broker => {
    const topic = await written(broker)
    const { next } = await open(broker, [{ topic, fetchOffset: 2 }])
    await broker.produce(topic, records(1))
    return [await next(1), await next(2, [{ topic, fetchOffset: 3 }]), await next(3)]
  }),
  sameAsKafka('an incremental fetch tells a new log start', async broker => {
    const topic = await written(broker)
    const { next } = await open(broker, [{ topic, fetchOffset: 2 }])
    const partitions = [{ partitionIndex: 0, offset: 1 }]
    await broker.send('DeleteRecords', 2, { topics: [{ name: topic, partitions }], timeoutMs: 5_000 })
    return [await next(1), await next(2)]
  }),
  sameAsKafka('an incremental fetch adds a partition', async broker => {
    const { next } = await open(broker, [{ topic: await written(broker), fetchOffset: 2 }])
    const added = await written(broker)
    return [await next(1, [{ topic: added }]), await next(2)]
  }),
  sameAsKafka('an incremental fetch forgets a partition', async broker => {
    const [kept, forgotten] = [await written(broker), await written(broker)]
    const { next } = await open(broker, [{ topic: kept }, { topic: forgotten }])
    const forget = { forgotten: [{ topic: forgotten, partitions: [0] }] }
    return [await next(1, [], forget), await next(2)]
  }),
  sameAsKafka('a session without partitions is closed', async broker => {
    const topic = await written(broker)
    const { next } = await open(broker, [{ topic }])
    return [await next(1, [], { forgotten: [{ topic, partitions: [0] }] }), await next(2)]
  }),
  sameAsKafka('a session that nobody opened is not found', async broker =>
    broker.fetch([{ topic: await written(broker) }], { sessionId: UNKNOWN_SESSION, sessionEpoch: 1 }),
  ),
  sameAsKafka('an epoch out of turn is refused, the right one works on', async broker => {
    const { next } = await open(broker, [{ topic: await written(broker) }])
    return [await next(2), await next(1), await next(1), await next(2)]
  }),
  sameAsKafka('the final epoch closes the session', async broker => {
    const topic = await written(broker)
    const { next } = await open(broker, [{ topic }])
    return [await next(FINAL_EPOCH, [{ topic }]), await next(1)]
  }),
  sameAsKafka('a full fetch with a session id closes that one and opens another', async broker => {
    const topic = await written(broker)
    const { first, next } = await open(broker, [{ topic }])
    const second = await next(FULL_EPOCH, [{ topic }])
    return { isOther: first.sessionId !== second.sessionId, second, ofTheFirst: await next(1) }
  }),
  sameAsKafka('a full fetch with a session id that nobody knows opens one', async broker =>
    broker.fetch([{ topic: await written(broker) }], { sessionId: UNKNOWN_SESSION, sessionEpoch: FULL_EPOCH }),
  ),
  sameAsKafka('a fetch without a session has no session id', async broker =>
    broker.fetch([{ topic: await written(broker) }], { sessionId: 0, sessionEpoch: FINAL_EPOCH }),
  ),
  otherThanKafka(
    'a full fetch without partitions opens a session too',
    { because: 'a session of no partitions has nothing to remember', ours: 0 },
    async broker => (await broker.fetch([], { sessionEpoch: FULL_EPOCH })).sessionId,
  ),
  sameAsKafka('an error is told each time until it is gone', async broker => {
    const topic = await written(broker)
    const { first, next } = await open(broker, [{ topic, fetchOffset: 3 }])
    return {
      first,
      errors: [await next(1), await next(2)],
      healed: await next(3, [{ topic, fetchOffset: 2 }]),
      after: await next(4),
    }
  }),
  sameAsKafka('a topic that does not exist stays in the session', async broker => {
    const { first, next } = await open(broker, [{ topic: broker.topicName('nowhere') }])
    return [first, await next(1)]
  }),
  sameAsKafka('a session is not bound to its connection', async broker => {
    const topic = await written(broker)
    const { first } = await open(broker, [{ topic, fetchOffset: 2 }])
    const other = await broker.connect()
    const body = { maxWaitMs: 0, minBytes: 1, sessionId: first.sessionId, sessionEpoch: 1, topics: [] }
    return other.send('Fetch', 12, body)
  }),
  sameAsKafka('a session of names is not continued by ids', async broker => {
    const topic = await written(broker)
    const { first } = await open(broker, [{ topic }])
    return broker.fetchById([], { sessionId: first.sessionId, sessionEpoch: 1 })
  }),
  sameAsKafka('a session by ids works like one by names', async broker => {
    const topic = await broker.topicId(await written(broker))
    const first = await broker.fetchById([{ topic, fetchOffset: 2 }], { sessionEpoch: FULL_EPOCH })
    const second = await broker.fetchById([], { sessionId: first.sessionId, sessionEpoch: 1 })
    const third = await broker.fetchById([{ topic, fetchOffset: 0 }], { sessionId: first.sessionId, sessionEpoch: 2 })
    return [first, second, third]
  }),
  sameAsKafka('every partition gets its turn where one answer has room for one of them', async broker => {
    const topics = [await written(broker), await written(broker), await written(broker)]
    const partitions = topics.map(topic => ({ topic }))
    const { next } = await open(broker, partitions, { maxBytes: 1 })
    const served: unknown[] = []
    for (let epoch = 1; epoch <= topics.length; epoch++) {
      const { responses } = await next(epoch)
      served.push(...responses.filter(({ partitions: of }) => of[0]!.records!.length > 0).map(({ topic }) => topic))
    }
    return served.sort()
  }),
  sameAsKafka('an append wakes an incremental fetch that waits', async broker => {
    const topic = await written(broker)
    const { next } = await open(broker, [{ topic, fetchOffset: 2 }])
    const waiting = next(1, [], { maxWaitMs: 60_000 })
    const writer = await broker.connect()
    const topicData = [{ name: topic, partitionData: [{ index: 0, records: buildBatch(records(1)) }] }]
    await writer.send('Produce', 9, { acks: -1, timeoutMs: 5_000, topicData })
    return waiting
  }),
]
