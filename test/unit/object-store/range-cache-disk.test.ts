import { describe, expect, it } from 'vitest'
import { CACHE_DIRECTORY, PATIENT, RangeCacheLab, SLAB_BYTES } from '#test/support/range-cache-lab.ts'
import { Prng } from '#test/support/sim/prng.ts'
import type { DiskCall, Fault } from '#test/support/sim/sim-disk.ts'

const BLOCK = 1024
const FIRST_SLAB = `${CACHE_DIRECTORY}/000001.slab`
const SLOTS_AT = 12_288

/** One whose directory has the blocks of an object, and which was opened again. */
async function warmLab(blocks = 6): Promise<{ lab: RangeCacheLab; bytes: Buffer }> {
  const lab = new RangeCacheLab()
  const bytes = lab.object('a', blocks * BLOCK - 10)
  await lab.read('a', 0, bytes.length)
  await lab.settle()
  await lab.restart()
  await lab.settle()
  return { lab, bytes }
}

const slabIn = (lab: RangeCacheLab): Buffer => lab.disk.peek(FIRST_SLAB)

describe('a cache that is opened again', () => {
  it('has what it had, whether it was closed or killed', async () => {
    for (const how of ['close', 'kill'] as const) {
      const { lab, bytes } = await warmLab()
      await lab.restart(how)
      expect(await lab.read('a', 0, bytes.length)).toEqual(bytes)
      expect(lab.count('cacheFetches')).toBe(0)
      expect(lab.cache).toMatchObject({ blocks: 6, usedBytes: bytes.length, diskBytes: SLAB_BYTES })
    }
  })

  it('after a power loss has what the disk has, and that is right', async () => {
    const fetches = new Set<number>()
    for (let seed = 0; seed < 60; seed++) {
      const lab = new RangeCacheLab({ seed })
      const bytes = lab.object('a', 6 * BLOCK - 10)
      await lab.read('a', 0, bytes.length)
      await lab.clock.runFor(seed % 3)
      await lab.restart('crash')
      expect(await lab.read('a', 0, bytes.length)).toEqual(bytes)
      fetches.add(lab.count('cacheFetches'))
      await lab.settle()
      expect(lab.cache.blocks).toBe(6)
    }
    expect([...fetches].sort()).toEqual(expect.arrayContaining([0, 1, 2]))
  })

  it('evicts what was written first', async () => {
    const lab = new RangeCacheLab({ limitBytes: SLAB_BYTES })
    for (const key of ['a', 'b', 'c', 'd']) {
      lab.object(key, 2 * BLOCK - 1)
      await lab.read(key, 0, 2 * BLOCK - 1)
      await lab.settle()
    }
    await lab.restart()
    lab.object('e', BLOCK - 1)
    await lab.read('e', 0, BLOCK - 1)
    await lab.settle()
    await lab.read('b', 0, 2 * BLOCK - 1)
    expect(lab.count('cacheFetches')).toBe(1)
    await lab.read('a', 0, 2 * BLOCK - 1)
    expect(lab.count('cacheFetches')).toBe(2)
  })

  it('with a smaller limit keeps as much as that allows', async () => {
    const lab = new RangeCacheLab()
    const bytes = lab.object('a', 20 * BLOCK)
    await lab.read('a', 0, bytes.length)
    await lab.settle()
    expect(lab.fileBytes).toBe(3 * SLAB_BYTES)
    await lab.restart('close', { limitBytes: 2 * SLAB_BYTES + 100 })
    await lab.settle()
    expect([lab.fileBytes, lab.cache.blocks]).toEqual([2 * SLAB_BYTES, 16])
    expect(await lab.read('a', 0, bytes.length)).toEqual(bytes)
  })

  it('has nothing of another place, or with blocks of another size', async () => {
    for (const change of [
      { place: 'sim://other' },
      { limits: { blockBytes: 2048 } },
      { limits: { chunkBytes: 512 } },
    ]) {
      const { lab, bytes } = await warmLab()
      await lab.restart('close', change)
      expect(await lab.read('a', 0, bytes.length)).toEqual(bytes)
      expect(lab.count('cacheFetches')).toBeGreaterThan(0)
    }
  })

  it('removes files that are none of its own, and leaves those alone that are named otherwise', async () => {
    const { lab, bytes } = await warmLab()
    lab.disk.poke(`${CACHE_DIRECTORY}/000002.slab`, Buffer.from('what a crash left'))
    lab.disk.poke(`${CACHE_DIRECTORY}/000003.slab`, slabIn(lab).subarray(0, -1))
    lab.disk.poke(`${CACHE_DIRECTORY}/000004.slab`, Buffer.alloc(SLAB_BYTES))
    lab.disk.poke(`${CACHE_DIRECTORY}/README`, Buffer.from('mine'))
    await lab.restart()
    expect(await lab.read('a', 0, bytes.length)).toEqual(bytes)
    expect(lab.count('cacheFetches')).toBe(0)
    expect(lab.disk.paths).toEqual([FIRST_SLAB, `${CACHE_DIRECTORY}/README`])
  })

  it('fetches what was in a file that is gone', async () => {
    const { lab, bytes } = await warmLab()
    await lab.clock.run(lab.disk.remove(FIRST_SLAB))
    await lab.restart('kill')
    expect(await lab.read('a', 0, bytes.length)).toEqual(bytes)
    expect(lab.count('cacheFetchedBytes')).toBe(bytes.length)
  })

  it('of two slots with the same block takes the later one', async () => {
    const { lab, bytes } = await warmLab(1)
    const slab = slabIn(lab)
    // Slot 1 as if the block had been written there before: what its entry says of its bytes is true.
    const entry = Buffer.from(slab.subarray(4096, 4096 + 1024))
    await lab.read('a', 0, 10)
    slab.set(entry, 4096)
    lab.disk.poke(FIRST_SLAB, slab)
    await lab.restart('kill')
    expect(await lab.read('a', 0, bytes.length)).toEqual(bytes)
    expect(lab.cache.blocks).toBe(1)
  })

  it('works without its directory if that cannot be used', async () => {
    const lab = new RangeCacheLab()
    await lab.settle()
    lab.disk.onCall = call => (call.kind === 'list' ? 'EIO' : null)
    await lab.restart()
    const bytes = lab.object('a', 6 * BLOCK)
    for (let at = 0; at < bytes.length; at += 100) {
      expect(await lab.read('a', at, 10)).toEqual(bytes.subarray(at, at + 10))
    }
    expect(lab.log).toEqual([expect.stringMatching(/^error the cache in .* cannot be used/)])
    expect(lab.count('cacheFetches')).toBeLessThanOrEqual(6)
  })
})

