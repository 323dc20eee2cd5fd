import { describe, expect, it } from 'vitest'
import { type FetchLimits, FetchQueue } from '#object-store/fetch-queue.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { SimBucket } from '#test/support/sim/sim-object-store.ts'

const LIMITS: FetchLimits = { fetches: 3, fetchesAhead: 2, memoryBytes: 4000, memoryAheadBytes: 3000, fetchMs: 1000 }
const WANTED = { isWanted: () => true, abandoned() {} }

class Bench {
  readonly clock = new SimClock()
  readonly bucket = new SimBucket({ clock: this.clock })
  readonly began: number[] = []
  readonly queue: FetchQueue
  roomBytes = 0

  constructor(limits: Partial<FetchLimits> = {}) {
    this.bucket.poke('a', Buffer.alloc(10_000, 7))
    this.queue = new FetchQueue({
      clock: this.clock,
      store: this.bucket.connect(),
      limits: { ...LIMITS, ...limits },
      began: () => this.began.push(this.queue.memoryBytes),
      makeRoom: () => {
        if (this.roomBytes > 0) this.queue.done(this.roomBytes, false)
        this.roomBytes = 0
      },
    })
  }

  fetch(length: number, wanting = WANTED): Promise<number> {
    return this.queue.fetch({ key: 'a', from: 0, length }, wanting).then(bytes => bytes.length)
  }

  ahead(length: number): Promise<number> | null {
    return this.queue.fetchAhead({ key: 'a', from: 0, length })?.then(bytes => bytes.length) ?? null
  }
}

describe('requests to the store', () => {
  it('begin in their order when there is room in memory, and the first one is not passed over', async () => {
    const bench = new Bench()
    const first = bench.fetch(3000)
    const second = bench.fetch(2000)
    const third = bench.fetch(500)
    expect(bench.began).toEqual([3000])
    await bench.clock.run(first)
    expect(bench.began).toEqual([3000])
    bench.queue.done(3000, false)
    expect(await bench.clock.run(Promise.all([second, third]))).toEqual([2000, 500])
    expect(bench.began).toEqual([3000, 2000, 2500])
  })

  it('of which one is larger than the memory goes alone', async () => {
    const bench = new Bench()
    const small = bench.fetch(100)
    const large = bench.fetch(9000)
    await bench.clock.run(small)
    expect(bench.began).toEqual([100])
    bench.queue.done(100, false)
    expect(await bench.clock.run(large)).toBe(9000)
  })

  it('make room where that is possible, and try again after a while where it was not', async () => {
    const bench = new Bench()
    await bench.clock.run(bench.fetch(3000))
    const next = bench.fetch(2000)
    await bench.clock.runFor(100)
    expect(bench.began).toEqual([3000])
    bench.roomBytes = 3000
    expect(await bench.clock.run(next, 50)).toBe(2000)
  })

  it('for what nobody waits for yet do not begin while somebody waits', async () => {
    const bench = new Bench()
    bench.bucket.onCall = () => 'hanging'
    const waiting = Promise.allSettled([bench.fetch(3000), bench.fetch(2000)])
    expect(bench.ahead(500)).toBe(null)
    bench.bucket.onCall = () => null
    await bench.clock.run(waiting)
    expect(await bench.clock.run(bench.ahead(500)!)).toBe(500)
  })

  it('for what nobody waits for yet have less room, and fewer at once', async () => {
    const bench = new Bench()
    const [first, second] = [bench.ahead(1000), bench.ahead(1000)]
    expect(bench.ahead(100)).toBe(null)
    expect(await bench.clock.run(Promise.all([first, second]))).toEqual([1000, 1000])
    expect(bench.ahead(1500)).toBe(null)
    bench.queue.done(1000, true)
    expect(bench.ahead(1500)).not.toBe(null)
    expect(bench.queue.memoryBytes).toBe(2500)
  })

  it('that failed leave no bytes behind', async () => {
    const bench = new Bench()
    bench.bucket.onCall = () => 'unavailable'
    await expect(bench.clock.run(bench.fetch(100))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await expect(bench.clock.run(bench.ahead(100)!)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(bench.queue.memoryBytes).toBe(0)
  })

  it('that nobody wants any more when their turn comes do not begin', async () => {
    const bench = new Bench({ fetches: 1 })
    const first = bench.fetch(100)
    const state = { isWanted: true, isAbandoned: false }
    const abandoned = (): void => {
      state.isAbandoned = true
    }
    const gone = Promise.allSettled([bench.fetch(100, { isWanted: () => state.isWanted, abandoned })])
    state.isWanted = false
    expect(state.isAbandoned).toBe(false)
    await bench.clock.run(first)
    expect(state.isAbandoned).toBe(true)
    expect(await gone).toMatchObject([{ reason: { kind: 'closed' } }])
    expect(bench.began).toHaveLength(1)
  })

  it('all fail when it is closed', async () => {
    const bench = new Bench({ fetches: 1 })
    const all = Promise.allSettled([bench.fetch(100), bench.fetch(100)])
    bench.queue.close(new Error('closed'))
    for (const one of await bench.clock.run(all)) expect(one).toMatchObject({ reason: { message: 'closed' } })
  })
})
