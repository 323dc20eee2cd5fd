import { assert } from '#base/assert.ts'
import type { RangeBytes } from '#object-store/object-store.ts'
import { BLOCK_BYTES } from '#segments/segment-format.ts'
import type { StoredSegment } from '#segments/segment-names.ts'
import type { LogSlices } from './read-log.ts'

// Blocks of segments that were read last, in memory. What was read together stays and goes together, and its memory is used again
// when nobody looks at it any more.

/** Adjacent blocks of a segment, read with one request. */
export class BlockRun {
  readonly names: readonly string[]
  readonly first: number
  readonly sizeBytes: number
  readonly loaded: Promise<RangeBytes>
  /** Readers that wait for it or look at it. */
  pins = 0
  /** Nobody has asked for it yet. */
  isAhead = false
  #read: RangeBytes | null = null
  #isSettled = false

  constructor(segment: StoredSegment, { first, end }: Blocks, load: (run: BlockRun) => Promise<RangeBytes>) {
    this.names = Array.from({ length: end - first }, (_, i) => nameOf(segment, first + i))
    this.first = first
    this.sizeBytes = Math.min(end * BLOCK_BYTES, segment.sizeBytes) - first * BLOCK_BYTES
    this.loaded = this.#load(load)
  }

  async #load(load: (run: BlockRun) => Promise<RangeBytes>): Promise<RangeBytes> {
    try {
      this.#read = await load(this)
      return this.#read
    } finally {
      this.#isSettled = true
    }
  }

  /** Behind its last block. */
  get end(): number {
    return this.first + this.names.length
  }

  get bytes(): Buffer {
    assert(this.#read !== null, 'who looks at blocks has waited for them')
    return this.#read.bytes
  }

  /** Its memory can be used again: nobody will look at it. */
  get isFree(): boolean {
    return this.#isSettled && this.pins === 0
  }

  release(): void {
    this.#read?.release()
  }
}

export interface Blocks {
  readonly first: number
  readonly end: number
}

/** Runs of blocks in the order of use, up to so many bytes. */
export class RecentBlocks {
  readonly #limitBytes: number
  readonly #runs = new Set<BlockRun>()
  readonly #byName = new Map<string, BlockRun>()
  #sizeBytes = 0
  /** They had to go, and somebody still looks at them. */
  readonly #leaving = new Set<BlockRun>()
  #leavingBytes = 0
  /** Of those that nobody has asked for yet. */
  #aheadBytes = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  find(segment: StoredSegment, block: number): BlockRun | undefined {
    const run = this.#byName.get(nameOf(segment, block))
    if (run !== undefined) {
      this.#runs.delete(run) // and added again: the set is in the order of use
      this.#runs.add(run)
      this.#noLongerAhead(run)
    }
    return run
  }

  #noLongerAhead(run: BlockRun): void {
    if (run.isAhead) this.#aheadBytes -= run.sizeBytes
    run.isAhead = false
  }

  /** Without it what is read ahead would push out what others have read ahead, before they come to it. */
  get mayReadAhead(): boolean {
    return this.#aheadBytes < this.#limitBytes / 4 && !this.isOverdrawn
  }

  has(segment: StoredSegment, block: number): boolean {
    return this.#byName.has(nameOf(segment, block))
  }

  /** Of which there is none yet. */
  add(run: BlockRun): void {
    for (const name of run.names) this.#byName.set(name, run)
    this.#runs.add(run)
    this.#sizeBytes += run.sizeBytes
    if (run.isAhead) this.#aheadBytes += run.sizeBytes
    run.loaded.catch(() => this.#drop(run))
    this.#reclaim()
    for (const oldest of this.#runs) {
      if (this.#sizeBytes <= this.#limitBytes) break
      if (oldest !== run) this.#drop(oldest)
    }
  }

  #drop(run: BlockRun): void {
    if (!this.#runs.delete(run)) return
    for (const name of run.names) this.#byName.delete(name)
    this.#sizeBytes -= run.sizeBytes
    this.#noLongerAhead(run)
    if (run.isFree) run.release()
    else {
      this.#leaving.add(run)
      this.#leavingBytes += run.sizeBytes
    }
  }

  #reclaim(): void {
    for (const run of this.#leaving) {
      if (!run.isFree) continue
      this.#leaving.delete(run)
      this.#leavingBytes -= run.sizeBytes
      run.release()
    }
  }

  /** Readers that do not let go hold more than what is kept for them. */
  get isOverdrawn(): boolean {
    if (this.#leavingBytes <= this.#limitBytes) return false
    this.#reclaim()
    return this.#leavingBytes > this.#limitBytes
  }
}

function nameOf({ key, place }: StoredSegment, block: number): string {
  return `${key}:${place}:${block}`
}

/** A header is smaller. */
const SCRATCH_BYTES = 64

/** Blocks of a segment that lie one behind the other, for one reader, until it is released. */
export class SegmentSpan {
  readonly from: number
  readonly to: number
  readonly #runs: readonly BlockRun[]
  readonly #scratch = Buffer.alloc(SCRATCH_BYTES)

  /** Of runs that are pinned, and loaded. */
  constructor(runs: readonly BlockRun[]) {
    this.#runs = runs
    this.from = runs[0]!.first * BLOCK_BYTES
    this.to = runs.reduce((to, run) => to + run.sizeBytes, this.from)
  }

  /** Memory and place in it where a few bytes are whole: a header may begin in one run and end in the next. */
  find(place: number, length: number): { bytes: Buffer; at: number } {
    const i = this.#runAt(place)
    const { bytes, first } = this.#runs[i]!
    const at = place - first * BLOCK_BYTES
    if (at + length <= bytes.length) return { bytes, at }
    const rest = bytes.copy(this.#scratch, 0, at)
    this.#runs[i + 1]!.bytes.copy(this.#scratch, rest, 0, length - rest)
    return { bytes: this.#scratch, at: 0 }
  }

  #runAt(place: number): number {
    const block = Math.floor(place / BLOCK_BYTES)
    return this.#runs.findIndex(run => block < run.end)
  }

  /** Adds the bytes from one place to another to what is read, which keeps them until it is released. */
  addTo(read: LogSlices, from: number, to: number): void {
    for (let place = from, i = this.#runAt(from); place < to; i++) {
      const run = this.#runs[i]!
      const runAt = run.first * BLOCK_BYTES
      const end = Math.min(to, runAt + run.sizeBytes)
      read.slices.push(run.bytes.subarray(place - runAt, end - runAt))
      read.pinned.push(run)
      run.pins++
      place = end
    }
    read.sizeBytes += to - from
  }

  release(): void {
    for (const run of this.#runs) run.pins--
  }
}
