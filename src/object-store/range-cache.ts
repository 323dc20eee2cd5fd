import { assert } from '#base/assert.ts'
import { ChronikError } from '#base/errors.ts'
import type { Clock, Disk } from '#base/ports.ts'
import type { BufferPool } from '#bytes/buffer-pool.ts'
import type { CacheMetrics } from '#observe/cache-metrics.ts'
import { BlockStore } from './block-store.ts'
import { CachedObject, type Flight } from './cached-object.ts'
import { type FlightLimits, Flights } from './flights.ts'
import type { ObjectStore } from './object-store.ts'
import { orAborted } from './or-aborted.ts'
import type { RangeBytes, RangeSource } from './range-source.ts'
import { ReadAhead, type Trail } from './read-ahead.ts'

// A cache on the disk between readers and a store that is far away, for objects that never change under their key.
//
//   getRange ─▶ plan: each block of the range is on the disk, or comes with a flight, a request to the store that everybody waits
//               for who wants one of its blocks; adjacent blocks that are missing come with one flight
//            ─▶ the flights land ─▶ collect: copy from flights, read from the disk, verify
//
//   a flight that has landed serves from memory until its blocks are on the disk; if the disk does not take them, or not in time,
//   until the memory is needed
//
// Flights are flights.ts, blocks on the disk block-store.ts; what to fetch before it is asked for says read-ahead.ts.

export interface CacheLimits extends FlightLimits {
  /** Blocks are read and verified in chunks. */
  readonly chunkBytes: number
  /** Blocks of a file of the cache at least. */
  readonly slabSlots: number
  /** Blocks that are there before a reader that goes on and on asks for them. */
  readonly windowBlocks: number
  /** After the disk failed, nothing is written for so long. */
  readonly retryMs: number
  /** An object that is written through keeps nobody waiting for longer. */
  readonly keepMs: number
}

const MIB = 2 ** 20

/** What the broker uses. */
export const CACHE_LIMITS: CacheLimits = {
  blockBytes: MIB,
  chunkBytes: MIB / 4,
  slabSlots: 64,
  fetchBlocks: 8,
  windowBlocks: 32,
  fetches: 16,
  fetchesAhead: 6,
  memoryBytes: 64 * MIB,
  memoryAheadBytes: 48 * MIB,
  fetchMs: 60_000,
  writeMs: 100,
  retryMs: 5000,
  keepMs: 2000,
}

/** Of the cache, what one object may take when it is written through. */
const WRITE_THROUGH_PART = 1 / 2

export interface RangeCacheOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly store: ObjectStore
  /** Only the cache's own files are in it. */
  readonly directory: string
  /** Of all its files. */
  readonly limitBytes: number
  readonly limits: CacheLimits
  /** Where the memory comes from that ranges are read into. */
  readonly buffers: BufferPool
  readonly metrics: CacheMetrics
  report(level: 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>): void
}

/** Opens the cache; what is in the directory is found meanwhile. */
export function openRangeCache(options: RangeCacheOptions): RangeCache {
  return new RangeCache(options)
}

export class RangeCache implements RangeSource {
  readonly #options: RangeCacheOptions
  readonly #objects = new Map<string, CachedObject>()
  readonly #blocks: BlockStore<CachedObject>
  readonly #flights: Flights
  readonly #readAhead: ReadAhead<CachedObject>
  readonly #loaded: Promise<void>
  /** Objects that were given up while the disk writes some of them. */
  #leftBehind = 0
  #isClosed = false

  constructor(options: RangeCacheOptions) {
    const { limits, store } = options
    const letGo = (object: CachedObject): void => this.#letGo(object)
    const ownerOf = (key: string): CachedObject => this.#objectOf(key)
    this.#options = options
    this.#readAhead = new ReadAhead(limits)
    this.#blocks = new BlockStore({ ...options, ...limits, place: store.place, ownerOf, lostBlock: letGo })
    this.#flights = new Flights({ ...options, blocks: this.#blocks, letGo })
    this.#loaded = this.#blocks.loaded
  }

