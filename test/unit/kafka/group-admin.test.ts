import { describe, expect, it } from 'vitest'
import { deleteGroup, describeGroup, type GroupSummary, listGroups } from '#kafka/group-admin.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'
import { commitOffsets, committedOffsets, joinAlone, leave } from '#test/support/group-members.ts'

const records = (count: number) => Array.from({ length: count }, () => ({ value: 'x' }))

async function start() {
  const fixture = await BrokerFixture.start({ groupInitialRebalanceDelayMs: 0, nodeId: 3 })
  await fixture.createTopic('orders', { partitions: 3 })
  await fixture.append('orders', records(10))
  await fixture.append('orders', records(5), { partition: 2 })
  return fixture
}

/** A member of the new protocol, that has all partitions of the orders. */
async function joinByHeartbeat(fixture: BrokerFixture, groupId: string): Promise<void> {
  const joins = { memberEpoch: 0, rebalanceTimeoutMs: 60_000, subscribedTopicNames: ['orders'], topicPartitions: [] }
  const body = { groupId, memberId: 'a', ...joins }
  await fixture.clock.run(fixture.begin('ConsumerGroupHeartbeat', 1, body, { clientId: 'test' }))
}

describe('the list of groups', () => {
  it('has each with its type, state, members, committed partitions and the lag of them all', async () => {
    const fixture = await start()
    await commitOffsets(fixture, 'batch', { orders: { 0: 1, 2: 5 } })
    await joinAlone(fixture, 'live', { topics: ['orders'], assignment: { orders: [0] } })
    await joinAlone(fixture, 'connect', { protocolType: 'connect', assignment: Buffer.from('theirs') })
    expect(await fixture.clock.run(listGroups(fixture.broker, 0))).toEqual({
      groups: [
        { group: 'batch', type: 'classic', protocolType: '', state: 'Empty', members: 0, partitions: 2, lag: 9 },
        {
          group: 'live',
          type: 'classic',
          protocolType: 'consumer',
          state: 'Stable',
          members: 1,
          partitions: 0,
          lag: 0,
        },
        {
          group: 'connect',
          type: 'classic',
          protocolType: 'connect',
          state: 'Stable',
          members: 1,
          partitions: 0,
          lag: 0,
        },
      ],
      next: null,
    })
  })

  it('has groups of the consumer type beside the others', async () => {
    const fixture = await start()
    await joinByHeartbeat(fixture, 'new')
    await commitOffsets(fixture, 'batch', { orders: { 0: 1 } })
    const { groups } = await fixture.clock.run(listGroups(fixture.broker, 0))
    expect(groups.map(({ group, type, state, members }) => [group, type, state, members])).toEqual([
      ['new', 'consumer', 'Stable', 1],
      ['batch', 'classic', 'Empty', 0],
    ])
  })

  it('comes in pages that have every group once', async () => {
    const fixture = await BrokerFixture.start()
    await fixture.createTopic('t')
    const names = Array.from({ length: 2000 }, (_, i) => `group-${i}`)
    await Promise.all(names.map(name => commitOffsets(fixture, name, { t: { 0: 0 } })))
    const seen: GroupSummary[] = []
    const sizes: number[] = []
    for (let from: number | null = 0; from !== null; ) {
      const page: Awaited<ReturnType<typeof listGroups>> = await fixture.clock.run(listGroups(fixture.broker, from))
      seen.push(...page.groups)
      sizes.push(page.groups.length)
      from = page.next
    }
    expect(sizes).toEqual([1000, 1000])
    expect(seen.map(({ group }) => group).sort()).toEqual(names.sort())
  })
})

