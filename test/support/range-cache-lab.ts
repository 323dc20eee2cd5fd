import { crc32c } from '@node-rs/crc32'
import { BufferPool } from '#bytes/buffer-pool.ts'
import type { ObjectStore } from '#object-store/object-store.ts'
import { type CacheLimits, openRangeCache, type RangeCache } from '#object-store/range-cache.ts'
import { type CacheMetrics, createCacheMetrics } from '#observe/cache-metrics.ts'
import { Prng } from './sim/prng.ts'
import { SimClock } from './sim/sim-clock.ts'
import { SimDisk } from './sim/sim-disk.ts'
import { SimBucket } from './sim/sim-object-store.ts'

// A cache on simulated time, disk and store, with blocks of 1 KiB.

export const CACHE_DIRECTORY = '/data/cache'

export const SMALL_LIMITS: CacheLimits = {
  blockBytes: 1024,
  chunkBytes: 256,
  slabSlots: 8,
  fetchBlocks: 4,
  windowBlocks: 16,
  fetches: 8,
  fetchesAhead: 4,
  memoryBytes: 64 * 1024,
  memoryAheadBytes: 32 * 1024,
  fetchMs: 60_000,
  writeMs: 100,
  retryMs: 5000,
  keepMs: 2000,
}

/** Files of 8 blocks have so many bytes. */
export const SLAB_BYTES = 12_288 + 8 * 1024

interface Shape {
  readonly limitBytes: number
  readonly limits: Partial<CacheLimits>
  /** Of the store. */
  readonly place: string
}

export class RangeCacheLab {
  readonly clock: SimClock
  readonly bucket: SimBucket
  readonly buffers = new BufferPool(2 ** 20)
  readonly log: string[] = []
  /** Of what objects the store was asked for ranges. */
  readonly asked: string[] = []
  disk: SimDisk
  metrics = createCacheMetrics()
  cache: RangeCache
  #shape: Shape

  /** `diskMs`: what a call takes. */
  constructor({ seed = 1, diskMs = 0.1, ...shape }: Partial<Shape> & { seed?: number; diskMs?: number } = {}) {
    const prng = new Prng(seed)
    this.#shape = { limitBytes: 4 * SLAB_BYTES, limits: {}, place: 'sim://bucket', ...shape }
    this.clock = new SimClock({ prng: prng.fork() })
    this.disk = new SimDisk({ prng: prng.fork(), clock: this.clock, latencyMs: () => diskMs })
    this.bucket = new SimBucket({ prng: prng.fork(), clock: this.clock })
    this.cache = this.#open()
  }

  #open(): RangeCache {
    const { limitBytes, limits } = this.#shape
    return openRangeCache({
      disk: this.disk,
      clock: this.clock,
      store: this.#store(),
      directory: CACHE_DIRECTORY,
      limitBytes,
      limits: { ...SMALL_LIMITS, ...limits },
      buffers: this.buffers,
      metrics: this.metrics,
      report: (level, message) => this.log.push(`${level} ${message}`),
    })
  }

  #store(): ObjectStore {
    const store = this.bucket.connect()
    const getRange = store.getRange.bind(store)
    const noted: ObjectStore['getRange'] = (key, ...range) => {
      this.asked.push(key)
      return getRange(key, ...range)
    }
    return Object.assign(store, { getRange: noted, place: this.#shape.place })
  }

  /** The same directory again, as another process finds it. */
  async restart(how: 'close' | 'kill' | 'crash' = 'close', change: Partial<Shape> = {}): Promise<void> {
    if (how === 'close') await this.clock.run(this.cache.close())
    else {
      this.disk = how === 'kill' ? this.disk.kill() : this.disk.crash()
      this.clock.forgetAll()
    }
    this.#shape = { ...this.#shape, ...change }
    this.metrics = createCacheMetrics()
    this.cache = this.#open()
  }

  /** Puts an object into the store whose bytes are like no other's. */
  object(key: string, sizeBytes: number): Buffer {
    const bytes = contentOf(key, sizeBytes)
    this.bucket.poke(key, bytes)
    return bytes
  }

  read(key: string, from: number, length: number, signal = PATIENT): Promise<Buffer> {
    return this.clock.run(this.cache.getRange(key, from, length, signal))
  }

  /** Until nothing more happens of itself. */
  async settle(): Promise<void> {
    await this.clock.runFor(1000)
  }

  count(name: keyof CacheMetrics): number {
    return this.metrics[name].value
  }

  /** Bytes of the files of the cache. */
  get fileBytes(): number {
    const paths = this.disk.paths.filter(path => path.startsWith(CACHE_DIRECTORY))
    return paths.reduce((sum, path) => sum + this.disk.peek(path).length, 0)
  }
}

export const PATIENT = new AbortController().signal

export function contentOf(key: string, sizeBytes: number): Buffer {
  const prng = new Prng(crc32c(key))
  return Buffer.from(Uint8Array.from({ length: sizeBytes }, () => prng.u32()))
}
