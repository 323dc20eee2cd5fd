import { assert } from '#base/assert.ts'
import { crc32c } from '#bytes/crc32c.kernel.ts'
import { ByteReader, type ByteWriter, MalformedBytes } from '#bytes/cursor.ts'
import { keepTogether } from '#bytes/keep.ts'
import { readText, writeText } from '#core/fields.ts'
import { readNumbers, readProducers, writeNumbers, writeProducers } from '#core/packed-fields.ts'
import type { Producer } from '#core/producers.ts'
import { AbortedTransactions } from '#core/transactions.ts'
import { type BodyCopy, ENTRY_NUMBERS } from './segment-batch.kernel.ts'
import {
  BLOCK_BYTES,
  checkRange,
  checkVersion,
  damagedSegment,
  intact,
  MAX_INDEX_BYTES,
  type PartPlace,
  SEGMENT_VERSION,
  type SegmentPart,
} from './segment-format.ts'

// The index of a part: what is known about its body without reading it. Who has the row of a segment reads its index and then,
// of the body, what it wants: so it says again whose it is, and has a version of its own. All numbers are big-endian, but for the
// rows that are kept as they lie in memory.
//
//   0  u32  magic "CHSI"
//   4  u32  CRC-32C of what follows
//   8  u16  version
//  10  u16  zero
//  12  u32  partition
//  16  i64  base offset
//  24  i64  next offset
//  32  i64  place of the body
//  40  u32  bytes of the body
//  44  f64  largest timestamp
//  52  f64  state time of the first batch, ms
//  60  i64  records in the body
//  68  text topic id, text topic name
//      u32  count of blocks, then the CRC-32C of each 1 MiB of the body, u32
//      u32  count of entries, then each: f64 offset from the base offset, u32 place in the body, f64 largest timestamp of the
//           batches up to the next entry
//      u32  count of numbers in the aborted transactions, then each: f64, little-endian
//      u32  count of producers, then each as in a checkpoint

const MAGIC = 0x43485349
const CHECKED_FROM = 8
const ENTRY_BYTES = 20
const COUNT_BYTES = 4
const BLOCK_SUM_BYTES = 4
/** Of an aborted transaction. */
export const ABORTED_NUMBERS = 4
/** What an index takes in memory besides its bytes, as measured. */
export const INDEX_OBJECT_BYTES = 1200

/** What is said of a part besides what its batches say. */
export interface PartFacts {
  readonly topicId: string
  readonly topicName: string
  readonly partition: number
  readonly baseOffset: number
  readonly createdMs: number
  /** Rows of the transactions whose records are among the part's, and are not to be read. */
  readonly aborted: Float64Array
}

type BodyOfPart = Omit<SegmentPart, 'indexPlace' | 'indexBytes'>

/** Writes the index of a body that has ended, and returns its bytes. */
export function writePartIndex(into: ByteWriter, facts: PartFacts, part: BodyOfPart, body: BodyCopy): number {
  const from = into.offset
  into.u32(MAGIC)
  into.u32(0)
  into.u16(SEGMENT_VERSION)
  into.u16(0)
  into.u32(part.partition)
  into.i64(part.baseOffset)
  into.i64(part.nextOffset)
  into.i64(part.place)
  into.u32(part.sizeBytes)
  into.f64(part.maxTimestampMs)
  into.f64(part.createdMs)
  into.i64(body.recordCount)
  writeText(into, facts.topicId)
  writeText(into, facts.topicName)
  into.u32(body.blocks.length)
  for (const sum of body.blocks) into.u32(sum)
  const { entries } = body
  into.u32(entries.length / ENTRY_NUMBERS)
  for (let i = 0; i < entries.length; i += ENTRY_NUMBERS) {
    into.f64(entries[i]!)
    into.u32(entries[i + 1]!)
    into.f64(entries[i + 2]!)
  }
  writeNumbers(into, facts.aborted)
  const producers = body.producers.all()
  into.u32(producers.size)
  writeProducers(into, producers)
  const indexBytes = into.offset - from
  assert(indexBytes <= MAX_INDEX_BYTES, 'an index is within its limit')
  into.bytes.writeUInt32BE(crc32c(into.bytes, from + CHECKED_FROM, into.offset), from + 4)
  return indexBytes
}

