import { describe, expect, it } from 'vitest'
import { Prng } from '#test/support/sim/prng.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import {
  SimBucket,
  type SimBucketOptions,
  type StoreCall,
  type StoreFault,
  type StoreFaults,
} from '#test/support/sim/sim-object-store.ts'

const patient = new AbortController().signal
const text = (bytes: string) => Buffer.from(bytes)
const SEEDS = Array.from({ length: 100 }, (_, seed) => seed)

function simulated(seed: number, options: SimBucketOptions = {}) {
  const prng = new Prng(seed)
  const clock = new SimClock({ prng: prng.fork() })
  const bucket = new SimBucket({ prng: prng.fork(), clock, ...options })
  return { clock, bucket, store: bucket.connect() }
}

/** A signal that is aborted after a while. */
function limit(clock: SimClock, delayMs: number): AbortSignal {
  const controller = new AbortController()
  clock.after(delayMs, () => controller.abort(new Error('too long')))
  return controller.signal
}

/** Chooses the fault of the first call of a kind. */
function once(fault: StoreFault, verb: StoreCall['verb']) {
  let isDone = false
  return (call: StoreCall): StoreFault | null => {
    if (isDone || call.verb !== verb) return null
    isDone = true
    return fault
  }
}

describe('the simulated object store', () => {
  it('does the same again with the same seed', async () => {
    const some = 0.1
    const faults: StoreFaults = {
      ...{ unavailable: some, hanging: some, lost: some, late: some },
      ...{ truncated: some, unseen: some, denied: some, full: some, altered: some },
    }
    const run = async (seed: number) => {
      const { clock, bucket, store } = simulated(seed, { faults })
      const trace: string[] = []
      const note = (what: string, result: Promise<unknown>) =>
        result.then(
          value => trace.push(`${clock.monotonicMs()} ${what} ${String(value)}`),
          error => trace.push(`${clock.monotonicMs()} ${what} ${error.code ?? error.message}`),
        )
      const calls: Promise<unknown>[] = []
      for (let i = 0; i < 60; i++) {
        const key = `k${i % 5}`
        const signal = limit(clock, 30)
        calls.push(note(`put ${i}`, store.put(key, [text(`${i}`)], signal)))
        calls.push(note(`get ${i}`, store.getRange(key, 0, 9, signal)))
        if (i % 7 === 0) calls.push(note(`delete ${i}`, store.delete(key, signal)))
        await clock.runFor(3)
      }
      await clock.run(Promise.all(calls))
      await clock.runFor(100_000)
      return [...trace, ...bucket.keys.map(key => `${key} ${bucket.peek(key)}`)].join('\n')
    }
    for (const seed of SEEDS.slice(0, 10)) expect(await run(seed)).toBe(await run(seed))
    expect(await run(1)).not.toBe(await run(2))
  })

  it('answers 503 and has done nothing', async () => {
    const { clock, bucket, store } = simulated(1)
    bucket.onCall = once('unavailable', 'put')
    await expect(clock.run(store.put('a', [text('1')], patient))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(bucket.keys).toEqual([])
    await clock.run(store.put('a', [text('1')], patient))
    expect(bucket.keys).toEqual(['a'])
  })

  it('hangs until it is cancelled', async () => {
    const { clock, bucket, store } = simulated(1)
    bucket.onCall = once('hanging', 'get')
    await clock.run(store.put('a', [text('1')], patient))
    const startMs = clock.monotonicMs()
    await expect(clock.run(store.getRange('a', 0, 1, limit(clock, 5000)))).rejects.toThrow('too long')
    expect(clock.monotonicMs() - startMs).toBeGreaterThanOrEqual(5000)
  })

  it('does what it is asked, and loses the answer', async () => {
    const { clock, bucket, store } = simulated(1)
    bucket.onCall = once('lost', 'create')
    const created = store.putIfAbsent('a', [text('1')], patient)
    await expect(clock.run(created)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(bucket.peek('a').toString()).toBe('1')
  })

  it('writes an object after a later one', async () => {
    const { clock, bucket, store } = simulated(1)
    bucket.onCall = once('late', 'put')
    await expect(clock.run(store.put('a', [text('first')], limit(clock, 100)))).rejects.toThrow('too long')
    await clock.run(store.put('a', [text('second')], patient))
    expect(bucket.peek('a').toString()).toBe('second')
    await clock.runFor(100_000)
    expect(bucket.peek('a').toString()).toBe('first')
  })

  it('gives fewer bytes than there are', async () => {
    const { clock, bucket, store } = simulated(1)
    await clock.run(store.put('a', [text('0123456789')], patient))
    bucket.onCall = once('truncated', 'get')
    const cut = (await clock.run(store.getRange('a', 0, 10, patient))).toString()
    expect(cut.length).toBeLessThan(10)
    expect('0123456789'.startsWith(cut)).toBe(true)
  })

  it('does not show at once what was written, but what was there', async () => {
    const { clock, bucket, store } = simulated(1)
    const read = async () => (await clock.run(store.getRange('a', 0, 10, patient))).toString()
    bucket.onCall = once('unseen', 'put')
    await clock.run(store.put('a', [text('1')], patient))
    expect(await clock.run(store.head('a', patient))).toBeNull()
    expect(await clock.run(store.putIfAbsent('a', [text('2')], patient))).toBe(false)
    await clock.runFor(5000)
    expect(await read()).toBe('1')
    bucket.onCall = once('unseen', 'delete')
    await clock.run(store.delete('a', patient))
    expect(bucket.keys).toEqual([])
    expect(await read()).toBe('1')
    await clock.runFor(5000)
    expect(await clock.run(store.head('a', patient))).toBeNull()
  })

  it('is full at its capacity', async () => {
    const { clock, bucket, store } = simulated(1, { capacityBytes: 5 })
    await clock.run(store.put('a', [text('123')], patient))
    await expect(clock.run(store.put('b', [text('123')], patient))).rejects.toMatchObject({ code: 'STORE_FULL' })
    bucket.capacityBytes = 6
    await clock.run(store.put('b', [text('123')], patient))
    expect(bucket.keys).toEqual(['a', 'b'])
  })

  it('may have done what was cancelled on its way, or not, or does it yet', async () => {
    const found = { before: 0, after: 0, never: 0 }
    for (const seed of SEEDS) {
      const { clock, bucket, store } = simulated(seed)
      const signal = limit(clock, (seed % 10) + 0.5)
      await clock.run(store.put('a', [text('1')], signal).catch(() => {}))
      const isThere = bucket.keys.length > 0
      await clock.runFor(1000)
      found[isThere ? 'before' : bucket.keys.length > 0 ? 'after' : 'never']++
    }
    for (const count of Object.values(found)) expect(count).toBeGreaterThan(0)
  })

  it('never comes back to a process that is gone, whose writes may yet arrive', async () => {
    const outcomes = new Set<boolean>()
    for (const seed of SEEDS) {
      const { clock, bucket, store } = simulated(seed)
      let isSettled = false
      const settle = () => {
        isSettled = true
      }
      store.put('a', [text('1')], patient).then(settle, settle)
      store.kill()
      await clock.runFor(1000)
      store.head('a', patient).then(settle, settle)
      await clock.runFor(1000)
      expect(isSettled).toBe(false)
      const next = bucket.connect()
      outcomes.add((await clock.run(next.head('a', patient))) !== null)
    }
    expect([...outcomes].sort()).toEqual([false, true])
  })

  it('tells more than one that it created an object, if it is not honest', async () => {
    const winners = async (seed: number, isHonest: boolean) => {
      const { clock, store } = simulated(seed, { isHonest })
      const creates = Array.from({ length: 8 }, (_, i) => store.putIfAbsent('a', [text(`${i}`)], patient))
      return (await clock.run(Promise.all(creates))).filter(Boolean).length
    }
    for (const seed of SEEDS.slice(0, 20)) expect(await winners(seed, true)).toBe(1)
    expect(await winners(1, false)).toBeGreaterThan(1)
  })

  it('dates objects by its own clock, to the second', async () => {
    const { clock, bucket, store } = simulated(1)
    bucket.skewMs = 3_600_000
    await clock.runFor(1234)
    await clock.run(store.put('a', [text('1')], patient))
    const { modifiedMs } = (await clock.run(store.head('a', patient)))!
    expect(modifiedMs % 1000).toBe(0)
    expect(modifiedMs - clock.nowMs()).toBeGreaterThan(3_598_000)
    expect(modifiedMs - clock.nowMs()).toBeLessThanOrEqual(3_600_000)
  })

  it('tells when bytes change while they are being written', async () => {
    const { clock, store } = simulated(1)
    const content = text('1')
    const written = store.put('a', [content], patient)
    content[0] = 2
    await expect(clock.run(written)).rejects.toThrow('bytes stay as they are')
  })
})
