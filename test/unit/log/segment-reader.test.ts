import { describe, expect, it } from 'vitest'
import { BufferPool } from '#bytes/buffer-pool.ts'
import { SegmentReader } from '#log/segment-reader.ts'
import type { ObjectStore } from '#object-store/object-store.ts'
import { ObservedStore } from '#object-store/observed.ts'
import { CACHE_LIMITS, openRangeCache, type RangeCache } from '#object-store/range-cache.ts'
import { type RangeSource, tellingWhy } from '#object-store/range-source.ts'
import { REMOTE_POLICY, retrying } from '#object-store/retry.ts'
import { createCacheMetrics } from '#observe/cache-metrics.ts'
import { createStoreMetrics } from '#observe/store-metrics.ts'
import { type StoredSegment, storedSegment } from '#segments/segment-names.ts'
import { type Appended, served } from '#test/support/log-lab.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { SimBucket, type StoreFault } from '#test/support/sim/sim-object-store.ts'
import { TierLab } from '#test/support/tier-lab.ts'

const BATCH_BYTES = 100_000
const PATIENCE_MS = 10_000
const MIB = 1 << 20

interface Cold {
  lab: TierLab
  bucket: SimBucket
  appended: Appended[]
  /** Calls so far of each verb. */
  calls: string[]
  /** What each takes. */
  pace: { latencyMs: number }
}

/** A partition with segments of some megabytes in a bucket, of which nothing was read yet. */
async function cold(count = 15, sizeBytes = BATCH_BYTES, segments = 1): Promise<Cold> {
  const clock = new SimClock()
  const pace = { latencyMs: 5 }
  const bucket = new SimBucket({ clock, prng: new Prng(3), latencyMs: () => pace.latencyMs })
  const calls: string[] = []
  const first = await TierLab.open({ clock, bucket, walFileBytes: 1 << 21 })
  const partition = (await first.lab.topic('topic', 2)).partitions[0]!
  const appended: Appended[] = []
  for (let left = segments; left > 0; left--) {
    appended.push(...(await first.appendMany(partition, count, { sizeBytes })))
    await first.seal([partition])
  }
  const lab = await first.closeAndOpen()
  bucket.onCall = ({ verb }) => {
    calls.push(verb)
    return null
  }
  return { lab, bucket, appended, calls, pace }
}

const keyOf = ({ bucket }: Cold) => bucket.keys.find(key => key.startsWith('segments/'))!

/** Makes calls fail from now on, until it is told null. */
function fail({ bucket }: Cold, fault: StoreFault | null): void {
  bucket.onCall = () => fault
}

