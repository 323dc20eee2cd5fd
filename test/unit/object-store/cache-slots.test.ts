import { describe, expect, it } from 'vitest'
import { CacheSlots, type FirstUse, type SlotOwner } from '#object-store/cache-slots.ts'
import { Prng } from '#test/support/sim/prng.ts'

interface Owner extends SlotOwner {
  readonly name: string
}

const ownerOf = (name: string): Owner => ({ name, slots: new Map() })

class Bench {
  readonly evicted: string[] = []
  readonly slots = new CacheSlots<Owner>(2, ({ name }) => this.evicted.push(name))
  readonly owner = ownerOf('a')
  nowMs = 5000

  constructor(count: number) {
    this.slots.add(count)
    for (let slot = count - 1; slot >= 0; slot--) this.slots.free(slot)
  }

  put(block: number, { owner = this.owner, use = 'used' as FirstUse, sizeBytes = 10 } = {}): number {
    const slot = this.slots.take()
    const nowMs = this.nowMs
    if (slot >= 0)
      this.slots.fill(slot, owner, { block, sizeBytes, checksums: [block, 4_000_000_000 + block] }, { use, nowMs })
    return slot
  }

  use(block: number, isNew = true, afterMs = 1000): void {
    this.nowMs += afterMs
    this.slots.use(this.owner.slots.get(block)!, isNew, this.nowMs)
  }

  get blocks(): number[] {
    return [...this.owner.slots.keys()].sort((one, other) => one - other)
  }
}

describe('the slots of a cache', () => {
  it('are taken in their order, and say what is in them', () => {
    const bench = new Bench(3)
    expect([bench.put(7), bench.put(8, { sizeBytes: 4 })]).toEqual([0, 1])
    expect(bench.slots).toMatchObject({ blocks: 2, usedBytes: 14, freeCount: 1, count: 3 })
    expect([bench.slots.sizeBytes(1), bench.slots.checksum(1, 0)]).toEqual([4, 8])
    expect(bench.slots.checksum(1, 1)).toBe(4_000_000_008)
  })

  it('are given to what is new, and what was unused for longest goes', () => {
    const bench = new Bench(3)
    for (const block of [1, 2, 3]) bench.put(block)
    bench.use(1, false)
    bench.put(4)
    expect(bench.blocks).toEqual([1, 3, 4])
    expect(bench.evicted).toEqual(['a'])
    expect(bench.slots).toMatchObject({ blocks: 3, usedBytes: 30 })
  })

  it('keep what several readers use while one goes through everything', () => {
    const bench = new Bench(10)
    for (const block of [1, 2, 3]) bench.put(block)
    for (const block of [1, 2, 3]) bench.use(block)
    for (let block = 100; block < 200; block++) {
      bench.put(block)
      bench.use(block, false)
    }
    expect(bench.blocks).toEqual([1, 2, 3, 193, 194, 195, 196, 197, 198, 199])
  })

  it('do not take the first use of what was fetched ahead or written through for a second one', () => {
    for (const use of ['ahead', 'unused'] as const) {
      const bench = new Bench(3)
      bench.put(1, { use })
      bench.use(1)
      for (const block of [2, 3, 4]) bench.put(block)
      expect(bench.blocks).toEqual([2, 3, 4])
    }
  })

  it('take readers that come together for one', () => {
    const bench = new Bench(3)
    bench.put(1)
    for (let reader = 0; reader < 3; reader++) bench.use(1, true, 333)
    for (const block of [2, 3, 4]) bench.put(block)
    expect(bench.blocks).toEqual([2, 3, 4])
    bench.use(2, true, 999)
    bench.use(2, true, 1)
    for (const block of [5, 6, 7]) bench.put(block)
    expect(bench.blocks).toEqual([2, 6, 7])
  })

  it('leave room for what is new however much is used again', () => {
    const bench = new Bench(10)
    for (let block = 0; block < 10; block++) bench.put(block)
    for (let block = 0; block < 10; block++) bench.use(block)
    bench.put(10)
    bench.use(10)
    bench.put(11)
    // 0 and 1 were the first to be used again, and the first to lose that.
    expect(bench.blocks).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
  })

  it('are not taken while somebody reads them', () => {
    const bench = new Bench(2)
    bench.put(1)
    bench.put(2)
    bench.slots.pin(0)
    expect(bench.put(3)).toBe(1)
    bench.slots.pin(1)
    expect(bench.put(4)).toBe(-1)
    bench.slots.unpin(0)
    expect(bench.put(4)).toBe(0)
  })

  it('that are freed while somebody reads them are free when the last one has read', () => {
    const bench = new Bench(1)
    bench.put(1)
    bench.slots.pin(0)
    bench.slots.pin(0)
    bench.slots.remove(0)
    expect(bench.owner.slots.size).toBe(0)
    bench.slots.free(0)
    bench.slots.unpin(0)
    expect([bench.slots.freeCount, bench.slots.checksum(0, 0)]).toEqual([0, 1])
    bench.slots.unpin(0)
    expect(bench.slots.freeCount).toBe(1)
  })

  it('count what was fetched ahead until somebody asks for it, or it goes', () => {
    const bench = new Bench(3)
    for (const block of [1, 2, 3]) bench.put(block, { use: 'ahead' })
    expect(bench.slots.unreadAhead).toBe(3)
    bench.use(3)
    expect(bench.slots.unreadAhead).toBe(2)
    bench.put(4)
    expect(bench.slots.unreadAhead).toBe(1)
    bench.slots.remove(bench.owner.slots.get(2)!)
    expect(bench.slots.unreadAhead).toBe(0)
  })

  it('agree with a plain list whatever is done', () => {
    for (let seed = 0; seed < 50; seed++) compareWithList(new Prng(seed))
  })
})