describe('a block that is damaged on the disk', () => {
  it('is fetched again, whichever byte it is, and nobody notices', async () => {
    for (let at = 0; at < SLAB_BYTES; at += 251) {
      const { lab, bytes } = await warmLab()
      const slab = slabIn(lab)
      slab[at]! ^= 4
      lab.disk.poke(FIRST_SLAB, slab)
      await lab.restart('kill')
      for (let twice = 0; twice < 2; twice++) {
        expect(await lab.read('a', 0, bytes.length)).toEqual(bytes)
        await lab.settle()
      }
      const isInBlock = at >= SLOTS_AT && at < SLOTS_AT + bytes.length
      expect(lab.count('cacheDamagedBlocks')).toBe(isInBlock ? 1 : 0)
    }
  })

  it('is fetched again if the disk gives an error, or less', async () => {
    const { lab, bytes } = await warmLab()
    lab.disk.onCall = call => (call.kind === 'read' && call.path === FIRST_SLAB ? 'EIO' : null)
    expect(await lab.read('a', 0, bytes.length)).toEqual(bytes)
    expect(lab.count('cacheDamagedBlocks')).toBe(6)
    lab.disk.onCall = () => null
    await lab.settle()
    const cut = await lab.clock.run(lab.disk.open(FIRST_SLAB, 'write'))
    await lab.clock.run(cut.truncate(SLOTS_AT + 2000))
    expect(await lab.read('a', 0, bytes.length)).toEqual(bytes)
    expect(lab.log).toEqual([expect.stringMatching(/^warn a block .* is damaged/)])
  })

  it('is not used for a part of it that is damaged, but for another part', async () => {
    const { lab, bytes } = await warmLab()
    const slab = slabIn(lab)
    slab[slab.indexOf(bytes.subarray(600, 700))]! ^= 1
    lab.disk.poke(FIRST_SLAB, slab)
    await lab.restart('kill')
    expect(await lab.read('a', 100, 400)).toEqual(bytes.subarray(100, 500))
    expect(lab.count('cacheFetches')).toBe(0)
    expect(await lab.read('a', 500, 100)).toEqual(bytes.subarray(500, 600))
    expect(lab.count('cacheFetches')).toBe(1)
  })
})

