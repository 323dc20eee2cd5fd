// What a fetch returns: which batches, which watermarks, which error.

import { type Case, sameAsKafka } from '#test/long/differential/case.ts'
import type { Conversation } from '#test/long/differential/conversation.ts'
import { buildBatch, type RecordFields } from '#test/support/batch-builder.ts'

const UNKNOWN_ID = 'AAAAAAAAQACAAAAAAAAAEg'

const records = (count: number, sizeBytes = 10): RecordFields[] =>
  Array.from({ length: count }, (_, i) => ({ value: `${i}`.padEnd(sizeBytes, '.') }))

/** Three batches: offsets 0-2, 3-5, 6-8, each of this many bytes. */
const BATCH_BYTES = buildBatch(records(3)).length
async function nineRecords(broker: Conversation, partitions = 1): Promise<string> {
  const topic = await broker.topic('fetch', { partitions })
  for (let partition = 0; partition < partitions; partition++) {
    for (let i = 0; i < 3; i++) await broker.produce(topic, records(3), { partition })
  }
  return topic
}

async function deleteRecords(broker: Conversation, topic: string, offset: number): Promise<void> {
  await broker.send('DeleteRecords', 2, {
    topics: [{ name: topic, partitions: [{ partitionIndex: 0, offset }] }],
    timeoutMs: 5_000,
  })
}

const positions: Case[] = [
  ...[4, 5, 6, 7, 8, 9, 10, 11, 12].map(version =>
    sameAsKafka(`Fetch v${version} takes a topic by its name`, async broker =>
      broker.fetch([{ topic: await nineRecords(broker), fetchOffset: 3 }], { version }),
    ),
  ),
  ...[13, 14, 15, 16, 17, 18].map(version =>
    sameAsKafka(`Fetch v${version} takes a topic by its id`, async broker => {
      const topic = await broker.topicId(await nineRecords(broker))
      return broker.fetchById([{ topic, fetchOffset: 3 }], { version })
    }),
  ),
  sameAsKafka('a fetch within a batch returns the whole batch', async broker =>
    broker.fetch([{ topic: await nineRecords(broker), fetchOffset: 4 }]),
  ),
  sameAsKafka('a fetch at the end is empty, without an error', async broker =>
    broker.fetch([{ topic: await nineRecords(broker), fetchOffset: 9 }]),
  ),
  sameAsKafka('a fetch of an empty partition is empty', async broker =>
    broker.fetch([{ topic: await broker.topic('fetch') }]),
  ),
  sameAsKafka('a fetch behind the end is out of range', async broker =>
    broker.fetch([{ topic: await nineRecords(broker), fetchOffset: 10 }]),
  ),
  sameAsKafka('a negative offset is out of range', async broker =>
    broker.fetch([{ topic: await nineRecords(broker), fetchOffset: -1 }]),
  ),
  sameAsKafka('a fetch before the log start is out of range', async broker => {
    const topic = await nineRecords(broker)
    await deleteRecords(broker, topic, 4)
    return Promise.all([2, 4, 5].map(fetchOffset => broker.fetch([{ topic, fetchOffset }])))
  }),
  sameAsKafka('a log start at the end leaves nothing to fetch', async broker => {
    const topic = await nineRecords(broker)
    await deleteRecords(broker, topic, -1)
    return [await broker.fetch([{ topic, fetchOffset: 9 }]), await broker.fetch([{ topic, fetchOffset: 8 }])]
  }),
  sameAsKafka('read_committed sees all where there are no transactions', async broker =>
    broker.fetch([{ topic: await nineRecords(broker) }], { isolationLevel: 1 }),
  ),
]

