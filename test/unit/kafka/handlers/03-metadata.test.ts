import { describe, expect, it } from 'vitest'
import { errorCode } from '#kafka/protocol/protocol.ts'
import { ADVERTISED, BrokerFixture, CLUSTER_ID } from '#test/support/broker-fixture.ts'

const OPERATIONS_NOT_ASKED = -2147483648
const named = (...names: string[]) => names.map(name => ({ name, topicId: '' }))

describe('Metadata', () => {
  it('says in every version where the broker is', async () => {
    const fixture = await BrokerFixture.start({ nodeId: 7 })
    for (let version = 0; version <= 13; version++) {
      const answer = await fixture.ask('Metadata', version, { topics: version === 0 ? [] : null })
      expect(answer.brokers).toEqual([{ nodeId: 7, ...ADVERTISED, rack: null }])
      if (version >= 1) expect(answer.controllerId).toBe(7)
      if (version >= 2) expect(answer.clusterId).toBe(CLUSTER_ID)
      expect(answer.errorCode).toBe(0)
    }
  })

  it('describes topics with their ids, and one replica for each partition', async () => {
    const fixture = await BrokerFixture.start()
    await fixture.createTopic('orders', { partitions: 2 })
    const { topics } = await fixture.ask('Metadata', 12, { topics: named('orders') })
    const partition = { errorCode: 0, leaderId: 1, leaderEpoch: 0, replicaNodes: [1], isrNodes: [1] }
    expect(topics).toEqual([
      {
        errorCode: 0,
        name: 'orders',
        topicId: fixture.partition('orders').topic.id,
        isInternal: false,
        partitions: [
          { ...partition, partitionIndex: 0, offlineReplicas: [] },
          { ...partition, partitionIndex: 1, offlineReplicas: [] },
        ],
        topicAuthorizedOperations: OPERATIONS_NOT_ASKED,
      },
    ])
  })

  it('answers all topics, none, or each of the named ones once', async () => {
    const fixture = await BrokerFixture.start()
    for (const name of ['a', 'b', 'c']) await fixture.createTopic(name)
    const namesIn = async (version: number, topics: ReturnType<typeof named> | null) => {
      return (await fixture.ask('Metadata', version, { topics })).topics.map(topic => topic.name)
    }
    expect(await namesIn(0, [])).toEqual(['a', 'b', 'c'])
    expect(await namesIn(1, null)).toEqual(['a', 'b', 'c'])
    expect(await namesIn(1, [])).toEqual([])
    expect(await namesIn(13, named('c', 'a', 'c'))).toEqual(['c', 'a'])
  })

  it('finds topics by id, and then looks at no names', async () => {
    const fixture = await BrokerFixture.start()
    await fixture.createTopic('known')
    await fixture.createTopic('other')
    const topicId = fixture.partition('known').topic.id
    const unknownId = 'AAAAAAAAAAAAAAAAAAAABA'
    const topics = [{ topicId, name: null }, { topicId: unknownId, name: null }, ...named('other')]
    const answer = await fixture.ask('Metadata', 12, { topics })
    expect(answer.topics).toMatchObject([
      { errorCode: 0, name: 'known', topicId },
      { errorCode: errorCode('UNKNOWN_TOPIC_ID'), name: null, topicId: unknownId, partitions: [] },
    ])
  })

  it('refuses topics that have neither a name nor an id, or an id before version 12', async () => {
    const fixture = await BrokerFixture.start()
    const INVALID_REQUEST = errorCode('INVALID_REQUEST')
    const nameless = await fixture.ask('Metadata', 13, { topics: [{ topicId: '', name: null }] })
    expect(nameless).toMatchObject({
      errorCode: INVALID_REQUEST,
      brokers: [],
      topics: [{ errorCode: INVALID_REQUEST }],
    })
    const early = await fixture.ask('Metadata', 11, { topics: [{ topicId: 'AAAAAAAAAAAAAAAAAAAABA', name: 'a' }] })
    expect(early.topics).toMatchObject([{ errorCode: INVALID_REQUEST, name: 'a' }])
  })

  it('tells the operations that are allowed when asked, also for names that are not known', async () => {
    const fixture = await BrokerFixture.start()
    await fixture.createTopic('a')
    const asked = { topics: named('a', 'b'), allowAutoTopicCreation: false, includeTopicAuthorizedOperations: true }
    const operations = (await fixture.ask('Metadata', 8, asked)).topics.map(topic => topic.topicAuthorizedOperations)
    expect(operations).toEqual([3576, 3576])
    const cluster = await fixture.ask('Metadata', 10, { topics: [], includeClusterAuthorizedOperations: true })
    expect(cluster.clusterAuthorizedOperations).toBe(8096)
    const none = await fixture.ask('Metadata', 10, { topics: [] })
    expect(none.clusterAuthorizedOperations).toBe(OPERATIONS_NOT_ASKED)
  })
})

