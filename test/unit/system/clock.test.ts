import { describe, expect, it } from 'vitest'
import { systemClock } from '#system/clock.ts'
import { systemRandom } from '#system/random.ts'
import { until } from '#test/support/until.ts'

describe('the real clock', () => {
  it('tells the time of day and a time that never goes back', () => {
    expect(Math.abs(systemClock.nowMs() - Date.now())).toBeLessThan(1000)
    let last = systemClock.monotonicMs()
    for (let i = 0; i < 1000; i++) {
      const next = systemClock.monotonicMs()
      expect(next).toBeGreaterThanOrEqual(last)
      last = next
    }
  })

  it('calls once after a delay', async () => {
    const startMs = systemClock.monotonicMs()
    let calls = 0
    await new Promise<void>(resolve => {
      systemClock.after(20, () => {
        calls++
        resolve()
      })
    })
    expect(systemClock.monotonicMs() - startMs).toBeGreaterThan(15)
    expect(calls).toBe(1)
  })

  it('does not call what was cancelled', async () => {
    let cancelledCalled = false
    let laterCalled = false
    systemClock.after(1, () => (cancelledCalled = true)).cancel()
    systemClock.after(20, () => (laterCalled = true))
    await until('the later timer', () => laterCalled)
    expect(cancelledCalled).toBe(false)
  })

  it('waits for delays that are longer than the timers of Node can be', async () => {
    let longCalled = false
    let shortCalled = false
    const long = systemClock.after(100 * 24 * 3_600_000, () => (longCalled = true))
    systemClock.after(20, () => (shortCalled = true))
    await until('the short timer', () => shortCalled)
    expect(longCalled).toBe(false)
    long.cancel()
  })

  it('calls soon, but after what is running and what is due in this turn', async () => {
    const order: string[] = []
    await new Promise<void>(resolve => {
      systemClock.soon(() => {
        order.push('soon')
        resolve()
      })
      queueMicrotask(() => order.push('microtask'))
      order.push('running')
    })
    expect(order).toEqual(['running', 'microtask', 'soon'])
  })
})

describe('the real randomness', () => {
  it('gives as many bytes as asked, and others each time', () => {
    expect(systemRandom.bytes(0)).toHaveLength(0)
    const first = systemRandom.bytes(32)
    expect(first).toHaveLength(32)
    expect(systemRandom.bytes(32).equals(first)).toBe(false)
  })
})
