import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import type { Random } from '#base/ports.ts'
import type { ObjectFacts, ObjectStore } from '#object-store/object-store.ts'
import { REMOTE_POLICY, type RetryPolicy, retrying } from '#object-store/retry.ts'
import { systemClock } from '#system/clock.ts'
import { systemRandom } from '#system/random.ts'
import { describeObjectStore } from '#test/contract/object-store.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { SimBucket, type StoreCall, type StoreFault } from '#test/support/sim/sim-object-store.ts'

const patient = new AbortController().signal
const text = (bytes: string) => Buffer.from(bytes)
const policy: RetryPolicy = {
  ...{ firstDelayMs: 100, maxDelayMs: 1000 },
  ...{ attemptMs: 2000, attemptMsPerByte: 1, callAttempts: 3 },
}

describeObjectStore('a store that loses answers and says 503, asked again,', async () => {
  const bucket = new SimBucket({ prng: new Prng(1), faults: { unavailable: 0.1, lost: 0.1 } })
  const atOnce = { ...REMOTE_POLICY, firstDelayMs: 0.01, maxDelayMs: 0.01 }
  return retrying(bucket.connect(), { clock: systemClock, random: systemRandom, policy: atOnce })
})

/** Every delay is so much of the longest that it may be. */
function always(fraction: number): Random {
  return {
    bytes: count => {
      const bytes = Buffer.alloc(count)
      bytes.writeUInt32BE(Math.min(2 ** 32 - 1, Math.floor(fraction * 2 ** 32)))
      return bytes
    },
  }
}

interface Simulated {
  readonly random?: Random
  readonly latencyMs?: (call: StoreCall) => number
  readonly change?: (store: ObjectStore) => ObjectStore
}

function simulated(options: Simulated = {}) {
  const clock = new SimClock()
  const bucket = new SimBucket({ clock, latencyMs: options.latencyMs ?? (() => 1) })
  const calls: string[] = []
  const faults: (StoreFault | null)[] = []
  bucket.onCall = ({ verb }: StoreCall) => {
    const fault = faults.shift() ?? null
    calls.push(`${Math.round(clock.monotonicMs())} ${verb} ${fault ?? 'done'}`)
    return fault
  }
  const raw = bucket.connect()
  const random = options.random ?? always(1)
  const store = retrying(options.change?.(raw) ?? raw, { clock, random, policy })
  return { clock, bucket, calls, faults, store }
}

describe('a store that is asked again', () => {
  it('is asked after a while that doubles each time', async () => {
    const { clock, calls, faults, store } = simulated()
    faults.push('unavailable', 'unavailable', 'unavailable', 'unavailable', 'unavailable')
    await clock.run(store.put('a', [text('1')], patient))
    // Each answer takes a millisecond.
    expect(calls.map(call => Number.parseInt(call, 10))).toEqual([0, 101, 302, 703, 1504, 2505])
  })

  it('is asked after any part of that while', async () => {
    const { clock, calls, faults, store } = simulated({ random: always(0.25) })
    faults.push('unavailable', 'unavailable')
    await clock.run(store.head('a', patient))
    expect(calls.map(call => Number.parseInt(call, 10))).toEqual([0, 26, 77])
    const endMs = clock.monotonicMs()
    await clock.runUntil(() => false)
    expect(clock.monotonicMs()).toBe(endMs)
  })

  it('is given up when the time of the call is over, with what it said last', async () => {
    const { clock, bucket, store } = simulated()
    bucket.onCall = () => 'unavailable'
    const failure = await clock.run(store.head('a', patient).catch((error: unknown) => error))
    expect(failure).toMatchObject({ code: 'STORE_UNAVAILABLE', kind: 'unavailable' })
    expect((failure as Error).message).toMatch(/^simulated: no answer for a \(tried 9 times in \d+ ms\)$/)
    expect(clock.monotonicMs()).toBeGreaterThan(5000)
    expect(clock.monotonicMs()).toBeLessThanOrEqual(6000)
  })

  it('gets so much time for an attempt, and more for more bytes', async () => {
    const { clock, faults, store } = simulated()
    faults.push('hanging')
    await clock.run(store.head('a', patient))
    expect(clock.monotonicMs()).toBeCloseTo(2102, 0)
    faults.push('hanging')
    await clock.run(store.put('a', [new Uint8Array(500)], patient))
    expect(clock.monotonicMs()).toBeCloseTo(2102 + 2602, 0)
    faults.push('hanging')
    await clock.run(store.getRange('a', 0, 1000, patient))
    expect(clock.monotonicMs()).toBeCloseTo(2102 + 2602 + 3102, 0)
  })

  it('gets more time for what shares the connection, and a small request no more than its own', async () => {
    const { clock, bucket, store } = simulated({ latencyMs: ({ sizeBytes }) => (sizeBytes > 0 ? 2250 : 1) })
    const large = new Uint8Array(1000)
    const puts = ['a', 'b', 'c', 'd'].map(key => store.put(key, [large], patient))
    await clock.runFor(1)
    bucket.onCall = ({ verb }) => (verb === 'head' ? 'hanging' : null)
    const headed = store.head('e', patient).catch(() => clock.monotonicMs())
    await clock.run(Promise.all(puts))
    expect(bucket.keys).toEqual(['a', 'b', 'c', 'd'])
    expect(await headed).toBeLessThanOrEqual(6001)
  })

  it('says how long it was waited for', async () => {
    const { clock, bucket, store } = simulated()
    bucket.onCall = () => 'hanging'
    await expect(clock.run(store.head('a', patient))).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringMatching(/^sim:\/\/bucket did not answer within \d+ ms \(tried 3 times in 6000 ms\)$/),
    })
  })

  it.each([['denied', 'STORE_DENIED'] as const, ['full', 'STORE_FULL'] as const])(
    'is not asked again when it said %s',
    async (fault, code) => {
      const { clock, calls, faults, store } = simulated()
      faults.push(fault)
      await expect(clock.run(store.put('a', [text('1')], patient))).rejects.toMatchObject({ code })
      expect(calls).toHaveLength(1)
    },
  )

  it('is not asked again for an object that is missing', async () => {
    const { clock, calls, store } = simulated()
    await expect(clock.run(store.getRange('a', 0, 1, patient))).rejects.toMatchObject({ code: 'OBJECT_MISSING' })
    expect(calls).toHaveLength(1)
  })
})

