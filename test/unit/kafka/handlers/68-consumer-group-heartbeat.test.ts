import { describe, expect, it } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'
import type { RequestBody } from '#test/support/wire-messages.ts'

// What the scripts in fixtures/scenarios/consumer-groups do not tell of.

async function brokerWithTopic(partitions = 3): Promise<BrokerFixture> {
  const fixture = await BrokerFixture.start({ groupConsumerAssignmentIntervalMs: 0 })
  await fixture.createTopic('t', { partitions })
  return fixture
}

type Heartbeat = Partial<RequestBody<'ConsumerGroupHeartbeat'>>

const JOINS = { memberEpoch: 0, rebalanceTimeoutMs: 60_000, subscribedTopicNames: ['t'], topicPartitions: [] }

async function heartbeat(fixture: BrokerFixture, request: Heartbeat, version = 1) {
  const answer = await fixture.ask('ConsumerGroupHeartbeat', version, { groupId: 'g', ...request })
  const partitions = answer.assignment?.topicPartitions.flatMap(topic => topic.partitions)
  return { ...answer, error: errorName(answer.errorCode), partitions }
}

describe('ConsumerGroupHeartbeat', () => {
  it('tells the first member its epoch, its partitions by topic id and how often to come', async () => {
    const fixture = await brokerWithTopic()
    const topicId = fixture.state.topics.get('t')!.id
    expect(await heartbeat(fixture, { ...JOINS, memberId: 'a' })).toMatchObject({
      error: 'NONE',
      errorMessage: null,
      memberId: 'a',
      memberEpoch: 2,
      heartbeatIntervalMs: 5000,
      assignment: { topicPartitions: [{ topicId, partitions: [0, 1, 2] }] },
    })
  })

  it('makes ids for members of version 0 that bring none', async () => {
    const fixture = await brokerWithTopic()
    const first = await heartbeat(fixture, { ...JOINS, memberId: '' }, 0)
    const second = await heartbeat(fixture, { ...JOINS, memberId: '' }, 0)
    expect(first.memberId).toMatch(/^[0-9a-f-]{36}$/)
    expect(second.memberId).not.toBe(first.memberId)
    expect(fixture.state.groups.get('g')!.consumer!.members.size).toBe(2)
  })

  it('tells the assignment of a member again in a full heartbeat, and else only when it has changed', async () => {
    const fixture = await brokerWithTopic()
    await heartbeat(fixture, { ...JOINS, memberId: 'a' })
    const topicPartitions = [{ topicId: fixture.state.topics.get('t')!.id, partitions: [0, 1, 2] }]
    const full = { rebalanceTimeoutMs: 60_000, subscribedTopicNames: ['t'], topicPartitions }
    expect((await heartbeat(fixture, { memberId: 'a', memberEpoch: 2 })).assignment).toBeNull()
    expect((await heartbeat(fixture, { memberId: 'a', memberEpoch: 2, topicPartitions })).assignment).toBeNull()
    expect((await heartbeat(fixture, { ...full, memberId: 'a', memberEpoch: 2 })).partitions).toEqual([0, 1, 2])
  })

  it('takes names that are too long for a topic, and keeps none of them', async () => {
    const fixture = await brokerWithTopic()
    const subscribedTopicNames = ['x'.repeat(250), 't']
    expect((await heartbeat(fixture, { ...JOINS, memberId: 'a', subscribedTopicNames })).error).toBe('NONE')
    expect(fixture.state.groups.get('g')!.consumer!.members.get('a')!.topicNames).toEqual(['t'])
  })

  it('costs no record when nothing changes', async () => {
    const fixture = await brokerWithTopic()
    await heartbeat(fixture, { ...JOINS, memberId: 'a' })
    const { position } = fixture.broker.log.commits
    for (let i = 0; i < 10; i++) await heartbeat(fixture, { memberId: 'a', memberEpoch: 2 })
    expect(fixture.broker.log.commits.position).toBe(position)
  })

  it('lets members that come at the same time join one after the other', async () => {
    const fixture = await brokerWithTopic(100)
    const joins = Array.from({ length: 50 }, (_, i) =>
      fixture.begin('ConsumerGroupHeartbeat', 1, { groupId: 'g', ...JOINS, memberId: `m${i}` }),
    )
    const answers = await fixture.clock.run(Promise.all(joins))
    expect(answers.map(({ memberEpoch }) => memberEpoch)).toEqual(answers.map((_, i) => i + 2))
    const group = fixture.state.groups.get('g')!.consumer!
    expect([...group.members.values()].map(({ target }) => [...target.values()].flat().length)).toEqual(
      answers.map(() => 2),
    )
  })

  it('lets classic members that come at the same time join the group that it becomes', async () => {
    const fixture = await brokerWithTopic()
    const modern = fixture.begin('ConsumerGroupHeartbeat', 1, { groupId: 'g', ...JOINS, memberId: 'a' })
    const metadata = Buffer.from('0000000000010001740000000000', 'hex')
    const classic = fixture.begin('JoinGroup', 3, {
      groupId: 'g',
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 60_000,
      memberId: '',
      groupInstanceId: null,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata }],
    })
    const [first, second] = await fixture.clock.run(Promise.all([modern, classic]))
    expect(first.memberEpoch).toBe(2)
    expect(second).toMatchObject({ errorCode: 0, generationId: 3 })
    expect(fixture.state.groups.get('g')!.consumer!.members.size).toBe(2)
  })

  it('refuses more names than a member may subscribe to, and an expression that is too long', async () => {
    const fixture = await brokerWithTopic()
    const names = Array.from({ length: 10_001 }, (_, i) => `t${i}`)
    const many = { ...JOINS, memberId: 'a', subscribedTopicNames: names }
    expect((await heartbeat(fixture, many)).error).toBe('INVALID_REQUEST')
    const long = { ...JOINS, memberId: 'a', subscribedTopicNames: null, subscribedTopicRegex: 'x'.repeat(1025) }
    expect((await heartbeat(fixture, long)).error).toBe('INVALID_REGULAR_EXPRESSION')
    expect(fixture.state.groups.size).toBe(0)
  })

  it('goes on with the epoch of an empty group that goes while its first member is on its way', async () => {
    const fixture = await brokerWithTopic()
    await heartbeat(fixture, { ...JOINS, memberId: 'a' })
    await heartbeat(fixture, { memberId: 'a', memberEpoch: -1 })
    const going = fixture.broker.log.propose({ kind: 'group-removed', groupId: 'g' })
    const coming = heartbeat(fixture, { ...JOINS, memberId: 'b', subscribedTopicNames: [] })
    await fixture.clock.run(Promise.all([going, coming]))
    expect(await coming).toMatchObject({ error: 'NONE', memberEpoch: 3 })
    expect(fixture.state.groups.get('g')!.consumer).toMatchObject({ epoch: 3, targetEpoch: 3 })
  })

  it('makes no more groups than there may be', async () => {
    const fixture = await BrokerFixture.start({ maxGroups: 1 })
    expect((await heartbeat(fixture, { ...JOINS, memberId: 'a' })).error).toBe('NONE')
    expect((await heartbeat(fixture, { ...JOINS, groupId: 'h', memberId: 'a' })).error).toBe('POLICY_VIOLATION')
  })
})
