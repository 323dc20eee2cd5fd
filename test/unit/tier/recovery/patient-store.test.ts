import { describe, expect, it } from 'vitest'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { SimBucket } from '#test/support/sim/sim-object-store.ts'
import { PatientStore } from '#tier/recovery/patient-store.ts'

const signal = new AbortController().signal
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
