import { describe, expect, it, onTestFinished } from 'vitest'
import type { ChronikError } from '#base/errors.ts'
import { PATIENT, RangeCacheLab } from '#test/support/range-cache-lab.ts'

const BLOCK = 1024

describe('a range', () => {
  it('comes from the store once, and then from the disk', async () => {
    const lab = new RangeCacheLab()
    const bytes = lab.object('a', 10_000)
    expect(await lab.read('a', 3000, 5000)).toEqual(bytes.subarray(3000, 8000))
    await lab.settle()
    expect(lab.count('cacheFetches')).toBe(2)
    expect(lab.count('cacheFetchedBytes')).toBe(6 * BLOCK)
    expect(await lab.read('a', 3000, 5000)).toEqual(bytes.subarray(3000, 8000))
    expect(lab.count('cacheFetches')).toBe(2)
    expect([lab.count('cacheMisses'), lab.count('cacheHits'), lab.count('cacheServedBytes')]).toEqual([6, 6, 5000])
    expect(lab.cache).toMatchObject({ blocks: 6, usedBytes: 6 * BLOCK, memoryBytes: 0 })
  })

  it('is what it is in the object, wherever it begins and ends', async () => {
    const lab = new RangeCacheLab()
    const bytes = lab.object('a', 3 * BLOCK + 100)
    for (const from of [0, 1, 255, 256, 1023, 1024, 1025, 2047, 3071, 3072, 3171]) {
      for (const length of [1, 2, 255, 256, 257, 1024, 1500]) {
        expect(await lab.read('a', from, length)).toEqual(bytes.subarray(from, from + length))
      }
    }
  })

  it('is shorter at the end of the object, and empty behind it', async () => {
    const lab = new RangeCacheLab()
    for (const sizeBytes of [1500, 2 * BLOCK]) {
      const bytes = lab.object(`of-${sizeBytes}`, sizeBytes)
      for (let twice = 0; twice < 2; twice++) {
        expect(await lab.read(`of-${sizeBytes}`, 1000, 9000)).toEqual(bytes.subarray(1000))
        expect(await lab.read(`of-${sizeBytes}`, sizeBytes, 10)).toHaveLength(0)
        expect(await lab.read(`of-${sizeBytes}`, 9000, 10)).toHaveLength(0)
        await lab.settle()
      }
    }
  })

  it('is asked for once, however many want it at once', async () => {
    const warnings: Error[] = []
    const warned = (warning: Error) => warnings.push(warning)
    process.on('warning', warned)
    onTestFinished(() => void process.off('warning', warned))
    const lab = new RangeCacheLab()
    const bytes = lab.object('a', 20 * BLOCK)
    const readers = Array.from({ length: 40 }, (_, i) => lab.cache.getRange('a', 5000 + i * 5, 4000, PATIENT))
    const found = await lab.clock.run(Promise.all(readers))
    for (const [i, range] of found.entries()) expect(range).toEqual(bytes.subarray(5000 + i * 5, 9000 + i * 5))
    expect(lab.count('cacheFetches')).toBe(2)
    expect(lab.count('cacheFetchedBytes')).toBe(5 * BLOCK)
    expect(warnings).toEqual([])
  })

  it('that is partly there is completed with one request for what lies together', async () => {
    const lab = new RangeCacheLab()
    const bytes = lab.object('a', 16 * BLOCK)
    await lab.read('a', 6 * BLOCK, 1)
    await lab.settle()
    expect(lab.count('cacheFetches')).toBe(1)
    expect(await lab.read('a', 3 * BLOCK, 7 * BLOCK)).toEqual(bytes.subarray(3 * BLOCK, 10 * BLOCK))
    expect(lab.count('cacheFetches')).toBe(3)
    expect(lab.count('cacheFetchedBytes')).toBe(7 * BLOCK)
  })

  it('of more than a request brings takes several, at once', async () => {
    const lab = new RangeCacheLab()
    const bytes = lab.object('a', 16 * BLOCK)
    const beganMs = lab.clock.monotonicMs()
    expect(await lab.read('a', BLOCK, 12 * BLOCK)).toEqual(bytes.subarray(BLOCK, 13 * BLOCK))
    expect(lab.count('cacheFetches')).toBe(3)
    expect(lab.clock.monotonicMs() - beganMs).toBeLessThan(25)
  })

  it('can give its memory back to be used again', async () => {
    const lab = new RangeCacheLab()
    const bytes = lab.object('a', 4 * BLOCK)
    const first = await lab.clock.run(lab.cache.readRange('a', 100, 30_000, PATIENT))
    expect(first.bytes).toEqual(bytes.subarray(100))
    const memory = first.bytes.buffer
    first.release()
    const second = await lab.clock.run(lab.cache.readRange('a', 100, 30_000, PATIENT))
    expect(second.bytes.buffer).toBe(memory)
  })
})

