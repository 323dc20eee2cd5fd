import { describe, expect, it } from 'vitest'
import { errorCode, errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'
import type { RequestBody } from '#test/support/wire-messages.ts'

type Topic = NonNullable<RequestBody<'CreateTopics'>['topics']>[number]

function topic(name: string, fields: Topic = {}): Topic {
  return { name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [], ...fields }
}

async function create(fixture: BrokerFixture, topics: readonly Topic[], options: { validateOnly?: boolean } = {}) {
  return (await fixture.ask('CreateTopics', 7, { topics, timeoutMs: 1000, ...options })).topics
}

describe('CreateTopics', () => {
  it('creates topics in every version', async () => {
    const fixture = await BrokerFixture.start()
    for (let version = 2; version <= 7; version++) {
      const name = `v${version}`
      const answer = await fixture.ask('CreateTopics', version, { topics: [topic(name)], timeoutMs: 1000 })
      expect(answer.topics).toMatchObject([{ name, errorCode: 0, errorMessage: null }])
      if (version >= 7) expect(answer.topics[0]?.topicId).toBe(fixture.partition(name).topic.id)
    }
    expect((await fixture.restart()).state.topics.size).toBe(6)
  })

  it('answers what the topic has become: partitions, one replica, and every config', async () => {
    const fixture = await BrokerFixture.start({ numPartitions: 4 })
    const configs = [{ name: 'retention.ms', value: '1000' }]
    const [answer] = await create(fixture, [topic('t', { numPartitions: -1, replicationFactor: -1, configs })])
    expect(answer).toMatchObject({ numPartitions: 4, replicationFactor: 1 })
    const configOf = (name: string) => answer!.configs?.find(config => config.name === name)
    expect(configOf('retention.ms')).toMatchObject({ value: '1000', configSource: 1, readOnly: false })
    expect(configOf('cleanup.policy')).toMatchObject({ value: 'delete', configSource: 5 })
    expect(fixture.partition('t').topic.partitions).toHaveLength(4)
    expect([...fixture.partition('t').topic.configs]).toEqual([['retention.ms', '1000']])
  })

  it('takes any replication factor, and has one replica', async () => {
    const fixture = await BrokerFixture.start()
    const [answer] = await create(fixture, [topic('t', { replicationFactor: 3 })])
    expect(answer).toMatchObject({ errorCode: 0, replicationFactor: 1 })
  })

  it('gives each topic an id of its own that no option parser stumbles over', async () => {
    const fixture = await BrokerFixture.start()
    const answers = await create(
      fixture,
      Array.from({ length: 300 }, (_, i) => topic(`t${i}`)),
    )
    const ids = answers.map(answer => answer.topicId)
    expect(new Set(ids).size).toBe(300)
    for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_][A-Za-z0-9_-]{21}$/)
    for (const id of ids) expect(Buffer.from(id, 'base64url').toString('hex')).toMatch(/^.{12}4.{3}[89ab].{15}$/)
  })

  it('creates nothing when it is only to validate', async () => {
    const fixture = await BrokerFixture.start()
    const answers = await create(fixture, [topic('good'), topic('b d')], { validateOnly: true })
    expect(answers.map(answer => errorName(answer.errorCode))).toEqual(['NONE', 'INVALID_TOPIC_EXCEPTION'])
    expect(answers[0]?.configs?.length).toBeGreaterThan(30)
    expect(fixture.state.topics.size).toBe(0)
  })

  it.each([
    ['a name that is not legal', topic('a b'), 'INVALID_TOPIC_EXCEPTION', 'one or more characters'],
    ['a reserved name', topic('__consumer_offsets'), 'INVALID_TOPIC_EXCEPTION', 'reserved'],
    ['a name that is taken', topic('there.is'), 'TOPIC_ALREADY_EXISTS', "Topic 'there.is' already exists."],
    ['a name like another', topic('there_is'), 'INVALID_TOPIC_EXCEPTION', 'collides with existing topic: there.is'],
    ['no partitions', topic('t', { numPartitions: 0 }), 'INVALID_PARTITIONS', 'non-positive'],
    ['fewer than no partitions', topic('t', { numPartitions: -2 }), 'INVALID_PARTITIONS', 'non-positive'],
    ['no replicas', topic('t', { replicationFactor: 0 }), 'INVALID_REPLICATION_FACTOR', 'larger than 0'],
    ['an unknown config', topic('t', { configs: [{ name: 'x', value: '1' }] }), 'INVALID_CONFIG', 'x'],
    ['a null config', topic('t', { configs: [{ name: 'retention.ms', value: null }] }), 'INVALID_CONFIG', 'Null'],
  ] as const)('refuses %s', async (_, wanted, error, message) => {
    const fixture = await BrokerFixture.start()
    await fixture.createTopic('there.is')
    const [answer] = await create(fixture, [wanted])
    expect(answer).toMatchObject({ errorCode: errorCode(error), numPartitions: -1, replicationFactor: -1, configs: [] })
    expect(answer?.errorMessage).toContain(message)
  })

  it('refuses all of a name that comes twice, once', async () => {
    const fixture = await BrokerFixture.start()
    const answers = await create(fixture, [topic('twice'), topic('once'), topic('twice')])
    expect(answers).toMatchObject([
      { name: 'twice', errorCode: errorCode('INVALID_REQUEST'), errorMessage: 'Duplicate topic name.' },
      { name: 'once', errorCode: 0 },
    ])
    expect([...fixture.state.topics.keys()]).toEqual(['once'])
  })

  it('lets names of one request not collide either', async () => {
    const fixture = await BrokerFixture.start()
    const answers = await create(fixture, [topic('a.b'), topic('a_b')])
    expect(answers.map(answer => errorName(answer.errorCode))).toEqual(['NONE', 'INVALID_TOPIC_EXCEPTION'])
  })

  it('never has more partitions than there may be, though many ask at the same time', async () => {
    const fixture = await BrokerFixture.start({ maxPartitions: 10 })
    const asked = ['a', 'b', 'c', 'd'].map(name =>
      fixture.begin('CreateTopics', 7, {
        topics: [topic(`${name}1`, { numPartitions: 2 }), topic(`${name}2`, { numPartitions: 2 })],
        timeoutMs: 1000,
      }),
    )
    const answers = (await fixture.clock.run(Promise.all(asked))).flatMap(({ topics }) => topics)
    const refused = answers.filter(answer => answer.errorCode === errorCode('POLICY_VIOLATION'))
    expect(refused).toHaveLength(3)
    expect(refused[0]?.errorMessage).toContain('max-partitions')
    expect(fixture.state.partitionCount()).toBe(10)
  })

  it('says that the storage failed when the disk is full', async () => {
    const fixture = await BrokerFixture.start()
    fixture.fillDisk()
    const answers = await create(fixture, [topic('a'), topic('b')])
    const STORAGE_ERROR = errorCode('KAFKA_STORAGE_ERROR')
    expect(answers.map(answer => answer.errorCode)).toEqual([STORAGE_ERROR, STORAGE_ERROR])
    expect(fixture.state.topics.size).toBe(0)
  })
})

