import { ChronikError } from '#base/errors.ts'
import type { Clock } from '#base/ports.ts'
import { BATCH_HEADER_BYTES, batchSizeBytesOf } from '#records/batch.ts'
import { BLOCK_BYTES, damagedSegment } from '#segments/segment-format.ts'
import { type PartIndex, readPartIndex } from '#segments/segment-index.ts'
import type { StoredSegment } from '#segments/segment-names.ts'

// Reads segments in the object store: the index of each, and its batches in blocks whose checksums the index has. What was read
// last is kept in memory; of several readers who want the same at once one asks the store.

/** Where ranges of objects come from: the store, or a cache in front of it. */
export interface RangeSource {
  getRange(key: string, from: number, length: number, signal: AbortSignal): Promise<Buffer>
}

/** Memory for indexes, and for blocks. */
const KEPT_INDEX_BYTES = 32 << 20
const KEPT_BLOCK_BYTES = 64 << 20
/** Blocks that are asked for in one request. */
const BLOCKS_AT_ONCE = 8
/** A store that takes longer does not answer now: the reader is told so in time to try again. */
const PATIENCE_MS = 10_000

export class SegmentReader {
  readonly #source: RangeSource
  readonly #clock: Clock
  readonly #indexes = new Recent<PartIndex>(KEPT_INDEX_BYTES)
  readonly #blocks = new Recent<Buffer>(KEPT_BLOCK_BYTES)
  readonly #ended = new AbortController()

  constructor(source: RangeSource, clock: Clock) {
    this.#source = source
    this.#clock = clock
  }