describe('the limit', () => {
  it('is never passed, whatever is read', async () => {
    for (const limitBytes of [0, 5000, 15_000, SLAB_BYTES, SLAB_BYTES + 9000, 3 * SLAB_BYTES + 7000]) {
      const lab = new RangeCacheLab({ limitBytes })
      let mostBytes = 0
      lab.disk.onCall = () => {
        mostBytes = Math.max(mostBytes, lab.fileBytes)
        return null
      }
      for (let i = 0; i < 12; i++) {
        const bytes = lab.object(`object-${i}`, 5 * BLOCK + 7)
        expect(await lab.read(`object-${i}`, 0, bytes.length)).toEqual(bytes)
      }
      await lab.settle()
      mostBytes = Math.max(mostBytes, lab.fileBytes)
      expect(mostBytes).toBeLessThanOrEqual(limitBytes)
      expect(lab.cache.diskBytes).toBe(lab.fileBytes)
      if (limitBytes > 15_000) expect(mostBytes).toBeGreaterThan(limitBytes - SLAB_BYTES)
    }
  })

  it('makes room at the cost of what one reader went through, not of what several use', async () => {
    const lab = new RangeCacheLab()
    const shared = lab.object('shared', 8 * BLOCK - 1)
    for (let reader = 0; reader < 2; reader++) {
      await lab.read('shared', 0, shared.length)
      await lab.clock.runFor(2000)
    }
    lab.object('long', 400 * BLOCK)
    for (let block = 0; block < 400; block++) {
      await lab.read('long', block * BLOCK, BLOCK)
      await lab.clock.runFor(5)
    }
    const before = lab.count('cacheMisses')
    await lab.read('shared', 0, shared.length)
    expect(lab.count('cacheMisses')).toBe(before)
    expect(lab.count('cacheEvictions')).toBeGreaterThan(300)
  })

  it('of nothing at all still joins readers, and keeps the last blocks in memory', async () => {
    const lab = new RangeCacheLab({ limitBytes: 0 })
    const bytes = lab.object('a', 30 * BLOCK)
    for (let at = 0; at < bytes.length; at += 100) {
      expect(await lab.read('a', at, 10)).toEqual(bytes.subarray(at, at + 10))
    }
    expect(lab.count('cacheFetches')).toBe(30)
    expect(lab.cache.memoryBytes).toBeLessThanOrEqual(64 * BLOCK)
    for (let i = 0; i < 200; i++) {
      lab.object(`b-${i}`, BLOCK)
      await lab.read(`b-${i}`, 0, 10)
    }
    expect(lab.cache.memoryBytes).toBeLessThanOrEqual(64 * BLOCK)
    expect(await lab.read('a', 0, 10)).toEqual(bytes.subarray(0, 10))
  })
})

describe('a disk that is full', () => {
  it('costs what it would have kept: readers are served, it is said once, and it is used when there is room', async () => {
    const lab = new RangeCacheLab()
    lab.disk.capacityBytes = SLAB_BYTES + 5000
    const bytes = lab.object('a', 200 * BLOCK)
    const readAll = async () => {
      for (let at = 0; at < bytes.length; at += 4 * BLOCK) {
        expect(await lab.read('a', at, 4 * BLOCK)).toEqual(bytes.subarray(at, at + 4 * BLOCK))
        await lab.clock.runFor(700)
      }
    }
    await readAll()
    expect(lab.count('cacheFetchedBytes')).toBe(200 * BLOCK)
    expect(lab.count('cacheWriteFailures')).toBeGreaterThan(3)
    expect(lab.log).toEqual([expect.stringMatching(/^warn enlarging the cache .* fails: .* free/)])
    // What there is of the cache goes on.
    expect(lab.cache.blocks).toBe(8)
    lab.disk.capacityBytes = 2 ** 40
    await readAll()
    expect(lab.cache.blocks).toBe(32)
    expect(lab.log.slice(1)).toEqual([expect.stringMatching(/^info enlarging the cache .* works again/)])
  })

  it('leaves room for others', async () => {
    const lab = new RangeCacheLab()
    lab.disk.capacityBytes = 2 * SLAB_BYTES
    const bytes = lab.object('a', 20 * BLOCK)
    await lab.read('a', 0, bytes.length)
    await lab.settle()
    expect(lab.fileBytes).toBe(SLAB_BYTES)
  })

  it('or fails in any other way while a file is made leaves nothing behind', async () => {
    const kinds = ['create', 'write', 'sync', 'open', 'sync-directory'] as const
    for (const kind of kinds) {
      const lab = new RangeCacheLab()
      await lab.settle()
      lab.disk.onCall = call => (call.kind === kind ? 'EIO' : null)
      const bytes = lab.object('a', 2 * BLOCK)
      expect(await lab.read('a', 0, bytes.length)).toEqual(bytes)
      await lab.settle()
      expect([kind, lab.fileBytes, lab.count('cacheWriteFailures')]).toEqual([kind, 0, 1])
      expect(lab.disk.openPaths).toEqual([])
      lab.disk.onCall = () => null
      await lab.clock.runFor(6000)
      lab.object('b', BLOCK)
      await lab.read('b', 0, 10)
      await lab.settle()
      expect([kind, lab.cache.blocks]).toEqual([kind, 1])
    }
  })
})

