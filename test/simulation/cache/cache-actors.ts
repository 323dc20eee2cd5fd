import { ChronikError } from '#base/errors.ts'
import type { RangeBytes } from '#object-store/range-source.ts'
import { CACHE_DIRECTORY } from '#test/support/range-cache-lab.ts'
import type { CacheWorld } from './cache-world.ts'

// Who uses a cache, through one life of it: readers, who writes objects and forgets them, and who damages files.

const RUIN_BYTES = 600
const PATIENCE_MS = 600_000

interface Read {
  readonly key: string
  readonly from: number
  readonly length: number
}

export class Actors {
  readonly #world: CacheWorld
  #isOver = false
  #running = 0

  constructor(world: CacheWorld) {
    this.#world = world
    for (let reader = 0; reader < world.plan.readers; reader++) this.#repeat(() => this.#read())
    this.#repeat(() => this.#change())
    if (world.life.damageEvery > 0) this.#repeat(() => this.#damage())
  }

  /** Nobody begins anything any more. */
  stop(): void {
    this.#isOver = true
  }

  get isIdle(): boolean {
    return this.#running === 0
  }

  #repeat(act: () => Promise<void>): void {
    this.#running++
    const run = async (): Promise<void> => {
      while (!this.#isOver) await act()
    }
    run()
      .catch((thrown: unknown) => {
        this.#world.violation ??= thrown
      })
      .finally(() => this.#running--)
  }

  async #sleep(mostMs: number): Promise<void> {
    const { clock, prng } = this.#world
    await new Promise<void>(resolve => clock.after(prng.fraction() * mostMs, resolve))
  }