/** Reads the index of a part from bytes that begin with it. What is in it is its own: the bytes may be used again. */
export function readPartIndex(bytes: Buffer, key: string, part: PartPlace): PartIndex {
  const { indexPlace, indexBytes } = part
  const damaged = (what: string) => damagedSegment(key, indexPlace, what)
  if (bytes.length < indexBytes || indexBytes < CHECKED_FROM) throw damaged(`its index has ${bytes.length} bytes`)
  if (bytes.readUInt32BE(0) !== MAGIC) throw damaged('there is no index of a part')
  if (bytes.readUInt32BE(4) !== crc32c(bytes, CHECKED_FROM, indexBytes))
    throw damaged('the checksum of an index is wrong')
  const reader = new ByteReader(bytes, CHECKED_FROM, indexBytes)
  return intact(key, indexPlace, () => {
    checkVersion(reader.u16(), key, indexPlace)
    reader.u16()
    const index = new PartIndex(reader)
    if (!index.isOf(part)) throw damaged(`there is the index of ${index.describe()}`)
    return index
  })
}

/** What is known about a part of a segment, in little memory: some 20 bytes for 64 KiB of its body. */
export class PartIndex {
  readonly topicId: string
  readonly topicName: string
  readonly partition: number
  readonly baseOffset: number
  readonly nextOffset: number
  /** Of the body in the object, and its size. */
  readonly place: number
  readonly sizeBytes: number
  /** -1 if no record has one. */
  readonly maxTimestampMs: number
  readonly createdMs: number
  readonly recordCount: number
  readonly blockCount: number
  /** As they are stored: checksums of blocks, entries, aborted transactions, producers. */
  readonly #bytes: Buffer
  readonly #entryCount: number
  readonly #entriesAt: number
  readonly #abortedAt: number
  readonly #producersAt: number

