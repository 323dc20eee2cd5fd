import { describe, expect, it } from 'vitest'
import { ObservedStore } from '#object-store/observed.ts'
import { createStoreMetrics } from '#observe/store-metrics.ts'
import { describeObjectStore } from '#test/contract/object-store.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { SimBucket, type SimBucketOptions } from '#test/support/sim/sim-object-store.ts'

const patient = new AbortController().signal
const text = (bytes: string) => Buffer.from(bytes)

function observed(options: SimBucketOptions = {}) {
  const clock = new SimClock()
  const bucket = new SimBucket({ clock, latencyMs: () => 10, ...options })
  const metrics = createStoreMetrics()
  const lines: string[] = []
  const report = (level: string, message: string, fields: Record<string, unknown>) => {
    lines.push(`${level}: ${message} ${fields.place} ${fields.forMs}${fields.failure ? ` ${fields.failure}` : ''}`)
  }
  const store = new ObservedStore(bucket.connect(), { clock, metrics, report })
  return { clock, bucket, metrics, lines, store }
}

describeObjectStore('a store that is observed', async () => {
  const bucket = new SimBucket({ prng: new Prng(1) })
  return new ObservedStore(bucket.connect(), {
    clock: new SimClock(),
    metrics: createStoreMetrics(),
    report: () => {},
  })
})

function valuesOf(samples: { labels: Record<string, string>; value: number }[]): Record<string, number> {
  return Object.fromEntries(samples.map(({ labels, value }) => [Object.values(labels).join(' '), value]))
}

describe('of a store that is observed', () => {
  it('requests, errors and bytes are counted by kind', async () => {
    const { clock, bucket, metrics, store } = observed()
    await clock.run(store.put('a', [text('123'), text('45')], patient))
    expect(await clock.run(store.putIfAbsent('b', [text('678')], patient))).toBe(true)
    expect(await clock.run(store.putIfAbsent('b', [text('678')], patient))).toBe(false)
    await clock.run(store.getRange('a', 1, 3, patient))
    await expect(clock.run(store.getRange('none', 0, 1, patient))).rejects.toThrow()
    await clock.run(store.head('none', patient))
    bucket.onCall = () => 'denied'
    await expect(clock.run(store.delete('a', patient))).rejects.toThrow()
    await expect(clock.run(store.put('a', [text('123')], patient))).rejects.toThrow()
    expect(valuesOf(metrics.storeRequests.samples())).toEqual({ put: 2, create: 2, get: 2, head: 1, delete: 1 })
    expect(valuesOf(metrics.storeErrors.samples())).toEqual({
      'put STORE_DENIED': 1,
      'get OBJECT_MISSING': 1,
      'delete STORE_DENIED': 1,
    })
    expect([metrics.storeWrittenBytes.value, metrics.storeReadBytes.value]).toEqual([8, 3])
  })

  it('the time from request to answer is measured', async () => {
    const { clock, metrics, store } = observed()
    await clock.run(store.put('a', [text('1')], patient))
    expect(metrics.storeLatency.of(0).count).toBe(1)
    expect(metrics.storeLatency.of(0).sumSeconds).toBeCloseTo(0.02)
  })

  it('a list counts once for each thousand objects', async () => {
    const { bucket, metrics, store } = observed({ latencyMs: () => 0 })
    bucket.calm()
    for (let i = 0; i < 2300; i++) bucket.poke(`k${i}`, text('1'))
    const atRest = new ObservedStore(copyOf(bucket).connect(), {
      clock: new SimClock(),
      metrics,
      report: () => {},
    })
    let count = 0
    for await (const _ of atRest.list('', '', patient)) count++
    expect(count).toBe(2300)
    expect(valuesOf(metrics.storeRequests.samples())).toEqual({ list: 3 })
    expect(store.failingSinceMs).toBeNull()
  })

  it('it is known since when it fails, until something succeeds', async () => {
    const { clock, bucket, store } = observed()
    const startMs = clock.nowMs()
    bucket.onCall = () => 'unavailable'
    for (let i = 0; i < 3; i++) {
      await expect(clock.run(store.head('a', patient))).rejects.toThrow()
      expect(store.failingSinceMs! - startMs).toBe(10)
      expect(store.failure).toMatchObject({ code: 'STORE_UNAVAILABLE' })
    }
    bucket.onCall = () => null
    await clock.run(store.head('a', patient))
    expect([store.failingSinceMs, store.failure]).toEqual([null, null])
  })

  it('a missing object is no failure, and shows that it works', async () => {
    const { clock, bucket, store } = observed()
    await expect(clock.run(store.getRange('a', 0, 1, patient))).rejects.toThrow()
    expect(store.failingSinceMs).toBeNull()
    bucket.onCall = () => 'full'
    await expect(clock.run(store.put('a', [text('1')], patient))).rejects.toThrow()
    expect(store.failingSinceMs).not.toBeNull()
    bucket.onCall = () => null
    await expect(clock.run(store.getRange('a', 0, 1, patient))).rejects.toThrow()
    expect(store.failingSinceMs).toBeNull()
  })

  it('a call that is cancelled soon says nothing of the store, one that was cancelled after a long wait does', async () => {
    const { clock, bucket, metrics, store } = observed()
    bucket.onCall = () => 'hanging'
    const cancelledAfter = async (delayMs: number) => {
      const controller = new AbortController()
      clock.after(delayMs, () => controller.abort(new Error('enough')))
      await expect(clock.run(store.head('a', controller.signal))).rejects.toThrow('enough')
    }
    await cancelledAfter(100)
    expect(store.failingSinceMs).toBeNull()
    await cancelledAfter(3000)
    expect(store.failingSinceMs).not.toBeNull()
    expect(valuesOf(metrics.storeErrors.samples())).toEqual({ 'head CANCELLED': 2 })
  })

  it('one line tells that it fails when it has for a while, and one that it works again', async () => {
    const { clock, bucket, lines, store } = observed()
    const fail = async () => {
      bucket.onCall = () => 'unavailable'
      await expect(clock.run(store.head('a', patient))).rejects.toThrow()
      bucket.onCall = () => null
    }
    await fail()
    await clock.run(store.head('a', patient))
    expect(lines).toEqual([])
    for (let i = 0; i < 10; i++) {
      await fail()
      await clock.runFor(1000)
    }
    expect(lines).toEqual(['warn: the object store fails sim://bucket 5050 STORE_UNAVAILABLE'])
    await clock.run(store.head('a', patient))
    expect(lines.slice(1)).toEqual(['info: the object store works again sim://bucket 10110'])
    await fail()
    await clock.run(store.head('a', patient))
    expect(lines).toHaveLength(2)
  })
})

/** The same objects, without a clock. */
function copyOf(bucket: SimBucket): SimBucket {
  const copy = new SimBucket()
  for (const key of bucket.keys) copy.poke(key, bucket.peek(key))
  return copy
}