  /** Some of an object: from somewhere on, piece by piece, or here and there. */
  async #read(): Promise<void> {
    const { prng, plan } = this.#world
    await this.#sleep(plan.slowestMs * 2)
    const object = this.#world.objects.pick(prng)
    if (object === null) return
    const { key, bytes } = object
    const { blockBytes, memoryBytes } = plan.limits
    const isInOrder = prng.chance(0.6)
    const pieceBytes = prng.between(1, Math.min(memoryBytes, prng.pick([300, blockBytes, 5 * blockBytes])))
    let from = prng.chance(0.5) ? 0 : prng.between(0, bytes.length - 1)
    for (let pieces = prng.between(1, 30); pieces > 0 && from < bytes.length && !this.#isOver; pieces--) {
      const gotBytes = await this.#readPiece({ key, from, length: Math.min(pieceBytes, bytes.length - from) })
      if (gotBytes === 0) return
      from = isInOrder ? from + gotBytes : prng.between(0, bytes.length - 1)
      if (prng.chance(0.3)) await this.#sleep(plan.slowestMs)
    }
  }

  /** Returns how many bytes it got. */
  async #readPiece(read: Read): Promise<number> {
    const { cache, clock, prng, counts, plan } = this.#world
    const stop = new AbortController()
    const beganMs = clock.monotonicMs()
    let stoppedMs = Number.POSITIVE_INFINITY
    if (prng.chance(0.15)) {
      clock.after(prng.fraction() * plan.slowestMs, () => {
        stoppedMs = clock.monotonicMs()
        stop.abort(stop)
      })
    }
    counts.reads++
    let found: RangeBytes
    try {
      found = await cache.readRange(read.key, read.from, read.length, stop.signal).finally(() => {
        if (clock.monotonicMs() - beganMs > PATIENCE_MS) this.#world.violated(`${read.key}: no answer for long`)
      })
    } catch (thrown) {
      this.#failed(read, beganMs, { thrown, stoppedMs, signal: stop.signal })
      return 0
    }
    this.#world.note(`${read.key} ${read.from}+${read.length}: ${found.bytes.length}`)
    const matches = this.#check(read, beganMs, found)
    if (prng.chance(0.5)) return matches.length
    // Nobody else writes where somebody still looks.
    await this.#sleep(plan.slowestMs)
    if (!found.bytes.equals(matches)) this.#world.violated(`${read.key}: bytes change after they were given`)
    found.release()
    return matches.length
  }

  #check({ key, from, length }: Read, beganMs: number, { bytes }: RangeBytes): Buffer {
    const { clock, life, counts, objects } = this.#world
    const { versions, wasGone } = objects.between(key, beganMs, clock.monotonicMs())
    // Who reads while one object takes the place of another may get some of each.
    if (wasGone && versions.length > 1) return Buffer.from(bytes)
    const is = (to: number): boolean => versions.some(version => version.subarray(from, to).equals(bytes))
    if (is(from + length)) return Buffer.from(bytes)
    const mayBeShort = (life.storeFaults.truncated ?? 0) > 0
    if (mayBeShort && is(from + bytes.length)) counts.short++
    else this.#world.violated(`${key} from ${from}: wrong bytes, or ${bytes.length} of ${length}`)
    return Buffer.from(bytes)
  }

  #failed(
    { key }: Read,
    beganMs: number,
    { thrown, stoppedMs, signal }: { thrown: unknown; stoppedMs: number; signal: AbortSignal },
  ): void {
    const { clock, life, counts, objects } = this.#world
    const nowMs = clock.monotonicMs()
    if (thrown === signal.reason) {
      counts.aborts++
      if (nowMs !== stoppedMs) this.#world.violated(`who left at ${stoppedMs} was let go at ${nowMs}`)
      return
    }
    if (!(thrown instanceof ChronikError)) throw thrown
    if (signal.aborted) this.#world.violated(`who left heard of ${thrown.code}`)
    counts.failures++
    this.#world.note(`${key}: ${thrown.code}`)
    const { wasGone } = objects.between(key, beganMs, nowMs)
    const { unavailable = 0, hanging = 0 } = life.storeFaults
    if (thrown.code === 'OBJECT_MISSING' && wasGone) return
    if (thrown.code === 'STORE_UNAVAILABLE' && unavailable + hanging > 0) return
    this.#world.violation ??= thrown
  }

  async #change(): Promise<void> {
    const { prng, plan, objects } = this.#world
    await this.#sleep(plan.slowestMs * 5)
    if (objects.keys.length < plan.objects) await this.#make()
    else if (prng.chance(0.3)) await this.#remove()
  }

  async #make(): Promise<void> {
    const { prng, plan, objects, clock, bucket, cache, counts, life } = this.#world
    const key = plan.reusesKeys ? `key-${prng.between(0, 3)}` : `key-${objects.made}`
    if (objects.keys.includes(key) || objects.leaving.has(key)) return
    const sizeBytes = prng.between(1, plan.objectBlocks * plan.limits.blockBytes)
    const bytes = objects.make(key, life.place, sizeBytes, clock.monotonicMs())
    bucket.poke(key, bytes)
    if (prng.chance(0.5)) return
    const cut = prng.between(0, bytes.length)
    const pieces = [Buffer.from(bytes.subarray(0, cut)), Buffer.from(bytes.subarray(cut))]
    await cache.keep(key, pieces)
    for (const piece of pieces) piece.fill(0xee) // it is whose it was again
    counts.kept++
  }

  async #remove(): Promise<void> {
    const { prng, objects, clock, bucket, cache, counts } = this.#world
    const object = objects.pick(prng)
    if (object === null) return
    const { key } = object
    bucket.remove(key)
    objects.gone(key, clock.monotonicMs())
    this.#world.forgetting(key)
    objects.leaving.add(key)
    await cache.forget(key)
    objects.leaving.delete(key)
    this.#world.note(`${key} is forgotten`)
    counts.forgotten++
  }

  async #damage(): Promise<void> {
    const { prng, disk, life, plan } = this.#world
    await this.#sleep(plan.slowestMs * life.damageEvery * 2)
    const slabs = disk.paths.filter(path => path.startsWith(CACHE_DIRECTORY))
    if (slabs.length === 0) return
    this.#world.isDamaging = true
    const file = await disk.open(prng.pick(slabs), 'write').catch(() => null)
    if (file !== null) {
      const bytes = new Uint8Array(prng.between(1, RUIN_BYTES)).map(() => prng.u32())
      const sizeBytes = await file.sizeBytes().catch(() => 0)
      const at = prng.between(0, Math.max(0, sizeBytes - bytes.length))
      await file.write(bytes, 0, Math.min(bytes.length, sizeBytes), at).catch(() => {}) // then it is damaged in part
      await file.close()
    }
    this.#world.isDamaging = false
  }
}
