import { assert } from '#base/assert.ts'
import { crc32c } from '#bytes/crc32c.kernel.ts'
import { KEPT_BATCHES, type KeptBatch, NO_PRODUCER, type Producer, sequenceAfter } from '#core/producers.ts'
import {
  attributesOf,
  BATCH_HEADER_BYTES,
  baseSequenceOf,
  batchSizeBytesOf,
  isControl,
  lastOffsetDeltaOf,
  maxTimestampOf,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
  setBaseOffset,
  setLeaderEpoch,
} from '#records/batch.ts'
import { BLOCK_BYTES } from './segment-format.ts'

// Kernel: copies stored batches into the body of a segment and takes note of what its index will say, once a batch, from the
// header of the copy. Budget: 2 GB/s with batches of 1 KiB and 4 GB/s with batches of 64 KiB, copy and checksum included
// (bench/kernel/segment.bench.ts). Its plain twin is test/support/plain-segment.ts.

/** Entries of the sparse index begin so far apart at least. */
export const ENTRY_EVERY_BYTES = 1 << 16
/** Summed up while it is still in the cache of the processor that copied it. */
const SUM_BYTES = 1 << 17
const NO_BYTES = Buffer.alloc(0)

/** Numbers of an entry: offset from the base offset, place in the body, largest timestamp up to the next entry. */
export const ENTRY_NUMBERS = 3

/** A body in the making; owned and used again by the writer of a segment. */
export class BodyCopy {
  /** Where batches are copied to, and how much of it is taken, and summed up. */
  piece: Buffer = NO_BYTES
  usedBytes = 0
  summedBytes = 0
  baseOffset = 0
  nextOffset = 0
  sizeBytes = 0
  recordCount = 0
  /** -1 if no record has one. */
  maxTimestampMs = -1
  /** CRC-32C of each whole block, and of what there is of the last one. */
  readonly blocks: number[] = []
  sum = 0
  blockLeftBytes = BLOCK_BYTES
  readonly entries: number[] = []
  nextEntryPlace = 0
  readonly producers = new ProducerRows()

  begin(baseOffset: number): void {
    assert(this.summedBytes === this.usedBytes, 'the body before it was ended')
    this.baseOffset = baseOffset
    this.nextOffset = baseOffset
    this.sizeBytes = 0
    this.recordCount = 0
    this.maxTimestampMs = -1
    this.blocks.length = 0
    this.sum = 0
    this.blockLeftBytes = BLOCK_BYTES
    this.entries.length = 0
    this.nextEntryPlace = 0
    this.producers.clear()
  }

  /** Sums up what there is: the body ends here. */
  end(): void {
    sumUp(this)
    if (this.blockLeftBytes < BLOCK_BYTES) this.blocks.push(this.sum)
  }

  /** Goes on in other memory. */
  turn(piece: Buffer): void {
    sumUp(this)
    this.piece = piece
    this.usedBytes = 0
    this.summedBytes = 0
  }
}

/**
 * Copies the batch at (bytes, at) behind the others, or what there is room for: at least its header. Returns the count of bytes;
 * `copyRest` goes on.
 */
export function copyBatch(
  body: BodyCopy,
  bytes: Buffer,
  at: number,
  sizeBytes: number,
  baseOffset: number,
  leaderEpoch: number,
): number {
  const { piece, usedBytes } = body
  const roomBytes = piece.length - usedBytes
  assert(roomBytes >= BATCH_HEADER_BYTES && at + sizeBytes <= bytes.length, 'there is a batch, and room for its header')
  const copiedBytes = sizeBytes < roomBytes ? sizeBytes : roomBytes
  bytes.copy(piece, usedBytes, at, at + copiedBytes)
  assert(batchSizeBytesOf(piece, usedBytes) === sizeBytes, 'a batch has the size that it says')
  setBaseOffset(piece, usedBytes, baseOffset)
  setLeaderEpoch(piece, usedBytes, leaderEpoch)
  noteBatch(body, piece, usedBytes, sizeBytes, baseOffset)
  advance(body, copiedBytes)
  return copiedBytes
}

/** Copies of a batch that did not fit what there is room for now. */
export function copyRest(body: BodyCopy, bytes: Buffer, at: number, sizeBytes: number): number {
  const roomBytes = body.piece.length - body.usedBytes
  const copiedBytes = sizeBytes < roomBytes ? sizeBytes : roomBytes
  bytes.copy(body.piece, body.usedBytes, at, at + copiedBytes)
  advance(body, copiedBytes)
  return copiedBytes
}

function advance(body: BodyCopy, copiedBytes: number): void {
  body.usedBytes += copiedBytes
  if (body.usedBytes - body.summedBytes >= SUM_BYTES) sumUp(body)
}