describe('who cancels a call', () => {
  async function cancelledAfter(delayMs: number, fixture: ReturnType<typeof simulated>) {
    const controller = new AbortController()
    const reason = new Error('nobody waits any more')
    fixture.clock.after(delayMs, () => controller.abort(reason))
    const call = fixture.store.getRange('a', 0, 1, controller.signal)
    await expect(fixture.clock.run(call)).rejects.toBe(reason)
    expect(fixture.clock.monotonicMs()).toBe(delayMs)
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
    // Nothing is left to happen.
    await fixture.clock.runUntil(() => false)
    expect(fixture.clock.monotonicMs()).toBe(delayMs)
  }

  it('is let go at once while the next attempt is waited for', async () => {
    const fixture = simulated()
    fixture.faults.push('unavailable')
    await cancelledAfter(50, fixture)
    await fixture.clock.runFor(10_000)
    expect(fixture.calls).toHaveLength(1)
  })

  it('is let go at once while an attempt hangs', async () => {
    const fixture = simulated()
    fixture.faults.push('hanging')
    await cancelledAfter(50, fixture)
  })

  it('is let go at once even if the store does not listen', async () => {
    const deaf = (store: ObjectStore) => ({ ...store, getRange: () => new Promise<never>(() => {}) }) as ObjectStore
    await cancelledAfter(50, simulated({ change: deaf }))
  })

  it('leaves nothing behind on a signal that lives long', async () => {
    const { clock, faults, store } = simulated()
    const { signal } = new AbortController()
    faults.push('unavailable', 'hanging')
    await clock.run(store.put('a', [text('1')], signal))
    await clock.run(store.putIfAbsent('a', [text('1')], signal))
    for await (const _ of walk(clock, store, signal)) expect(_.key).toBe('a')
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })
})

