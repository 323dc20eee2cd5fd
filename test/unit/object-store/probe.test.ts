import { describe, expect, it } from 'vitest'
import { openLocalStore } from '#object-store/local-store.ts'
import { type ObjectStore, probeStore } from '#object-store/object-store.ts'
import { StoreError } from '#object-store/store-errors.ts'
import { systemClock } from '#system/clock.ts'
import { systemDisk } from '#system/disk.ts'
import { systemRandom } from '#system/random.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { SimBucket, type SimBucketOptions, type StoreFault } from '#test/support/sim/sim-object-store.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'

const patient = new AbortController().signal

function simulated(options: SimBucketOptions = {}) {
  const prng = new Prng(1)
  const clock = new SimClock({ prng: prng.fork() })
  const bucket = new SimBucket({ prng: prng.fork(), clock, ...options })
  const store = bucket.connect()
  const probe = (probed: ObjectStore = store) =>
    clock.run(probeStore(probed, { clock, random: systemRandom }, patient).catch((error: unknown) => error))
  return { clock, bucket, store, probe }
}

describe('the probe of a store', () => {
  it('finds a good one good, and leaves nothing in it', async () => {
    const { bucket, probe } = simulated()
    bucket.poke('segments/a', Buffer.from('1'))
    expect(await probe()).toMatchObject({ honestCreate: true })
    expect(bucket.keys).toEqual(['segments/a'])
  })

  it('finds a directory of the real disk good', async () => {
    const directory = await temporaryDirectory()
    const store = await openLocalStore({ disk: systemDisk, random: systemRandom, directory })
    const probed = await probeStore(store, { clock: systemClock, random: systemRandom }, patient)
    expect(probed.honestCreate).toBe(true)
    expect(Math.abs(probed.clockSkewMs)).toBeLessThan(5000)
    expect(await systemDisk.list(directory)).toEqual(['.new'])
  })

  it('finds out how far the clock of the store is from ours', async () => {
    for (const skewMs of [0, 3_600_000, -86_400_000]) {
      const { bucket, probe } = simulated()
      bucket.skewMs = skewMs
      const { clockSkewMs } = (await probe()) as { clockSkewMs: number }
      expect(clockSkewMs - skewMs).toBeLessThanOrEqual(0)
      expect(clockSkewMs - skewMs).toBeGreaterThan(-1100)
    }
  })

  it('finds out that several are told that they created one object', async () => {
    const { bucket, probe } = simulated({ isHonest: false })
    expect(await probe()).toMatchObject({ honestCreate: false })
    expect(bucket.keys).toEqual([])
  })

  it('finds out that nobody can create an object only where there is none', async () => {
    const { bucket, store, probe } = simulated()
    const putIfAbsent = () => Promise.reject(new StoreError('STORE_REFUSED', 'there is no such thing'))
    expect(await probe(changed(store, { putIfAbsent }))).toMatchObject({ honestCreate: false })
    expect(bucket.keys).toEqual([])
  })

  it('finds out that a create takes the place of an object', async () => {
    const { bucket, store, probe } = simulated()
    const putIfAbsent: ObjectStore['putIfAbsent'] = async (key, pieces, signal) => {
      await store.put(key, pieces, signal)
      return true
    }
    expect(await probe(changed(store, { putIfAbsent }))).toMatchObject({ honestCreate: false })
    expect(bucket.keys).toEqual([])
  })

  it.each([
    ['tells the last one too that it did', (isWinner: boolean, call: number) => ({ told: isWinner || call === 8 })],
    ['tells who comes later that it did', (isWinner: boolean, call: number) => ({ told: isWinner || call === 9 })],
    ['keeps what one wrote who did not', (told: boolean, call: number) => ({ told, writes: call === 3 })],
  ])('finds out about a store that, of several that create an object, %s', async (_, behave) => {
    const { store, probe } = simulated({ latencyMs: () => 1 })
    const calls = new Map<string, number>()
    const putIfAbsent: ObjectStore['putIfAbsent'] = async (key, pieces, signal) => {
      const call = (calls.get(key) ?? 0) + 1
      calls.set(key, call)
      const isWinner = await store.putIfAbsent(key, pieces, signal)
      const { told, writes = false }: { told: boolean; writes?: boolean } = behave(isWinner, call)
      if (writes) await store.put(key, pieces, signal)
      return told
    }
    expect(await probe(changed(store, { putIfAbsent }))).toMatchObject({ honestCreate: false })
  })

  it('says that no ranges are read', async () => {
    const { store, probe } = simulated()
    const getRange: ObjectStore['getRange'] = (key, _, length, signal) => store.getRange(key, 0, length, signal)
    expect(await probe(changed(store, { getRange }))).toMatchObject({ code: 'STORE_INCONSISTENT' })
  })

  it.each([
    ['put', 'denied', 'STORE_DENIED', /^cannot write to the object store: simulated: no right to probe/],
    ['get', 'denied', 'STORE_DENIED', /^cannot read from the object store: /],
    ['list', 'denied', 'STORE_DENIED', /^cannot list the object store: /],
    ['head', 'denied', 'STORE_DENIED', /^cannot ask about an object of the object store: /],
    ['create', 'denied', 'STORE_DENIED', /^cannot create objects in the object store: /],
    ['delete', 'denied', 'STORE_DENIED', /^cannot delete from the object store: /],
    ['put', 'full', 'STORE_FULL', /^cannot write to the object store: /],
    ['get', 'truncated', 'STORE_INCONSISTENT', /what is read is not what was written/],
    ['put', 'unseen', 'OBJECT_MISSING', /^cannot read from the object store: /],
  ] as const)('says what is wrong in one line when %s is %s', async (verb, fault: StoreFault, code, words) => {
    const { bucket, probe } = simulated()
    bucket.onCall = call => (call.verb === verb ? fault : null)
    const failure = (await probe()) as Error
    expect(failure).toMatchObject({ code, message: expect.stringMatching(words) })
    expect(failure.message).not.toContain('\n')
    if (verb !== 'delete') expect(bucket.keys).toEqual([])
  })

  it('says that a deleted object is still there', async () => {
    const { bucket, probe } = simulated()
    bucket.onCall = call => (call.verb === 'delete' ? 'unseen' : null)
    expect(await probe()).toMatchObject({
      code: 'STORE_INCONSISTENT',
      message: expect.stringContaining('deleted is still there'),
    })
  })

  it('says that what was written over is still read', async () => {
    const { bucket, probe } = simulated()
    let puts = 0
    bucket.onCall = call => (call.verb === 'put' && ++puts === 2 ? 'unseen' : null)
    expect(await probe()).toMatchObject({ message: expect.stringContaining('what was written last') })
  })

  it('asks nothing more of a store that does not answer', async () => {
    const { bucket, probe } = simulated()
    let calls = 0
    bucket.onCall = () => {
      calls++
      return 'unavailable'
    }
    expect(await probe()).toMatchObject({ code: 'STORE_UNAVAILABLE', kind: 'unavailable' })
    expect(calls).toBe(1)
  })

  it('ends when it is cancelled', async () => {
    const { clock, bucket, store } = simulated()
    bucket.onCall = () => 'hanging'
    const controller = new AbortController()
    const reason = new Error('enough')
    clock.after(1000, () => controller.abort(reason))
    const probed = probeStore(store, { clock, random: systemRandom }, controller.signal)
    await expect(clock.run(probed)).rejects.toBe(reason)
  })

  it('removes what earlier probes left behind long ago, and nothing of those that may go on', async () => {
    const { clock, bucket, probe } = simulated()
    bucket.poke('probe/old/object', Buffer.from('1'))
    await clock.runFor(2 * 3_600_000)
    bucket.poke('probe/new/object', Buffer.from('1'))
    await probe()
    expect(bucket.keys).toEqual(['probe/new/object'])
  })
})

function changed(store: ObjectStore, changes: Partial<ObjectStore>): ObjectStore {
  return {
    place: store.place,
    put: store.put.bind(store),
    putIfAbsent: store.putIfAbsent.bind(store),
    getRange: store.getRange.bind(store),
    head: store.head.bind(store),
    list: store.list.bind(store),
    delete: store.delete.bind(store),
    close: store.close.bind(store),
    ...changes,
  }
}