const unknownPartitions: Case[] = [
  sameAsKafka('an unknown topic by its name', broker => broker.fetch([{ topic: broker.topicName('nowhere') }])),
  sameAsKafka('an unknown topic by its id', broker => broker.fetchById([{ topic: UNKNOWN_ID }])),
  sameAsKafka('no topic id at all', broker => broker.fetchById([{ topic: '' }])),
  sameAsKafka('an unknown partition', async broker =>
    broker.fetch([{ topic: await broker.topic('fetch'), partition: 5 }]),
  ),
  sameAsKafka('an unknown partition of a known id', async broker => {
    const topic = await broker.topicId(await broker.topic('fetch'))
    return broker.fetchById([{ topic, partition: 5 }])
  }),
  sameAsKafka('a negative partition', async broker =>
    broker.fetch([{ topic: await broker.topic('fetch'), partition: -1 }]),
  ),
  sameAsKafka('an unknown partition does not keep the others from answering', async broker => {
    const topic = await nineRecords(broker)
    return broker.fetch([{ topic: broker.topicName('nowhere') }, { topic, fetchOffset: 6 }])
  }),
  sameAsKafka('an offset out of range is told at once, whatever the fetch would wait for', async broker => {
    const partitions = [{ topic: await broker.topic('fetch') }, { topic: await nineRecords(broker), fetchOffset: 20 }]
    return broker.fetch(partitions, { maxWaitMs: 60_000, minBytes: 1_000 })
  }),
  sameAsKafka('no partitions are answered at once', broker => broker.fetch([], { maxWaitMs: 60_000 })),
  sameAsKafka('the id of a deleted topic is unknown', async broker => {
    const name = await nineRecords(broker)
    const topic = await broker.topicId(name)
    await broker.send('DeleteTopics', 6, { topics: [{ name, topicId: '' }], timeoutMs: 10_000 })
    const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000 }]
    const body = { maxWaitMs: 0, minBytes: 1, topics: [{ topicId: topic, partitions }] }
    return broker.sendUntil('Fetch', 17, body, ({ responses }) => responses[0]!.partitions[0]!.errorCode !== 0)
  }),
]

const limits: Case[] = [
  sameAsKafka('the first batch comes even if it is larger than both limits', async broker =>
    broker.fetch([{ topic: await nineRecords(broker), partitionMaxBytes: 1 }], { maxBytes: 1 }),
  ),
  sameAsKafka('limits of 0 return the first batch as well', async broker =>
    broker.fetch([{ topic: await nineRecords(broker), partitionMaxBytes: 0 }], { maxBytes: 0 }),
  ),
  sameAsKafka('a partition returns the whole batches within its limit', async broker =>
    broker.fetch([{ topic: await nineRecords(broker), partitionMaxBytes: 2 * BATCH_BYTES }]),
  ),
  sameAsKafka('a batch that does not fit any more is left for the next fetch', async broker =>
    broker.fetch([{ topic: await nineRecords(broker), partitionMaxBytes: 2 * BATCH_BYTES + 20 }]),
  ),
  sameAsKafka('once there is something, a partition whose first batch does not fit is empty', async broker => {
    const topics = [await nineRecords(broker), await nineRecords(broker), await nineRecords(broker)]
    return broker.fetch(
      topics.map(topic => ({ topic, partitionMaxBytes: BATCH_BYTES })),
      { maxBytes: BATCH_BYTES },
    )
  }),
  sameAsKafka('an empty partition takes nothing of the limit', async broker => {
    const topics = [await broker.topic('fetch'), await nineRecords(broker)]
    return broker.fetch(
      topics.map(topic => ({ topic })),
      { maxBytes: 1 },
    )
  }),
  sameAsKafka(
    'a first batch larger than the limit of its partition comes only from the first partition',
    async broker => {
      const topics = [await nineRecords(broker), await nineRecords(broker)]
      return broker.fetch(
        topics.map(topic => ({ topic, partitionMaxBytes: 1 })),
        { maxBytes: 1_000_000 },
      )
    },
  ),
  sameAsKafka('a fetch with enough bytes does not wait', async broker =>
    broker.fetch([{ topic: await nineRecords(broker) }], { maxWaitMs: 60_000, minBytes: 3 * BATCH_BYTES }),
  ),
  sameAsKafka('a fetch waits no longer than it says', async broker =>
    broker.fetch([{ topic: await nineRecords(broker) }], { maxWaitMs: 100, minBytes: 1_000_000 }),
  ),
  sameAsKafka('a fetch that asks for no bytes does not wait', async broker =>
    broker.fetch([{ topic: await broker.topic('fetch') }], { maxWaitMs: 60_000, minBytes: 0 }),
  ),
  sameAsKafka('more bytes wanted than allowed is as many as allowed', async broker =>
    broker.fetch([{ topic: await nineRecords(broker) }], {
      maxWaitMs: 60_000,
      minBytes: 1_000_000,
      maxBytes: BATCH_BYTES,
    }),
  ),
  sameAsKafka('an append wakes a fetch that waits', async broker => {
    const topic = await nineRecords(broker)
    const waiting = broker.fetch([{ topic, fetchOffset: 9 }], { maxWaitMs: 60_000 })
    const writer = await broker.connect()
    const topicData = [{ name: topic, partitionData: [{ index: 0, records: buildBatch(records(1)) }] }]
    await writer.send('Produce', 9, { acks: -1, timeoutMs: 5_000, topicData })
    return waiting
  }),
  sameAsKafka('an append to one of two partitions wakes a fetch of both', async broker => {
    const topics = [await broker.topic('fetch'), await broker.topic('fetch')]
    const waiting = broker.fetch(
      topics.map(topic => ({ topic })),
      { maxWaitMs: 60_000 },
    )
    const writer = await broker.connect()
    const topicData = [{ name: topics[1]!, partitionData: [{ index: 0, records: buildBatch(records(1)) }] }]
    await writer.send('Produce', 9, { acks: -1, timeoutMs: 5_000, topicData })
    return waiting
  }),
  sameAsKafka('requests behind a waiting fetch are answered after it', async broker => {
    const topic = await broker.topic('fetch')
    const order: string[] = []
    await Promise.all([
      broker.fetch([{ topic }], { maxWaitMs: 200 }).then(() => order.push('fetch')),
      broker.offsetAt(topic, -1).then(() => order.push('list offsets')),
    ])
    return order
  }),
]