describe('Metadata about a topic that is not there', () => {
  const UNKNOWN = errorCode('UNKNOWN_TOPIC_OR_PARTITION')
  const INVALID_TOPIC = errorCode('INVALID_TOPIC_EXCEPTION')

  it('creates it before it answers', async () => {
    const fixture = await BrokerFixture.start({ numPartitions: 3 })
    for (const version of [0, 3, 4, 13]) {
      const name = `made-by-v${version}`
      const { topics } = await fixture.ask('Metadata', version, { topics: named(name) })
      expect(topics).toMatchObject([{ errorCode: 0, name, partitions: [{}, {}, {}] }])
    }
    const reopened = await fixture.restart()
    expect(reopened.state.topics.size).toBe(4)
  })

  it('creates nothing unless settings and client both allow it', async () => {
    const forbidding = await BrokerFixture.start({ autoCreateTopics: false })
    const forbidden = await forbidding.ask('Metadata', 13, { topics: named('a', 'b c') })
    expect(forbidden.topics.map(topic => topic.errorCode)).toEqual([UNKNOWN, INVALID_TOPIC])
    const fixture = await BrokerFixture.start()
    const declined = await fixture.ask('Metadata', 13, { topics: named('a'), allowAutoTopicCreation: false })
    expect(declined.topics.map(topic => topic.errorCode)).toEqual([UNKNOWN])
    expect(fixture.state.topics.size).toBe(0)
  })

  it('creates no topic of a bad, reserved or colliding name', async () => {
    const fixture = await BrokerFixture.start()
    await fixture.createTopic('a.b')
    const names = ['a b', '__consumer_offsets', 'a_b', 'x.y', 'x_y']
    const { topics } = await fixture.ask('Metadata', 13, { topics: named(...names) })
    expect(topics.map(topic => topic.errorCode)).toEqual([
      INVALID_TOPIC,
      INVALID_TOPIC,
      INVALID_TOPIC,
      0,
      INVALID_TOPIC,
    ])
    expect([...fixture.state.topics.keys()]).toEqual(['a.b', 'x.y'])
  })

  it('creates no more partitions than there may be', async () => {
    const fixture = await BrokerFixture.start({ maxPartitions: 5, numPartitions: 2 })
    const { topics } = await fixture.ask('Metadata', 13, { topics: named('a', 'b', 'c') })
    expect(topics.map(topic => topic.errorCode)).toEqual([0, 0, errorCode('POLICY_VIOLATION')])
    expect(fixture.state.partitionCount()).toBe(4)
  })

  it('creates it once for all who ask at the same time', async () => {
    const fixture = await BrokerFixture.start()
    const asked = Array.from({ length: 20 }, () => fixture.begin('Metadata', 13, { topics: named('same') }))
    const answers = await fixture.clock.run(Promise.all(asked))
    const ids = new Set(answers.map(answer => answer.topics[0]?.topicId))
    expect([...ids]).toEqual([fixture.partition('same').topic.id])
  })

  it('says that the storage failed when the disk is full, and creates it when there is space again', async () => {
    const fixture = await BrokerFixture.start()
    fixture.fillDisk()
    const full = await fixture.ask('Metadata', 13, { topics: named('late') })
    expect(full.topics.map(topic => topic.errorCode)).toEqual([errorCode('KAFKA_STORAGE_ERROR')])
    fixture.disk.onCall = () => null
    const again = await fixture.ask('Metadata', 13, { topics: named('late') })
    expect(again.topics.map(topic => topic.errorCode)).toEqual([0])
  })
})
