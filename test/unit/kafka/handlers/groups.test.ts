import { beforeEach, describe, expect, it } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

const NOBODY = { generationIdOrMemberEpoch: -1, memberId: '' }
const SESSION = { sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 10_000, protocolType: 'consumer' }

let fixture: BrokerFixture

beforeEach(async () => {
  fixture = await BrokerFixture.start({ groupInitialRebalanceDelayMs: 0, maxGroups: 3 })
  await fixture.createTopic('orders', { partitions: 2 })
})

const protocol = (metadata: Buffer) => ({ name: 'range', metadata })

async function join(groupId: string, metadata: Buffer) {
  const body = { groupId, ...SESSION, protocols: [protocol(metadata)] }
  const { memberId, generationId } = await fixture.ask('JoinGroup', 3, { ...body, memberId: '' })
  return { groupId, memberId, generationId }
}

async function stable(groupId: string, metadata: Buffer) {
  const member = await join(groupId, metadata)
  const assignments = [{ memberId: member.memberId, assignment: Buffer.from('all') }]
  await fixture.ask('SyncGroup', 3, { ...member, assignments })
  return member
}

async function commit(groupId: string, self: object = NOBODY, partitionIndexes = [0], version = 7) {
  const partitions = partitionIndexes.map(partitionIndex => ({
    partitionIndex,
    committedOffset: 5,
    committedMetadata: '',
  }))
  const { topics } = await fixture.ask('OffsetCommit', version, {
    groupId,
    ...self,
    topics: [{ name: 'orders', partitions }],
  })
  return topics.map(topic => topic.partitions.map(({ errorCode }) => errorName(errorCode)))
}

async function fetchAll(groupId: string) {
  const { topics } = await fixture.ask('OffsetFetch', 7, { groupId, topics: null })
  return topics.flatMap(({ partitions }) => partitions.map(({ committedOffset }) => committedOffset))
}

async function remove(groupId: string) {
  const topics = [{ name: 'orders', partitions: [{ partitionIndex: 0 }] }]
  const answer = await fixture.ask('OffsetDelete', 0, { groupId, topics })
  return answer.topics.map(topic => topic.partitions.map(({ errorCode }) => errorName(errorCode)))
}

async function describe1(groupId: string) {
  return (await fixture.ask('DescribeGroups', 5, { groups: [groupId] })).groups[0]!
}

describe('groups', () => {
  it('count for the limit whether their members are stored, or only their offsets, or nothing yet', async () => {
    expect(await commit('offsets-1')).toEqual([['NONE']])
    expect(await commit('offsets-2')).toEqual([['NONE']])
    expect((await join('not-stored', Buffer.from('any'))).generationId).toBe(1)
    expect(fixture.state.groups.size).toBe(2)
    expect(await commit('one-more')).toEqual([['POLICY_VIOLATION']])
    expect((await join('one-more', Buffer.from('any'))).memberId).toBe('')
    expect(await commit('offsets-1')).toEqual([['NONE']])
  })
})