const epochs: Case[] = [
  ...[-1, 0, 1, 5].map(currentLeaderEpoch =>
    sameAsKafka(`the current leader epoch ${currentLeaderEpoch}`, async broker =>
      broker.fetch([{ topic: await nineRecords(broker), fetchOffset: 6, currentLeaderEpoch }]),
    ),
  ),
  ...(
    [
      [0, 6],
      [0, 9],
      [1, 6],
      [-1, 6],
    ] as const
  ).map(([lastFetchedEpoch, fetchOffset]) =>
    sameAsKafka(`the last fetched epoch ${lastFetchedEpoch} at offset ${fetchOffset}`, async broker =>
      broker.fetch([{ topic: await nineRecords(broker), fetchOffset, lastFetchedEpoch }]),
    ),
  ),
  sameAsKafka('the last fetched epoch behind the end', async broker =>
    broker.fetch([{ topic: await nineRecords(broker), fetchOffset: 20, lastFetchedEpoch: 0 }]),
  ),
  ...[-1, 0, 1, 7].map(leaderEpoch =>
    sameAsKafka(`OffsetForLeaderEpoch of epoch ${leaderEpoch}`, async broker => {
      const topic = await nineRecords(broker)
      return broker.send('OffsetForLeaderEpoch', 4, {
        replicaId: -1,
        topics: [{ topic, partitions: [{ partition: 0, leaderEpoch }] }],
      })
    }),
  ),
  ...[1, 5].map(currentLeaderEpoch =>
    sameAsKafka(`OffsetForLeaderEpoch with the current epoch ${currentLeaderEpoch}`, async broker => {
      const topic = await nineRecords(broker)
      const partitions = [{ partition: 0, leaderEpoch: 0, currentLeaderEpoch }]
      return broker.send('OffsetForLeaderEpoch', 3, { replicaId: -1, topics: [{ topic, partitions }] })
    }),
  ),
  sameAsKafka('OffsetForLeaderEpoch of an empty partition', async broker => {
    const topic = await broker.topic('fetch')
    return broker.send('OffsetForLeaderEpoch', 4, {
      replicaId: -1,
      topics: [{ topic, partitions: [{ partition: 0, leaderEpoch: 0 }] }],
    })
  }),
  sameAsKafka('OffsetForLeaderEpoch of what does not exist', async broker => {
    const topic = await broker.topic('fetch')
    return broker.send('OffsetForLeaderEpoch', 2, {
      topics: [
        { topic, partitions: [{ partition: 9, leaderEpoch: 0 }] },
        { topic: broker.topicName('nowhere'), partitions: [{ partition: 0, leaderEpoch: 0 }] },
      ],
    })
  }),
]

export const fetchCases: Case[] = [...positions, ...unknownPartitions, ...limits, ...epochs]
