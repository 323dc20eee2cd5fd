// Producers with an id: what is a duplicate, what is out of order, who is fenced.

import { type Case, sameAsKafka } from '#test/long/differential/case.ts'
import type { Conversation } from '#test/long/differential/conversation.ts'
import type { RecordFields } from '#test/support/batch-builder.ts'

const PRODUCER_ID = 4_711
const MAX_SEQUENCE = 2_147_483_647

/** Sends batches of one producer to one partition in turn: [sequence, records, epoch]. */
async function sequence(broker: Conversation, batches: readonly (readonly [number, number, number?])[]) {
  const topic = await broker.topic('idempotence')
  const answers: unknown[] = []
  for (const [baseSequence, recordCount, producerEpoch = 0] of batches) {
    const of = { producerId: PRODUCER_ID, producerEpoch, baseSequence }
    answers.push(withoutTime(await broker.produce(topic, records(recordCount), of)))
  }
  const { responses } = await broker.fetch([{ topic }])
  return { answers, stored: responses[0]!.partitions[0] }
}

/** Kafka gives a duplicate the time of the first even where times are those of the producer; the last case shows it. */
function withoutTime<T extends { logAppendTimeMs: number }>({ logAppendTimeMs: _, ...answer }: T) {
  return answer
}

const records = (count: number): RecordFields[] => Array.from({ length: count }, (_, i) => ({ value: `${i}` }))