describe('a segment whose store', () => {
  it('does not answer is refused in time, and read when it does again', async () => {
    const some = await cold()
    const { lab, appended } = some
    fail(some, 'hanging')
    const beganMs = lab.clock.monotonicMs()
    const unavailable = {
      code: 'STORE_UNAVAILABLE',
      kind: 'unavailable',
      message: expect.stringContaining(keyOf(some)),
    }
    await expect(lab.read(lab.partition(), 0)).rejects.toMatchObject(unavailable)
    expect(lab.clock.monotonicMs() - beganMs).toBeCloseTo(PATIENCE_MS, -1)
    fail(some, null)
    expect((await lab.readAll(lab.partition())).equals(served(appended))).toBe(true)
  })

  it('does not answer delays nobody who needs it not', async () => {
    const some = await cold()
    const { lab } = some
    fail(some, 'hanging')
    const slow = lab.clock.run(lab.reading(lab.partition(), 0)).catch(() => 'refused')
    const other = lab.partition('topic', 1)
    const { sent } = await lab.lab.append(other, { sizeBytes: 100 })
    const beganMs = lab.clock.monotonicMs()
    expect((await lab.read(other, 0)).sizeBytes).toBe(sent.bytes.length)
    expect(lab.clock.monotonicMs() - beganMs).toBeLessThan(1)
    expect(await slow).toBe('refused')
  })

  it.each<[StoreFault, object]>([
    ['unavailable', { code: 'STORE_UNAVAILABLE' }],
    ['denied', { code: 'STORE_DENIED' }],
    ['truncated', { code: 'SEGMENT_DAMAGED', kind: 'corrupt' }],
  ])('answers %s is refused, and read when it does not', async (fault, error) => {
    const some = await cold()
    const { lab, appended } = some
    fail(some, fault)
    await expect(lab.read(lab.partition(), 0)).rejects.toMatchObject(error)
    fail(some, null)
    await lab.read(lab.partition(), 0, 1)
    fail(some, fault)
    await expect(lab.read(lab.partition(), 14)).rejects.toMatchObject(error)
    fail(some, null)
    expect((await lab.readAll(lab.partition())).equals(served(appended))).toBe(true)
  })

  it('has lost the object is refused by name', async () => {
    const some = await cold()
    const key = keyOf(some)
    const bytes = some.bucket.peek(key)
    some.bucket.remove(key)
    const missing = { code: 'OBJECT_MISSING', message: expect.stringContaining(key) }
    await expect(some.lab.read(some.lab.partition(), 0)).rejects.toMatchObject(missing)
    some.bucket.poke(key, bytes)
    expect((await some.lab.readAll(some.lab.partition())).equals(served(some.appended))).toBe(true)
  })

  it('gives other bits is refused by name and place, and read when they are mended', async () => {
    const some = await cold(11)
    const { lab, bucket, appended } = some
    const { place, sizeBytes, indexPlace, indexBytes } = lab.partition().segments.at(0)
    const key = keyOf(some)
    const bytes = bucket.peek(key)
    const prng = new Prng(5)
    for (const [from, length] of [...Array<[number, number]>(10).fill([place, sizeBytes]), [indexPlace, indexBytes]]) {
      const altered = Buffer.from(bytes)
      const at = from! + prng.between(0, length! - 1)
      altered[at] = altered[at]! ^ (1 << prng.between(0, 7))
      bucket.poke(key, altered)
      const again = await lab.copy()
      const damaged = { code: 'SEGMENT_DAMAGED', message: expect.stringMatching(`${key} is damaged at byte \\d+`) }
      await expect(again.readAll(again.partition())).rejects.toMatchObject(damaged)
      bucket.poke(key, bytes)
      expect((await again.readAll(again.partition())).equals(served(appended))).toBe(true)
    }
  })
})