function noteBatch(body: BodyCopy, piece: Buffer, at: number, sizeBytes: number, baseOffset: number): void {
  const lastOffsetDelta = lastOffsetDeltaOf(piece, at)
  assert(baseOffset >= body.nextOffset && lastOffsetDelta >= 0, 'batches come in the order of their offsets')
  const { entries, sizeBytes: place } = body
  const timestampMs = maxTimestampOf(piece, at)
  if (place >= body.nextEntryPlace) {
    entries.push(baseOffset - body.baseOffset, place, -1)
    body.nextEntryPlace = place + ENTRY_EVERY_BYTES
  }
  if (timestampMs > entries[entries.length - 1]!) {
    entries[entries.length - 1] = timestampMs
    if (timestampMs > body.maxTimestampMs) body.maxTimestampMs = timestampMs
  }
  body.sizeBytes = place + sizeBytes
  body.nextOffset = baseOffset + lastOffsetDelta + 1
  body.recordCount += recordCountOf(piece, at)
  const producerId = producerIdOf(piece, at)
  if (producerId !== NO_PRODUCER) noteProducer(body.producers, piece, at, producerId, baseOffset, timestampMs)
}

function sumUp(body: BodyCopy): void {
  while (body.summedBytes < body.usedBytes) {
    const end = Math.min(body.usedBytes, body.summedBytes + body.blockLeftBytes)
    body.sum = crc32c(body.piece, body.summedBytes, end, body.sum)
    body.blockLeftBytes -= end - body.summedBytes
    body.summedBytes = end
    if (body.blockLeftBytes > 0) continue
    body.blocks.push(body.sum)
    body.sum = 0
    body.blockLeftBytes = BLOCK_BYTES
  }
}

// A producer is a row of numbers: what it is, how many batches it has had with its epoch, and the last five of them, the n-th in
// place n modulo 5.
const [ID, EPOCH, LAST_MS, COUNT, BATCHES] = [0, 1, 2, 3, 4]
const [FIRST_SEQUENCE, LAST_SEQUENCE, BASE_OFFSET, TIMESTAMP] = [0, 1, 2, 3]
const BATCH_NUMBERS = 4
const ROW_NUMBERS = BATCHES + KEPT_BATCHES * BATCH_NUMBERS

/** Producers in the order of their first batches, as core/producers.ts would know them if there were nothing but this body. */
export class ProducerRows {
  values = new Float64Array(ROW_NUMBERS).fill(NO_PRODUCER)
  /** Where the row of a producer begins, and of the one that was looked up last. */
  readonly rowOf = new Map<number, number>()
  lastRow = 0

  clear(): void {
    this.rowOf.clear()
    this.lastRow = 0
    this.values[ID] = NO_PRODUCER
  }

  /** The row of a producer; a new one has an epoch that no batch has. */
  find(id: number): number {
    if (this.values[this.lastRow + ID] === id) return this.lastRow
    this.lastRow = this.rowOf.get(id) ?? this.#add(id)
    return this.lastRow
  }

  #add(id: number): number {
    const row = this.rowOf.size * ROW_NUMBERS
    if (row === this.values.length) {
      const grown = new Float64Array(row * 2)
      grown.set(this.values)
      this.values = grown
    }
    this.values[row + ID] = id
    this.values[row + EPOCH] = Number.NaN
    this.values[row + LAST_MS] = -1
    this.values[row + COUNT] = 0
    this.rowOf.set(id, row)
    return row
  }

  all(): Map<number, Producer> {
    const producers = new Map<number, Producer>()
    for (const [id, row] of this.rowOf) {
      const batches: KeptBatch[] = []
      const count = this.values[row + COUNT]!
      for (let n = Math.max(0, count - KEPT_BATCHES); n < count; n++) {
        const at = batchRow(row, n)
        batches.push({
          firstSequence: this.values[at + FIRST_SEQUENCE]!,
          lastSequence: this.values[at + LAST_SEQUENCE]!,
          baseOffset: this.values[at + BASE_OFFSET]!,
          timestampMs: this.values[at + TIMESTAMP]!,
        })
      }
      producers.set(id, { epoch: this.values[row + EPOCH]!, lastAppendMs: this.values[row + LAST_MS]!, batches })
    }
    return producers
  }
}

function batchRow(row: number, n: number): number {
  return row + BATCHES + (n % KEPT_BATCHES) * BATCH_NUMBERS
}

function noteProducer(
  producers: ProducerRows,
  piece: Buffer,
  at: number,
  id: number,
  baseOffset: number,
  timestampMs: number,
): void {
  const row = producers.find(id)
  const { values } = producers
  const epoch = producerEpochOf(piece, at)
  if (epoch !== values[row + EPOCH]) {
    values[row + EPOCH] = epoch
    values[row + COUNT] = 0
  }
  // A marker has no sequence. All that it brings is its epoch (KIP-890).
  if (isControl(attributesOf(piece, at))) return
  const n = values[row + COUNT]!
  const kept = batchRow(row, n)
  const firstSequence = baseSequenceOf(piece, at)
  values[kept + FIRST_SEQUENCE] = firstSequence
  values[kept + LAST_SEQUENCE] = sequenceAfter(firstSequence, lastOffsetDeltaOf(piece, at))
  values[kept + BASE_OFFSET] = baseOffset
  values[kept + TIMESTAMP] = timestampMs
  values[row + COUNT] = n + 1
  values[row + LAST_MS] = timestampMs
}
