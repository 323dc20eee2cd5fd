// What tools and consoles ask of a cluster, where the true answer of one broker is short.

import { type Case, sameAsKafka } from '#test/long/differential/case.ts'

const TOPIC = 2
const LITERAL = 3
const ANY = 1
const READ = 3
const ALLOW = 3

const acls: Case[] = [
  ...[1, 2, 3].map(version =>
    sameAsKafka(`DescribeAcls v${version} where there is no authorizer`, broker =>
      broker.send('DescribeAcls', version, {
        resourceTypeFilter: ANY,
        resourceNameFilter: null,
        patternTypeFilter: ANY,
        principalFilter: null,
        hostFilter: null,
        operation: ANY,
        permissionType: ANY,
      }),
    ),
  ),
  sameAsKafka('CreateAcls where there is no authorizer', broker => {
    const creation = { principal: 'User:a', host: '*', operation: READ, permissionType: ALLOW }
    const creations = ['a', 'b'].map(resourceName => ({
      ...creation,
      resourceType: TOPIC,
      resourceName,
      resourcePatternType: LITERAL,
    }))
    return broker.send('CreateAcls', 3, { creations })
  }),
  sameAsKafka('DeleteAcls where there is no authorizer', broker =>
    broker.send('DeleteAcls', 3, {
      filters: [
        {
          resourceTypeFilter: TOPIC,
          resourceNameFilter: null,
          patternTypeFilter: ANY,
          principalFilter: null,
          hostFilter: null,
          operation: ANY,
          permissionType: ANY,
        },
      ],
    }),
  ),
]

const leaders: Case[] = [
  ...[0, 1, 2].map(version =>
    sameAsKafka(`ElectLeaders v${version} of a partition that has its leader`, async broker => {
      const topicPartitions = [{ topic: await broker.topic('cluster'), partitions: [0] }]
      return broker.send('ElectLeaders', version, { topicPartitions, timeoutMs: 5_000 })
    }),
  ),
  sameAsKafka('ElectLeaders of what does not exist', async broker => {
    const topicPartitions = [
      { topic: broker.topicName('nowhere'), partitions: [0] },
      { topic: await broker.topic('cluster'), partitions: [4] },
    ]
    const answer = await broker.send('ElectLeaders', 2, { topicPartitions, timeoutMs: 5_000 })
    return [...answer.replicaElectionResults].sort((a, b) => a.topic.localeCompare(b.topic))
  }),
  sameAsKafka('an unclean election where there is a leader', async broker => {
    const topicPartitions = [{ topic: await broker.topic('cluster'), partitions: [0] }]
    return broker.send('ElectLeaders', 2, { electionType: 1, topicPartitions, timeoutMs: 5_000 })
  }),
  sameAsKafka('no reassignments are under way', async broker => {
    const topics = [{ name: await broker.topic('cluster'), partitionIndexes: [0] }]
    return [
      await broker.send('ListPartitionReassignments', 0, { timeoutMs: 5_000, topics }),
      await broker.send('ListPartitionReassignments', 0, { timeoutMs: 5_000, topics: null }),
    ]
  }),
  sameAsKafka('a reassignment to where the partition is', async broker => {
    const partitions = [{ partitionIndex: 0, replicas: [broker.identity.nodeId] }]
    const topics = [{ name: await broker.topic('cluster'), partitions }]
    return broker.send('AlterPartitionReassignments', 0, { timeoutMs: 5_000, topics })
  }),
  sameAsKafka('a reassignment to a broker that does not exist', async broker => {
    const partitions = [{ partitionIndex: 0, replicas: [4_711] }]
    const topics = [{ name: await broker.topic('cluster'), partitions }]
    return broker.send('AlterPartitionReassignments', 0, { timeoutMs: 5_000, topics })
  }),
  sameAsKafka('a reassignment to nobody', async broker => {
    const topics = [{ name: await broker.topic('cluster'), partitions: [{ partitionIndex: 0, replicas: [] }] }]
    return broker.send('AlterPartitionReassignments', 0, { timeoutMs: 5_000, topics })
  }),
  sameAsKafka('a reassignment to be cancelled that is not under way', async broker => {
    const topics = [{ name: await broker.topic('cluster'), partitions: [{ partitionIndex: 0, replicas: null }] }]
    return broker.send('AlterPartitionReassignments', 0, { timeoutMs: 5_000, topics })
  }),
  sameAsKafka('a reassignment of what does not exist', async broker => {
    const partition = { partitionIndex: 0, replicas: [broker.identity.nodeId] }
    const topics = [{ name: broker.topicName('nowhere'), partitions: [partition] }]
    return broker.send('AlterPartitionReassignments', 0, { timeoutMs: 5_000, topics })
  }),
]