describe('a store that is slow', () => {
  it('costs a reader a third of his patience, and he gets what came until then', async () => {
    const { lab, appended, pace } = await cold(24, MIB)
    const bytes = served(appended)
    pace.latencyMs = 1900
    const got: Buffer[] = []
    let offset = 0
    for (let reads = 0; offset < 24; reads++) {
      const beganMs = lab.clock.monotonicMs()
      const read = await lab.read(lab.partition(), offset, 64 * MIB)
      expect(lab.clock.monotonicMs() - beganMs).toBeLessThan(10_000)
      got.push(read.bytes)
      offset = read.nextOffset
      expect(reads).toBeLessThan(4)
    }
    expect(got.length).toBeGreaterThan(1)
    expect(Buffer.concat(got).equals(bytes)).toBe(true)
  })

  it('and gives nothing that is whole in time is told of, and what came is there the next time', async () => {
    const { lab, appended, pace } = await cold(2, 5 * MIB)
    pace.latencyMs = 4500
    const slow = { code: 'STORE_UNAVAILABLE', message: expect.stringContaining('the object store is slow') }
    const beganMs = lab.clock.monotonicMs()
    await expect(lab.read(lab.partition(), 0, 1)).rejects.toMatchObject(slow)
    expect(lab.clock.monotonicMs() - beganMs).toBeLessThan(20_000)
    expect((await lab.read(lab.partition(), 0, 1)).bytes.equals(served(appended.slice(0, 1)))).toBe(true)
  })

  it('and fails in the middle costs nobody what came before', async () => {
    const some = await cold(24, MIB)
    const { lab, bucket, appended } = some
    let gets = 0
    bucket.onCall = ({ verb }) => (verb === 'get' && ++gets > 2 ? 'unavailable' : null)
    const { bytes, nextOffset } = await lab.read(lab.partition(), 0, 64 * MIB)
    expect(nextOffset).toBeGreaterThan(0)
    expect(bytes.equals(served(appended.slice(0, nextOffset)))).toBe(true)
    await expect(lab.read(lab.partition(), nextOffset, MIB)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  })
})

/** Reads by way of a cache on the disk. */
function cached(some: Cold): SegmentReader {
  return new SegmentReader(cacheOf(some, some.bucket.connect()), some.lab.clock)
}

function cacheOf({ lab }: Cold, store: ObjectStore): RangeCache {
  return openRangeCache({
    disk: lab.lab.disk,
    clock: lab.clock,
    store,
    directory: '/data/cache',
    limitBytes: 16 * MIB,
    limits: { ...CACHE_LIMITS, slabSlots: 4 },
    buffers: new BufferPool(0),
    metrics: createCacheMetrics(),
    report() {},
  })
}

describe('who gives up waiting for a store', () => {
  it.each<[StoreFault, RegExp]>([
    ['unavailable', /did not give segments.* within 10 s: simulated: no answer for segments/],
    ['hanging', /did not give segments.* within 10 s: no answer came$/],
  ])('that is %s is told why, though the cache goes on asking', async (fault, message) => {
    const some = await cold()
    const { lab, bucket } = some
    const { clock } = lab
    const observed = new ObservedStore(bucket.connect(), { clock, metrics: createStoreMetrics(), report() {} })
    const random = { bytes: (count: number) => Buffer.alloc(count, 0x80) }
    const store = retrying(observed, { clock, random, policy: REMOTE_POLICY })
    const source = tellingWhy(cacheOf(some, store), () => observed.failure)
    const reader = new SegmentReader(source, clock)
    fail(some, fault)
    const segment = storedSegment(lab.partition(), lab.partition().segments.at(0))
    await expect(clock.run(reader.index(segment))).rejects.toThrow(message)
  })
})

describe('a segment that was not what it should be when it came into the cache', () => {
  it.each(['body', 'index'] as const)('is asked for again: in its %s', async part => {
    const some = await cold()
    const { lab, bucket, appended } = some
    const segment = storedSegment(lab.partition(), lab.partition().segments.at(0))
    const reader = cached(some)
    const readAll = () => lab.clock.run(chunksOf(reader, segment))
    const key = keyOf(some)
    const bytes = bucket.peek(key)
    const altered = Buffer.from(bytes)
    const at = part === 'body' ? segment.place + MIB + 7 : segment.indexPlace + 20
    altered[at] = altered[at]! ^ 1
    bucket.poke(key, altered)
    await expect(readAll()).rejects.toMatchObject({ code: 'SEGMENT_DAMAGED' })
    await lab.clock.runFor(1000)
    bucket.poke(key, bytes)
    expect((await readAll()).equals(served(appended))).toBe(true)
  })
})

describe('a segment that is damaged', () => {
  it.each<[string, () => Promise<void>]>([
    ['hangs', () => new Promise(() => {})],
    ['fails', () => Promise.reject(new Error('the disk of the cache fails'))],
  ])('is refused in time, though the cache %s that is to forget it', async (_, forget) => {
    const { lab } = await cold()
    const segment = storedSegment(lab.partition(), lab.partition().segments.at(0))
    const readRange: RangeSource['readRange'] = async (_key, _from, length) => ({
      bytes: Buffer.alloc(length),
      release() {},
    })
    const reader = new SegmentReader({ readRange, forget }, lab.clock)
    await expect(lab.clock.run(reader.index(segment))).rejects.toMatchObject({ code: 'SEGMENT_DAMAGED' })
    expect(lab.clock.monotonicMs()).toBeLessThan(PATIENCE_MS)
  })
})

describe('a record of which nothing is known', () => {
  it('comes with two requests by way of a cache', async () => {
    const some = await cold(30, 200_000)
    const { lab, calls } = some
    const segment = storedSegment(lab.partition(), lab.partition().segments.at(0))
    const reader = cached(some)
    const read = async () => {
      const place = (await reader.index(segment)).placeOf(11)
      const span = await reader.span(segment, place, place + (1 << 16))
      span.release()
    }
    await lab.clock.run(read())
    expect(calls).toEqual(['get', 'get'])
  })
})

describe('indexes of small segments', () => {
  it('are kept in as much memory as they take, and not as their bytes do', async () => {
    const { lab, bucket } = await cold(1, 100)
    const segment = storedSegment(lab.partition(), lab.partition().segments.at(0))
    const { indexPlace, indexBytes } = segment
    const bytes = bucket.peek(segment.key).subarray(indexPlace, indexPlace + indexBytes)
    const asked: string[] = []
    const source: RangeSource = {
      async readRange(key) {
        asked.push(key)
        return { bytes, release() {} }
      },
      forget: async () => {},
    }
    const reader = new SegmentReader(source, lab.clock)
    const count = Math.ceil((32 * MIB) / 1200)
    const indexOf = (n: number) => reader.index({ ...segment, key: `${segment.key}-${n}` })
    for (let n = 0; n < count; n++) await indexOf(n)
    asked.length = 0
    await indexOf(count - 1)
    expect(asked).toHaveLength(0)
    await indexOf(0)
    expect(asked).toHaveLength(1)
  })
})

async function chunksOf(reader: SegmentReader, segment: StoredSegment): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of reader.chunks(segment)) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

