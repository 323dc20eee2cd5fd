// Creating, growing, emptying and deleting topics, and what is wrong with most requests to do so.

import { type Case, otherThanKafka, sameAsKafka } from '#test/long/differential/case.ts'
import type { Conversation } from '#test/long/differential/conversation.ts'

const UNKNOWN_ID = 'AAAAAAAAQACAAAAAAAAAEg'
const TIMEOUT_MS = 10_000

interface Wanted {
  readonly name?: string
  readonly numPartitions?: number
  readonly replicationFactor?: number
  readonly assignments?: readonly { partitionIndex: number; brokerIds: number[] }[]
  readonly configs?: readonly { name: string; value: string | null }[]
}

function create(
  broker: Conversation,
  wanted: readonly Wanted[],
  options: { version?: number; validateOnly?: boolean } = {},
) {
  const topics = wanted.map(of => ({
    name: of.name ?? broker.topicName('topics'),
    numPartitions: of.numPartitions ?? 1,
    replicationFactor: of.replicationFactor ?? 1,
    assignments: of.assignments ?? [],
    configs: of.configs ?? [],
  }))
  const { version = 7, validateOnly = false } = options
  return broker.send('CreateTopics', version, { topics, timeoutMs: TIMEOUT_MS, validateOnly })
}

const created = { because: 'any replication factor is accepted: there is one replica, and Metadata shows it' }

const creating: Case[] = [
  ...[2, 3, 4, 5, 6, 7].map(version =>
    sameAsKafka(`CreateTopics v${version}`, broker => create(broker, [{ numPartitions: 3 }], { version })),
  ),
  ...[4, 7].map(version =>
    sameAsKafka(`CreateTopics v${version} with the default of partitions and replicas`, broker =>
      create(broker, [{ numPartitions: -1, replicationFactor: -1 }], { version }),
    ),
  ),
  sameAsKafka('CreateTopics v3 has no defaults', broker =>
    create(broker, [{ numPartitions: -1, replicationFactor: -1 }], { version: 3 }),
  ),
  sameAsKafka('configs are part of the answer, with where they come from', broker =>
    create(broker, [
      {
        configs: [
          { name: 'retention.ms', value: '1000' },
          { name: 'cleanup.policy', value: 'compact' },
        ],
      },
    ]),
  ),
  sameAsKafka('a topic that exists', async broker => create(broker, [{ name: await broker.topic('topics') }])),
  sameAsKafka('a name that differs from another by . and _ only', async broker => {
    const name = await broker.topic('with.dot')
    return create(broker, [{ name: name.replace('with.dot', 'with_dot') }])
  }),
  sameAsKafka('the same name twice', async broker => {
    const name = broker.topicName('topics')
    return create(broker, [{ name }, { name }, {}])
  }),
  ...['', '.', '..', 'with space', 'a/b', 'a'.repeat(250)].map(name =>
    sameAsKafka(`an illegal name: ${name.slice(0, 20)}`, broker => create(broker, [{ name }])),
  ),
  ...[0, -2, -1_000].map(numPartitions =>
    sameAsKafka(`${numPartitions} partitions`, broker => create(broker, [{ numPartitions }])),
  ),
  ...[0, -2].map(replicationFactor =>
    sameAsKafka(`${replicationFactor} replicas`, broker => create(broker, [{ replicationFactor }])),
  ),
  otherThanKafka(
    'more replicas than brokers',
    { ...created, ours: [{ errorCode: 'NONE', numPartitions: 1, replicationFactor: 1 }] },
    async broker =>
      (await create(broker, [{ replicationFactor: 3 }])).topics.map(
        ({ errorCode, numPartitions, replicationFactor }) => ({
          errorCode,
          numPartitions,
          replicationFactor,
        }),
      ),
  ),
  sameAsKafka('partitions assigned to the broker', broker =>
    create(broker, [{ numPartitions: -1, replicationFactor: -1, assignments: assigned(broker, [0, 1]) }]),
  ),
  sameAsKafka('assignments and a number of partitions', broker =>
    create(broker, [{ numPartitions: 2, replicationFactor: -1, assignments: assigned(broker, [0, 1]) }]),
  ),
  sameAsKafka('assignments with a gap', broker =>
    create(broker, [{ numPartitions: -1, replicationFactor: -1, assignments: assigned(broker, [0, 2]) }]),
  ),
  sameAsKafka('assignments to nobody', broker =>
    create(broker, [{ numPartitions: -1, replicationFactor: -1, assignments: [{ partitionIndex: 0, brokerIds: [] }] }]),
  ),
  sameAsKafka('an assignment to the same broker twice', broker => {
    const { nodeId } = broker.identity
    const assignments = [{ partitionIndex: 0, brokerIds: [nodeId, nodeId] }]
    return create(broker, [{ numPartitions: -1, replicationFactor: -1, assignments }])
  }),
  sameAsKafka('an unknown config', broker => create(broker, [{ configs: [{ name: 'no.such.config', value: '1' }] }])),
  sameAsKafka('a config of the broker', broker =>
    create(broker, [{ configs: [{ name: 'log.retention.ms', value: '1' }] }]),
  ),
  sameAsKafka('a config that is no number', broker =>
    create(broker, [{ configs: [{ name: 'retention.ms', value: 'soon' }] }]),
  ),
  sameAsKafka('a config out of bounds', broker =>
    create(broker, [{ configs: [{ name: 'segment.bytes', value: '1' }] }]),
  ),
  sameAsKafka('a null config', broker => create(broker, [{ configs: [{ name: 'retention.ms', value: null }] }])),
  sameAsKafka('the same config twice', broker =>
    create(broker, [
      {
        configs: [
          { name: 'retention.ms', value: '1' },
          { name: 'retention.ms', value: '2' },
        ],
      },
    ]),
  ),
  sameAsKafka('validating creates nothing', async broker => {
    const name = broker.topicName('topics')
    const answer = await create(broker, [{ name, numPartitions: 2 }], { validateOnly: true })
    const topics = [{ name, topicId: '' }]
    return { answer, metadata: await broker.send('Metadata', 9, { topics, allowAutoTopicCreation: false }) }
  }),
  sameAsKafka('validating finds what is wrong', async broker =>
    create(broker, [{ name: await broker.topic('topics') }, { numPartitions: 0 }], { validateOnly: true }),
  ),
  sameAsKafka('no topics', broker => create(broker, [])),
]

