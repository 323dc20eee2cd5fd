import { describe, expect, it } from 'vitest'
import { ChronikError } from '#base/errors.ts'
import type { Partition } from '#core/state.ts'
import { Unreadable } from '#kafka/unreadable.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'

const partition = (index: number) => ({ topic: { name: 'orders' }, index }) as Partition

describe('what could not be read', () => {
  it('is logged for each partition, and not for each client that tries again', async () => {
    const clock = new SimClock()
    const lines: string[] = []
    const unreadable = new Unreadable(clock, { error: line => lines.push(line) })
    const [one, other] = [partition(0), partition(1)]
    const thrown = new ChronikError('STORE_DENIED', 'invalid', 'no right to do that')
    for (let i = 0; i < 100; i++) unreadable.note(one, thrown)
    unreadable.note(other, thrown)
    expect(lines).toEqual(['orders-0', 'orders-1'].map(name => `could not read ${name}: no right to do that`))
    await clock.runFor(31_000)
    unreadable.note(one, thrown)
    expect(lines).toHaveLength(3)
  })

  it('goes on if it is a bug', () => {
    const unreadable = new Unreadable(new SimClock(), { error() {} })
    expect(() => unreadable.note(partition(0), new TypeError('a bug'))).toThrow('a bug')
  })
})
