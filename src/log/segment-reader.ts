import { ChronikError } from '#base/errors.ts'
import type { Clock } from '#base/ports.ts'
import type { RangeBytes, RangeSource } from '#object-store/object-store.ts'
import { BATCH_HEADER_BYTES, batchSizeBytesOf } from '#records/batch.ts'
import { BLOCK_BYTES, damagedSegment } from '#segments/segment-format.ts'
import { INDEX_OBJECT_BYTES, type PartIndex, readPartIndex } from '#segments/segment-index.ts'
import type { StoredSegment } from '#segments/segment-names.ts'
import { BlockRun, type Blocks, RecentBlocks, SegmentSpan } from './segment-blocks.ts'

// Reads segments in the object store: the index of each, and its batches in blocks whose checksums the index has. What was read
// last is kept in memory; of several readers who want the same at once one asks the store.

/** Memory for indexes, and for blocks. */
const KEPT_INDEX_BYTES = 32 << 20
const KEPT_BLOCK_BYTES = 64 << 20
/** Blocks that are asked for in one request. */
const BLOCKS_AT_ONCE = 8
/** Blocks that are there before a reader that goes on comes to them. */
const BLOCKS_AHEAD = 2
/** A store that takes longer does not answer now: the reader is told so in time to try again. */
const PATIENCE_MS = 10_000

/** Of the body: from a block on, so many bytes. */
type Piece = Pick<BlockRun, 'first' | 'sizeBytes'>

export class SegmentReader {
  readonly #source: RangeSource
  readonly #clock: Clock
  readonly #indexes = new Recent<PartIndex>(KEPT_INDEX_BYTES)
  readonly #blocks = new RecentBlocks(KEPT_BLOCK_BYTES)
  readonly #reading = new Set<AbortController>()
  #isClosed = false

  constructor(source: RangeSource, clock: Clock) {
    this.#source = source
    this.#clock = clock
  }

