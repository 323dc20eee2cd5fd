import type { Clock } from '#base/ports.ts'
import type { CacheMetrics } from '#observe/cache-metrics.ts'
import type { BlockStore } from './block-store.ts'
import type { FirstUse } from './cache-slots.ts'
import { type CachedObject, Flight } from './cached-object.ts'
import { type FetchLimits, FetchQueue, type FetchRange } from './fetch-queue.ts'
import type { ObjectStore } from './object-store.ts'
import type { Blocks } from './read-ahead.ts'

// Requests to the store for blocks, and what becomes of them:
//
//   on its way ──▶ landed: serves from memory, block after block goes to the disk ──▶ ended
//                     ├──▶ homeless: the disk does not take it; serves from memory until that is needed ──▶ ended
//                     └──▶ late: the disk is slower than the store; if all of it was asked for, as homeless

export interface FlightLimits extends FetchLimits {
  readonly blockBytes: number
  /** Blocks of one request. */
  readonly fetchBlocks: number
  /** What has waited longer to be written need not be kept: readers wait for the store, not for the disk. */
  readonly writeMs: number
}

export interface FlightOptions {
  readonly clock: Clock
  readonly store: ObjectStore
  readonly limits: FlightLimits
  readonly metrics: CacheMetrics
  readonly blocks: BlockStore<CachedObject>
  /** Nothing of an object may be left. */
  readonly letGo: (object: CachedObject) => void
}

/** Of the cache, what may be there for readers who did not come to it yet. */
const AHEAD_PART = 1 / 4

export class Flights {
  readonly #options: FlightOptions
  readonly #fetches: FetchQueue
  /** They have landed, and not all of their blocks are on the disk: oldest first. */
  readonly #landed = new Set<Flight>()
  /** Blocks of flights that nobody asked for. */
  #blocksAhead = 0
  #isClosed = false

  constructor(options: FlightOptions) {
    this.#options = options
    const began = (): void => {
      options.metrics.cacheFetches.value++
    }
    this.#fetches = new FetchQueue({ ...options, began, makeRoom: neededBytes => this.#makeRoom(neededBytes) })
  }

  /** Bytes that were asked for from the store and are in memory. */
  get memoryBytes(): number {
    return this.#fetches.memoryBytes
  }

  /** The one that brings the first of these blocks; if there is none, one sets off for as many of them as are missing there. */
  of(object: CachedObject, blocks: Blocks, signal: AbortSignal): Flight {
    const known = object.flights.get(blocks.first)
    if (known !== undefined) {
      known.join(blocks.first, signal)
      return known
    }
    const flight = this.#flightFor(object, this.#missing(object, blocks), false)
    flight.join(blocks.first, signal)
    flight.enter()
    const abandoned = () => this.#leave(flight)
    this.#follow(flight, this.#fetches.fetch(this.#rangeOf(flight), { isWanted: () => flight.isWanted, abandoned }))
    return flight
  }

  /** Sets off for what is missing of blocks that nobody waits for yet, if that may be; tells up to which block it did. */
  ahead(object: CachedObject, { first, end }: Blocks): number {
    const { blocks } = this.#options
    const mostBlocks = blocks.capacityBlocks * AHEAD_PART
    for (let block = first; block < end; ) {
      const missing = this.#missing(object, { first: block, end })
      const count = missing.end - missing.first
      if (count > 0) {
        if (blocks.unreadAhead + this.#blocksAhead + count > mostBlocks) return block
        const flight = this.#flightFor(object, missing, true)
        const fetched = this.#fetches.fetchAhead(this.#rangeOf(flight))
        if (fetched === null) return block
        this.#blocksAhead += count
        flight.enter()
        this.#follow(flight, fetched)
      }
      block += Math.max(1, count)
    }
    return end
  }

  /** The blocks from the first of these on that are neither here nor on their way, as many as one request brings. */
  #missing(object: CachedObject, { first, end }: Blocks): Blocks {
    const most = Math.min(end, first + this.#options.limits.fetchBlocks)
    let block = first
    while (block < most && !object.slots.has(block) && !object.flights.has(block)) block++
    return { first, end: block }
  }

  #flightFor(object: CachedObject, { first, end }: Blocks, isAhead: boolean): Flight {
    return new Flight({ object, first, end, isAhead, blockBytes: this.#options.limits.blockBytes })
  }

  #rangeOf({ object, first, sizeBytes }: Flight): FetchRange {
    return { key: object.key, from: first * this.#options.limits.blockBytes, length: sizeBytes }
  }

  #follow(flight: Flight, fetched: Promise<Buffer>): void {
    flight.landed = fetched.then(
      bytes => this.#land(flight, bytes),
      (thrown: unknown) => {
        if (flight.isAhead) this.#blocksAhead -= flight.end - flight.first
        this.#leave(flight)
        throw thrown
      },
    )
    flight.landed.catch(() => {}) // for those who wait; perhaps nobody does
  }

  #land(flight: Flight, bytes: Buffer): void {
    const { limits, metrics, clock } = this.#options
    metrics.cacheFetchedBytes.value += bytes.length
    if (flight.isAhead) this.#blocksAhead -= flight.end - flight.first
    const end = flight.first + Math.ceil(bytes.length / limits.blockBytes)
    if (bytes.length < flight.sizeBytes) flight.object.endBlock = Math.min(flight.object.endBlock, end)
    flight.land(bytes, end, clock.monotonicMs())
    this.#landed.add(flight)
    void this.#settle(flight)
  }

  /** Brings what has landed onto the disk. */
  async #settle(flight: Flight): Promise<void> {
    const { object } = flight
    const use = (block: number): FirstUse | null => {
      flight.isBeingWritten = this.#landed.has(flight)
      return flight.isBeingWritten ? flight.firstUseOf(block) : null
    }
    for (let block = flight.first; block < flight.end; block++) {
      const isKept = await this.#options.blocks.put(object, block, flight.bytesOf(block), () => use(block))
      flight.isBeingWritten = false
      if (!this.#landed.has(flight)) return
      if (!isKept && !object.isForgotten && !this.#isClosed) {
        flight.isHomeless = true
        return
      }
      flight.leave(block)
    }
    this.#end(flight)
  }

  /** Drops of what is in memory what the disk does not take, or not in time: that which landed first. */
  #makeRoom(neededBytes: number): void {
    const { clock, limits, metrics } = this.#options
    const lateMs = clock.monotonicMs() - limits.writeMs
    let madeBytes = 0
    for (const flight of this.#landed) {
      if (madeBytes >= neededBytes) return
      const isLate = flight.landedMs <= lateMs && flight.isReadThrough && !flight.isBeingWritten
      if (!flight.isHomeless && !isLate) continue
      madeBytes += flight.sizeBytes
      metrics.cacheDroppedBlocks.value += flight.blocksLeft
      this.#end(flight)
    }
  }

  /** Nobody gets anything from it any more but who has it already. */
  #end(flight: Flight): void {
    this.#landed.delete(flight)
    this.#leave(flight)
    this.#fetches.done(flight.sizeBytes, flight.isAhead)
  }

  #leave(flight: Flight): void {
    for (let block = flight.first; block < flight.end; block++) flight.leave(block)
    this.#options.letGo(flight.object)
  }

  /** What is only in memory of the object goes. */
  forget(object: CachedObject): void {
    for (const flight of this.#landed) if (flight.object === object && flight.isHomeless) this.#end(flight)
  }

  /** Those on their way fail, for the reason. */
  close(reason: Error): void {
    this.#isClosed = true
    this.#fetches.close(reason)
  }
}
