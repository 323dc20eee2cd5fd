import { describe, expect, it } from 'vitest'
import type { Settings } from '#config/settings.ts'
import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'
import { subscriptionOf } from '#test/support/group-script-text.ts'

// Members of a consumer group that speak the classic protocol: what the scripts in fixtures/scenarios/consumer-groups do not tell.

async function brokerWithGroup(settings: Partial<Settings> = {}): Promise<BrokerFixture> {
  const fixture = await BrokerFixture.start(settings)
  await fixture.createTopic('t', { partitions: 3 })
  await fixture.ask('ConsumerGroupHeartbeat', 1, {
    ...{ groupId: 'g', memberId: 'new', memberEpoch: 0, rebalanceTimeoutMs: 60_000 },
    ...{ subscribedTopicNames: ['t'], topicPartitions: [] },
  })
  return fixture
}

async function join(fixture: BrokerFixture, memberId: string, metadata = subscriptionOf(['t'], new Map())) {
  const answer = await fixture.ask('JoinGroup', 3, {
    ...{ groupId: 'g', sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 60_000, memberId, groupInstanceId: null },
    ...{ protocolType: 'consumer', protocols: [{ name: 'range', metadata }] },
  })
  return { ...answer, error: errorName(answer.errorCode) }
}

describe('a classic member of a consumer group', () => {
  it('that joins again with nothing new costs no record', async () => {
    const fixture = await brokerWithGroup({ groupConsumerAssignmentIntervalMs: 60_000 })
    const { memberId } = await join(fixture, '')
    const { position } = fixture.broker.log.commits
    expect((await join(fixture, memberId)).error).toBe('NONE')
    expect(fixture.broker.log.commits.position).toBe(position)
    await join(fixture, memberId, subscriptionOf(['t', 'u'], new Map()))
    expect(fixture.broker.log.commits.position).toBeGreaterThan(position)
  })

  it('may say as much of itself as the others leave it, and has its own share again when it joins again', async () => {
    const fixture = await brokerWithGroup({ groupMaxBytes: 65_536 })
    const saying = (bytes: number) => Buffer.concat([subscriptionOf(['t'], new Map()), Buffer.alloc(bytes)])
    const first = await join(fixture, '', saying(40_000))
    expect(first.error).toBe('NONE')
    expect(await join(fixture, '', saying(40_000))).toMatchObject({ error: 'GROUP_MAX_SIZE_REACHED', memberId: '' })
    expect(fixture.state.groups.get('g')!.consumer!.members.size).toBe(2)
    expect((await join(fixture, first.memberId, saying(60_000))).error).toBe('NONE')
    expect((await join(fixture, first.memberId, saying(66_000))).error).toBe('GROUP_MAX_SIZE_REACHED')
  })

  it('is not sent for a target that there cannot be before it is known what an expression matches', async () => {
    const fixture = await brokerWithGroup({ groupConsumerAssignmentIntervalMs: 0 })
    const { memberId, generationId } = await join(fixture, '')
    const beat = async () =>
      errorName((await fixture.ask('Heartbeat', 3, { groupId: 'g', memberId, generationId })).errorCode)
    await fixture.ask('SyncGroup', 3, { groupId: 'g', memberId, generationId, assignments: [] })
    for (let i = 0; i < 5; i++) await fixture.createTopic(`u${i}`)
    const wants = { groupId: 'g', memberId: 'other', rebalanceTimeoutMs: 60_000, topicPartitions: [], memberEpoch: 0 }
    fixture.clock.msPerLook = 5
    await fixture.ask('ConsumerGroupHeartbeat', 1, { ...wants, subscribedTopicRegex: 'u.*' })
    const { topics } = fixture.broker.groups
    expect([topics.matching('u.*'), await beat()]).toEqual([null, 'NONE'])
    await fixture.clock.runUntil(() => topics.matching('u.*') !== null)
    expect(await beat()).toBe('REBALANCE_IN_PROGRESS')
  })
})
