// What clients learn of topics and of the cluster.

import { type Case, otherThanKafka, sameAsKafka } from '#test/long/differential/case.ts'
import type { Conversation } from '#test/long/differential/conversation.ts'

const UNKNOWN_ID = 'AAAAAAAAQACAAAAAAAAAEg'
const VERSIONS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
const ILLEGAL_NAMES = ['', '.', '..', 'with space', 'umläut', 'a/b', 'a'.repeat(250)]

const named = (broker: Conversation, version: number, names: readonly string[], allowAutoTopicCreation = false) =>
  broker.send('Metadata', version, {
    topics: names.map(name => ({ name, topicId: '' })),
    ...(version >= 4 ? { allowAutoTopicCreation } : {}),
  })

const metadata: Case[] = [
  ...VERSIONS.map(version =>
    sameAsKafka(`Metadata v${version} of one topic`, async broker =>
      named(broker, version, [await broker.topic('metadata', { partitions: 3 })]),
    ),
  ),
  ...[4, 9, 13].map(version =>
    sameAsKafka(`Metadata v${version} of a topic that does not exist and shall not be created`, broker =>
      named(broker, version, [broker.topicName('nowhere')]),
    ),
  ),
  sameAsKafka('all topics are listed when none are named (v0) and when there is no list (v1)', async broker => {
    const topic = await broker.topic('metadata')
    const v0 = await broker.send('Metadata', 0, { topics: [] })
    const v1 = await broker.send('Metadata', 1, { topics: null })
    return [v0, v1].map(({ topics }) => topics.filter(({ name }) => name === topic))
  }),
  sameAsKafka('an empty list is no topics', broker => broker.send('Metadata', 8, { topics: [] })),
  sameAsKafka('a topic named twice is answered once', async broker => {
    const topic = await broker.topic('metadata')
    return named(broker, 9, [topic, topic])
  }),
  sameAsKafka('a topic by its id', async broker => {
    const topicId = await broker.topicId(await broker.topic('metadata'))
    return broker.send('Metadata', 12, { topics: [{ name: null, topicId }], allowAutoTopicCreation: false })
  }),
  sameAsKafka('an id that does not exist', broker =>
    broker.send('Metadata', 12, { topics: [{ name: null, topicId: UNKNOWN_ID }], allowAutoTopicCreation: true }),
  ),
  sameAsKafka('an id before v12 is refused', async broker => {
    const topicId = await broker.topicId(await broker.topic('metadata'))
    return broker.outcome(
      broker.send('Metadata', 10, { topics: [{ name: null, topicId }], allowAutoTopicCreation: false }),
    )
  }),
  sameAsKafka('a name and an id for the same topic', async broker => {
    const name = await broker.topic('metadata')
    const topicId = await broker.topicId(name)
    return broker.outcome(broker.send('Metadata', 12, { topics: [{ name, topicId }], allowAutoTopicCreation: false }))
  }),
  sameAsKafka('names and ids in one request', async broker => {
    const [first, second] = [await broker.topic('metadata'), await broker.topic('metadata')]
    const topics = [
      { name: first, topicId: '' },
      { name: null, topicId: await broker.topicId(second) },
    ]
    return broker.outcome(broker.send('Metadata', 12, { topics, allowAutoTopicCreation: false }))
  }),
  ...ILLEGAL_NAMES.map(name =>
    sameAsKafka(`a topic that could not be created by its name: ${name.slice(0, 20)}`, broker =>
      named(broker, 9, [name], true),
    ),
  ),
  otherThanKafka(
    'a topic is created by asking for it',
    {
      because: 'one broker can create it at once: Kafka asks its controller, and its client again',
      ours: { errorCode: 'NONE', partitions: 1 },
    },
    async broker => {
      const answer = await named(broker, 9, [broker.topicName('auto')], true)
      return answer.topics.map(({ errorCode, partitions }) => ({ errorCode, partitions: partitions.length }))[0]
    },
  ),
  sameAsKafka('a topic is there soon after somebody asked for it', async broker => {
    const name = broker.topicName('auto')
    const body = { topics: [{ name, topicId: '' }], allowAutoTopicCreation: true }
    return broker.sendUntil(
      'Metadata',
      9,
      body,
      ({ topics }) => topics[0]!.errorCode === 0 && topics[0]!.partitions.length > 0,
    )
  }),
  sameAsKafka('the authorized operations of a topic', async broker =>
    broker.send('Metadata', 9, {
      topics: [{ name: await broker.topic('metadata'), topicId: '' }],
      allowAutoTopicCreation: false,
      includeTopicAuthorizedOperations: true,
    }),
  ),
  sameAsKafka('the authorized operations of the cluster', broker =>
    broker.send('Metadata', 9, { topics: [], includeClusterAuthorizedOperations: true, allowAutoTopicCreation: false }),
  ),
]

