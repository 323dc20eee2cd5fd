import { describe, expect, it, onTestFinished } from 'vitest'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { SimBucket } from '#test/support/sim/sim-object-store.ts'
import { writtenThrough } from '#tier/tier.ts'

const signal = new AbortController().signal
const pieces = [Buffer.from('content')]

describe('what is written through the cache', () => {
  it('is in the store although the cache fails, which is told when the store is done', async () => {
    const clock = new SimClock()
    const bucket = new SimBucket({ clock, latencyMs: () => 1000 })
    const lost: unknown[] = []
    const note = (reason: unknown) => lost.push(reason)
    process.prependListener('unhandledRejection', note)
    onTestFinished(() => void process.off('unhandledRejection', note))
    const store = writtenThrough(bucket.connect(), { keep: () => Promise.reject(new Error('no room')) })
    const putting = store.put('a', pieces, signal)
    const told = expect(putting).rejects.toThrow('no room')
    await new Promise(resolve => setImmediate(resolve))
    expect(lost).toEqual([])
    await clock.run(putting.catch(() => {}))
    await told
    expect(bucket.keys).toEqual(['a'])
  })

  it('fails as the store does, when the cache no longer needs the pieces', async () => {
    const clock = new SimClock()
    const bucket = new SimBucket({ clock, latencyMs: () => 1 })
    bucket.onCall = () => 'denied'
    const keep = () => new Promise<void>(resolve => clock.after(500, resolve))
    const putting = writtenThrough(bucket.connect(), { keep }).put('a', pieces, signal)
    await expect(clock.run(putting)).rejects.toMatchObject({ code: 'STORE_DENIED' })
    expect(clock.monotonicMs()).toBe(500)
  })
})