function assigned(broker: Conversation, partitions: readonly number[]) {
  return partitions.map(partitionIndex => ({ partitionIndex, brokerIds: [broker.identity.nodeId] }))
}

const deleting: Case[] = [
  ...[1, 2, 3, 4, 5].map(version =>
    sameAsKafka(`DeleteTopics v${version} by name`, async broker =>
      broker.send('DeleteTopics', version, { topicNames: [await broker.topic('topics')], timeoutMs: TIMEOUT_MS }),
    ),
  ),
  sameAsKafka('DeleteTopics v6 by name, by id, and what there is not', async broker => {
    const [first, second] = [await broker.topic('topics'), await broker.topic('topics')]
    const send = (topic: { name: string | null; topicId: string }) =>
      broker.send('DeleteTopics', 6, { topics: [topic], timeoutMs: TIMEOUT_MS })
    return [
      await send({ name: first, topicId: '' }),
      await send({ name: null, topicId: await broker.topicId(second) }),
      await send({ name: broker.topicName('nowhere'), topicId: '' }),
      await send({ name: null, topicId: UNKNOWN_ID }),
    ]
  }),
  sameAsKafka('DeleteTopics with a name and an id', async broker => {
    const name = await broker.topic('topics')
    const topics = [{ name, topicId: await broker.topicId(name) }]
    return broker.outcome(broker.send('DeleteTopics', 6, { topics, timeoutMs: TIMEOUT_MS }))
  }),
  sameAsKafka('DeleteTopics with neither a name nor an id', broker =>
    broker.outcome(broker.send('DeleteTopics', 6, { topics: [{ name: null, topicId: '' }], timeoutMs: TIMEOUT_MS })),
  ),
  sameAsKafka('DeleteTopics of the same topic twice', async broker => {
    const name = await broker.topic('topics')
    return broker.send('DeleteTopics', 5, { topicNames: [name, name], timeoutMs: TIMEOUT_MS })
  }),
  sameAsKafka('DeleteTopics of no topics', broker =>
    broker.send('DeleteTopics', 5, { topicNames: [], timeoutMs: TIMEOUT_MS }),
  ),
  sameAsKafka('a topic that is created again begins with 0 and has another id', async broker => {
    const name = await broker.topic('topics')
    const before = await broker.topicId(name)
    await broker.produce(name, [{ value: 'v' }])
    await broker.send('DeleteTopics', 5, { topicNames: [name], timeoutMs: TIMEOUT_MS })
    const body = {
      topics: [{ name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }],
      timeoutMs: TIMEOUT_MS,
    }
    const again = await broker.sendUntil('CreateTopics', 6, body, ({ topics }) => topics[0]!.errorCode === 0)
    await broker.settled(name, 1)
    return { again, isOther: (await broker.topicId(name)) !== before, end: await broker.offsetAt(name, -1) }
  }),
]

