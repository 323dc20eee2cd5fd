// What Kafka stores of a produce request, and with which error it refuses the rest.

import { type Case, type Difference, otherThanKafka, sameAsKafka } from '#test/long/differential/case.ts'
import type { Conversation, ProduceOptions, TopicOptions } from '#test/long/differential/conversation.ts'
import { buildBatch, type Codec, type RecordFields } from '#test/support/batch-builder.ts'

const CODECS: readonly Codec[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const TIMESTAMP_MS = 1_700_000_000_000
const DAY_MS = 86_400_000

const one: readonly RecordFields[] = [{ key: 'k', value: 'v', timestampMs: TIMESTAMP_MS }]
const three: readonly RecordFields[] = [0, 1, 2].map(i => ({
  key: `k${i}`,
  value: `v${i}`,
  timestampMs: TIMESTAMP_MS + i,
}))

/** Produces one batch to a new topic, and reads back what was stored. */
async function produceAndRead(
  broker: Conversation,
  records: readonly RecordFields[],
  options: ProduceOptions = {},
  topic: TopicOptions = {},
) {
  const name = await broker.topic('produce', topic)
  const answer = await broker.outcome(broker.produce(name, records, options))
  return { answer, stored: await stored(broker, name) }
}

async function stored(broker: Conversation, topic: string) {
  const { responses } = await broker.fetch([{ topic }])
  return responses[0]!.partitions[0]
}

/** Nothing was stored, for this reason. */
function refused(errorCode: string, because: string): Difference {
  const none = { leaderId: -1, leaderEpoch: -1 }
  const nowhere = { epoch: -1, endOffset: -1 }
  return {
    because,
    ours: {
      answer: { index: 0, errorCode, baseOffset: -1, logAppendTimeMs: -1, recordErrors: [], currentLeader: none },
      stored: {
        partitionIndex: 0,
        errorCode: 'NONE',
        highWatermark: 0,
        lastStableOffset: 0,
        logStartOffset: 0,
        divergingEpoch: nowhere,
        currentLeader: none,
        snapshotId: nowhere,
        abortedTransactions: [],
        preferredReadReplica: -1,
        records: [],
      },
    },
  }
}

const GARBAGE = 'garbage under a right checksum is refused, never stored'
const FAILS = 'Kafka fails over it; the batch is wrong'

const good: Case[] = [
  ...CODECS.map(codec =>
    sameAsKafka(`a batch with the codec ${codec} is stored as it came`, broker =>
      produceAndRead(broker, three, { codec }),
    ),
  ),
  ...[3, 4, 5, 6, 7, 8, 9, 10, 11, 12].map(version =>
    sameAsKafka(`Produce v${version} takes a topic by its name`, broker => produceAndRead(broker, three, { version })),
  ),
  sameAsKafka('Produce v13 takes a topic by its id', async broker => {
    const name = await broker.topic('produce')
    const topicId = await broker.topicId(name)
    const partitionData = [{ index: 0, records: buildBatch(one) }]
    const answer = await broker.send('Produce', 13, {
      acks: -1,
      timeoutMs: 5_000,
      topicData: [{ topicId, partitionData }],
    })
    return { answer, stored: await stored(broker, name) }
  }),
  sameAsKafka('offsets follow one another over batches of several records', async broker => {
    const topic = await broker.topic('produce')
    const answers = [
      await broker.produce(topic, three),
      await broker.produce(topic, one),
      await broker.produce(topic, three),
    ]
    return { answers, stored: await stored(broker, topic) }
  }),
  sameAsKafka('the leader epoch that the client wrote is replaced, whatever it is', broker =>
    produceAndRead(broker, one, { partitionLeaderEpoch: 77 }),
  ),
  sameAsKafka('headers, null keys and null values are stored as they came', broker =>
    produceAndRead(broker, [
      {
        key: null,
        value: null,
        timestampMs: TIMESTAMP_MS,
        headers: [
          ['a', null],
          ['a', 'x'],
          ['', ''],
        ],
      },
      { key: '', value: '', timestampMs: TIMESTAMP_MS },
    ]),
  ),
  sameAsKafka('a wrong maximum timestamp in the header is put right', broker =>
    produceAndRead(broker, three, { maxTimestampMs: TIMESTAMP_MS + 5_000 }),
  ),
  sameAsKafka('a maximum timestamp that is missing is put right, in a compressed batch as well', broker =>
    produceAndRead(broker, three, { maxTimestampMs: -1, codec: 'gzip' }),
  ),
  sameAsKafka('records need no timestamps', broker =>
    produceAndRead(broker, [{ value: 'v', timestampMs: -1 }], { baseTimestampMs: -1, maxTimestampMs: -1 }),
  ),
  sameAsKafka('a topic with LogAppendTime stamps the batch, not its records', broker =>
    produceAndRead(broker, three, {}, { configs: { 'message.timestamp.type': 'LogAppendTime' } }),
  ),
  sameAsKafka('a topic with LogAppendTime stamps a compressed batch', broker =>
    produceAndRead(broker, three, { codec: 'lz4' }, { configs: { 'message.timestamp.type': 'LogAppendTime' } }),
  ),
  ...CODECS.map(codec =>
    sameAsKafka(`a topic with the compression type ${typeOf(codec)} stores uncompressed batches so`, broker =>
      produceAndRead(broker, three, {}, { configs: { 'compression.type': typeOf(codec) } }),
    ),
  ),
  sameAsKafka('a topic with the compression type uncompressed unpacks compressed batches', broker =>
    produceAndRead(broker, three, { codec: 'gzip' }, { configs: { 'compression.type': 'uncompressed' } }),
  ),
  sameAsKafka('a batch keeps its producer when the broker compresses it', broker =>
    produceAndRead(
      broker,
      three,
      { producerId: 4_000, producerEpoch: 3, baseSequence: 0 },
      { configs: { 'compression.type': 'zstd' } },
    ),
  ),
  sameAsKafka('acks=0 has no answer, and the next request has its own', async broker => {
    const topic = await broker.topic('produce')
    const topicData = [{ name: topic, partitionData: [{ index: 0, records: buildBatch(one) }] }]
    broker.wire.sendOnly('Produce', 9, { acks: 0, timeoutMs: 5_000, topicData })
    return { next: await broker.produce(topic, one), stored: await stored(broker, topic) }
  }),
  sameAsKafka('acks=1 is answered like acks=all', broker => produceAndRead(broker, one, { acks: 1 })),
  sameAsKafka('one partition is refused and the other written in the same request', async broker => {
    const name = await broker.topic('produce', { partitions: 2 })
    const partitionData = [
      { index: 0, records: buildBatch(one, { crc: 1 }) },
      { index: 1, records: buildBatch(three) },
    ]
    return broker.send('Produce', 11, { acks: -1, timeoutMs: 5_000, topicData: [{ name, partitionData }] })
  }),
]

function typeOf(codec: Codec): string {
  return codec === 'none' ? 'uncompressed' : codec
}

const wrongBatches: Case[] = [
  sameAsKafka('an empty record set is refused', async broker => {
    return broker.outcome(broker.produceBytes(await broker.topic('produce'), Buffer.alloc(0)))
  }),
  sameAsKafka('two batches for one partition are refused', async broker => {
    const records = Buffer.concat([buildBatch(one), buildBatch(one)])
    return broker.outcome(broker.produceBytes(await broker.topic('produce'), records))
  }),
  sameAsKafka('a batch that is cut short is refused', async broker => {
    return broker.outcome(broker.produceBytes(await broker.topic('produce'), buildBatch(three).subarray(0, -3)))
  }),
  sameAsKafka('a batch that is cut within its header is refused', async broker => {
    return broker.outcome(broker.produceBytes(await broker.topic('produce'), buildBatch(three).subarray(0, 40)))
  }),
  otherThanKafka(
    'a batch length below that of the header is refused',
    refused(
      'INVALID_RECORD',
      'what is behind so short a batch makes it more than one: Kafka looks at the header first',
    ),
    broker => produceAndRead(broker, one, { batchLength: 20 }),
  ),
  sameAsKafka('a negative batch length is refused', broker => produceAndRead(broker, one, { batchLength: -5 })),
  ...[0, 1, 3, -1].map(magic =>
    sameAsKafka(`magic ${magic} is refused`, broker => produceAndRead(broker, one, { magic })),
  ),
  sameAsKafka('a wrong checksum is refused', broker => produceAndRead(broker, one, { crc: 12345 })),
  sameAsKafka('a base offset other than 0 is refused', broker => produceAndRead(broker, one, { baseOffset: 7 })),
  sameAsKafka('no records in a batch are refused', broker => produceAndRead(broker, [], {})),
  sameAsKafka('a negative count is refused', broker => produceAndRead(broker, one, { recordCount: -1 })),
  sameAsKafka('a count that differs from the last offset delta is refused', broker =>
    produceAndRead(broker, three, { lastOffsetDelta: 5 }),
  ),
  sameAsKafka('more records claimed than there are is refused', broker =>
    produceAndRead(broker, three, { recordCount: 4, lastOffsetDelta: 3 }),
  ),
  sameAsKafka('fewer records claimed than there are is refused', broker =>
    produceAndRead(broker, three, { recordCount: 2, lastOffsetDelta: 1 }),
  ),
  sameAsKafka('bytes behind the last record are refused', broker =>
    produceAndRead(broker, three, { trailingBytes: Buffer.from('garbage') }),
  ),
  sameAsKafka('a control batch of a client is refused', broker => produceAndRead(broker, one, { isControl: true })),
  sameAsKafka('a producer id without a sequence is refused', broker =>
    produceAndRead(broker, one, { producerId: 4_000, producerEpoch: 0, baseSequence: -1 }),
  ),
  otherThanKafka('a codec that does not exist', refused('UNSUPPORTED_COMPRESSION_TYPE', FAILS), broker =>
    produceAndRead(broker, one, { attributes: 6 }),
  ),
  sameAsKafka('a producer id with a negative epoch', broker =>
    produceAndRead(broker, one, { producerId: 4_000, producerEpoch: -1, baseSequence: 0 }),
  ),
]

const wrongRecords: Case[] = [
  otherThanKafka(
    'offset deltas that are not 0, 1, 2 in an uncompressed batch',
    refused('INVALID_RECORD', GARBAGE),
    broker => produceAndRead(broker, [one[0]!, { ...one[0], offsetDelta: 2 }, { ...one[0], offsetDelta: 1 }]),
  ),
  otherThanKafka('offset deltas that are not 0, 1, 2 in a compressed batch', refused('INVALID_RECORD', FAILS), broker =>
    produceAndRead(broker, [one[0]!, { ...one[0], offsetDelta: 2 }, { ...one[0], offsetDelta: 1 }], { codec: 'gzip' }),
  ),
  ...[100, 5].flatMap(length => [
    sameAsKafka(`a record of 9 bytes that claims to have ${length}`, broker =>
      produceAndRead(broker, [{ ...one[0], length }]),
    ),
    otherThanKafka(
      `a compressed record of 9 bytes that claims to have ${length}`,
      refused('INVALID_RECORD', GARBAGE),
      broker => produceAndRead(broker, [{ ...one[0], length }], { codec: 'gzip' }),
    ),
  ]),
  ...(['none', 'gzip'] as const).flatMap(codec => [
    sameAsKafka(`a record of a negative length (${codec})`, broker =>
      produceAndRead(broker, [{ ...one[0], length: -3 }], { codec }),
    ),
    sameAsKafka(`a record that claims headers it does not have (${codec})`, broker =>
      produceAndRead(broker, [{ ...one[0], headerCount: 3 }], { codec }),
    ),
    sameAsKafka(`a record with a negative number of headers (${codec})`, broker =>
      produceAndRead(broker, [{ ...one[0], headerCount: -1 }], { codec }),
    ),
  ]),
  ...CODECS.slice(1).map(codec =>
    otherThanKafka(
      `garbage under a right checksum that claims to be ${codec}`,
      refused('INVALID_RECORD', FAILS),
      broker => produceAndRead(broker, one, { codec, payload: Buffer.from('this was never compressed by anything') }),
    ),
  ),
  sameAsKafka('a null key on a compacted topic refuses the batch and names the record', broker =>
    produceAndRead(
      broker,
      [three[0]!, { ...three[1], key: null }, three[2]!],
      {},
      { configs: { 'cleanup.policy': 'compact' } },
    ),
  ),
  sameAsKafka('null keys in a compressed batch on a compacted topic are all named', broker =>
    produceAndRead(
      broker,
      [three[0]!, { value: 'v', timestampMs: TIMESTAMP_MS }, { value: 'v', timestampMs: TIMESTAMP_MS }],
      { codec: 'zstd' },
      { configs: { 'cleanup.policy': 'compact,delete' } },
    ),
  ),
  sameAsKafka('an empty key is a key on a compacted topic', broker =>
    produceAndRead(
      broker,
      [{ key: '', value: 'v', timestampMs: TIMESTAMP_MS }],
      {},
      { configs: { 'cleanup.policy': 'compact' } },
    ),
  ),
]

const timestamps: Case[] = [
  sameAsKafka('a timestamp more than an hour ahead is refused', broker =>
    produceAndRead(broker, [{ value: 'v', timestampMs: Date.now() + DAY_MS }]),
  ),
  sameAsKafka('timestamps ahead are refused record by record', broker =>
    produceAndRead(broker, [one[0]!, { value: 'v', timestampMs: Date.now() + DAY_MS }, one[0]!], {
      baseTimestampMs: TIMESTAMP_MS,
    }),
  ),
  sameAsKafka('a timestamp ahead is accepted where the topic allows it', broker =>
    produceAndRead(
      broker,
      [{ value: 'v', timestampMs: 4_000_000_000_000 }],
      {},
      {
        configs: { 'message.timestamp.after.max.ms': `${9_000_000_000_000}` },
      },
    ),
  ),
  sameAsKafka('a timestamp that is too old for the topic is refused', broker =>
    produceAndRead(broker, one, {}, { configs: { 'message.timestamp.before.max.ms': '3600000' } }),
  ),
  sameAsKafka('a missing timestamp is never too old', broker =>
    produceAndRead(
      broker,
      [{ value: 'v', timestampMs: -1 }],
      { baseTimestampMs: -1, maxTimestampMs: -1 },
      {
        configs: { 'message.timestamp.before.max.ms': '3600000' },
      },
    ),
  ),
  sameAsKafka('the bit for LogAppendTime is cleared on a topic with CreateTime', broker =>
    produceAndRead(broker, one, { attributes: 8 }),
  ),
  sameAsKafka('the bit for LogAppendTime is cleared in a compressed batch', broker =>
    produceAndRead(broker, three, { attributes: 8 | 1, codec: 'gzip' }),
  ),
  sameAsKafka('the bit for LogAppendTime without any timestamp on a topic with CreateTime', broker =>
    produceAndRead(broker, [{ value: 'v', timestampMs: -1 }], {
      baseTimestampMs: -1,
      maxTimestampMs: -1,
      attributes: 8,
    }),
  ),
  sameAsKafka('a timestamp and a null key that are both wrong are one timestamp error', broker =>
    produceAndRead(
      broker,
      [
        { value: 'v', timestampMs: TIMESTAMP_MS },
        { key: 'k', value: 'v', timestampMs: Date.now() + DAY_MS },
      ],
      { baseTimestampMs: TIMESTAMP_MS },
      { configs: { 'cleanup.policy': 'compact' } },
    ),
  ),
  sameAsKafka('a base timestamp of the far future with a record far before it', broker =>
    produceAndRead(broker, one, { baseTimestampMs: 9_000_000_000_000 }),
  ),
]

const limits: Case[] = [
  sameAsKafka('a batch of exactly max.message.bytes is stored', async broker => {
    const records = buildBatch(one)
    const topic = await broker.topic('produce', { configs: { 'max.message.bytes': `${records.length}` } })
    return broker.produceBytes(topic, records)
  }),
  sameAsKafka('a batch of one byte more is refused', async broker => {
    const records = buildBatch(one)
    const topic = await broker.topic('produce', { configs: { 'max.message.bytes': `${records.length - 1}` } })
    return broker.produceBytes(topic, records)
  }),
  sameAsKafka('the default limit is 1048588 bytes', async broker => {
    const topic = await broker.topic('produce')
    const overhead = buildBatch([{ value: Buffer.alloc(1_000_000) }]).length - 1_000_000
    const batch = (sizeBytes: number) => buildBatch([{ value: Buffer.alloc(sizeBytes - overhead) }])
    return [await broker.produceBytes(topic, batch(1_048_588)), await broker.produceBytes(topic, batch(1_048_589))]
  }),
  sameAsKafka('what counts is the compressed size', async broker => {
    const topic = await broker.topic('produce')
    return broker.produce(topic, [{ value: Buffer.alloc(3_000_000) }], { codec: 'zstd' })
  }),
  sameAsKafka('a batch larger than a segment is refused', async broker => {
    const configs = { 'max.message.bytes': '3000000', 'segment.bytes': '1048576' }
    return broker.produce(await broker.topic('produce', { configs }), [{ value: Buffer.alloc(2_000_000) }])
  }),
  sameAsKafka('min.insync.replicas asks for no more replicas than there are', async broker => {
    const topic = await broker.topic('produce', { configs: { 'min.insync.replicas': '2' } })
    return [await broker.produce(topic, one), await broker.produce(topic, one, { acks: 1 })]
  }),
]

const wrongRequests: Case[] = [
  ...[2, -2, 100].map(acks =>
    sameAsKafka(`acks=${acks} is refused`, async broker =>
      broker.produce(await broker.topic('produce'), one, { acks }),
    ),
  ),
  sameAsKafka('a topic that does not exist is not created by a produce request', async broker =>
    broker.produce(broker.topicName('nowhere'), one),
  ),
  sameAsKafka('a partition that does not exist is unknown', async broker =>
    broker.produce(await broker.topic('produce'), one, { partition: 1 }),
  ),
  sameAsKafka('a negative partition is unknown', async broker =>
    broker.produce(await broker.topic('produce'), one, { partition: -1 }),
  ),
  sameAsKafka('an illegal topic name is unknown', broker => broker.produce('not/legal', one)),
  sameAsKafka('an unknown topic id', async broker => {
    const partitionData = [{ index: 0, records: buildBatch(one) }]
    const topicId = 'AAAAAAAAQACAAAAAAAAAEg'
    return broker.send('Produce', 13, { acks: -1, timeoutMs: 5_000, topicData: [{ topicId, partitionData }] })
  }),
  sameAsKafka('no topic id at all', async broker => {
    const partitionData = [{ index: 0, records: buildBatch(one) }]
    return broker.send('Produce', 13, { acks: -1, timeoutMs: 5_000, topicData: [{ topicId: '', partitionData }] })
  }),
  sameAsKafka('acks=0 with a refused batch closes the connection', async broker => {
    const topicData = [{ name: broker.topicName('nowhere'), partitionData: [{ index: 0, records: buildBatch(one) }] }]
    broker.wire.sendOnly('Produce', 9, { acks: 0, timeoutMs: 5_000, topicData })
    await broker.wire.expectClosed()
    return 'closed'
  }),
  sameAsKafka('zstd before Produce v7 is refused', async broker =>
    broker.produce(await broker.topic('produce'), one, { version: 6, codec: 'zstd' }),
  ),
  sameAsKafka('a request without topics has an answer without topics', broker =>
    broker.send('Produce', 9, { acks: -1, timeoutMs: 5_000, topicData: [] }),
  ),
  otherThanKafka(
    'the same partition twice in one request',
    { because: 'Kafka forgets the first one without a word', ours: { answers: 2, stored: 4 } },
    async broker => {
      const name = await broker.topic('produce')
      const partitionData = [one, three].map(records => ({ index: 0, records: buildBatch(records) }))
      const answer = await broker.send('Produce', 9, {
        acks: -1,
        timeoutMs: 5_000,
        topicData: [{ name, partitionData }],
      })
      return {
        answers: answer.responses[0]!.partitionResponses.length,
        stored: (await broker.offsetAt(name, -1)).offset,
      }
    },
  ),
  sameAsKafka('a transactional batch without a transactional id', broker =>
    produceAndRead(broker, one, { isTransactional: true, producerId: 4_000, producerEpoch: 0, baseSequence: 0 }),
  ),
]

export const produceCases: Case[] = [
  ...good,
  ...wrongBatches,
  ...wrongRecords,
  ...timestamps,
  ...limits,
  ...wrongRequests,
]