describe('who goes through an object', () => {
  it('causes one request for each block or fewer, each byte once, and soon does not wait any more', async () => {
    const lab = new RangeCacheLab({ limitBytes: 2 ** 20 })
    const bytes = lab.object('a', 100 * BLOCK + 10)
    let misses = 0
    for (let at = 0; at < bytes.length; at += 700) {
      const length = Math.min(700, bytes.length - at)
      const before = lab.count('cacheMisses')
      expect(await lab.read('a', at, length)).toEqual(bytes.subarray(at, at + length))
      if (at > 20 * BLOCK) misses += lab.count('cacheMisses') - before
      await lab.clock.runFor(20)
    }
    expect(lab.count('cacheFetches')).toBeLessThan(101 / 3)
    expect(lab.count('cacheFetchedBytes')).toBe(bytes.length)
    expect(misses).toBe(0)
  })

  it('is not fetched more for than the window, and than a part of a small cache', async () => {
    for (const [limitBytes, mostAhead] of [
      [2 ** 20, 16],
      [50_000, 10],
    ] as const) {
      const lab = new RangeCacheLab({ limitBytes })
      lab.object('a', 1000 * BLOCK)
      for (let block = 0; block < 30; block++) {
        await lab.read('a', block * BLOCK, BLOCK)
        await lab.settle()
        expect(lab.count('cacheFetchedBytes')).toBeLessThanOrEqual((block + 1 + mostAhead) * BLOCK)
      }
    }
  })

  it('does not make the store busy with what nobody asked for while others wait', async () => {
    const lab = new RangeCacheLab({ limits: { fetches: 3, fetchesAhead: 2 } })
    for (const key of ['a', 'b', 'c']) {
      lab.object(key, 50 * BLOCK - 1)
      await lab.read(key, 50 * BLOCK - 2, 1)
    }
    lab.bucket.onCall = () => 'hanging'
    const readers = Promise.allSettled(['a', 'b', 'c'].map(key => lab.cache.getRange(key, 0, BLOCK, PATIENT)))
    await lab.clock.runFor(1)
    expect(lab.asked.slice(3)).toEqual(['a', 'a', 'b'])
    for (const reader of await lab.clock.run(readers)) expect(reader.status).toBe('rejected')
    expect(lab.asked.slice(3)).toEqual(['a', 'a', 'b', 'c'])
  })

  it('waits for the store and not for the disk, and finds in memory what it still needs', async () => {
    const lab = new RangeCacheLab({ diskMs: 200, limits: { memoryBytes: 24 * BLOCK, memoryAheadBytes: 16 * BLOCK } })
    const bytes = lab.object('a', 200 * BLOCK)
    const beganMs = lab.clock.monotonicMs()
    for (let at = 0; at < bytes.length; at += 512) {
      expect(await lab.read('a', at, 512)).toEqual(bytes.subarray(at, at + 512))
    }
    expect(lab.clock.monotonicMs() - beganMs).toBeLessThan(200 * 25)
    expect(lab.count('cacheFetches')).toBeLessThan(200)
    expect(lab.count('cacheDroppedBlocks')).toBeGreaterThan(100)
  })

  it('can say in advance that it will', async () => {
    const lab = new RangeCacheLab()
    const bytes = lab.object('a', 6 * BLOCK - 1)
    lab.cache.readAhead('a', 100, 5 * BLOCK)
    await lab.settle()
    expect(lab.count('cacheFetches')).toBe(2)
    expect(await lab.read('a', 0, 6 * BLOCK - 1)).toEqual(bytes)
    expect([lab.count('cacheFetches'), lab.count('cacheMisses')]).toEqual([2, 0])
  })
})