describe('CreateTopics with assignments by hand', () => {
  const assigned = (...brokerIds: readonly (readonly number[])[]) =>
    topic('t', {
      numPartitions: -1,
      replicationFactor: -1,
      assignments: brokerIds.map((ids, partitionIndex) => ({ partitionIndex, brokerIds: ids })),
    })

  it('has a partition for each', async () => {
    const fixture = await BrokerFixture.start()
    expect((await create(fixture, [assigned([1], [1], [1])]))[0]).toMatchObject({ errorCode: 0, numPartitions: 3 })
  })

  it.each([
    ['another broker', assigned([2]), 'includes broker 2, but no such broker is registered'],
    ['a broker twice', assigned([1, 1]), 'includes the broker 1 more than once'],
    ['no broker', assigned([1], []), 'includes an empty replica list'],
    [
      'a partition twice',
      topic('t', {
        numPartitions: -1,
        replicationFactor: -1,
        assignments: [
          { partitionIndex: 0, brokerIds: [1] },
          { partitionIndex: 0, brokerIds: [1] },
        ],
      }),
      'Found multiple manual partition assignments for partition 0',
    ],
    [
      'a gap',
      topic('t', {
        numPartitions: -1,
        replicationFactor: -1,
        assignments: [{ partitionIndex: 1, brokerIds: [1] }],
      }),
      'consecutive 0-based',
    ],
  ])('refuses %s', async (_, wanted, message) => {
    const fixture = await BrokerFixture.start()
    const [answer] = await create(fixture, [wanted])
    expect(errorName(answer!.errorCode)).toBe('INVALID_REPLICA_ASSIGNMENT')
    expect(answer?.errorMessage).toContain(message)
  })

  it('refuses numbers beside them', async () => {
    const fixture = await BrokerFixture.start()
    for (const numbers of [{ numPartitions: 1 }, { replicationFactor: 1 }]) {
      const [answer] = await create(fixture, [{ ...assigned([1]), ...numbers }])
      expect(errorName(answer!.errorCode)).toBe('INVALID_REQUEST')
      expect(answer?.errorMessage).toContain('was not set to -1')
    }
  })
})
