import { assert } from '#base/assert.ts'
import { crc32c } from '#bytes/crc32c.kernel.ts'

// The header of a record batch, as producers send it, the log keeps it and consumers get it (Kafka: DefaultRecordBatch).
// A batch is read in place: (bytes, at) is where its first byte is, and nothing here allocates. Numbers of 64 bits are exact
// up to 2^53; `validate.ts` lets no batch in that has a larger one.
//
//    0  i64  base offset            the broker writes it; not under the CRC
//    8  i32  batch length           of everything behind this field
//   12  i32  partition leader epoch the broker writes it; not under the CRC
//   16  i8   magic                  2
//   17  u32  CRC-32C                of everything behind this field
//   21  i16  attributes             bits 0-2 codec, 3 LogAppendTime, 4 transactional, 5 control, 6 delete horizon
//   23  i32  last offset delta      count - 1, unless compaction took records out
//   27  i64  base timestamp         or the delete horizon, if bit 6 is set
//   35  i64  max timestamp
//   43  i64  producer id            -1 without
//   51  i16  producer epoch
//   53  i32  base sequence
//   57  i32  record count
//   61       records, compressed together

// Where the fields are: for kernels, which read by hand.
export const BASE_OFFSET_AT = 0
export const BATCH_LENGTH_AT = BASE_OFFSET_AT + 8
export const LEADER_EPOCH_AT = BATCH_LENGTH_AT + 4
const MAGIC_AT = LEADER_EPOCH_AT + 4
const CRC_AT = MAGIC_AT + 1
export const ATTRIBUTES_AT = CRC_AT + 4
export const LAST_OFFSET_DELTA_AT = ATTRIBUTES_AT + 2
const BASE_TIMESTAMP_AT = LAST_OFFSET_DELTA_AT + 4
export const MAX_TIMESTAMP_AT = BASE_TIMESTAMP_AT + 8
export const PRODUCER_ID_AT = MAX_TIMESTAMP_AT + 8
export const PRODUCER_EPOCH_AT = PRODUCER_ID_AT + 8
export const BASE_SEQUENCE_AT = PRODUCER_EPOCH_AT + 2
export const RECORD_COUNT_AT = BASE_SEQUENCE_AT + 4

/** Bytes of the header: where the records begin. */
export const BATCH_HEADER_BYTES = RECORD_COUNT_AT + 4
/** Bytes up to and with the batch length, which does not count them. */
export const BATCH_LENGTH_ENDS_AT = BATCH_LENGTH_AT + 4
/** Enough bytes to know the length and the magic of what begins here. */
export const BATCH_MAGIC_ENDS_AT = MAGIC_AT + 1

assert(BATCH_HEADER_BYTES === 61, 'the fields of a batch header add up')

export const MAGIC = 2

export const CODEC_MASK = 0x07
export const LOG_APPEND_TIME_BIT = 0x08
export const TRANSACTIONAL_BIT = 0x10
export const CONTROL_BIT = 0x20
export const DELETE_HORIZON_BIT = 0x40
/** What Kafka gives a meaning; a producer may set the others, and nobody looks. */
export const KNOWN_ATTRIBUTES = 0x7f

const TWO_32 = 4294967296

function i64At(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * TWO_32 + bytes.readUInt32BE(at + 4)
}

function writeI64(bytes: Buffer, at: number, value: number): void {
  const high = Math.floor(value / TWO_32)
  bytes.writeInt32BE(high, at)
  bytes.writeUInt32BE(value - high * TWO_32, at + 4)
}

export function baseOffsetOf(bytes: Buffer, at: number): number {
  return i64At(bytes, at + BASE_OFFSET_AT)
}

/** As the field says: everything behind it. */
export function batchLengthOf(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at + BATCH_LENGTH_AT)
}

/** Of the whole batch, header and all. */
export function batchSizeBytesOf(bytes: Buffer, at: number): number {
  return BATCH_LENGTH_ENDS_AT + batchLengthOf(bytes, at)
}

export function leaderEpochOf(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at + LEADER_EPOCH_AT)
}

export function magicOf(bytes: Buffer, at: number): number {
  return bytes.readInt8(at + MAGIC_AT)
}

export function crcOf(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at + CRC_AT)
}

export function attributesOf(bytes: Buffer, at: number): number {
  return bytes.readInt16BE(at + ATTRIBUTES_AT)
}

export function lastOffsetDeltaOf(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at + LAST_OFFSET_DELTA_AT)
}

export function lastOffsetOf(bytes: Buffer, at: number): number {
  return baseOffsetOf(bytes, at) + lastOffsetDeltaOf(bytes, at)
}

