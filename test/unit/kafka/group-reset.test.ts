import { describe, expect, it } from 'vitest'
import type { Settings } from '#config/settings.ts'
import type { TopicChoice } from '#kafka/group-admin.ts'
import { type ResetTarget, resetOffsets } from '#kafka/group-reset.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'
import { commitOffsets, committedOffsets, joinAlone, leave } from '#test/support/group-members.ts'

const MINUTE_MS = 60_000
const nobodyLeft = new AbortController().signal

/** Partition 0 has the offsets 2 to 9, one record a minute up to now; partition 1 has none. The group is at 5 and 0. */
async function start(overrides: Partial<Settings> = {}) {
  const fixture = await BrokerFixture.start({ groupInitialRebalanceDelayMs: 0, ...overrides })
  await fixture.createTopic('t', { partitions: 2 })
  const nowMs = fixture.clock.nowMs()
  for (let age = 9; age >= 0; age--) await fixture.append('t', [{ timestampMs: nowMs - age * MINUTE_MS }])
  await fixture.propose({ kind: 'log-start-moved', ordinal: fixture.partition('t').ordinal, offset: 2 })
  await commitOffsets(fixture, 'g', { t: { 0: 5, 1: 0 } })
  const reset = (
    target: ResetTarget,
    more: { group?: string; choice?: TopicChoice; dryRun?: boolean; signal?: AbortSignal } = {},
  ) => {
    const { signal = nobodyLeft, ...rest } = more
    const request = { group: 'g', target, choice: null, dryRun: false, ...rest }
    return fixture.clock.run(resetOffsets(fixture.broker, request, signal))
  }
  return { fixture, nowMs, reset }
}

describe('a reset sets the offsets of a group', () => {
  const cases: [string, (nowMs: number) => ResetTarget, number, string | null][] = [
    ['to the first record that is left', () => ({ kind: 'earliest' }), 2, null],
    ['to the end', () => ({ kind: 'latest' }), 10, null],
    ['to an offset', () => ({ kind: 'offset', offset: 4 }), 4, null],
    ['to the end for one behind it', () => ({ kind: 'offset', offset: 11 }), 10, '11 is behind the end'],
    [
      'to the first record for one that is gone',
      () => ({ kind: 'offset', offset: 1 }),
      2,
      '1 is before the first record that is left',
    ],
    ['to a time', nowMs => ({ kind: 'time', timestampMs: nowMs - 4 * MINUTE_MS }), 5, null],
    ['to the next record after a time', nowMs => ({ kind: 'time', timestampMs: nowMs - 4 * MINUTE_MS + 1 }), 6, null],
    ['to an old time', () => ({ kind: 'time', timestampMs: 0 }), 2, null],
    [
      'to the end for a time to come',
      nowMs => ({ kind: 'time', timestampMs: nowMs + 60 * MINUTE_MS }),
      10,
      'no record is that new: the end',
    ],
    ['to what is not older than so long', () => ({ kind: 'age', ageMs: 3.5 * MINUTE_MS }), 6, null],
    ['on', () => ({ kind: 'shift', by: 3 }), 8, null],
    ['back', () => ({ kind: 'shift', by: -2 }), 3, null],
    [
      'back, not farther than there is anything',
      () => ({ kind: 'shift', by: -9 }),
      2,
      '-4 is before the first record that is left',
    ],
  ]
  it.each(cases)('%s', async (_, target, after, note) => {
    const { fixture, nowMs, reset } = await start()
    const outcome = await reset(target(nowMs), { choice: { topic: 't', partitions: [0] } })
    expect(outcome).toEqual({
      ...{ group: 'g', isNew: false, dryRun: false },
      partitions: [{ topic: 't', partition: 0, before: 5, after, note }],
    })
    expect(committedOffsets(fixture, 'g')).toEqual({ t: { 0: after, 1: 0 } })
  })

  it('in all that it has committed, if nothing is chosen, in the order of topics', async () => {
    const { fixture, reset } = await start()
    await fixture.createTopic('a')
    await fixture.createTopic('untouched')
    await commitOffsets(fixture, 'g', { a: { 0: 0 } })
    const { partitions } = await reset({ kind: 'latest' })
    expect(partitions.map(({ topic, partition, after }) => [topic, partition, after])).toEqual([
      ['a', 0, 0],
      ['t', 0, 10],
      ['t', 1, 0],
    ])
    expect(committedOffsets(fixture, 'g')).toEqual({ t: { 0: 10, 1: 0 }, a: { 0: 0 } })
  })

  it('that it did not have before, even a group that is new', async () => {
    const { fixture, reset } = await start()
    const outcome = await reset({ kind: 'earliest' }, { group: 'fresh', choice: { topic: 't', partitions: null } })
    expect(outcome).toMatchObject({ isNew: true, partitions: [{ before: null }, { before: null }] })
    expect(committedOffsets(fixture, 'fresh')).toEqual({ t: { 0: 2, 1: 0 } })
  })

  it('for good: they are there after a restart', async () => {
    const { fixture, reset } = await start()
    await reset({ kind: 'offset', offset: 7 }, { choice: { topic: 't', partitions: [0] } })
    expect(committedOffsets(await fixture.restart(), 'g')).toEqual({ t: { 0: 7, 1: 0 } })
  })

  it('not in a dry run, which says the same', async () => {
    const { fixture, reset } = await start()
    const target = { kind: 'earliest' } as const
    const dry = await reset(target, { dryRun: true })
    expect(committedOffsets(fixture, 'g')).toEqual({ t: { 0: 5, 1: 0 } })
    expect({ ...dry, dryRun: false }).toEqual(await reset(target))
  })
})

