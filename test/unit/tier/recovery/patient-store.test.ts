import { describe, expect, it } from 'vitest'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { SimBucket, type StoreFault } from '#test/support/sim/sim-object-store.ts'
import { PatientStore } from '#tier/recovery/patient-store.ts'

const { signal } = new AbortController()

const PATIENCE_MS = 30_000

function patient(latencyMs: (sizeBytes: number) => number) {
  const clock = new SimClock()
  const bucket = new SimBucket({ clock, latencyMs: call => latencyMs(call.sizeBytes) })
  return { clock, bucket, store: new PatientStore(bucket.connect(), clock, PATIENCE_MS) }
}

describe('a store that is waited for with patience', () => {
  it('gets the time that a large object takes over a slow connection', async () => {
    const bytesPerMs = 256
    const { clock, bucket, store } = patient(sizeBytes => sizeBytes / bytesPerMs / 2)
    await clock.run(store.put('large', [new Uint8Array(16 << 20)], signal))
    expect(await clock.run(store.putIfAbsent('other', [new Uint8Array(16 << 20)], signal))).toBe(true)
    expect(clock.monotonicMs()).toBeGreaterThan(4 * PATIENCE_MS)
    expect(bucket.keys).toEqual(['large', 'other'])
  })

  it('is given up if it does not answer, soon if little was to be moved', async () => {
    const { clock, bucket, store } = patient(() => 1)
    bucket.onCall = () => 'hanging'
    const message = 'the object store did not answer within 30 s'
    const failure = { code: 'STORE_UNAVAILABLE', message }
    await expect(clock.run(store.put('small', [new Uint8Array(10)], signal))).rejects.toMatchObject(failure)
    await expect(clock.run(store.head('small', signal))).rejects.toMatchObject(failure)
    expect(clock.monotonicMs()).toBeLessThan(2 * PATIENCE_MS + 10)
    await expect(clock.run(store.getRange('large', 0, 1 << 20, signal))).rejects.toThrow('within 46 s')
  })
})

function bucketOf(objects: number) {
  const clock = new SimClock()
  const bucket = new SimBucket({ clock, latencyMs: () => 50 })
  const keys = Array.from({ length: objects }, (_, i) => `a/${String(i).padStart(6, '0')}`)
  for (const key of keys) bucket.poke(key, Buffer.alloc(1))
  const calls = { lists: 0, fault: (_: number): StoreFault | null => null }
  bucket.onCall = () => calls.fault(++calls.lists)
  return { clock, keys, calls, store: new PatientStore(bucket.connect(), clock, 1000) }
}

async function keysOf(store: PatientStore, after = ''): Promise<string[]> {
  const found: string[] = []
  for await (const { key } of store.list('a/', after, signal)) found.push(key)
  return found
}

describe('a store of which no call takes for ever', () => {
  it('lists all that there is, page by page', async () => {
    const { clock, store, keys } = bucketOf(4500)
    expect(await clock.run(keysOf(store))).toEqual(keys)
    expect(await clock.run(keysOf(store, keys[2999]))).toEqual(keys.slice(3000))
  })

  it('asks for no more than a page if that is enough', async () => {
    const { clock, store, keys, calls } = bucketOf(4500)
    const first = async () => {
      for await (const { key } of store.list('a/', '', signal)) return key
      return null
    }
    expect(await clock.run(first())).toBe(keys[0])
    expect(calls.lists).toBe(1)
  })

  it('lists for as long as there is more, and goes on behind what it has when there is no answer', async () => {
    // 46 pages are longer on their way than one call may be.
    const { clock, store, keys, calls } = bucketOf(45_000)
    calls.fault = count => (count === 12 ? 'hanging' : null)
    expect(await clock.run(keysOf(store))).toEqual(keys)
    expect(clock.monotonicMs()).toBeGreaterThan(4500)
  })

  it('asks nothing when whoever asks has ended', async () => {
    const { clock, store, calls } = bucketOf(10)
    const ended = AbortSignal.abort(new Error('ended'))
    await expect(clock.run(store.list('a/', '', ended)[Symbol.asyncIterator]().next())).rejects.toThrow('ended')
    expect(calls.lists).toBe(0)
  })

  it('fails when nothing more comes', async () => {
    const { clock, store, calls } = bucketOf(4500)
    calls.fault = count => (count > 2 ? 'hanging' : null)
    await expect(clock.run(keysOf(store))).rejects.toThrow(/did not answer within 1 s/)
    expect(clock.monotonicMs()).toBeLessThan(3000)
  })

  it('waits for who takes its time with what was listed', async () => {
    const { clock, store, keys } = bucketOf(2500)
    const slowly = async (): Promise<number> => {
      let count = 0
      for await (const _ of store.list('a/', '', signal)) {
        if (count++ % 500 === 0) await new Promise<void>(resolve => clock.after(5000, resolve))
      }
      return count
    }
    expect(await clock.run(slowly())).toBe(keys.length)
  })
})