  index(segment: StoredSegment): Promise<PartIndex> {
    const { key, indexPlace, indexBytes } = segment
    return this.#indexes.get(`${key}:${indexPlace}`, indexBytes, async () => {
      const bytes = await this.#read(key, indexPlace, indexBytes)
      return readPartIndex(bytes, key, segment)
    })
  }

  /** The batches of a segment from a place on, whole blocks, at least up to `to`. */
  async span(segment: StoredSegment, place: number, to: number): Promise<SegmentSpan> {
    const index = await this.index(segment)
    const first = Math.floor(place / BLOCK_BYTES)
    const end = Math.ceil(Math.min(to, segment.sizeBytes) / BLOCK_BYTES)
    const blocks: Promise<Buffer>[] = []
    for (let block = first; block < end; ) {
      const known = this.#blocks.find(nameOf(segment, block))
      if (known !== undefined) {
        blocks.push(known)
        block++
        continue
      }
      let missing = block + 1
      const most = Math.min(end, block + BLOCKS_AT_ONCE)
      while (missing < most && this.#blocks.find(nameOf(segment, missing)) === undefined) missing++
      blocks.push(...this.#load(segment, index, { first: block, end: missing }))
      block = missing
    }
    return new SegmentSpan(await Promise.all(blocks), first * BLOCK_BYTES)
  }

  #load(segment: StoredSegment, index: PartIndex, range: { first: number; end: number }): Promise<Buffer>[] {
    const { key } = segment
    const from = range.first * BLOCK_BYTES
    const length = Math.min(range.end * BLOCK_BYTES, segment.sizeBytes) - from
    const reading = this.#read(key, segment.place + from, length)
    return Array.from({ length: range.end - range.first }, (_, i) => {
      const block = range.first + i
      const [at, end] = [i * BLOCK_BYTES, Math.min((i + 1) * BLOCK_BYTES, length)]
      return this.#blocks.get(nameOf(segment, block), end - at, async () => {
        const bytes = (await reading).subarray(at, end)
        checkBlock(segment, index, block, bytes)
        // A block that is kept must not keep those that were read with it.
        return bytes.length === length ? bytes : Buffer.from(bytes)
      })
    })
  }

  /** All batches of a segment, whole ones in each chunk; for who reads it once, so nothing is kept of it. */
  async *chunks(segment: StoredSegment): AsyncGenerator<Buffer> {
    const index = await this.index(segment)
    const { key, place, sizeBytes } = segment
    let rest: Buffer = Buffer.alloc(0)
    for (let from = 0; from < sizeBytes; from += BLOCKS_AT_ONCE * BLOCK_BYTES) {
      const bytes = await this.#read(key, place + from, Math.min(BLOCKS_AT_ONCE * BLOCK_BYTES, sizeBytes - from))
      for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
        checkBlock(segment, index, (from + at) / BLOCK_BYTES, bytes.subarray(at, at + BLOCK_BYTES))
      }
      const joined = rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
      const end = endOfBatches(joined)
      if (end > 0) yield joined.subarray(0, end)
      rest = joined.subarray(end)
    }
    if (rest.length > 0) throw damagedSegment(key, place + sizeBytes - rest.length, 'a batch is longer than the body')
  }

  async #read(key: string, from: number, length: number): Promise<Buffer> {
    const patience = new AbortController()
    const timer = this.#clock.after(PATIENCE_MS, () => patience.abort())
    try {
      const signal = AbortSignal.any([patience.signal, this.#ended.signal])
      const bytes = await this.#source.getRange(key, from, length, signal)
      if (bytes.length !== length) throw damagedSegment(key, from + bytes.length, 'the object ends there')
      return bytes
    } catch (thrown) {
      if (this.#ended.signal.aborted)
        throw new ChronikError('LOG_CLOSED', 'closed', 'the log was closed while it was read')
      if (patience.signal.aborted) throw slowStore(key, thrown)
      throw thrown
    } finally {
      timer.cancel()
    }
  }

  close(): void {
    this.#ended.abort()
  }
}

function checkBlock({ key, place }: StoredSegment, index: PartIndex, block: number, bytes: Buffer): void {
  if (index.blockIsIntact(block, bytes)) return
  throw damagedSegment(key, place + block * BLOCK_BYTES, 'the checksum of a block is wrong')
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

function nameOf({ key, place }: StoredSegment, block: number): string {
  return `${key}:${place}:${block}`
}

function slowStore(key: string, cause: unknown): ChronikError {
  const message = `the object store did not give ${key} within ${PATIENCE_MS / 1000} s`
  return new ChronikError('STORE_UNAVAILABLE', 'unavailable', message, { cause })
}

/** Blocks of a segment that lie one behind the other. */
export class SegmentSpan {
  readonly from: number
  readonly to: number
  readonly #blocks: readonly Buffer[]
  readonly #scratch = Buffer.alloc(SCRATCH_BYTES)

  constructor(blocks: readonly Buffer[], from: number) {
    this.#blocks = blocks
    this.from = from
    this.to = from + blocks.reduce((sum, block) => sum + block.length, 0)
  }

  /** Memory and place in it where a few bytes are whole: a header may begin in one block and end in the next. */
  find(place: number, length: number): { bytes: Buffer; at: number } {
    const block = Math.floor((place - this.from) / BLOCK_BYTES)
    const at = (place - this.from) % BLOCK_BYTES
    const bytes = this.#blocks[block]!
    if (at + length <= bytes.length) return { bytes, at }
    const rest = bytes.copy(this.#scratch, 0, at)
    this.#blocks[block + 1]!.copy(this.#scratch, rest, 0, length - rest)
    return { bytes: this.#scratch, at: 0 }
  }

  /** The bytes from one place to another. */
  slices(from: number, to: number): Buffer[] {
    const slices: Buffer[] = []
    for (let place = from; place < to; ) {
      const block = Math.floor((place - this.from) / BLOCK_BYTES)
      const blockAt = this.from + block * BLOCK_BYTES
      const end = Math.min(to, blockAt + BLOCK_BYTES)
      slices.push(this.#blocks[block]!.subarray(place - blockAt, end - blockAt))
      place = end
    }
    return slices
  }
}

const SCRATCH_BYTES = 64

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