describe('a reset is refused', () => {
  const earliest = { kind: 'earliest' } as const

  it('while the group has members, also as a dry run', async () => {
    const { fixture, reset } = await start()
    const memberId = await joinAlone(fixture, 'g', { topics: ['t'], assignment: { t: [0, 1] } })
    for (const dryRun of [false, true]) {
      await expect(reset(earliest, { dryRun })).rejects.toMatchObject({
        code: 'GROUP_ACTIVE',
        message: "group 'g' is Stable with 1 member: its offsets are reset when its consumers have ended",
      })
    }
    expect(committedOffsets(fixture, 'g')).toEqual({ t: { 0: 5, 1: 0 } })
    await leave(fixture, 'g', memberId)
    await reset(earliest)
  })

  it('if a member came while records were searched by time', async () => {
    const { fixture, nowMs, reset } = await start()
    const resetting = reset({ kind: 'time', timestampMs: nowMs - MINUTE_MS })
    const refused = expect(resetting).rejects.toMatchObject({ code: 'GROUP_ACTIVE' })
    const joined = joinAlone(fixture, 'g', { topics: ['t'], assignment: {} })
    await refused
    await joined
    expect(committedOffsets(fixture, 'g')).toEqual({ t: { 0: 5, 1: 0 } })
  })

  it('while somebody is about to join', async () => {
    const { fixture, reset } = await start()
    const join = { memberId: 'a', memberEpoch: 0, rebalanceTimeoutMs: 10_000, subscribedTopicNames: ['t'] }
    const joining = fixture.begin('ConsumerGroupHeartbeat', 1, { groupId: 'g', ...join, topicPartitions: [] })
    await expect(reset(earliest)).rejects.toMatchObject({ code: 'GROUP_ACTIVE' })
    expect((await joining).errorCode).toBe(0)
  })

  it('for a group that is not there or has no offsets, if no topic is named', async () => {
    const { fixture, reset } = await start()
    await leave(fixture, 'idle', await joinAlone(fixture, 'idle', { assignment: {} }))
    const message = expect.stringContaining('name the topic that it is to begin in, with --topic')
    await expect(reset(earliest, { group: 'none' })).rejects.toMatchObject({ code: 'GROUP_NOT_FOUND', message })
    await expect(reset(earliest, { group: 'idle' })).rejects.toMatchObject({ code: 'NO_OFFSETS', message })
  })

  it('for a topic or a partition that is not there', async () => {
    const { reset } = await start()
    const choose = (topic: string, partitions: number[] | null) => reset(earliest, { choice: { topic, partitions } })
    await expect(choose('nope', null)).rejects.toMatchObject({ code: 'UNKNOWN_TOPIC' })
    await expect(choose('t', [0, 2])).rejects.toMatchObject({
      code: 'UNKNOWN_PARTITION',
      message: "topic 't' has no partition 2: it has 2",
    })
  })

  it('for a shift from nowhere', async () => {
    const { fixture, reset } = await start()
    const choice = { topic: 't', partitions: [0] }
    await expect(reset({ kind: 'shift', by: 1 }, { group: 'fresh', choice })).rejects.toMatchObject({
      code: 'NO_OFFSETS',
    })
    expect(fixture.state.groups.has('fresh')).toBe(false)
  })

  it('for a group too many, but not for one of those there are', async () => {
    const { reset } = await start({ maxGroups: 1 })
    const choice = { topic: 't', partitions: null }
    await reset(earliest)
    await expect(reset(earliest, { group: 'second', choice })).rejects.toMatchObject({
      code: 'POLICY_VIOLATION',
      message: expect.stringContaining('max-groups'),
    })
  })

  it('when who asked has gone', async () => {
    const { fixture, reset } = await start()
    await expect(reset(earliest, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'GIVEN_UP' })
    expect(committedOffsets(fixture, 'g')).toEqual({ t: { 0: 5, 1: 0 } })
  })

  it('when the disk is full', async () => {
    const { fixture, reset } = await start()
    fixture.fillDisk()
    await expect(reset(earliest)).rejects.toMatchObject({ kind: 'unavailable' })
  })
})