export const idempotenceCases: Case[] = [
  sameAsKafka('batches in sequence are appended', broker =>
    sequence(broker, [
      [0, 3],
      [3, 1],
      [4, 2],
    ]),
  ),
  sameAsKafka('a duplicate of the last batch has the offset of the first', broker =>
    sequence(broker, [
      [0, 3],
      [3, 2],
      [3, 2],
    ]),
  ),
  sameAsKafka('a duplicate of any of the last five batches is recognised', broker =>
    sequence(broker, [
      [0, 1],
      [1, 1],
      [2, 1],
      [3, 1],
      [4, 1],
      [0, 1],
      [2, 1],
      [4, 1],
      [5, 1],
    ]),
  ),
  sameAsKafka('a duplicate older than the last five is out of order', broker =>
    sequence(broker, [
      [0, 1],
      [1, 1],
      [2, 1],
      [3, 1],
      [4, 1],
      [5, 1],
      [0, 1],
      [1, 1],
    ]),
  ),
  sameAsKafka('a batch that covers only a part of an earlier one is out of order', broker =>
    sequence(broker, [
      [0, 3],
      [0, 2],
      [1, 2],
      [0, 4],
    ]),
  ),
  sameAsKafka('a gap is out of order, and what closes it is taken', broker =>
    sequence(broker, [
      [0, 1],
      [2, 1],
      [1, 1],
      [2, 1],
    ]),
  ),
  sameAsKafka('a producer that nobody knows begins with any sequence', broker =>
    sequence(broker, [
      [50, 2],
      [52, 1],
      [0, 1],
    ]),
  ),
  sameAsKafka('sequences wrap to 0 behind the largest', broker =>
    sequence(broker, [
      [MAX_SEQUENCE - 1, 2],
      [0, 1],
      [1, 1],
    ]),
  ),
  sameAsKafka('one batch reaches over the largest sequence', broker =>
    sequence(broker, [
      [MAX_SEQUENCE - 1, 4],
      [2, 1],
      [MAX_SEQUENCE - 1, 4],
    ]),
  ),
  sameAsKafka('an older epoch is refused', broker =>
    sequence(broker, [
      [0, 1, 5],
      [1, 1, 4],
      [1, 1, 5],
    ]),
  ),
  sameAsKafka('a newer epoch begins with 0', broker =>
    sequence(broker, [
      [0, 1, 0],
      [1, 1, 0],
      [0, 1, 1],
      [1, 1, 1],
    ]),
  ),
  sameAsKafka('a newer epoch with another sequence is out of order', broker =>
    sequence(broker, [
      [0, 1, 0],
      [1, 1, 1],
      [0, 1, 1],
    ]),
  ),
  sameAsKafka('a duplicate of an older epoch is refused', broker =>
    sequence(broker, [
      [0, 1, 0],
      [0, 1, 1],
      [0, 1, 0],
    ]),
  ),
  sameAsKafka('the first batch of an unknown producer may have any epoch', broker =>
    sequence(broker, [
      [7, 1, 9],
      [8, 1, 9],
    ]),
  ),
  sameAsKafka('partitions count their sequences apart', async broker => {
    const topic = await broker.topic('idempotence', { partitions: 2 })
    const of = { producerId: PRODUCER_ID, producerEpoch: 0 }
    return [
      await broker.produce(topic, records(2), { ...of, baseSequence: 0 }),
      await broker.produce(topic, records(1), { ...of, baseSequence: 0, partition: 1 }),
      await broker.produce(topic, records(1), { ...of, baseSequence: 2 }),
      await broker.produce(topic, records(1), { ...of, baseSequence: 1, partition: 1 }),
    ]
  }),
  sameAsKafka('plain batches between those of a producer disturb nothing', async broker => {
    const topic = await broker.topic('idempotence')
    const of = { producerId: PRODUCER_ID, producerEpoch: 0 }
    return [
      await broker.produce(topic, records(2), { ...of, baseSequence: 0 }),
      await broker.produce(topic, records(5)),
      await broker.produce(topic, records(1), { ...of, baseSequence: 2 }),
      withoutTime(await broker.produce(topic, records(2), { ...of, baseSequence: 0 })),
    ]
  }),
  sameAsKafka('five requests under way are appended in their order', async broker => {
    const topic = await broker.topic('idempotence')
    const sends = [0, 1, 2, 3, 4].map(i =>
      broker.produce(topic, records(1), { producerId: PRODUCER_ID, producerEpoch: 0, baseSequence: i }),
    )
    return Promise.all(sends)
  }),
  sameAsKafka('a duplicate on a topic with LogAppendTime has the time of the first', async broker => {
    const topic = await broker.topic('idempotence', { configs: { 'message.timestamp.type': 'LogAppendTime' } })
    const of = { producerId: PRODUCER_ID, producerEpoch: 0, baseSequence: 0 }
    const first = await broker.produce(topic, records(1), of)
    const again = await broker.produce(topic, records(1), of)
    return { first, again, isSameTime: first.logAppendTimeMs === again.logAppendTimeMs }
  }),
  sameAsKafka('a producer is known after its records are deleted', async broker => {
    const topic = await broker.topic('idempotence')
    const of = { producerId: PRODUCER_ID, producerEpoch: 0 }
    const first = await broker.produce(topic, records(3), { ...of, baseSequence: 0 })
    const partitions = [{ partitionIndex: 0, offset: -1 }]
    const deleted = await broker.send('DeleteRecords', 2, { topics: [{ name: topic, partitions }], timeoutMs: 5_000 })
    return {
      first,
      deleted,
      duplicate: withoutTime(await broker.produce(topic, records(3), { ...of, baseSequence: 0 })),
      gap: await broker.produce(topic, records(1), { ...of, baseSequence: 9 }),
      next: await broker.produce(topic, records(1), { ...of, baseSequence: 3 }),
    }
  }),
  ...[0, 1, 2, 3, 4, 5].map(version =>
    sameAsKafka(`InitProducerId v${version} without a transactional id gives a new id each time`, async broker => {
      const body = { transactionalId: null, transactionTimeoutMs: 60_000 }
      // Kafka gives none while it starts.
      const ask = () => broker.sendUntil('InitProducerId', version, body, ({ errorCode }) => errorCode === 0)
      const [first, second] = [await ask(), await ask()]
      return { first, second, isNew: first.producerId !== second.producerId }
    }),
  ),
  sameAsKafka('InitProducerId with an id but no transactional id', broker =>
    broker.send('InitProducerId', 4, {
      transactionalId: null,
      transactionTimeoutMs: 60_000,
      producerId: PRODUCER_ID,
      producerEpoch: 3,
    }),
  ),
  sameAsKafka('InitProducerId with an empty transactional id is refused', broker =>
    broker.send('InitProducerId', 4, { transactionalId: '', transactionTimeoutMs: 60_000 }),
  ),
  sameAsKafka('DescribeProducers tells the last sequence of each producer', async broker => {
    const topic = await broker.topic('idempotence')
    await broker.produce(topic, records(3), { producerId: PRODUCER_ID, producerEpoch: 2, baseSequence: 0 })
    const topics = [{ name: topic, partitionIndexes: [0, 1] }]
    const answer = await broker.send('DescribeProducers', 0, { topics })
    const producers = answer.topics[0]!.partitions.flatMap(({ activeProducers }) =>
      activeProducers.map(producer => ({ ...producer, lastTimestamp: '<now>' })),
    )
    return { partitions: answer.topics[0]!.partitions.map(({ activeProducers: _, ...rest }) => rest), producers }
  }),
  sameAsKafka('DescribeProducers of a topic that does not exist', broker =>
    broker.send('DescribeProducers', 0, { topics: [{ name: broker.topicName('nowhere'), partitionIndexes: [0] }] }),
  ),
  sameAsKafka('a duplicate has the time of the first as its append time, even where there is none', async broker => {
    const topic = await broker.topic('idempotence')
    const of = { producerId: PRODUCER_ID, producerEpoch: 0, baseSequence: 0 }
    const first = await broker.produce(topic, records(1), of)
    const second = await broker.produce(topic, records(1), of)
    return [first.logAppendTimeMs, second.logAppendTimeMs === -1]
  }),
]