  /** Blocks on the disk. */
  get blocks(): number {
    return this.#blocks.blocks
  }

  /** Bytes of these blocks. */
  get usedBytes(): number {
    return this.#blocks.usedBytes
  }

  /** What the cache takes on the disk, used or not: at most its limit. */
  get diskBytes(): number {
    return this.#blocks.diskBytes
  }

  /** Objects of which something is here. */
  keys(): string[] {
    return [...this.#objects.keys()]
  }

  /** Bytes that were asked for from the store and are not on the disk yet. */
  get memoryBytes(): number {
    return this.#flights.memoryBytes
  }

  // ---- reading

  /** As the store does, and with its errors. Who is no longer interested leaves at once; what was asked for comes all the same. */
  async getRange(key: string, from: number, length: number, signal: AbortSignal): Promise<Buffer> {
    return (await this.readRange(key, from, length, signal)).bytes
  }

  /** The same, for who says when the memory can be used again. */
  async readRange(key: string, from: number, length: number, signal: AbortSignal): Promise<RangeBytes> {
    const { memoryBytes } = this.#options.limits
    assert(from >= 0 && length > 0 && length <= memoryBytes, 'a range has a place, and fits into memory')
    signal.throwIfAborted()
    await orAborted(this.#loaded, signal)
    const serving = this.#serve({ key, from, to: from + length }, signal)
    return orAborted(serving, signal, late => late.release())
  }

  async #serve(range: Range, signal: AbortSignal): Promise<RangeBytes> {
    this.#mustBeOpen()
    const object = this.#objectOf(range.key)
    object.users++
    const parts: Part[] = []
    try {
      const trail = this.#plan(object, range, { parts, signal })
      // Behind an object's end there is nothing to fetch: where it ends, this range may tell.
      const isEndKnown = object.endBlock < Number.POSITIVE_INFINITY
      if (isEndKnown) this.#goAhead(object, trail)
      for (;;) {
        await orAborted(Promise.all(parts.map(part => part.flight?.landed)), signal)
        this.#mustBeOpen()
        if (!isEndKnown) this.#goAhead(object, trail)
        const read = await this.#collect(object, range, parts)
        if (read !== null) return read
        this.#mustBeOpen()
        this.#replan(object, parts, signal)
      }
    } finally {
      for (const { slot } of parts) if (slot >= 0) this.#blocks.release(slot)
      object.users--
      this.#letGo(object)
    }
  }

  #mustBeOpen(): void {
    if (this.#isClosed) throw closedError()
  }

  /** Where each block of a range comes from; asks the store for those that are missing. */
  #plan(object: CachedObject, { from, to }: Range, { parts, signal }: { parts: Part[]; signal: AbortSignal }): Trail {
    const { metrics, limits } = this.#options
    const first = Math.floor(from / limits.blockBytes)
    const end = Math.ceil(to / limits.blockBytes)
    const { newFrom, trail } = this.#readAhead.note(object, from, to)
    for (let block = first; block < end; block++) {
      this.#distrustEnd(object, block, Math.min(limits.blockBytes, to - block * limits.blockBytes))
      const slot = object.slots.get(block)
      if (slot !== undefined) {
        this.#blocks.take(slot, block >= newFrom)
        if (this.#blocks.sizeOf(slot) < limits.blockBytes) object.endBlock = block + 1
        parts.push({ block, slot, flight: null, isHit: true })
        continue
      }
      if (!object.flights.has(block)) trail.aheadTo = 0
      const flight = this.#flights.of(object, { first: block, end }, signal)
      parts.push({ block, slot: -1, flight, isHit: flight.hasLanded })
    }
    const hits = parts.filter(part => part.isHit).length
    metrics.cacheHits.value += hits
    metrics.cacheMisses.value += parts.length - hits
    return trail
  }

  #goAhead(object: CachedObject, trail: Trail): void {
    const ahead = this.#readAhead.wanted(trail, object.endBlock)
    if (ahead !== null) trail.aheadTo = this.#flights.ahead(object, ahead)
  }

