import { BufferPool } from '#bytes/buffer-pool.ts'
import type { ObjectStore } from '#object-store/object-store.ts'
import { openRangeCache, type RangeCache } from '#object-store/range-cache.ts'
import { createCacheMetrics } from '#observe/cache-metrics.ts'
import { Violation } from '#test/simulation/history.ts'
import type { Trace } from '#test/simulation/trace.ts'
import { CACHE_DIRECTORY } from '#test/support/range-cache-lab.ts'
import type { Prng } from '#test/support/sim/prng.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { type DiskCall, type Fault, SimDisk } from '#test/support/sim/sim-disk.ts'
import { SimBucket } from '#test/support/sim/sim-object-store.ts'
import type { CacheLife, CachePlan } from './cache-plan.ts'
import { CachedObjects } from './cached-objects.ts'

// A machine with a cache, and the promises that must hold at any moment.

export class CacheWorld {
  readonly plan: CachePlan
  readonly trace: Trace
  readonly prng: Prng
  readonly clock: SimClock
  readonly buffers = new BufferPool(2 ** 18)
  /** By the place of the store. */
  readonly #places = new Map<string, { bucket: SimBucket; objects: CachedObjects }>()
  disk: SimDisk
  life: CacheLife
  metrics = createCacheMetrics()
  cache: RangeCache
  violation: unknown = null
  readonly counts = {
    lives: 0,
    reads: 0,
    hits: 0,
    aborts: 0,
    failures: 0,
    short: 0,
    kept: 0,
    forgotten: 0,
    evictions: 0,
    damagedBlocks: 0,
    dropped: 0,
    writeFailures: 0,
  }
  #calls = 0
  #isLoaded = false
  /** Somebody has a file open that may have been removed. */
  isDamaging = false
  /** No block comes back that was forgotten, so far. */
  isClean = true
  /** Blocks that are asked of the store and not answered, by key. */
  #asked = new Map<string, Set<number>>()
  readonly #forgotten = new Set<string>()
  #requests = 0

  constructor(plan: CachePlan, prng: Prng, trace: Trace) {
    this.plan = plan
    this.prng = prng
    this.trace = trace
    this.life = plan.lives[0]!
    this.clock = new SimClock({ prng: prng.fork() })
    const latencyMs = (_: DiskCall, chance: Prng) => chance.fraction() * Math.min(2, plan.slowestMs)
    this.disk = new SimDisk({ prng: prng.fork(), clock: this.clock, latencyMs })
    this.cache = this.begin(this.life)
  }

  get bucket(): SimBucket {
    return this.#place.bucket
  }

  get objects(): CachedObjects {
    return this.#place.objects
  }

  get #place(): { bucket: SimBucket; objects: CachedObjects } {
    const known = this.#places.get(this.life.place)
    if (known !== undefined) return known
    const { slowestMs } = this.plan
    const latencyMs = (_: unknown, chance: Prng) => chance.fraction() * slowestMs
    const bucket = new SimBucket({ prng: this.prng.fork(), clock: this.clock, latencyMs })
    const place = { bucket, objects: new CachedObjects() }
    this.#places.set(this.life.place, place)
    return place
  }

  begin(life: CacheLife): RangeCache {
    this.life = life
    this.#calls = 0
    this.#isLoaded = false
    this.#asked = new Map()
    this.#requests = 0
    Object.assign(this.bucket.faults, { unavailable: 0, hanging: 0, truncated: 0, ...life.storeFaults })
    this.disk.capacityBytes = life.capacityBytes
    this.disk.onCall = call => this.#faultOf(call)
    this.counts.lives++
    this.metrics = createCacheMetrics()
    const { limitBytes, limits } = this.plan
    this.cache = openRangeCache({
      disk: this.disk,
      clock: this.clock,
      store: this.#store(),
      directory: CACHE_DIRECTORY,
      limitBytes,
      limits,
      buffers: this.buffers,
      metrics: this.metrics,
      report: (level, message) => this.note(`${level}: ${message}`),
    })
    return this.cache
  }

  /** Resolves when the cache has found what was there. */
  async loaded(): Promise<void> {
    await this.cache.forget('nothing')
    this.#isLoaded = true
  }

  ended(): void {
    const { cacheHits, cacheDroppedBlocks, cacheEvictions, cacheDamagedBlocks, cacheWriteFailures } = this.metrics
    this.counts.hits += cacheHits.value
    this.counts.dropped += cacheDroppedBlocks.value
    this.counts.evictions += cacheEvictions.value
    this.counts.damagedBlocks += cacheDamagedBlocks.value
    this.counts.writeFailures += cacheWriteFailures.value
  }

  note(line: string): void {
    this.trace.note(`${this.clock.monotonicMs().toFixed(3)} ${line}`)
  }

  violated(what: string): void {
    this.violation ??= new Violation(what)
  }

  /** Who begins to read it before all of it is forgotten, and who does behind that, do not know of each other. */
  forgetting(key: string): void {
    this.#forgotten.add(key)
  }

  #faultOf(call: DiskCall): Fault | null {
    this.#check()
    const { diesAtCall, diskErrors } = this.life
    if (++this.#calls >= diesAtCall) return 'die'
    // What cannot be listed or removed is not used at all: that is another story.
    if (call.kind === 'close' || call.kind === 'list' || call.kind === 'remove' || call.kind === 'make-directory')
      return null
    return this.prng.chance(diskErrors) ? this.prng.pick(['EIO', 'ENOSPC']) : null
  }

  #check(): void {
    const { limitBytes, limits } = this.plan
    const mostBytes = Math.max(limits.memoryBytes, limits.fetchBlocks * limits.blockBytes)
    if (this.cache?.memoryBytes > mostBytes) this.violated(`${this.cache.memoryBytes} bytes are in memory`)
    if (!this.#isLoaded || this.isDamaging) return
    const { disk } = this
    void disk.space().then(({ totalBytes, freeBytes }) => {
      if (totalBytes - freeBytes > limitBytes) this.violated(`${totalBytes - freeBytes} bytes are on the disk`)
    })
  }

  /** The store, as it may be used: not for more at once than allowed, and never twice for the same. */
  #store(): ObjectStore {
    const store = this.bucket.connect()
    const ask = store.getRange.bind(store)
    const getRange: ObjectStore['getRange'] = (key, from, length, signal) => {
      const answered = this.#isAsked(key, from, length)
      signal.addEventListener('abort', answered, { once: true })
      return ask(key, from, length, signal).finally(answered)
    }
    return Object.assign(store, { getRange, place: this.life.place })
  }

  /** Returns what to call when the answer is there. */
  #isAsked(key: string, from: number, length: number): () => void {
    const { fetches, blockBytes } = this.plan.limits
    const asked = this.#asked.get(key) ?? new Set()
    this.#asked.set(key, asked)
    if (++this.#requests > fetches) this.violated(`${this.#requests} requests at once`)
    const end = (from + length) / blockBytes
    for (let block = from / blockBytes; block < end; block++) {
      if (asked.has(block) && !this.#forgotten.has(key))
        this.violated(`block ${block} of ${key} is asked for twice at once`)
      asked.add(block)
    }
    let isAnswered = false
    return () => {
      if (isAnswered) return
      isAnswered = true
      this.#requests--
      for (let block = from / blockBytes; block < end; block++) asked.delete(block)
    }
  }
}