  index(segment: StoredSegment): Promise<PartIndex> {
    const { key, indexPlace, indexBytes } = segment
    return this.#indexes.get(`${key}:${indexPlace}`, indexBytes + INDEX_OBJECT_BYTES, () =>
      this.#checked(key, async () => {
        const { bytes, release } = await this.#read(key, indexPlace, indexBytes)
        const index = readPartIndex(bytes, key, segment)
        release()
        return index
      }),
    )
  }

  /** The batches of a segment from a place on, whole blocks, at least up to `to`. */
  async span(segment: StoredSegment, place: number, to: number): Promise<SegmentSpan> {
    const index = await this.index(segment)
    const first = Math.floor(place / BLOCK_BYTES)
    const end = Math.ceil(Math.min(to, segment.sizeBytes) / BLOCK_BYTES)
    const goesOn = this.#blocks.has(segment, first - 1)
    const runs: BlockRun[] = []
    for (let block = first; block < end; ) {
      const run = this.#blocks.find(segment, block) ?? this.#load(segment, index, { first: block, end })
      run.pins++
      runs.push(run)
      block = run.end
    }
    if (goesOn && this.#source.readAhead === undefined) this.#readAhead(segment, index, end)
    try {
      await Promise.all(runs.map(run => run.loaded))
      return new SegmentSpan(runs)
    } catch (thrown) {
      for (const run of runs) run.pins--
      throw thrown
    }
  }

  /** Who comes to the segment soon does not wait for its begin. */
  expect(segment: StoredSegment): void {
    const { key, place, sizeBytes, indexPlace, indexBytes } = segment
    if (this.#source.readAhead !== undefined) {
      this.#source.readAhead(key, indexPlace, indexBytes)
      this.#source.readAhead(key, place, Math.min(sizeBytes, BLOCKS_AHEAD * BLOCK_BYTES))
      return
    }
    const begin = async (): Promise<void> => this.#readAhead(segment, await this.index(segment), 0)
    begin().catch(() => {}) // who comes there meets the error
  }

  /** Who comes there does not wait. One that cannot be read is read again then. */
  #readAhead(segment: StoredSegment, index: PartIndex, from: number): void {
    const end = Math.min(from + BLOCKS_AHEAD, Math.ceil(segment.sizeBytes / BLOCK_BYTES))
    for (let block = from; block < end && this.#blocks.mayReadAhead; block++) {
      if (!this.#blocks.has(segment, block)) this.#load(segment, index, { first: block, end: block + 1 }, true)
    }
  }

  /** The first of these blocks, and those behind it that are missing, too. */
  #load(segment: StoredSegment, index: PartIndex, { first, end }: Blocks, isAhead = false): BlockRun {
    const most = Math.min(end, first + BLOCKS_AT_ONCE)
    let missing = first + 1
    while (missing < most && !this.#blocks.has(segment, missing)) missing++
    const run = new BlockRun(segment, { first, end: missing }, run => this.#readBlocks(segment, index, run))
    run.isAhead = isAhead
    this.#blocks.add(run)
    return run
  }

  #readBlocks(segment: StoredSegment, index: PartIndex, { first, sizeBytes }: Piece): Promise<RangeBytes> {
    return this.#checked(segment.key, async () => {
      const read = await this.#read(segment.key, segment.place + first * BLOCK_BYTES, sizeBytes)
      checkBlocks(segment, index, first, read.bytes)
      return read
    })
  }

  /** What is damaged may be a copy that was kept of the object, and that be put back meanwhile. */
  async #checked<T>(key: string, load: () => Promise<T>): Promise<T> {
    try {
      return await load()
    } catch (thrown) {
      if (thrown instanceof ChronikError && thrown.kind === 'corrupt') {
        // It is out of reach at once; for the disk nobody waits, and what fails there is the cache's to say.
        this.#source.forget(key).catch(() => {})
      }
      throw thrown
    }
  }

  /** Readers that do not let go hold more than what is kept for them. */
  get isOverdrawn(): boolean {
    return this.#blocks.isOverdrawn
  }

  /** All batches of a segment, whole ones in each chunk; for who reads it once, so nothing is kept of it. */
  async *chunks(segment: StoredSegment): AsyncGenerator<Buffer> {
    const index = await this.index(segment)
    const { key, place, sizeBytes } = segment
    let rest: Buffer = Buffer.alloc(0)
    for (let from = 0; from < sizeBytes; from += BLOCKS_AT_ONCE * BLOCK_BYTES) {
      const piece = { first: from / BLOCK_BYTES, sizeBytes: Math.min(BLOCKS_AT_ONCE * BLOCK_BYTES, sizeBytes - from) }
      const { bytes } = await this.#readBlocks(segment, index, piece)
      const joined = rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
      const end = endOfBatches(joined)
      if (end > 0) yield joined.subarray(0, end)
      rest = joined.subarray(end)
    }
    if (rest.length > 0) throw damagedSegment(key, place + sizeBytes - rest.length, 'a batch is longer than the body')
  }

  async #read(key: string, from: number, length: number): Promise<RangeBytes> {
    if (this.#isClosed) throw closedError()
    const patience = new AbortController()
    const timer = this.#clock.after(PATIENCE_MS, () => patience.abort())
    this.#reading.add(patience)
    try {
      const read = await this.#source.readRange(key, from, length, patience.signal)
      if (read.bytes.length === length) return read
      throw damagedSegment(key, from + read.bytes.length, 'the object ends there')
    } catch (thrown) {
      if (this.#isClosed) throw closedError()
      if (patience.signal.aborted) throw slowStore(key, thrown)
      throw thrown
    } finally {
      timer.cancel()
      this.#reading.delete(patience)
    }
  }

  close(): void {
    this.#isClosed = true
    for (const patience of this.#reading) patience.abort()
  }
}

function closedError(): ChronikError {
  return new ChronikError('LOG_CLOSED', 'closed', 'the log was closed while it was read')
}

function checkBlocks({ key, place }: StoredSegment, index: PartIndex, first: number, bytes: Buffer): void {
  for (let block = first, at = 0; at < bytes.length; block++, at += BLOCK_BYTES) {
    if (index.blockIsIntact(block, bytes, at)) continue
    throw damagedSegment(key, place + block * BLOCK_BYTES, 'the checksum of a block is wrong')
  }
}

/** Where the last whole batch ends. */
function endOfBatches(bytes: Buffer): number {
  let at = 0
  while (at + BATCH_HEADER_BYTES <= bytes.length) {
    const end = at + batchSizeBytesOf(bytes, at)
    if (end > bytes.length) break
    at = end
  }
  return at
}

function slowStore(key: string, cause: unknown): ChronikError {
  const why = cause instanceof ChronikError ? cause.message : 'no answer came'
  const message = `the object store did not give ${key} within ${PATIENCE_MS / 1000} s: ${why}`
  return new ChronikError('STORE_UNAVAILABLE', 'unavailable', message, { cause })
}

/** What was asked for last, by name, up to so many bytes; what is on its way is there for everyone. */
class Recent<T> {
  readonly #limitBytes: number
  readonly #kept = new Map<string, { value: Promise<T>; sizeBytes: number }>()
  #sizeBytes = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  find(name: string): Promise<T> | undefined {
    const known = this.#kept.get(name)
    if (known === undefined) return undefined
    this.#kept.delete(name) // and set again: the map is in the order of use
    this.#kept.set(name, known)
    return known.value
  }

  get(name: string, sizeBytes: number, load: () => Promise<T>): Promise<T> {
    const known = this.find(name)
    if (known !== undefined) return known
    const value = load()
    const entry = { value, sizeBytes }
    this.#kept.set(name, entry)
    this.#sizeBytes += sizeBytes
    value.catch(() => this.#drop(name, entry))
    for (const [oldest, old] of this.#kept) {
      if (this.#sizeBytes <= this.#limitBytes) break
      this.#drop(oldest, old)
    }
    return value
  }

  #drop(name: string, entry: { sizeBytes: number }): void {
    if (this.#kept.get(name) !== entry) return
    this.#kept.delete(name)
    this.#sizeBytes -= entry.sizeBytes
  }
}