describe('a disk that does not take a block', () => {
  const failsWrites = (call: DiskCall): Fault | null => (call.kind === 'write' ? 'ENOSPC' : null)

  it('is not tried for a while, and blocks stay in memory meanwhile, as long as there is room', async () => {
    const { lab } = await warmLab()
    await lab.settle()
    lab.disk.onCall = failsWrites
    const bytes = lab.object('b', 40 * BLOCK)
    for (let at = 0; at < bytes.length; at += 100) {
      expect(await lab.read('b', at, 50)).toEqual(bytes.subarray(at, at + 50))
    }
    await lab.settle()
    expect(lab.count('cacheWriteFailures')).toBe(1)
    expect(lab.count('cacheFetchedBytes')).toBe(40 * BLOCK)
    expect(lab.cache.memoryBytes).toBeLessThanOrEqual(64 * BLOCK)
    expect(lab.log).toEqual([expect.stringMatching(/^warn writing to the cache .* fails: ENOSPC/)])
    lab.disk.onCall = () => null
    await lab.clock.runFor(6000)
    lab.object('c', 4 * BLOCK)
    await lab.read('c', 0, 4 * BLOCK)
    await lab.settle()
    expect(lab.log.slice(1)).toEqual([expect.stringMatching(/^info writing to the cache .* works again/)])
    expect(lab.cache.blocks).toBe(10)
  })

  it('once, has the block that was there before, or none, when it is found again', async () => {
    for (let seed = 0; seed < 30; seed++) {
      const lab = new RangeCacheLab({ limitBytes: SLAB_BYTES, seed })
      const prng = new Prng(seed)
      for (let i = 0; i < 8; i++) {
        const bytes = lab.object(`object-${i}`, 3 * BLOCK)
        lab.disk.onCall = call => (call.kind === 'write' && prng.chance(0.3) ? 'EIO' : null)
        expect(await lab.read(`object-${i}`, 0, bytes.length)).toEqual(bytes)
        await lab.clock.runFor(prng.between(0, 8000))
      }
      lab.disk.onCall = () => null
      await lab.restart('kill')
      for (let i = 0; i < 8; i++) {
        expect(await lab.read(`object-${i}`, 0, 3 * BLOCK)).toEqual(lab.bucket.peek(`object-${i}`))
      }
    }
  })
})

