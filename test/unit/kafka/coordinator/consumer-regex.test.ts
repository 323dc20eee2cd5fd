import { beforeEach, describe, expect, it } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'

// Groups whose members subscribe by an expression, while it is not known yet which topics it matches: matching takes longer than one
// slice as soon as the clock is slow.

const TOPICS = 5
const SLOW_MS = 1
const JOINS = { memberEpoch: 0, rebalanceTimeoutMs: 60_000, topicPartitions: [], subscribedTopicRegex: 't.*' }

let fixture: BrokerFixture

beforeEach(async () => {
  fixture = await BrokerFixture.start({ groupConsumerAssignmentIntervalMs: 0 })
  for (let i = 0; i < TOPICS; i++) await fixture.createTopic(`t${i}`, { partitions: 2 })
})

async function beat(memberId: string, request: object, groupId = 'g') {
  const answer = await fixture.ask('ConsumerGroupHeartbeat', 1, { groupId, memberId, memberEpoch: 0, ...request })
  const partitions = answer.assignment?.topicPartitions.flatMap(topic => topic.partitions).length ?? null
  return { error: errorName(answer.errorCode), epoch: answer.memberEpoch, partitions }
}

/** All that is stored of a group. */
const stored = (groupId = 'g') => structuredClone(fixture.state.groups.get(groupId)!.consumer)

async function killed(msPerLook = SLOW_MS): Promise<void> {
  fixture = await fixture.kill()
  fixture.clock.msPerLook = msPerLook
}

async function commit(memberEpoch: number): Promise<string> {
  const partitions = [{ partitionIndex: 0, committedOffset: 7, committedLeaderEpoch: -1, committedMetadata: null }]
  const request = { groupId: 'g', memberId: 'a', generationIdOrMemberEpoch: memberEpoch }
  const answer = await fixture.ask('OffsetCommit', 9, { ...request, topics: [{ name: 't0', partitions }] })
  return errorName(answer.topics[0]!.partitions[0]!.errorCode)
}

async function deleteOffset(name: string): Promise<string> {
  const answer = await fixture.ask('OffsetDelete', 0, {
    groupId: 'g',
    topics: [{ name, partitions: [{ partitionIndex: 0 }] }],
  })
  return errorName(answer.topics[0]!.partitions[0]!.errorCode)
}

describe('after a start', () => {
  it('members keep what they have', async () => {
    const { epoch } = await beat('a', JOINS)
    const before = stored()
    await killed()
    for (let i = 0; i < 3; i++) {
      expect(await beat('a', { memberEpoch: epoch })).toEqual({ error: 'NONE', epoch, partitions: null })
      await fixture.clock.runFor(1_000)
    }
    expect(fixture.broker.groups.topics.matching('t.*')?.size).toBe(TOPICS)
    expect(stored()).toEqual(before)
  })

  it('a member that was on its way to its target comes there', async () => {
    const { epoch } = await beat('a', JOINS)
    const b = await beat('b', JOINS)
    expect(b).toMatchObject({ epoch: epoch + 1, partitions: 0 })
    await killed()
    expect(await beat('b', { memberEpoch: b.epoch })).toMatchObject({ error: 'NONE', partitions: null })
    expect(await beat('a', { memberEpoch: epoch, topicPartitions: [] })).toMatchObject({
      epoch: b.epoch,
      partitions: TOPICS,
    })
    expect(await beat('b', { memberEpoch: b.epoch })).toMatchObject({ error: 'NONE', partitions: TOPICS })
  })

  it('who goes leaves its partitions to the others as soon as these are known', async () => {
    const { epoch } = await beat('a', JOINS)
    const b = await beat('b', JOINS)
    await beat('a', { memberEpoch: epoch, topicPartitions: [] })
    await killed()
    await beat('a', { memberEpoch: -1 })
    await fixture.clock.runFor(1_000)
    expect(await beat('b', { memberEpoch: b.epoch })).toMatchObject({ epoch: b.epoch + 1, partitions: 2 * TOPICS })
  })

  it("no offsets are deleted that may be a member's, and others are as soon as that is known", async () => {
    const { epoch } = await beat('a', JOINS)
    expect(await commit(epoch)).toBe('NONE')
    await fixture.createTopic('other')
    await killed()
    expect(await deleteOffset('t0')).toBe('GROUP_SUBSCRIBED_TO_TOPIC')
    expect(await deleteOffset('other')).toBe('GROUP_SUBSCRIBED_TO_TOPIC')
    await fixture.clock.runFor(1_000)
    expect(await deleteOffset('t0')).toBe('GROUP_SUBSCRIBED_TO_TOPIC')
    expect(await deleteOffset('other')).toBe('NONE')
  })

  it('offsets of active groups do not expire', async () => {
    const { epoch } = await beat('a', JOINS)
    await commit(epoch)
    await killed()
    expect(fixture.broker.groups.subscriptions('g')('t0')).toBe(true)
    await fixture.clock.runFor(1_000)
    expect(fixture.broker.groups.subscriptions('g')('t0')).toBe(true)
    expect(fixture.broker.groups.subscriptions('g')('other')).toBe(false)
  })
})