  /** From an index that is behind its version. What is wrong in it is malformed. */
  constructor(from: ByteReader) {
    this.partition = from.u32()
    this.baseOffset = from.i64()
    this.nextOffset = from.i64()
    this.place = from.i64()
    this.sizeBytes = from.u32()
    this.maxTimestampMs = from.f64()
    this.createdMs = from.f64()
    this.recordCount = from.i64()
    this.topicId = readText(from)
    this.topicName = readText(from)
    checkRange(this)
    this.#bytes = keepTogether([from.view(from.remaining)])[0]!
    const kept = new ByteReader(this.#bytes)
    this.blockCount = kept.u32()
    kept.take(this.blockCount * BLOCK_SUM_BYTES)
    this.#entryCount = kept.u32()
    this.#entriesAt = kept.take(this.#entryCount * ENTRY_BYTES)
    this.#abortedAt = kept.offset
    if (readNumbers(kept).length % ABORTED_NUMBERS > 0)
      throw new MalformedBytes('aborted transactions do not come whole')
    this.#producersAt = kept.offset
    readProducers(kept, kept.u32())
    if (kept.remaining > 0) throw new MalformedBytes(`${kept.remaining} bytes are left behind an index`)
    this.#check()
  }

  #check(): void {
    const { sizeBytes, baseOffset } = this
    const blockCount = Math.ceil(sizeBytes / BLOCK_BYTES)
    if (this.blockCount !== blockCount) throw new MalformedBytes('an index has not a checksum for each block')
    if (this.#entryCount > 0 !== sizeBytes > 0)
      throw new MalformedBytes('an index has not an entry for its first batch')
    let [lastOffset, lastPlace] = [-1, -1]
    for (let i = 0; i < this.#entryCount; i++) {
      const [offset, place] = [this.#offsetAt(i), this.#placeAt(i)]
      const follows = offset > lastOffset && place > lastPlace && (i > 0 || place === 0)
      const isWithin = baseOffset + offset < this.nextOffset && place < sizeBytes
      if (!follows || !isWithin || !Number.isSafeInteger(offset) || !Number.isFinite(this.#maxTimestampMsAt(i))) {
        throw new MalformedBytes(`entry ${i} of an index is not one that can be behind the one before it`)
      }
      lastOffset = offset
      lastPlace = place
    }
  }

  /** Is it the index of this part, and of this body? */
  isOf(part: PartPlace): boolean {
    const isSamePart = this.topicId === part.topicId && this.partition === part.partition
    const isSameRange = this.baseOffset === part.baseOffset && this.nextOffset === part.nextOffset
    return isSamePart && isSameRange && this.place === part.place && this.sizeBytes === part.sizeBytes
  }

  describe(): string {
    const { topicName, partition, baseOffset, nextOffset, place, sizeBytes } = this
    return `${topicName}-${partition}, offsets ${baseOffset} to ${nextOffset}, ${sizeBytes} bytes at ${place}`
  }

  /** About the memory that it takes. */
  get memoryBytes(): number {
    return INDEX_OBJECT_BYTES + this.#bytes.length
  }

  /** Where in the body to begin to read so as to come to the batch that holds the offset, or the first one behind it. */
  placeOf(offset: number): number {
    assert(offset >= this.baseOffset && offset <= this.nextOffset, 'an offset of this part')
    const wanted = offset - this.baseOffset
    return this.#placeAt(this.#lastAtMost(entry => this.#offsetAt(entry) <= wanted))
  }

  /** Where in the body the next entry begins, or the body ends: no batch that begins before it goes on behind it. */
  placeBehind(place: number): number {
    return this.#placeAt(this.#entryAt(place) + 1)
  }

  /**
   * Where in the body, from a batch on, to begin to read so as to come to the first batch that has a record whose time is not before
   * that time; -1 if there is none.
   */
  firstNotBefore(timestampMs: number, fromPlace: number): number {
    for (let i = this.#entryAt(fromPlace); i < this.#entryCount; i++) {
      if (this.#maxTimestampMsAt(i) >= timestampMs) return Math.max(this.#placeAt(i), fromPlace)
    }
    return -1
  }

  /** Of the body; the last block may be shorter than the others. */
  blockBytes(block: number): number {
    assert(block >= 0 && block < this.blockCount, 'a block of this part')
    return Math.min(BLOCK_BYTES, this.sizeBytes - block * BLOCK_BYTES)
  }

  /** Are the bytes from `at` on those that the body had in this block? If there are too few of them they are not. */
  blockIsIntact(block: number, bytes: Buffer, at = 0): boolean {
    const end = at + this.blockBytes(block)
    return (
      end <= bytes.length && crc32c(bytes, at, end) === this.#bytes.readUInt32BE(COUNT_BYTES + block * BLOCK_SUM_BYTES)
    )
  }

  /** Those whose records are among the part's. */
  aborted(): AbortedTransactions {
    return new AbortedTransactions(readNumbers(new ByteReader(this.#bytes, this.#abortedAt)))
  }

  /** Those that have batches or markers in the part, as if nothing else had ever been. */
  producers(): Map<number, Producer> {
    const from = new ByteReader(this.#bytes, this.#producersAt)
    return readProducers(from, from.u32())
  }

  /** The entry that the batch at a place belongs to. */
  #entryAt(place: number): number {
    return this.#lastAtMost(entry => this.#placeAt(entry) <= place)
  }

  #offsetAt(entry: number): number {
    return this.#bytes.readDoubleBE(this.#entriesAt + entry * ENTRY_BYTES)
  }

  /** Behind the last entry the body ends. */
  #placeAt(entry: number): number {
    return entry < this.#entryCount
      ? this.#bytes.readUInt32BE(this.#entriesAt + entry * ENTRY_BYTES + 8)
      : this.sizeBytes
  }

  #maxTimestampMsAt(entry: number): number {
    return this.#bytes.readDoubleBE(this.#entriesAt + entry * ENTRY_BYTES + 12)
  }

  /** Entries from the first on are at most what is wanted, up to one: that one, or the first. */
  #lastAtMost(isAtMost: (entry: number) => boolean): number {
    let low = 1
    let high = this.#entryCount
    while (low < high) {
      const middle = (low + high) >> 1
      if (isAtMost(middle)) low = middle + 1
      else high = middle
    }
    return low - 1
  }
}