export function baseTimestampOf(bytes: Buffer, at: number): number {
  return i64At(bytes, at + BASE_TIMESTAMP_AT)
}

export function maxTimestampOf(bytes: Buffer, at: number): number {
  return i64At(bytes, at + MAX_TIMESTAMP_AT)
}

export function producerIdOf(bytes: Buffer, at: number): number {
  return i64At(bytes, at + PRODUCER_ID_AT)
}

export function producerEpochOf(bytes: Buffer, at: number): number {
  return bytes.readInt16BE(at + PRODUCER_EPOCH_AT)
}

export function baseSequenceOf(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at + BASE_SEQUENCE_AT)
}

export function recordCountOf(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at + RECORD_COUNT_AT)
}

export function computeCrc(bytes: Buffer, at: number): number {
  return crc32c(bytes, at + ATTRIBUTES_AT, at + batchSizeBytesOf(bytes, at))
}

export function setBaseOffset(bytes: Buffer, at: number, offset: number): void {
  writeI64(bytes, at + BASE_OFFSET_AT, offset)
}

export function setLeaderEpoch(bytes: Buffer, at: number, epoch: number): void {
  bytes.writeInt32BE(epoch, at + LEADER_EPOCH_AT)
}

/** What the CRC covers, so it is computed anew. */
export function setMaxTimestamp(bytes: Buffer, at: number, maxTimestampMs: number, attributes: number): void {
  bytes.writeInt16BE(attributes, at + ATTRIBUTES_AT)
  writeI64(bytes, at + MAX_TIMESTAMP_AT, maxTimestampMs)
  bytes.writeUInt32BE(computeCrc(bytes, at), at + CRC_AT)
}

/** The number of a codec, an index into `CODEC_NAMES`; 5 to 7 are none. */
export function codecOf(attributes: number): number {
  return attributes & CODEC_MASK
}

export function withCodec(attributes: number, codec: number): number {
  return (attributes & ~CODEC_MASK) | codec
}

export function isLogAppendTime(attributes: number): boolean {
  return (attributes & LOG_APPEND_TIME_BIT) !== 0
}

export function isTransactional(attributes: number): boolean {
  return (attributes & TRANSACTIONAL_BIT) !== 0
}

export function isControl(attributes: number): boolean {
  return (attributes & CONTROL_BIT) !== 0
}

export function hasDeleteHorizon(attributes: number): boolean {
  return (attributes & DELETE_HORIZON_BIT) !== 0
}

export interface BatchHeader {
  readonly baseOffset: number
  readonly leaderEpoch: number
  readonly attributes: number
  readonly lastOffsetDelta: number
  readonly baseTimestampMs: number
  readonly maxTimestampMs: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
}

/** The batch at (bytes, at) with its records in other bytes. Its CRC is wrong until `setMaxTimestamp`. */
export function batchWithBody(bytes: Buffer, at: number, body: Buffer): Buffer {
  const batch = Buffer.allocUnsafe(BATCH_HEADER_BYTES + body.length)
  bytes.copy(batch, 0, at, at + BATCH_HEADER_BYTES)
  body.copy(batch, BATCH_HEADER_BYTES)
  batch.writeInt32BE(batch.length - BATCH_LENGTH_ENDS_AT, BATCH_LENGTH_AT)
  return batch
}

/** Writes the header of a batch whose records are already in place and end at `to`. */
export function writeBatchHeader(bytes: Buffer, at: number, to: number, header: BatchHeader): void {
  setBaseOffset(bytes, at, header.baseOffset)
  bytes.writeInt32BE(to - at - BATCH_LENGTH_ENDS_AT, at + BATCH_LENGTH_AT)
  setLeaderEpoch(bytes, at, header.leaderEpoch)
  bytes.writeInt8(MAGIC, at + MAGIC_AT)
  bytes.writeInt32BE(header.lastOffsetDelta, at + LAST_OFFSET_DELTA_AT)
  writeI64(bytes, at + BASE_TIMESTAMP_AT, header.baseTimestampMs)
  writeI64(bytes, at + PRODUCER_ID_AT, header.producerId)
  bytes.writeInt16BE(header.producerEpoch, at + PRODUCER_EPOCH_AT)
  bytes.writeInt32BE(header.baseSequence, at + BASE_SEQUENCE_AT)
  bytes.writeInt32BE(header.recordCount, at + RECORD_COUNT_AT)
  setMaxTimestamp(bytes, at, header.maxTimestampMs, header.attributes)
}