describe('while it is not known which topics an expression matches', () => {
  it('there is no new epoch: it comes with the topics, as if they had been known at once', async () => {
    const known = await beat('a', JOINS, 'known at once')
    await killed()
    const { epoch } = await beat('a', JOINS)
    expect(epoch).toBe(known.epoch - 1)
    await killed()
    expect((await beat('a', { memberEpoch: epoch })).epoch).toBe(epoch)
    await fixture.clock.runFor(1_000)
    expect(await beat('a', { memberEpoch: epoch })).toEqual({ ...known, partitions: 2 * TOPICS })
  })

  it('a new member waits, and has them at the heartbeat after that', async () => {
    fixture.clock.msPerLook = SLOW_MS
    const { epoch, ...answer } = await beat('a', JOINS)
    expect(answer).toEqual({ error: 'NONE', partitions: 0 })
    expect(await beat('a', { memberEpoch: epoch })).toMatchObject({ epoch, partitions: null })
    await fixture.clock.runFor(1_000)
    expect(await beat('a', { memberEpoch: epoch })).toMatchObject({ error: 'NONE', partitions: 2 * TOPICS })
  })

  it('a member that asks for other topics keeps those of before', async () => {
    const { epoch } = await beat('a', JOINS)
    fixture.clock.msPerLook = SLOW_MS
    const changed = { memberEpoch: epoch, subscribedTopicRegex: 't[01]', topicPartitions: [] }
    expect(await beat('a', changed)).toMatchObject({ error: 'NONE', epoch, partitions: null })
    await fixture.clock.runFor(1_000)
    expect(await beat('a', { memberEpoch: epoch, topicPartitions: [] })).toMatchObject({ partitions: 4 })
  })

  it('a topic that has come counts as one that a member reads', async () => {
    await beat('a', JOINS)
    const isSubscribed = (topic: string): boolean => fixture.broker.groups.subscriptions('g')(topic)
    expect(isSubscribed('t8')).toBe(false)
    fixture.clock.msPerLook = SLOW_MS
    await fixture.createTopic('t8')
    expect([isSubscribed('t8'), isSubscribed('other')]).toEqual([true, true])
    await fixture.clock.runFor(1_000)
    expect([isSubscribed('t8'), isSubscribed('other')]).toEqual([true, false])
  })

  it('other groups stay as they are, then and later', async () => {
    const { epoch } = await beat('b', JOINS, 'other')
    const before = stored('other')
    fixture.clock.msPerLook = SLOW_MS
    await beat('a', { ...JOINS, subscribedTopicRegex: 't[0-9]' })
    for (let i = 0; i < 3; i++) {
      expect(await beat('b', { memberEpoch: epoch }, 'other')).toEqual({ error: 'NONE', epoch, partitions: null })
      await fixture.clock.runFor(1_000)
    }
    expect(stored('other')).toEqual(before)
  })

  it('a thread that stands still takes nothing from anybody', async () => {
    const { epoch } = await beat('a', JOINS)
    await fixture.createTopic('t9', { partitions: 2 })
    fixture.clock.msPerLook = 1_500
    expect(await beat('a', { memberEpoch: epoch })).toEqual({ error: 'NONE', epoch, partitions: null })
    await fixture.clock.runFor(20_000)
    fixture.clock.msPerLook = 0
    expect(await beat('a', { memberEpoch: epoch })).toMatchObject({ error: 'NONE', partitions: 2 * (TOPICS + 1) })
    expect(await beat('b', JOINS)).toMatchObject({ error: 'NONE' })
  })

  it('and will not be for long, a group that does not have it refuses it', async () => {
    for (let i = 0; i < 100; i++) await fixture.createTopic(`u${i}`)
    const regex = { ...JOINS, subscribedTopicRegex: 'u.*' }
    fixture.clock.msPerLook = 15
    const { epoch } = await beat('a', regex)
    await fixture.clock.runUntil(() => fixture.broker.groups.topics.isTooSlow('u.*'))
    expect(await beat('c', regex, 'other')).toMatchObject({ error: 'INVALID_REGULAR_EXPRESSION' })
    expect(await beat('b', regex)).toMatchObject({ error: 'NONE', partitions: 0 })
    await fixture.clock.runUntil(() => fixture.broker.groups.topics.matching('u.*') !== null)
    expect(await beat('a', { memberEpoch: epoch })).toMatchObject({ error: 'NONE', partitions: 50 })
    expect(await beat('c', regex, 'other')).toMatchObject({ error: 'NONE', partitions: 100 })
  })
})