describe('an object that is written through', () => {
  it('is read without the store', async () => {
    const lab = new RangeCacheLab()
    const bytes = lab.object('a', 9 * BLOCK + 5)
    const pieces = [bytes.subarray(0, 100), bytes.subarray(100, 100), bytes.subarray(100, 5000), bytes.subarray(5000)]
    await lab.clock.run(lab.cache.keep('a', pieces))
    expect(lab.cache.blocks).toBe(10)
    expect(await lab.read('a', 0, bytes.length)).toEqual(bytes)
    expect(await lab.read('a', 700, 8000)).toEqual(bytes.subarray(700, 8700))
    await lab.settle()
    expect(lab.asked).toEqual([])
  })

  it('is left to the store if it is large beside the cache, is forgotten meanwhile, or the disk fails', async () => {
    const lab = new RangeCacheLab({ limitBytes: SLAB_BYTES })
    await lab.clock.run(lab.cache.keep('large', [Buffer.alloc(5 * BLOCK)]))
    expect(lab.cache.blocks).toBe(0)
    const keeping = lab.cache.keep('gone', [Buffer.alloc(4 * BLOCK)])
    await lab.clock.runFor(1)
    await lab.clock.run(lab.cache.forget('gone'))
    await lab.clock.run(keeping)
    expect(lab.cache.blocks).toBe(0)
    lab.disk.onCall = () => 'EIO'
    await lab.clock.run(lab.cache.keep('b', [Buffer.alloc(4 * BLOCK)]))
    expect(lab.cache.blocks).toBe(0)
  })

  it('keeps nobody waiting for a slow disk, and nothing of it is wrong', async () => {
    const lab = new RangeCacheLab({ diskMs: 300 })
    await lab.clock.runFor(10_000)
    const bytes = lab.object('a', 15 * BLOCK)
    const piece = Buffer.from(bytes)
    const beganMs = lab.clock.monotonicMs()
    await lab.clock.run(lab.cache.keep('a', [piece]))
    piece.fill(0xee)
    expect(lab.clock.monotonicMs() - beganMs).toBeCloseTo(2000, -1)
    await lab.clock.runFor(10_000)
    expect(lab.cache.blocks).toBeGreaterThan(0)
    expect(lab.cache.blocks).toBeLessThan(15)
    expect(await lab.read('a', 0, bytes.length)).toEqual(bytes)
  })

  it('is not waited for while the disk still writes the one before', async () => {
    const lab = new RangeCacheLab({ diskMs: 30_000 })
    const spentMs = async (key: string) => {
      const beganMs = lab.clock.monotonicMs()
      await lab.clock.run(lab.cache.keep(key, [lab.object(key, BLOCK)]))
      return lab.clock.monotonicMs() - beganMs
    }
    expect(await spentMs('a')).toBeCloseTo(2000, -1)
    expect(await spentMs('b')).toBe(0)
    await lab.clock.runFor(600_000)
    expect(await spentMs('c')).toBeCloseTo(2000, -1)
  })

  it('gets along with readers of the same object', async () => {
    const lab = new RangeCacheLab()
    const bytes = lab.object('a', 10 * BLOCK)
    const keeping = lab.cache.keep('a', [bytes])
    const readers = [0, 3000, 6000].map(at => lab.cache.getRange('a', at, 4000, PATIENT))
    const found = await lab.clock.run(Promise.all(readers))
    expect(found).toEqual([0, 3000, 6000].map(at => bytes.subarray(at, at + 4000)))
    await lab.clock.run(keeping)
    await lab.settle()
    expect([lab.cache.blocks, lab.cache.usedBytes, lab.cache.memoryBytes]).toEqual([10, bytes.length, 0])
  })
})

describe('an object that is forgotten', () => {
  it('is gone from memory and from the disk', async () => {
    const { lab } = await warmLab()
    await lab.clock.run(lab.cache.forget('a'))
    expect(lab.cache).toMatchObject({ blocks: 0, usedBytes: 0 })
    for (let again = 0; again < 2; again++) {
      lab.bucket.remove('a')
      await expect(lab.read('a', 0, 10)).rejects.toMatchObject({ code: 'OBJECT_MISSING' })
      await lab.restart('kill')
    }
  })

  it('before the directory was read is gone as well', async () => {
    const { lab } = await warmLab()
    await lab.restart('kill')
    await lab.clock.run(lab.cache.forget('a'))
    expect(lab.cache.blocks).toBe(0)
  })

  it('does not come back with what was on its way', async () => {
    const lab = new RangeCacheLab()
    const bytes = lab.object('a', 4 * BLOCK)
    const reader = lab.cache.getRange('a', 0, 4 * BLOCK, PATIENT)
    await lab.clock.runFor(1)
    await lab.clock.run(lab.cache.forget('a'))
    expect(await lab.clock.run(reader)).toEqual(bytes)
    await lab.settle()
    expect([lab.cache.blocks, lab.cache.memoryBytes]).toEqual([0, 0])
    const other = Buffer.alloc(4 * BLOCK, 1)
    lab.bucket.poke('a', other)
    expect(await lab.read('a', 0, 4 * BLOCK)).toEqual(other)
  })

  it('gives its place to others, also while somebody reads it', async () => {
    const { lab, bytes } = await warmLab()
    const reader = lab.cache.getRange('a', 0, bytes.length, PATIENT)
    await lab.clock.runFor(0.05)
    const forgetting = lab.cache.forget('a')
    const other = lab.object('b', 8 * BLOCK)
    const [found] = await lab.clock.run(
      Promise.all([reader, forgetting, lab.cache.getRange('b', 0, other.length, PATIENT)]),
    )
    expect(found).toEqual(bytes)
    await lab.settle()
    expect(await lab.read('b', 0, other.length)).toEqual(other)
    expect([lab.cache.blocks, lab.fileBytes]).toEqual([8, SLAB_BYTES])
  })
})
