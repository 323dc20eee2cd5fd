import { describe, expect, it } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

const JOINS = { memberEpoch: 0, rebalanceTimeoutMs: 60_000, subscribedTopicNames: ['t'], topicPartitions: [] }

async function brokerWithGroup(): Promise<BrokerFixture> {
  const fixture = await BrokerFixture.start({ groupConsumerAssignmentIntervalMs: 0 })
  await fixture.createTopic('t', { partitions: 2 })
  await fixture.ask('ConsumerGroupHeartbeat', 1, { groupId: 'g', memberId: 'a', rackId: 'r', ...JOINS })
  return fixture
}

describe('ConsumerGroupDescribe', () => {
  it('tells of a group, its members, what they have and what they are to have', async () => {
    const fixture = await brokerWithGroup()
    await fixture.ask('ConsumerGroupHeartbeat', 1, { groupId: 'g', memberId: 'b', instanceId: 'i', ...JOINS })
    const topicId = fixture.state.topics.get('t')!.id
    const part = (...partitions: number[]) => ({ topicPartitions: [{ topicId, topicName: 't', partitions }] })
    const { groups } = await fixture.ask('ConsumerGroupDescribe', 1, { groupIds: ['g'] })
    const shared = { subscribedTopicNames: ['t'], subscribedTopicRegex: '', clientHost: '/127.0.0.1', memberType: 1 }
    expect(groups).toMatchObject([
      {
        errorCode: 0,
        groupState: 'Reconciling',
        groupEpoch: 3,
        assignmentEpoch: 3,
        assignorName: 'uniform',
        members: [
          { memberId: 'a', rackId: 'r', instanceId: null, memberEpoch: 2, ...shared, assignment: part(0, 1) },
          { memberId: 'b', rackId: null, instanceId: 'i', memberEpoch: 3, ...shared, targetAssignment: part(1) },
        ],
        authorizedOperations: -2147483648,
      },
    ])
  })

  it('says which operations are allowed, if it is asked', async () => {
    const fixture = await brokerWithGroup()
    const asks = { groupIds: ['g'], includeAuthorizedOperations: true }
    const { groups } = await fixture.ask('ConsumerGroupDescribe', 0, asks)
    expect(groups[0]!.authorizedOperations).toBeGreaterThan(0)
  })

  it('leaves out topics that were deleted meanwhile', async () => {
    const fixture = await brokerWithGroup()
    await fixture.propose({ kind: 'topic-deleted', id: fixture.state.topics.get('t')!.id })
    const { groups } = await fixture.ask('ConsumerGroupDescribe', 1, { groupIds: ['g'] })
    expect(groups[0]!.members[0]).toMatchObject({ assignment: { topicPartitions: [] } })
  })

  it('knows no group of another name or type', async () => {
    const fixture = await brokerWithGroup()
    await fixture.propose({
      kind: 'offsets-committed',
      groupId: 'simple',
      topics: [{ topicId: fixture.state.topics.get('t')!.id, partitions: [] }],
    })
    const { groups } = await fixture.ask('ConsumerGroupDescribe', 1, { groupIds: ['none', 'simple', ''] })
    expect(groups.map(({ errorCode, errorMessage }) => [errorName(errorCode), errorMessage])).toEqual([
      ['GROUP_ID_NOT_FOUND', 'Group none not found.'],
      ['GROUP_ID_NOT_FOUND', 'Group simple is not a consumer group.'],
      ['INVALID_GROUP_ID', null],
    ])
  })
})