describe('committed offsets', () => {
  it('may be of no group, as of old', async () => {
    expect(await commit('')).toEqual([['NONE']])
    expect(await fetchAll('')).toEqual([5])
    const { results } = await fixture.ask('DeleteGroups', 2, { groupsNames: ['', 'nowhere'] })
    expect(results.map(({ errorCode }) => errorName(errorCode))).toEqual(['NONE', 'GROUP_ID_NOT_FOUND'])
    expect(await fetchAll('')).toEqual([])
  })

  it('are not answered for a topic without partitions, unless it is not there', async () => {
    expect(await commit('g', NOBODY, [])).toEqual([])
    const nowhere = { groupId: 'g', ...NOBODY, topics: [{ name: 'nowhere', partitions: [] }] }
    expect((await fixture.ask('OffsetCommit', 7, nowhere)).topics).toHaveLength(1)
  })

  it('are refused to a generation that no group has', async () => {
    const self = { generationIdOrMemberEpoch: 3, memberId: '' }
    expect(await commit('g', self)).toEqual([['ILLEGAL_GENERATION']])
    expect(await commit('g', self, [0], 9)).toEqual([['GROUP_ID_NOT_FOUND']])
    await commit('g')
    expect(await commit('g', self)).toEqual([['UNKNOWN_MEMBER_ID']])
  })

  it('are told to who says that it is a member of a group that is not there', async () => {
    const groups = [{ groupId: 'g', memberId: 'ghost', memberEpoch: 1, topics: [] }]
    const answer = await fixture.ask('OffsetFetch', 9, { groups })
    expect(answer.groups.map(({ errorCode }) => errorName(errorCode))).toEqual(['NONE'])
  })

  it('stay where a member is about to join', async () => {
    await commit('g')
    const joining = fixture.begin('ConsumerGroupHeartbeat', 1, {
      groupId: 'g',
      memberId: 'a',
      memberEpoch: 0,
      rebalanceTimeoutMs: 10_000,
      subscribedTopicNames: ['orders'],
      topicPartitions: [],
    })
    expect(await remove('g')).toEqual([['GROUP_SUBSCRIBED_TO_TOPIC']])
    expect((await joining).errorCode).toBe(0)
    expect(await fetchAll('g')).toEqual([5])
  })

  it('stay where a member says nothing that can be read of its topics', async () => {
    const { groupId, memberId, generationId } = await stable('g', Buffer.from('?'))
    await commit('g', { memberId, generationIdOrMemberEpoch: generationId })
    expect(await remove('g')).toEqual([['GROUP_SUBSCRIBED_TO_TOPIC']])
    await fixture.ask('LeaveGroup', 0, { groupId, memberId })
    expect(await remove('g')).toEqual([['NONE']])
  })
})

describe('a group', () => {
  it('is not there because somebody was refused', async () => {
    for (let i = 0; i < 10; i++) {
      const body = { groupId: `g${i}`, ...SESSION, protocols: [], memberId: '' }
      expect(errorName((await fixture.ask('JoinGroup', 3, body)).errorCode)).toBe('INCONSISTENT_GROUP_PROTOCOL')
    }
    expect((await fixture.ask('ListGroups', 4, {})).groups).toEqual([])
  })

  it('is not there because somebody was given an id, did not use it or gave it back', async () => {
    const body = { ...SESSION, protocols: [protocol(Buffer.alloc(1))], memberId: '' }
    const { memberId } = await fixture.ask('JoinGroup', 4, { groupId: 'used', ...body })
    await fixture.ask('JoinGroup', 4, { groupId: 'forgotten', ...body })
    expect((await fixture.ask('ListGroups', 4, {})).groups).toHaveLength(2)
    await fixture.ask('LeaveGroup', 0, { groupId: 'used', memberId })
    await fixture.clock.runFor(SESSION.sessionTimeoutMs)
    expect((await fixture.ask('ListGroups', 4, {})).groups).toEqual([])
  })

  it('is left when that is durable', async () => {
    const { groupId, memberId } = await stable('g', Buffer.alloc(1))
    fixture.fillDisk()
    const members = [{ memberId, groupInstanceId: null }]
    const left = await fixture.ask('LeaveGroup', 3, { groupId, members })
    expect(left.members.map(({ errorCode }) => errorName(errorCode))).toEqual(['COORDINATOR_NOT_AVAILABLE'])
  })

  it('is described with the assignments it has while its members join', async () => {
    const { groupId, memberId } = await stable('g', Buffer.alloc(1))
    await fixture.ask('JoinGroup', 3, { groupId, ...SESSION, protocols: [protocol(Buffer.alloc(2))], memberId })
    const { groupState, members } = await describe1('g')
    expect(groupState).toBe('CompletingRebalance')
    expect(members.map(({ memberMetadata, memberAssignment }) => `${memberMetadata}|${memberAssignment}`)).toEqual([
      '|all',
    ])
  })
})