const describing: Case[] = [
  ...[0, 1, 2].map(version =>
    sameAsKafka(`DescribeCluster v${version}`, broker =>
      broker.send('DescribeCluster', version, { includeClusterAuthorizedOperations: false }),
    ),
  ),
  sameAsKafka('DescribeCluster with the authorized operations', broker =>
    broker.send('DescribeCluster', 1, { includeClusterAuthorizedOperations: true }),
  ),
  sameAsKafka('DescribeCluster of controllers is refused by a broker', broker =>
    broker.send('DescribeCluster', 1, { includeClusterAuthorizedOperations: false, endpointType: 2 }),
  ),
  sameAsKafka('DescribeCluster of an endpoint type that does not exist', broker =>
    broker.send('DescribeCluster', 1, { includeClusterAuthorizedOperations: false, endpointType: 7 }),
  ),
  sameAsKafka('DescribeTopicPartitions of several topics, sorted by their names', async broker => {
    const names = [
      await broker.topic('metadata', { partitions: 2 }),
      broker.topicName('nowhere'),
      await broker.topic('a'),
    ]
    const answer = await broker.send('DescribeTopicPartitions', 0, {
      topics: names.map(name => ({ name })),
      responsePartitionLimit: 100,
    })
    return { order: answer.topics.map(({ name }) => name), answer }
  }),
  sameAsKafka('DescribeTopicPartitions in pages', async broker => {
    const names = [await broker.topic('page', { partitions: 3 }), await broker.topic('page', { partitions: 2 })]
    const body = { topics: names.map(name => ({ name })), responsePartitionLimit: 2 }
    const pages = [await broker.send('DescribeTopicPartitions', 0, body)]
    while (pages.at(-1)!.nextCursor !== null && pages.length < 5) {
      pages.push(await broker.send('DescribeTopicPartitions', 0, { ...body, cursor: pages.at(-1)!.nextCursor }))
    }
    return pages
  }),
  sameAsKafka('DescribeTopicPartitions from a cursor on', async broker => {
    const topicName = await broker.topic('page', { partitions: 3 })
    const body = { topics: [{ name: topicName }], responsePartitionLimit: 10 }
    return [
      await broker.send('DescribeTopicPartitions', 0, { ...body, cursor: { topicName, partitionIndex: 1 } }),
      await broker.send('DescribeTopicPartitions', 0, { ...body, cursor: { topicName, partitionIndex: 3 } }),
    ]
  }),
  sameAsKafka('DescribeTopicPartitions from a negative partition on is refused', async broker => {
    const topicName = await broker.topic('page')
    const cursor = { topicName, partitionIndex: -1 }
    return broker.outcome(
      broker.send('DescribeTopicPartitions', 0, { topics: [{ name: topicName }], responsePartitionLimit: 10, cursor }),
    )
  }),
  ...[0, 1, 2, 3, 4, 5, 6].map(version =>
    sameAsKafka(`FindCoordinator v${version} of a group answers this broker`, broker => {
      const body = version < 4 ? { key: 'group', keyType: 0 } : { coordinatorKeys: ['group'], keyType: 0 }
      return broker.sendUntil('FindCoordinator', version, version === 0 ? { key: 'group' } : body, answer => {
        return [answer.errorCode, ...answer.coordinators.map(({ errorCode }) => errorCode)].every(code => code === 0)
      })
    }),
  ),
  sameAsKafka('FindCoordinator of a kind that does not exist', broker =>
    broker.outcome(broker.send('FindCoordinator', 4, { coordinatorKeys: ['x'], keyType: 9 })),
  ),
]

export const metadataCases: Case[] = [...metadata, ...describing]
