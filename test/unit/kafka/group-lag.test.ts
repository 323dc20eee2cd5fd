import { describe, expect, it } from 'vitest'
import { GroupMeter } from '#kafka/group-lag.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'
import { commitOffsets, joinAlone, leave } from '#test/support/group-members.ts'
import { countTurns } from '#test/support/turns.ts'

const records = (count: number) => Array.from({ length: count }, () => ({ value: 'x' }))

async function start(overrides: Parameters<typeof BrokerFixture.start>[0] = {}) {
  const fixture = await BrokerFixture.start({ groupInitialRebalanceDelayMs: 0, ...overrides })
  const meter = new GroupMeter(fixture.broker)
  return { fixture, measure: () => fixture.clock.run(meter.measure()) }
}

/** Lags by the values of their labels, with slashes. */
function byName({ lags }: Awaited<ReturnType<GroupMeter['measure']>>) {
  return Object.fromEntries(lags.map(({ labelValues, value }) => [labelValues.join('/'), value]))
}

describe('the lag of a group', () => {
  it('is what lies between its committed offset and the end, in each partition', async () => {
    const { fixture, measure } = await start()
    await fixture.createTopic('orders', { partitions: 3 })
    await fixture.append('orders', records(10))
    await fixture.append('orders', records(4), { partition: 1 })
    await commitOffsets(fixture, 'billing', { orders: { 0: 3, 1: 4, 2: 0 } })
    await commitOffsets(fixture, 'audit', { orders: { 0: 0 } })
    expect(byName(await measure())).toEqual({
      'billing/orders/0': 7,
      'billing/orders/1': 0,
      'billing/orders/2': 0,
      'audit/orders/0': 10,
    })
    await fixture.append('orders', records(5), { partition: 2 })
    expect(byName(await measure())['billing/orders/2']).toBe(5)
  })

  it('does not count records that are gone, and is not negative where an offset is behind the end', async () => {
    const { fixture, measure } = await start()
    await fixture.createTopic('t', { partitions: 2 })
    await fixture.append('t', records(10))
    await commitOffsets(fixture, 'g', { t: { 0: 2, 1: 99 } })
    await fixture.propose({ kind: 'log-start-moved', ordinal: fixture.partition('t').ordinal, offset: 6 })
    expect(byName(await measure())).toEqual({ 'g/t/0': 4, 'g/t/1': 0 })
  })

  it('goes with its topic and with its group', async () => {
    const { fixture, measure } = await start()
    for (const topic of ['kept', 'gone']) await fixture.createTopic(topic)
    await commitOffsets(fixture, 'one', { kept: { 0: 0 }, gone: { 0: 0 } })
    await commitOffsets(fixture, 'two', { kept: { 0: 0 } })
    await fixture.propose({ kind: 'topic-deleted', id: fixture.partition('gone').topic.id })
    await fixture.propose({ kind: 'group-removed', groupId: 'two' })
    const figures = await measure()
    expect(byName(figures)).toEqual({ 'one/kept/0': 0 })
    expect(figures.committedOffsets).toBe(1)
  })

  it('is left out beyond the bound, and all offsets are counted all the same', async () => {
    const { fixture, measure } = await start({ metricsMaxGroupSeries: 5 })
    await fixture.createTopic('t', { partitions: 4 })
    await fixture.createTopic('u', { partitions: 4 })
    const everywhere = { 0: 0, 1: 0, 2: 0, 3: 0 }
    for (const group of ['a', 'b']) await commitOffsets(fixture, group, { t: everywhere, u: everywhere })
    const figures = await measure()
    expect(figures.lags.map(({ labelValues }) => labelValues.join('/'))).toEqual([
      ...['a/t/0', 'a/t/1', 'a/t/2', 'a/t/3', 'a/u/0'],
    ])
    expect(figures.committedOffsets).toBe(16)
  })

  it('is not shown at all where the bound is 0', async () => {
    const { fixture, measure } = await start({ metricsMaxGroupSeries: 0 })
    await fixture.createTopic('t')
    await commitOffsets(fixture, 'g', { t: { 0: 0 } })
    expect(await measure()).toMatchObject({ lags: [], committedOffsets: 1 })
  })
})

describe('groups', () => {
  it('are counted by state, with their members; a state that was seen once stays, at 0', async () => {
    const { fixture, measure } = await start()
    await fixture.createTopic('t')
    expect([...(await measure()).groupsInState]).toEqual([])
    await commitOffsets(fixture, 'only-offsets', { t: { 0: 0 } })
    const memberId = await joinAlone(fixture, 'read', { topics: ['t'], assignment: { t: [0] } })
    const active = await measure()
    expect(Object.fromEntries(active.groupsInState)).toEqual({ Empty: 1, Stable: 1 })
    expect(active.members).toBe(1)
    await leave(fixture, 'read', memberId)
    const left = await measure()
    expect(Object.fromEntries(left.groupsInState)).toEqual({ Empty: 2, Stable: 0 })
    expect(left.members).toBe(0)
  })

  it('are counted in slices, between which others have their turn', async () => {
    const { fixture, measure } = await start({ metricsMaxGroupSeries: 3000 })
    await fixture.createTopic('t', { partitions: 1000 })
    const everywhere = Object.fromEntries(Array.from({ length: 1000 }, (_, partition) => [partition, 0]))
    for (const group of ['a', 'b', 'c', 'd']) await commitOffsets(fixture, group, { t: everywhere })
    const turns = countTurns(fixture.clock)
    const figures = await measure()
    expect(figures).toMatchObject({ committedOffsets: 4000 })
    expect(figures.lags).toHaveLength(3000)
    expect(turns.count).toBe(6)
  })

  it('count what began as a generation: a rebalance when a member came, one when it went', async () => {
    const { fixture } = await start()
    const rebalances = fixture.broker.metrics.groupRebalances
    const memberId = await joinAlone(fixture, 'g', { assignment: {} })
    expect(rebalances.value).toBe(1)
    await leave(fixture, 'g', memberId)
    expect(rebalances.value).toBe(2)
  })

  it('are measured once for all who ask at the same time', async () => {
    const { fixture } = await start()
    const meter = new GroupMeter(fixture.broker)
    const [one, other] = [meter.measure(), meter.measure()]
    expect(one).toBe(other)
    await fixture.clock.run(one)
    expect(meter.measure()).not.toBe(one)
  })
})
