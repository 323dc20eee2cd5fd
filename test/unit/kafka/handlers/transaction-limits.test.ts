import { describe, expect, it } from 'vitest'
import { errorName } from '#kafka/protocol/protocol.ts'
import { startRetention } from '#kafka/retention-task.ts'
import {
  addPartitions,
  begin,
  brokerWithTopic,
  commitOffset,
  end,
  write,
} from '#test/support/transactional-producer.ts'

describe('the limits of transactions', () => {
  it('are how many transactional ids there are, and how many transactions are open', async () => {
    const fixture = await brokerWithTopic({ maxTransactionalIds: 2, maxOpenTransactions: 1 })
    const first = await begin(fixture, 60_000, 'first')
    const second = await begin(fixture, 60_000, 'second')
    const third = await fixture.ask('InitProducerId', 5, { transactionalId: 'third', transactionTimeoutMs: 1000 })
    expect(errorName(third.errorCode)).toBe('POLICY_VIOLATION')
    await write(fixture, first)
    expect(await addPartitions(fixture, second, [0])).toEqual(['POLICY_VIOLATION'])
    expect(await commitOffset(fixture, second)).toBe('POLICY_VIOLATION')
    expect(fixture.broker.transactions.mayProduce('second', second.producerId)).toBe('POLICY_VIOLATION')
    await end(fixture, first, true)
    expect(await addPartitions(fixture, second, [0])).toEqual(['NONE'])
  })

  it('are how many groups a transaction commits offsets of', async () => {
    const fixture = await brokerWithTopic()
    const producer = await begin(fixture)
    const add = async (groupId: string) =>
      errorName((await fixture.ask('AddOffsetsToTxn', 3, { ...producer, groupId })).errorCode)
    for (let i = 0; i < 1000; i++) expect(await add(`g${i}`)).toBe('NONE')
    expect(await add('one more')).toBe('POLICY_VIOLATION')
    expect(await commitOffset(fixture, producer)).toBe('POLICY_VIOLATION')
    expect(await add('g0')).toBe('NONE')
  })

  it('are no limit for who takes a new id each time: those used longest ago make room', async () => {
    const fixture = await brokerWithTopic({ maxTransactionalIds: 100 })
    const open = await begin(fixture, 900_000, 'open')
    await write(fixture, open)
    for (let i = 0; i < 300; i++) {
      await begin(fixture, 60_000, `sink-${i}`)
      await fixture.clock.runFor(60_000)
      if (i === 10) await end(fixture, open, true)
    }
    const ids = [...fixture.state.transactions.keys()]
    expect(ids).toContain('sink-299')
    expect(ids).toContain('sink-285')
    expect(ids).not.toContain('open')
    expect(ids.length).toBeGreaterThan(40)
    expect(ids.length).toBeLessThanOrEqual(100)
  })

  it('are one for ids all of which are in use, or were a moment ago', async () => {
    const fixture = await brokerWithTopic({ maxTransactionalIds: 2 })
    const open = await begin(fixture, 900_000, 'open')
    await fixture.clock.runFor(1_000_000)
    await write(fixture, open)
    await begin(fixture, 60_000, 'idle')
    const wanted = { transactionalId: 'one more', transactionTimeoutMs: 1000 }
    const ask = async () => errorName((await fixture.ask('InitProducerId', 5, wanted)).errorCode)
    expect(await ask()).toBe('POLICY_VIOLATION')
    await fixture.clock.runFor(890_000)
    expect(await ask()).toBe('POLICY_VIOLATION')
    expect([...fixture.state.transactions.keys()]).toEqual(['open', 'idle'])
  })

  it('forget an id that is not used any more, but none with an open transaction', async () => {
    const fixture = await brokerWithTopic({ transactionMaxTimeoutMs: 2 ** 31 - 1 })
    const stop = startRetention(fixture.broker)
    await begin(fixture, 60_000, 'unused')
    const open = await begin(fixture, 2 ** 31 - 1, 'open')
    await write(fixture, open)
    await fixture.clock.runFor(6.9 * 86_400_000)
    expect([...fixture.state.transactions.keys()]).toEqual(['unused', 'open'])
    await fixture.clock.runFor(0.2 * 86_400_000)
    expect([...fixture.state.transactions.keys()]).toEqual(['open'])
    await fixture.clock.run(stop())
  })
})