describe('the segments of a log that is closed', () => {
  it('are read by nobody any more', async () => {
    const some = await cold()
    const { lab } = some
    fail(some, 'hanging')
    const reading = lab.reading(lab.partition(), 0)
    await lab.clock.runFor(1)
    const closing = lab.log.close()
    await expect(lab.clock.run(Promise.all([reading, closing]))).rejects.toMatchObject({ code: 'LOG_CLOSED' })
    expect(lab.clock.monotonicMs()).toBeLessThan(PATIENCE_MS)
  })
})

describe('a segment is read', () => {
  it('with two requests if nothing is known of it, however many want it', async () => {
    const { lab, calls } = await cold()
    const reads = Array.from({ length: 5 }, () => lab.reading(lab.partition(), 7, 1))
    await lab.clock.run(Promise.all(reads))
    expect(calls).toEqual(['get', 'get'])
  })

  it('with fewer requests than it has megabytes', async () => {
    const { lab, appended, calls } = await cold(30, 200_000)
    expect((await lab.readAll(lab.partition(), 0, 4 * MIB)).equals(served(appended))).toBe(true)
    expect(calls.length).toBeLessThan((30 * 200_000) / MIB)
  })

  it('from memory when it was read a moment before', async () => {
    const { lab, calls } = await cold()
    await lab.readAll(lab.partition())
    calls.length = 0
    await lab.readAll(lab.partition(), 0, 1)
    expect(calls).toEqual([])
  })

  it('in its begin before who reads on comes to it', async () => {
    const { lab, pace } = await cold(15, BATCH_BYTES, 3)
    pace.latencyMs = 50
    const took: number[] = []
    for (let offset = 0; offset < 45; ) {
      const beganMs = lab.clock.monotonicMs()
      offset = (await lab.read(lab.partition(), offset, MIB)).nextOffset
      took.push(Math.round(lab.clock.monotonicMs() - beganMs))
      // What the reader does with it.
      await lab.clock.runFor(250)
    }
    // Its index and its batches.
    expect(took).toEqual([200, ...took.slice(1).fill(0)])
  })

  it('in its begin by a cache, too, which asks for that when it asks for nothing else', async () => {
    const some = await cold(30, 200_000)
    const { lab, calls } = some
    const segment = storedSegment(lab.partition(), lab.partition().segments.at(0))
    const reader = cached(some)
    reader.expect(segment)
    await lab.clock.runFor(1000)
    const asked = calls.length
    const span = await lab.clock.run(reader.span(segment, 0, MIB))
    span.release()
    expect([asked, calls.length]).toEqual([2, 2])
  })

  it('ahead of who goes on, and of no more readers than there is memory for', async () => {
    const { lab, bucket } = await cold(30, 200_000)
    const segment = storedSegment(lab.partition(), lab.partition().segments.at(0))
    const asked: number[] = []
    const source: RangeSource = {
      async readRange(_key, from, length) {
        if (from !== segment.indexPlace) asked.push((from - segment.place) / MIB)
        return { bytes: Buffer.from(bucket.peek(segment.key).subarray(from, from + length)), release() {} }
      },
      forget: async () => {},
    }
    const reader = new SegmentReader(source, lab.clock)
    const readBlock = async (block: number, key = segment.key) => {
      const span = await reader.span({ ...segment, key }, block * MIB, (block + 1) * MIB)
      span.release()
      return asked.splice(0)
    }
    expect(await readBlock(0)).toEqual([0])
    expect(await readBlock(1)).toEqual([1, 2, 3])
    expect(await readBlock(2)).toEqual([4])
    expect(await readBlock(3)).toEqual([5])
    expect(await readBlock(4)).toEqual([])
    // Two blocks for each of the first eight.
    const counts: number[] = []
    for (let n = 0; n < 10; n++) {
      await readBlock(0, `reader-${n}`)
      counts.push((await readBlock(1, `reader-${n}`)).length)
    }
    expect(counts).toEqual([3, 3, 3, 3, 3, 3, 3, 3, 1, 1])
    expect(await readBlock(2, 'reader-0')).toEqual([4])
  })
})