describe('an object that is created only where there is none', () => {
  it('was created by who asks again after a lost answer', async () => {
    const { clock, bucket, calls, faults, store } = simulated()
    faults.push('lost')
    expect(await clock.run(store.putIfAbsent('a', [text('mi'), text('ne')], patient))).toBe(true)
    expect(bucket.peek('a').toString()).toBe('mine')
    expect(calls.map(call => call.split(' ')[1])).toEqual(['create', 'create', 'head', 'get'])
  })

  it('was created by who asks again after an attempt that hung, and comes late', async () => {
    const { clock, faults, bucket, store } = simulated()
    faults.push('late')
    expect(await clock.run(store.putIfAbsent('a', [text('mine')], patient))).toBe(true)
    await clock.runFor(100_000)
    expect(bucket.peek('a').toString()).toBe('mine')
  })

  it('was not created by who finds the object of somebody else', async () => {
    for (const content of ['that', 'others', '', 'mine and more']) {
      const { clock, bucket, faults, store } = simulated()
      bucket.poke('a', text(content))
      faults.push('lost')
      expect(await clock.run(store.putIfAbsent('a', [text('mine')], patient))).toBe(false)
      expect(bucket.peek('a').toString()).toBe(content)
    }
  })

  it('was not created by who is told so at once, even if it is the same', async () => {
    const { clock, bucket, calls, store } = simulated()
    bucket.poke('a', text('mine'))
    expect(await clock.run(store.putIfAbsent('a', [text('mine')], patient))).toBe(false)
    expect(calls).toHaveLength(1)
  })

  it('is read again if reading it fails', async () => {
    const { clock, faults, store } = simulated()
    faults.push('lost', null, 'unavailable', null, null, 'unavailable')
    expect(await clock.run(store.putIfAbsent('a', [text('mine')], patient))).toBe(true)
  })

  it('was not created, as far as anybody knows, if it is gone when it is read', async () => {
    const { clock, bucket, faults, store } = simulated()
    faults.push('lost')
    const chosen = bucket.onCall
    bucket.onCall = call => {
      if (call.verb === 'get') bucket.remove('a')
      return chosen(call)
    }
    expect(await clock.run(store.putIfAbsent('a', [text('mine')], patient))).toBe(false)
  })

  it('may be empty', async () => {
    const { clock, faults, store } = simulated()
    faults.push('lost')
    expect(await clock.run(store.putIfAbsent('a', [], patient))).toBe(true)
  })
})

describe('a list', () => {
  it('goes on behind the last object that came', async () => {
    const { clock, bucket, calls, faults, store } = simulated()
    const keys = Array.from({ length: 2500 }, (_, i) => `k${String(i).padStart(4, '0')}`)
    for (const key of keys) bucket.poke(key, text('1'))
    faults.push('unavailable', null, 'unavailable', 'hanging', null, 'unavailable')
    const found: string[] = []
    for await (const { key } of walk(clock, store, patient)) found.push(key)
    expect(found).toEqual(keys)
    expect(calls).toHaveLength(7)
  })

  it('makes a timer for each page, not for each object', async () => {
    const { clock, bucket, store } = simulated()
    for (let i = 0; i < 2500; i++) bucket.poke(`k${i}`, text('1'))
    let timers = 0
    const after = clock.after.bind(clock)
    clock.after = (delayMs, call) => {
      timers++
      return after(delayMs, call)
    }
    let count = 0
    for await (const _ of walk(clock, store, patient)) count++
    // The bucket has two for each of three pages.
    expect([count, timers]).toEqual([2500, 3 + 2 * 3])
  })

  it('comes to its end though each object takes most of the time of an attempt', async () => {
    async function* slowly(_: string, after: string, signal: AbortSignal): AsyncGenerator<ObjectFacts> {
      for (const key of ['a', 'b', 'c', 'd', 'e'].filter(name => name > after)) {
        await new Promise<void>(resolve => clock.after(1500, resolve))
        signal.throwIfAborted()
        yield { key, sizeBytes: 1, modifiedMs: 0 }
      }
    }
    const { clock, store } = simulated({ change: raw => ({ ...raw, list: slowly }) as ObjectStore })
    const found: string[] = []
    for await (const { key } of walk(clock, store, patient)) found.push(key)
    expect(found).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  it('asks for no page that nobody wants', async () => {
    const { clock, bucket, calls, store } = simulated()
    for (let i = 0; i < 2500; i++) bucket.poke(`k${i}`, text('1'))
    for await (const _ of walk(clock, store, patient)) break
    expect(calls).toHaveLength(1)
  })

  it('ends with an error when the store never answers', async () => {
    const { clock, bucket, store } = simulated()
    bucket.onCall = () => 'hanging'
    const all = async () => {
      for await (const { key } of walk(clock, store, patient)) throw new Error(`listed ${key}`)
    }
    await expect(all()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  })

  it('is refused when it is not in order', async () => {
    const facts = (key: string) => ({ key, sizeBytes: 1, modifiedMs: 0 })
    async function* mixed() {
      yield* [facts('a'), facts('c'), facts('b')]
    }
    const { clock, store } = simulated({ change: store => ({ ...store, list: mixed }) as ObjectStore })
    const all = async () => {
      for await (const _ of walk(clock, store, patient)) expect(_.key).not.toBe('b')
    }
    await expect(all()).rejects.toMatchObject({ code: 'STORE_REFUSED', message: expect.stringContaining('in order') })
  })
})

/** Lists everything while the simulated time passes. */
async function* walk(clock: SimClock, store: ObjectStore, signal: AbortSignal) {
  const objects = store.list('', '', signal)[Symbol.asyncIterator]()
  for (;;) {
    const next = await clock.run(objects.next())
    if (next.done === true) return
    yield next.value
  }
}