function grow(
  broker: Conversation,
  name: string,
  count: number,
  assignments: { brokerIds: number[] }[] | null = null,
  version = 3,
) {
  const topics = [{ name, count, assignments }]
  return broker.send('CreatePartitions', version, { topics, timeoutMs: TIMEOUT_MS, validateOnly: false })
}

const growing: Case[] = [
  ...[0, 1, 2, 3].map(version =>
    sameAsKafka(`CreatePartitions v${version}`, async broker =>
      grow(broker, await broker.topic('topics'), 3, null, version),
    ),
  ),
  ...[1, 2, 0, -1].map(count =>
    sameAsKafka(`CreatePartitions to ${count} where there are 2`, async broker =>
      grow(broker, await broker.topic('topics', { partitions: 2 }), count),
    ),
  ),
  sameAsKafka('CreatePartitions of a topic that does not exist', broker =>
    grow(broker, broker.topicName('nowhere'), 3),
  ),
  sameAsKafka('CreatePartitions with assignments', async broker =>
    grow(broker, await broker.topic('topics'), 2, [{ brokerIds: [broker.identity.nodeId] }]),
  ),
  sameAsKafka('CreatePartitions with too few assignments', async broker =>
    grow(broker, await broker.topic('topics'), 3, [{ brokerIds: [broker.identity.nodeId] }]),
  ),
  sameAsKafka('CreatePartitions with an assignment to nobody', async broker =>
    grow(broker, await broker.topic('topics'), 2, [{ brokerIds: [] }]),
  ),
  sameAsKafka('CreatePartitions of the same topic twice, and another', async broker => {
    const [name, other] = [await broker.topic('topics'), await broker.topic('topics')]
    const topics = [name, name, other].map(of => ({ name: of, count: 2, assignments: null }))
    return broker.send('CreatePartitions', 3, { topics, timeoutMs: TIMEOUT_MS, validateOnly: false })
  }),
  sameAsKafka('CreatePartitions that only validates changes nothing', async broker => {
    const name = await broker.topic('topics')
    const topics = [{ name, count: 5, assignments: null }]
    const answer = await broker.send('CreatePartitions', 3, { topics, timeoutMs: TIMEOUT_MS, validateOnly: true })
    const metadata = await broker.send('Metadata', 9, {
      topics: [{ name, topicId: '' }],
      allowAutoTopicCreation: false,
    })
    return { answer, count: metadata.topics[0]!.partitions.length }
  }),
]

async function emptied(
  broker: Conversation,
  offsets: readonly number[],
  configs: Record<string, string> = {},
  version = 2,
) {
  const name = await broker.topic('topics', { configs })
  const records = Array.from({ length: 10 }, (_, i) => ({ key: `${i}`, value: `${i}` }))
  await broker.produce(name, records)
  const answers: unknown[] = []
  for (const offset of offsets) {
    const topics = [{ name, partitions: [{ partitionIndex: 0, offset }] }]
    answers.push(await broker.send('DeleteRecords', version, { topics, timeoutMs: TIMEOUT_MS }))
  }
  return { answers, start: await broker.offsetAt(name, -2), end: await broker.offsetAt(name, -1) }
}

const emptying: Case[] = [
  ...[0, 1, 2].map(version => sameAsKafka(`DeleteRecords v${version}`, broker => emptied(broker, [4], {}, version))),
  sameAsKafka('DeleteRecords to the end', broker => emptied(broker, [-1])),
  sameAsKafka('DeleteRecords to exactly the end', broker => emptied(broker, [10])),
  sameAsKafka('DeleteRecords behind the end', broker => emptied(broker, [11])),
  sameAsKafka('DeleteRecords to a negative offset', broker => emptied(broker, [-2])),
  sameAsKafka('DeleteRecords below the start changes nothing', broker => emptied(broker, [6, 3, 0])),
  sameAsKafka('DeleteRecords of a compacted topic', broker => emptied(broker, [4], { 'cleanup.policy': 'compact' })),
  sameAsKafka('DeleteRecords of a topic that is compacted and deleted', broker =>
    emptied(broker, [4], { 'cleanup.policy': 'compact,delete' }),
  ),
  sameAsKafka('DeleteRecords of what does not exist', async broker =>
    broker.send('DeleteRecords', 2, {
      topics: [
        { name: await broker.topic('topics'), partitions: [{ partitionIndex: 3, offset: 0 }] },
        { name: broker.topicName('nowhere'), partitions: [{ partitionIndex: 0, offset: 0 }] },
      ],
      timeoutMs: TIMEOUT_MS,
    }),
  ),
]

export const topicCases: Case[] = [...creating, ...deleting, ...growing, ...emptying]