const METADATA_LOG = '__cluster_metadata'

const quorum: Case[] = [
  ...[0, 1, 2].map(version =>
    sameAsKafka(`DescribeQuorum v${version} shows a quorum of one`, async broker => {
      const topics = [{ topicName: METADATA_LOG, partitions: [{ partitionIndex: 0 }] }]
      const answer = await broker.send('DescribeQuorum', version, { topics })
      return {
        errorCode: answer.errorCode,
        nodes: answer.nodes.map(({ nodeId }) => ({ nodeId })),
        partitions: answer.topics.flatMap(({ topicName, partitions }) =>
          partitions.map(({ partitionIndex, errorCode, leaderId, highWatermark, currentVoters, observers }) => ({
            topicName,
            partitionIndex,
            errorCode,
            leaderId,
            hasHighWatermark: highWatermark >= 0,
            voters: currentVoters.map(({ replicaId }) => ({ replicaId })),
            observers: observers.length,
          })),
        ),
      }
    }),
  ),
  sameAsKafka('DescribeQuorum of another topic', async broker => {
    const topics = [{ topicName: await broker.topic('cluster'), partitions: [{ partitionIndex: 0 }] }]
    const answer = await broker.outcome(broker.send('DescribeQuorum', 1, { topics }))
    return answer === 'closed' ? answer : { errorCode: answer.errorCode }
  }),
  sameAsKafka('UpdateFeatures of a feature that does not exist', broker =>
    broker.send('UpdateFeatures', 1, {
      featureUpdates: [{ feature: 'no.such.feature', maxVersionLevel: 1, upgradeType: 1 }],
      timeoutMs: 5_000,
      validateOnly: true,
    }),
  ),
  sameAsKafka('UpdateFeatures to a level that does not exist', broker =>
    broker.send('UpdateFeatures', 2, {
      featureUpdates: [{ feature: 'metadata.version', maxVersionLevel: 4_000, upgradeType: 1 }],
      timeoutMs: 5_000,
      validateOnly: true,
    }),
  ),
]

const directories: Case[] = [
  ...[1, 2, 3, 4, 5].map(version =>
    sameAsKafka(`DescribeLogDirs v${version} of one topic`, async broker => {
      const topic = await broker.topic('cluster', { partitions: 2 })
      await broker.produce(topic, [{ value: 'v' }])
      const answer = await broker.send('DescribeLogDirs', version, { topics: [{ topic, partitions: [0, 1] }] })
      return answer.results.map(({ totalBytes, usableBytes, topics, ...rest }) => ({
        ...rest,
        hasSpace: totalBytes > 0 && usableBytes > 0,
        topics: topics.map(({ name, partitions }) => ({
          name,
          partitions: [...partitions]
            .sort((a, b) => a.partitionIndex - b.partitionIndex)
            .map(({ partitionSize, ...partition }) => ({ ...partition, isEmpty: partitionSize === 0 })),
        })),
      }))
    }),
  ),
  sameAsKafka('DescribeLogDirs of a topic that does not exist', async broker => {
    const topics = [{ topic: broker.topicName('nowhere'), partitions: [0] }]
    const answer = await broker.send('DescribeLogDirs', 4, { topics })
    return answer.results.map(({ errorCode, topics: found }) => ({ errorCode, topics: found }))
  }),
]

export const clusterCases: Case[] = [...acls, ...leaders, ...quorum, ...directories]