  /** Who asks for more than there seems to be knows better: an answer of the store may have been cut off. */
  #distrustEnd(object: CachedObject, block: number, neededBytes: number): void {
    const slot = object.slots.get(block)
    const flight = object.flights.get(block)
    const isShort = slot !== undefined && this.#blocks.sizeOf(slot) < neededBytes
    if (isShort) this.#blocks.drop(object, block, slot)
    if (flight?.hasLanded === true && flight.bytesOf(block).length < neededBytes) flight.leave(block)
    if (isShort || block >= object.endBlock) object.endBlock = Number.POSITIVE_INFINITY
  }

  /** What was damaged on the disk comes from the store, unless it has come for somebody else meanwhile. */
  #replan(object: CachedObject, parts: readonly Part[], signal: AbortSignal): void {
    for (const part of parts) {
      const { block, slot, flight } = part
      if (slot >= 0 || flight !== null) continue
      this.#options.metrics.cacheMisses.value++
      part.isHit = false
      part.slot = object.slots.get(block) ?? -1
      if (part.slot >= 0) this.#blocks.take(part.slot, false)
      else part.flight = this.#flights.of(object, { first: block, end: block + 1 }, signal)
    }
  }

  /** Null if some of it is damaged on the disk: those parts have no slot any more. */
  async #collect(object: CachedObject, range: Range, parts: readonly Part[]): Promise<RangeBytes | null> {
    const { buffers, limits, metrics } = this.#options
    const { blockBytes, chunkBytes } = limits
    // Whole chunks are read, and verified: where they begin, the memory does.
    const coverFrom = Math.floor(range.from / chunkBytes) * chunkBytes
    const coverTo = Math.ceil(range.to / chunkBytes) * chunkBytes
    const memory = buffers.take(coverTo - coverFrom)
    let endsAt = range.from
    let servedBytes = 0
    // Two at a time: one is verified while the other is read.
    let previous = Promise.resolve(true)
    let isWhole = true
    for (const part of parts) {
      const blockFrom = part.block * blockBytes
      const blockTo = blockFrom + (part.flight?.bytesOf(part.block).length ?? this.#blocks.sizeOf(part.slot))
      const from = Math.max(coverFrom, blockFrom)
      const to = Math.min(coverTo, blockTo)
      if (to <= range.from) break
      const into = memory.subarray(from - coverFrom, to - coverFrom)
      if (part.flight === null) {
        const reading = this.#readPart(object, part, from - blockFrom, into)
        isWhole = (await previous) && isWhole
        previous = reading
      } else {
        into.set(part.flight.bytesOf(part.block).subarray(from - blockFrom, to - blockFrom))
      }
      endsAt = Math.min(range.to, to)
      if (part.isHit) servedBytes += endsAt - Math.max(range.from, from)
      if (blockTo - blockFrom < blockBytes) break
    }
    if (!((await previous) && isWhole)) {
      buffers.give(memory)
      return null
    }
    metrics.cacheServedBytes.value += servedBytes
    return { bytes: memory.subarray(range.from - coverFrom, endsAt - coverFrom), release: () => buffers.give(memory) }
  }

  async #readPart(object: CachedObject, part: Part, from: number, into: Buffer): Promise<boolean> {
    if (await this.#blocks.read(part.slot, from, into)) return true
    this.#blocks.damaged(object, part.block, part.slot)
    this.#blocks.release(part.slot)
    part.slot = -1
    return false
  }

  // ---- what others know better

  /** Somebody will probably ask for this range soon. */
  readAhead(key: string, from: number, length: number): void {
    const { blockBytes } = this.#options.limits
    const first = Math.floor(from / blockBytes)
    void this.#loaded.then(() => {
      if (this.#isClosed) return
      const object = this.#objectOf(key)
      object.users++
      this.#flights.ahead(object, { first, end: Math.min(Math.ceil((from + length) / blockBytes), object.endBlock) })
      object.users--
      this.#letGo(object)
    })
  }

  /**
   * Writes a whole object through, which is in the store or soon will be: what is read of it is here. Resolves when it is on the
   * disk, or will not be, or when its time is over: then the rest of it is not kept. The pieces stay as they are until then. An
   * object that is large beside the cache is not kept.
   */
  async keep(key: string, pieces: readonly Uint8Array[]): Promise<void> {
    // Who waits for a disk that is too slow holds memory: one does at a time.
    if (this.#leftBehind > 0) return
    const patience = new AbortController()
    const timer = this.#options.clock.after(this.#options.limits.keepMs, () => patience.abort())
    const writing = this.#writeThrough(key, pieces, patience.signal)
    try {
      await orAborted(writing, patience.signal)
    } catch (thrown) {
      if (!patience.signal.aborted) throw thrown
      this.#leftBehind++
      void writing.finally(() => this.#leftBehind--)
    } finally {
      timer.cancel()
    }
  }

  /** What is being written when it is aborted is a copy. */
  async #writeThrough(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
    await this.#loaded
    if (signal.aborted) return
    const { limits, buffers } = this.#options
    const sizeBytes = pieces.reduce((sum, { length }) => sum + length, 0)
    const end = Math.ceil(sizeBytes / limits.blockBytes)
    if (this.#isClosed || end > this.#blocks.capacityBlocks * WRITE_THROUGH_PART) return
    const object = this.#objectOf(key)
    object.endBlock = Math.min(object.endBlock, end)
    object.users++
    const memory = buffers.take(limits.blockBytes)
    try {
      let block = 0
      for (const bytes of inBlocks(pieces, memory.subarray(0, limits.blockBytes))) {
        const isKept = !object.isForgotten && (await this.#blocks.put(object, block++, bytes, () => 'unused'))
        if (!isKept || signal.aborted) break
      }
    } finally {
      buffers.give(memory)
      object.users--
      this.#letGo(object)
    }
  }

  /** The object is gone, or not what it should be: what is here of it goes, too. Resolves when the disk no longer knows of it. */
  async forget(key: string): Promise<void> {
    await this.#loaded
    const object = this.#objects.get(key)
    if (object === undefined || this.#isClosed) return
    object.isForgotten = true
    this.#objects.delete(key)
    this.#readAhead.forget(object)
    this.#flights.forget(object)
    await this.#blocks.forget(object)
  }

  #objectOf(key: string): CachedObject {
    let object = this.#objects.get(key)
    if (object === undefined) {
      object = new CachedObject(key)
      this.#objects.set(key, object)
    }
    return object
  }

  /** Nothing is known of an object that has nothing here. */
  #letGo(object: CachedObject): void {
    if (!object.isEmpty || object.isForgotten) return
    object.isForgotten = true
    this.#objects.delete(object.key)
    this.#readAhead.forget(object)
  }

  /** Readers are refused; what is being written is finished. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#flights.close(closedError())
    await this.#blocks.close()
  }
}

interface Range {
  readonly key: string
  readonly from: number
  readonly to: number
}

/** A block of a range that somebody reads: it is in a slot, which is pinned, or comes with a flight. */
interface Part {
  readonly block: number
  slot: number
  flight: Flight | null
  isHit: boolean
}

/** Copies pieces together, block by block, into the same memory. */
function* inBlocks(pieces: readonly Uint8Array[], memory: Buffer): Generator<Buffer> {
  let filled = 0
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + memory.length - filled)
      memory.set(part, filled)
      filled += part.length
      at += part.length
      if (filled < memory.length) break
      yield memory
      filled = 0
    }
  }
  if (filled > 0) yield memory.subarray(0, filled)
}

function closedError(): ChronikError {
  return new ChronikError('CACHE_CLOSED', 'closed', 'the cache of the object store was closed')
}
