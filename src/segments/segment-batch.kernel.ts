import { assert } from '#base/assert.ts'
import { crc32c } from '#bytes/crc32c.kernel.ts'
import { viewOf } from '#core/fields.ts'
import { KEPT_BATCHES, type KeptBatch, NO_PRODUCER, type Producer, sequenceAfter } from '#core/producers.ts'
import {
  ATTRIBUTES_AT,
  BASE_OFFSET_AT,
  BASE_SEQUENCE_AT,
  BATCH_HEADER_BYTES,
  BATCH_LENGTH_AT,
  BATCH_LENGTH_ENDS_AT,
  isControl,
  LAST_OFFSET_DELTA_AT,
  LEADER_EPOCH_AT,
  MAX_TIMESTAMP_AT,
  PRODUCER_EPOCH_AT,
  PRODUCER_ID_AT,
  RECORD_COUNT_AT,
} from '#records/batch.ts'
import { BLOCK_BYTES } from './segment-format.ts'

// Kernel: copies stored batches into the body of a segment and takes note of what its index will say, once a batch, from the
// header of the copy. Budget: 2 GB/s with batches of 1 KiB and 3 GB/s with batches of 64 KiB, copy and checksum included
// (bench/kernel/segment.bench.ts). Its plain twin is test/support/plain-segment.ts.

/** Entries of the sparse index begin so far apart at least. */
export const ENTRY_EVERY_BYTES = 1 << 16
/** Summed up while it is still in the cache of the processor that copied it. */
const SUM_BYTES = 1 << 17
const NO_BYTES = Buffer.alloc(0)
const TWO_32 = 4294967296

/** Numbers of an entry: offset from the base offset, place in the body, largest timestamp up to the next entry. */
export const ENTRY_NUMBERS = 3

/** A body in the making; owned and used again by the writer of a segment. */
export class BodyCopy {
  /** Where batches are copied to, and how much of it is taken, and summed up. */
  piece: Buffer = NO_BYTES
  view = viewOf(NO_BYTES)
  usedBytes = 0
  summedBytes = 0
  /** For a header that does not fit into the piece. */
  readonly aside = Buffer.alloc(BATCH_HEADER_BYTES)
  readonly asideView = viewOf(this.aside)
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

  get roomBytes(): number {
    return this.piece.length - this.usedBytes
  }

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
    this.view = viewOf(piece)
    this.usedBytes = 0
    this.summedBytes = 0
  }
}

/**
 * Copies the batch at (bytes, at) behind the others, or what the piece has room for: at least its header. Returns the bytes copied;
 * `copyBytes` goes on.
 */
export function copyBatch(
  body: BodyCopy,
  bytes: Buffer,
  at: number,
  sizeBytes: number,
  baseOffset: number,
  leaderEpoch: number,
): number {
  const { piece, view, usedBytes } = body
  const roomBytes = piece.length - usedBytes
  assert(roomBytes >= BATCH_HEADER_BYTES && at + sizeBytes <= bytes.length, 'there is a batch, and room for its header')
  const copiedBytes = sizeBytes < roomBytes ? sizeBytes : roomBytes
  bytes.copy(piece, usedBytes, at, at + copiedBytes)
  patch(body, view, usedBytes, sizeBytes, baseOffset, leaderEpoch)
  advance(body, copiedBytes)
  return copiedBytes
}

/** The same with the header alone, which comes to lie in `aside`: `copyBytes` copies all of the batch. Returns the bytes of the header. */
export function patchAside(
  body: BodyCopy,
  bytes: Buffer,
  at: number,
  sizeBytes: number,
  baseOffset: number,
  leaderEpoch: number,
): number {
  assert(at + sizeBytes <= bytes.length, 'there is a batch')
  bytes.copy(body.aside, 0, at, at + BATCH_HEADER_BYTES)
  patch(body, body.asideView, 0, sizeBytes, baseOffset, leaderEpoch)
  return BATCH_HEADER_BYTES
}

function patch(
  body: BodyCopy,
  view: DataView,
  at: number,
  sizeBytes: number,
  baseOffset: number,
  leaderEpoch: number,
): void {
  const saidBytes = BATCH_LENGTH_ENDS_AT + view.getInt32(at + BATCH_LENGTH_AT)
  assert(saidBytes === sizeBytes && sizeBytes >= BATCH_HEADER_BYTES, 'a batch has the size that it says')
  const high = Math.floor(baseOffset / TWO_32)
  view.setInt32(at + BASE_OFFSET_AT, high)
  view.setUint32(at + BASE_OFFSET_AT + 4, baseOffset - high * TWO_32)
  view.setInt32(at + LEADER_EPOCH_AT, leaderEpoch)
  noteBatch(body, view, at, sizeBytes, baseOffset)
}

/** Copies what is left of a batch, as far as the piece has room. */
export function copyBytes(body: BodyCopy, bytes: Buffer, at: number, sizeBytes: number): number {
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

function noteBatch(body: BodyCopy, view: DataView, at: number, sizeBytes: number, baseOffset: number): void {
  const lastOffsetDelta = view.getInt32(at + LAST_OFFSET_DELTA_AT)
  assert(baseOffset >= body.nextOffset && lastOffsetDelta >= 0, 'batches come in the order of their offsets')
  const { entries, sizeBytes: place } = body
  const timestampMs = i64At(view, at + MAX_TIMESTAMP_AT)
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
  body.recordCount += view.getInt32(at + RECORD_COUNT_AT)
  const producerId = i64At(view, at + PRODUCER_ID_AT)
  if (producerId !== NO_PRODUCER) noteProducer(body.producers, view, at, producerId, baseOffset, timestampMs)
}

function i64At(view: DataView, at: number): number {
  return view.getInt32(at) * TWO_32 + view.getUint32(at + 4)
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
  view: DataView,
  at: number,
  id: number,
  baseOffset: number,
  timestampMs: number,
): void {
  const row = producers.find(id)
  const { values } = producers
  const epoch = view.getInt16(at + PRODUCER_EPOCH_AT)
  if (epoch !== values[row + EPOCH]) {
    values[row + EPOCH] = epoch
    values[row + COUNT] = 0
  }
  // A marker has no sequence. All that it brings is its epoch (KIP-890).
  if (isControl(view.getInt16(at + ATTRIBUTES_AT))) return
  const n = values[row + COUNT]!
  const kept = batchRow(row, n)
  const firstSequence = view.getInt32(at + BASE_SEQUENCE_AT)
  values[kept + FIRST_SEQUENCE] = firstSequence
  values[kept + LAST_SEQUENCE] = sequenceAfter(firstSequence, view.getInt32(at + LAST_OFFSET_DELTA_AT))
  values[kept + BASE_OFFSET] = baseOffset
  values[kept + TIMESTAMP] = timestampMs
  values[row + COUNT] = n + 1
  // Below 0 are those who have had nothing but markers.
  values[row + LAST_MS] = timestampMs < 0 ? 0 : timestampMs
}
