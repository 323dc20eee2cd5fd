import { assert } from '#base/assert.ts'
import type { BlockOwner } from './block-store.ts'
import type { FirstUse } from './cache-slots.ts'

// What a cache knows of one object, and of its blocks that are on their way.

export class CachedObject implements BlockOwner {
  readonly key: string
  readonly slots = new Map<number, number>()
  /** By block: until it is on the disk, or never will be. */
  readonly flights = new Map<number, Flight>()
  /** Behind its last block, once that is known. */
  endBlock = Number.POSITIVE_INFINITY
  /** Readers and writers that come back to it. */
  users = 0
  isForgotten = false

  constructor(key: string) {
    this.key = key
  }

  get isEmpty(): boolean {
    return this.slots.size === 0 && this.flights.size === 0 && this.users === 0
  }
}

export interface FlightPlan {
  readonly object: CachedObject
  readonly first: number
  readonly end: number
  readonly blockBytes: number
  readonly isAhead: boolean
}

/** One request to the store, for blocks that lie one behind the other. */
export class Flight {
  readonly object: CachedObject
  readonly first: number
  /** Behind its last block: when it lands, blocks that do not exist are gone. */
  end: number
  readonly isAhead: boolean
  /** What was asked for. */
  readonly sizeBytes: number
  landed: Promise<void> = Promise.resolve()
  landedMs = Number.POSITIVE_INFINITY
  /** One of its blocks is on its way to the disk. */
  isBeingWritten = false
  /** The disk did not take it. */
  isHomeless = false
  #bytes: Buffer | null = null
  readonly #blockBytes: number
  readonly #signals: AbortSignal[] = []
  readonly #asked = new Set<number>()

  constructor({ object, first, end, blockBytes, isAhead }: FlightPlan) {
    this.object = object
    this.first = first
    this.end = end
    this.isAhead = isAhead
    this.sizeBytes = (end - first) * blockBytes
    this.#blockBytes = blockBytes
  }

  /** Somebody waits for a block of it. */
  join(block: number, signal: AbortSignal): void {
    this.#asked.add(block)
    if (!this.hasLanded) this.#signals.push(signal)
  }

  /** All of its blocks were asked for. */
  get isReadThrough(): boolean {
    return this.#asked.size >= this.end - this.first
  }

  get hasLanded(): boolean {
    return this.#bytes !== null
  }

  /** `end`: behind the last block there is. */
  land(bytes: Buffer, end: number, nowMs: number): void {
    this.#bytes = bytes
    this.landedMs = nowMs
    this.#signals.length = 0
    for (let block = end; block < this.end; block++) this.leave(block)
    this.end = end
  }

  /** Who wants one of its blocks from now on waits for it. */
  enter(): void {
    for (let block = this.first; block < this.end; block++) this.object.flights.set(block, this)
  }

  /** Who wants the block from now on gets it from elsewhere. */
  leave(block: number): void {
    if (this.object.flights.get(block) === this) this.object.flights.delete(block)
  }

  /** Blocks that only it has. */
  get blocksLeft(): number {
    let count = 0
    for (let block = this.first; block < this.end; block++) if (this.object.flights.get(block) === this) count++
    return count
  }

  get isWanted(): boolean {
    return this.#signals.some(signal => !signal.aborted)
  }

  firstUseOf(block: number): FirstUse {
    if (this.#asked.has(block)) return 'used'
    return this.isAhead ? 'ahead' : 'unused'
  }

  /** All there is of a block. */
  bytesOf(block: number): Buffer {
    assert(this.#bytes !== null, 'a flight has bytes when it has landed')
    const from = (block - this.first) * this.#blockBytes
    return this.#bytes.subarray(from, from + this.#blockBytes)
  }
}