describe('the description of a group', () => {
  it('of the consumer type has its assignor, its members and what they read', async () => {
    const fixture = await start()
    await joinByHeartbeat(fixture, 'new')
    const reader = { member: 'a', client: 'test', host: '/127.0.0.1' }
    const description = describeGroup(fixture.broker, 'new')
    expect(description).toMatchObject({
      ...{ type: 'consumer', protocolType: 'consumer', protocol: 'uniform', state: 'Stable' },
      members: [{ ...reader, instance: null, assignment: [{ topic: 'orders', partitions: [0, 1, 2] }] }],
    })
    expect(description.partitions.map(({ partition, member }) => [partition, member])).toEqual([
      [0, 'a'],
      [1, 'a'],
      [2, 'a'],
    ])
  })

  it('has what was committed and what is read, by topic and partition, and who reads it', async () => {
    const fixture = await start()
    await fixture.createTopic('apart')
    await commitOffsets(fixture, 'billing', { orders: { 0: 4 } })
    const member = await joinAlone(fixture, 'billing', {
      topics: ['orders', 'apart'],
      assignment: { orders: [0, 2], apart: [0] },
    })
    const reader = { member, client: 'test', host: '/127.0.0.1' }
    expect(describeGroup(fixture.broker, 'billing')).toEqual({
      ...{ group: 'billing', type: 'classic', protocolType: 'consumer', protocol: 'range', state: 'Stable', lag: 6 },
      coordinator: 3,
      members: [
        {
          ...reader,
          instance: null,
          assignment: [
            { topic: 'orders', partitions: [0, 2] },
            { topic: 'apart', partitions: [0] },
          ],
        },
      ],
      partitions: [
        { topic: 'apart', partition: 0, committed: null, start: 0, end: 0, lag: null, ...reader },
        { topic: 'orders', partition: 0, committed: 4, start: 0, end: 10, lag: 6, ...reader },
        { topic: 'orders', partition: 2, committed: null, start: 0, end: 5, lag: null, ...reader },
      ],
    })
  })

  it('goes on without readers when they have left', async () => {
    const fixture = await start()
    const memberId = await joinAlone(fixture, 'billing', { topics: ['orders'], assignment: { orders: [0] } })
    await commitOffsets(fixture, 'billing', { orders: { 0: 4 } })
    await leave(fixture, 'billing', memberId)
    expect(describeGroup(fixture.broker, 'billing')).toMatchObject({
      state: 'Empty',
      members: [],
      partitions: [{ topic: 'orders', partition: 0, committed: 4, lag: 6, member: null, client: null, host: null }],
    })
  })

  it('is the same after a restart, and its member goes on in its generation', async () => {
    const fixture = await start()
    await commitOffsets(fixture, 'billing', { orders: { 0: 4 } })
    const memberId = await joinAlone(fixture, 'billing', { topics: ['orders'], assignment: { orders: [0] } })
    const before = describeGroup(fixture.broker, 'billing')
    const { broker } = await fixture.restart()
    expect(describeGroup(broker, 'billing')).toEqual(before)
    expect(broker.groups.heartbeat('billing', { memberId, instanceId: null, generation: 1 })).toBe('NONE')
  })

  it('does not fail on what cannot be read, or is not there', async () => {
    const fixture = await start()
    await joinAlone(fixture, 'broken', { assignment: Buffer.from('00017fffffff', 'hex') })
    await joinAlone(fixture, 'connect', { protocolType: 'connect', assignment: Buffer.from('theirs') })
    await joinAlone(fixture, 'strange', { assignment: { 'no-such-topic': [0], orders: [77, -1] } })
    for (const group of ['broken', 'connect']) {
      expect(describeGroup(fixture.broker, group)).toMatchObject({ members: [{ assignment: null }], partitions: [] })
    }
    expect(describeGroup(fixture.broker, 'strange')).toMatchObject({ members: [{}], partitions: [] })
  })

  it('is refused for a group that is not there', async () => {
    const fixture = await start()
    expect(() => describeGroup(fixture.broker, 'billling')).toThrow(
      expect.objectContaining({ code: 'GROUP_NOT_FOUND', message: expect.stringContaining("no group 'billling'") }),
    )
  })
})

describe('deleting', () => {
  const remove = (fixture: BrokerFixture, ...args: [string, Parameters<typeof deleteGroup>[2]]) =>
    fixture.clock.run(deleteGroup(fixture.broker, ...args))

  it('removes a group without members, and its offsets', async () => {
    const fixture = await start()
    await commitOffsets(fixture, 'old', { orders: { 0: 1 } })
    await remove(fixture, 'old', null)
    expect(fixture.state.groups.has('old')).toBe(false)
    await expect(remove(fixture, 'old', null)).rejects.toMatchObject({ code: 'GROUP_NOT_FOUND' })
  })

  it('refuses a group with members, and says so', async () => {
    const fixture = await start()
    await joinAlone(fixture, 'live', { topics: ['orders'], assignment: {} })
    await expect(remove(fixture, 'live', null)).rejects.toMatchObject({
      code: 'GROUP_ACTIVE',
      kind: 'conflict',
      message: "group 'live' is Stable with 1 member: it is deleted when its consumers have ended",
    })
  })

  it('removes offsets of a topic, or of some of its partitions, if no member reads it', async () => {
    const fixture = await start()
    await fixture.createTopic('read')
    await commitOffsets(fixture, 'g', { orders: { 0: 1, 1: 2, 2: 3 }, read: { 0: 0 } })
    await joinAlone(fixture, 'g', { topics: ['read'], assignment: { read: [0] } })
    await remove(fixture, 'g', { topic: 'orders', partitions: [1, 7] })
    expect(committedOffsets(fixture, 'g')).toEqual({ orders: { 0: 1, 2: 3 }, read: { 0: 0 } })
    await remove(fixture, 'g', { topic: 'orders', partitions: null })
    expect(committedOffsets(fixture, 'g')).toEqual({ read: { 0: 0 } })
    await expect(remove(fixture, 'g', { topic: 'read', partitions: null })).rejects.toMatchObject({
      code: 'GROUP_ACTIVE',
    })
    for (const topic of ['orders', 'never-was']) {
      await expect(remove(fixture, 'g', { topic, partitions: null })).rejects.toMatchObject({ code: 'NO_OFFSETS' })
    }
  })

  it('says that it could not when the disk is full, and leaves the group as it was', async () => {
    const fixture = await start()
    await commitOffsets(fixture, 'g', { orders: { 0: 1 } })
    fixture.fillDisk()
    await expect(remove(fixture, 'g', null)).rejects.toMatchObject({ kind: 'unavailable' })
    await expect(remove(fixture, 'g', { topic: 'orders', partitions: null })).rejects.toMatchObject({
      kind: 'unavailable',
    })
    expect(committedOffsets(fixture, 'g')).toEqual({ orders: { 0: 1 } })
  })
})