describe('who is no longer interested', () => {
  it('leaves at once, and others get what they wait for', async () => {
    const lab = new RangeCacheLab()
    const bytes = lab.object('a', 4 * BLOCK)
    const stop = new AbortController()
    const gone = lab.cache.getRange('a', 0, 100, stop.signal)
    const stays = lab.cache.getRange('a', 50, 100, PATIENT)
    await lab.clock.runFor(1)
    const nowMs = lab.clock.monotonicMs()
    stop.abort(new Error('enough'))
    await expect(gone).rejects.toThrow('enough')
    expect(lab.clock.monotonicMs()).toBe(nowMs)
    expect(await lab.clock.run(stays)).toEqual(bytes.subarray(50, 150))
    expect(lab.count('cacheFetches')).toBe(2)
  })

  it('finds what was on its way when it comes again', async () => {
    const lab = new RangeCacheLab()
    lab.object('a', 4 * BLOCK)
    const stop = new AbortController()
    const gone = lab.cache.getRange('a', 2 * BLOCK, 100, stop.signal)
    await lab.clock.runFor(1)
    stop.abort()
    await expect(gone).rejects.toThrow()
    await lab.settle()
    await lab.read('a', 2 * BLOCK, 100)
    expect([lab.count('cacheFetches'), lab.count('cacheHits')]).toEqual([1, 1])
  })

  it('is not asked for at the store if its turn had not come', async () => {
    const lab = new RangeCacheLab({ limits: { fetches: 1 } })
    for (const key of ['a', 'b', 'c']) lab.object(key, BLOCK - 1)
    const stop = new AbortController()
    const first = lab.cache.getRange('a', 0, 10, PATIENT)
    const gone = lab.cache.getRange('b', 0, 10, stop.signal)
    const last = lab.cache.getRange('c', 0, 10, PATIENT)
    await lab.clock.runFor(1)
    stop.abort()
    await expect(gone).rejects.toThrow()
    await lab.clock.run(Promise.all([first, last]))
    expect(lab.asked).toEqual(['a', 'c'])
  })

  it('has not begun if it never was', async () => {
    const lab = new RangeCacheLab()
    await expect(lab.cache.getRange('a', 0, 10, AbortSignal.abort(new Error('never')))).rejects.toThrow('never')
    expect(lab.asked).toEqual([])
  })
})