/** The same by arrays: newest last. */
class PlainSlots {
  readonly probation: number[] = []
  readonly kept: number[] = []
  readonly fresh = new Set<number>()

  has(block: number): boolean {
    return this.probation.includes(block) || this.kept.includes(block)
  }

  leave(block: number): void {
    for (const queue of [this.probation, this.kept]) {
      const at = queue.indexOf(block)
      if (at >= 0) queue.splice(at, 1)
    }
  }

  evict(count: number): void {
    while (this.kept.length > count * 0.8) this.probation.push(this.kept.shift()!)
    this.leave([...this.probation, ...this.kept][0]!)
  }

  use(block: number, isNew: boolean): void {
    const queue = this.kept.includes(block) || (isNew && !this.fresh.has(block)) ? this.kept : this.probation
    this.leave(block)
    queue.push(block)
    this.fresh.delete(block)
  }
}

function compareWithList(prng: Prng): void {
  const count = prng.between(1, 20)
  const bench = new Bench(count)
  const plain = new PlainSlots()
  for (let step = 0; step < 300; step++) {
    const block = prng.between(0, 30)
    if (!plain.has(block)) {
      const use = prng.pick(['used', 'unused', 'ahead'] as const)
      if (plain.probation.length + plain.kept.length === count) plain.evict(count)
      bench.put(block, { use })
      plain.probation.push(block)
      if (use === 'used') plain.fresh.delete(block)
      else plain.fresh.add(block)
    } else if (prng.chance(0.1)) {
      const slot = bench.owner.slots.get(block)!
      bench.slots.remove(slot)
      bench.slots.free(slot)
      plain.leave(block)
    } else {
      const isNew = prng.chance(0.5)
      bench.use(block, isNew)
      plain.use(block, isNew)
    }
    expect(bench.blocks).toEqual([...plain.probation, ...plain.kept].sort((one, other) => one - other))
    expect(bench.slots.usedBytes).toBe(bench.blocks.length * 10)
  }
}