describe('a store', () => {
  it('that fails fails those who need it, and nothing of that is kept', async () => {
    const lab = new RangeCacheLab()
    const bytes = lab.object('a', 4 * BLOCK)
    await lab.read('a', BLOCK, 2 * BLOCK)
    await lab.settle()
    lab.bucket.onCall = () => 'unavailable'
    await expect(lab.read('a', 0, 4 * BLOCK)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(await lab.read('a', BLOCK, 2 * BLOCK)).toEqual(bytes.subarray(BLOCK, 3 * BLOCK))
    await lab.settle()
    lab.bucket.onCall = () => null
    expect(await lab.read('a', 0, 4 * BLOCK)).toEqual(bytes)
    expect(lab.count('cacheFetchedBytes')).toBe(4 * BLOCK)
  })

  it('without the object says so', async () => {
    const lab = new RangeCacheLab()
    await expect(lab.read('a', 0, 10)).rejects.toMatchObject({ code: 'OBJECT_MISSING' })
    const bytes = lab.object('a', 20)
    expect(await lab.read('a', 0, 20)).toEqual(bytes)
  })

  it('that does not answer has failed after a while, and others are served meanwhile', async () => {
    const lab = new RangeCacheLab({ limits: { fetches: 2 } })
    const bytes = lab.object('a', 4 * BLOCK)
    lab.object('b', BLOCK)
    await lab.read('a', 0, BLOCK)
    await lab.settle()
    lab.bucket.onCall = () => 'hanging'
    const waiting = ['b', 'c', 'd'].map(key => lab.cache.getRange(key, 0, 10, PATIENT))
    const failed = Promise.all(waiting.map(reader => reader.catch((error: ChronikError) => error.kind)))
    expect(await lab.read('a', 0, BLOCK)).toEqual(bytes.subarray(0, BLOCK))
    expect(await lab.clock.run(failed)).toEqual(['unavailable', 'unavailable', 'unavailable'])
    lab.bucket.onCall = () => null
    expect(await lab.read('b', 0, BLOCK)).toEqual(lab.bucket.peek('b'))
  })

  it('whose answer was cut off is asked again by who knows better', async () => {
    const lab = new RangeCacheLab()
    const bytes = lab.object('a', 6 * BLOCK)
    lab.bucket.onCall = () => 'truncated'
    const short = await lab.read('a', 0, 4 * BLOCK)
    expect(short.length).toBeLessThan(4 * BLOCK)
    expect(short).toEqual(bytes.subarray(0, short.length))
    lab.bucket.onCall = () => null
    expect(await lab.read('a', 0, 4 * BLOCK)).toEqual(bytes.subarray(0, 4 * BLOCK))
    await lab.settle()
    expect(await lab.read('a', 0, 6 * BLOCK)).toEqual(bytes)
  })

  it('gives no more at once than there is memory for', async () => {
    const lab = new RangeCacheLab({ limits: { memoryBytes: 8 * BLOCK, fetches: 100 } })
    const keys = Array.from({ length: 20 }, (_, i) => `object-${i}`)
    for (const key of keys) lab.object(key, 4 * BLOCK)
    let mostBytes = 0
    lab.bucket.onCall = () => {
      mostBytes = Math.max(mostBytes, lab.cache.memoryBytes)
      return null
    }
    const found = await lab.clock.run(Promise.all(keys.map(key => lab.cache.getRange(key, 0, 4 * BLOCK, PATIENT))))
    expect(found).toEqual(keys.map(key => lab.bucket.peek(key)))
    expect(mostBytes).toBe(8 * BLOCK)
  })
})

describe('a cache that is closed', () => {
  it('refuses readers, those too that wait, and lets go of its files', async () => {
    const lab = new RangeCacheLab()
    lab.object('a', BLOCK)
    await lab.read('a', 0, 10)
    lab.bucket.onCall = () => 'hanging'
    const readers = Array.from({ length: 20 }, (_, i) => lab.cache.getRange(`b-${i}`, 0, 10, PATIENT))
    const refused = Promise.all(readers.map(reader => reader.catch((error: ChronikError) => error.kind)))
    await lab.clock.runFor(1)
    const closing = lab.cache.close()
    expect(new Set(await refused)).toEqual(new Set(['closed']))
    await lab.clock.run(closing)
    await expect(lab.read('a', 0, 10)).rejects.toMatchObject({ code: 'CACHE_CLOSED' })
    expect(lab.disk.openPaths).toEqual([])
  })

  it('before it was open is closed all the same', async () => {
    const lab = new RangeCacheLab()
    await lab.clock.run(lab.cache.close())
    expect(lab.disk.openPaths).toEqual([])
  })
})
