import type { ByteReader, ByteWriter } from '#bytes/cursor.ts'

// Kernel: the commit record of produced batches: which payload belongs to which partition. Written once per group commit and
// read once by `apply`, so an entry is fixed in size and its fields are read in place. Budget: 150 ns an entry, both ways
// together (bench/kernel/produce-record.bench.ts).
//
//   0  f64  time of the broker that proposed it, ms
//   8  f64  start position of the WAL file that holds the payload
//  16  f64  position of the payload: entries give their place from here
//  24  u32  count of entries
//  28  entries, 52 bytes each:
//       0  u32  partition ordinal
//       4  u32  place of the batch, from the payload's position
//       8  u32  bytes of the batch
//      12  u32  CRC-32C that the batch carries: ties the record to these very bytes
//      16  u32  count of records
//      20  f64  largest timestamp
//      28  f64  producer id, -1 without
//      36  i32  first sequence
//      40  i16  producer epoch
//      42  u16  attributes of the batch; bit 15 is ours
//      44  f64  append time if the topic has LogAppendTime, else -1

export const PRODUCE_HEADER_BYTES = 28
export const PRODUCE_ENTRY_BYTES = 52
const COUNT_AT = 24

/** Beside the attributes: the batch may bring its partition into the producer's transaction (KIP-890). */
export const JOINS_TRANSACTION_BIT = 0x8000

export interface BatchEntry {
  ordinal: number
  place: number
  sizeBytes: number
  crc: number
  recordCount: number
  maxTimestampMs: number
  producerId: number
  baseSequence: number
  producerEpoch: number
  attributes: number
  appendTimeMs: number
  /** Of the batch in the log: not stored, known when the record is applied. */
  position: number
}

export function beginProduceRecord(into: ByteWriter): void {
  into.offset = 0
  into.reserve(PRODUCE_HEADER_BYTES)
}

export function addProduceEntry(into: ByteWriter, entry: BatchEntry): void {
  const at = into.reserve(PRODUCE_ENTRY_BYTES)
  const bytes = into.bytes
  bytes.writeUInt32BE(entry.ordinal, at)
  bytes.writeUInt32BE(entry.place, at + 4)
  bytes.writeUInt32BE(entry.sizeBytes, at + 8)
  bytes.writeUInt32BE(entry.crc, at + 12)
  bytes.writeUInt32BE(entry.recordCount, at + 16)
  bytes.writeDoubleBE(entry.maxTimestampMs, at + 20)
  bytes.writeDoubleBE(entry.producerId, at + 28)
  bytes.writeInt32BE(entry.baseSequence, at + 36)
  bytes.writeInt16BE(entry.producerEpoch, at + 40)
  bytes.writeUInt16BE(entry.attributes, at + 42)
  bytes.writeDoubleBE(entry.appendTimeMs, at + 44)
}

export function endProduceRecord(into: ByteWriter, timeMs: number, file: number, payloadPosition: number): void {
  into.bytes.writeDoubleBE(timeMs, 0)
  into.bytes.writeDoubleBE(file, 8)
  into.bytes.writeDoubleBE(payloadPosition, 16)
  into.bytes.writeUInt32BE((into.offset - PRODUCE_HEADER_BYTES) / PRODUCE_ENTRY_BYTES, COUNT_AT)
}

export interface ProduceRecordHeader {
  timeMs: number
  file: number
  payloadPosition: number
  entryCount: number
}

/** Reads the header and checks that the entries are all there. */
export function readProduceHeader(reader: ByteReader, into: ProduceRecordHeader): void {
  into.timeMs = reader.f64()
  into.file = reader.f64()
  into.payloadPosition = reader.f64()
  into.entryCount = reader.u32()
  const entriesAt = reader.take(into.entryCount * PRODUCE_ENTRY_BYTES)
  reader.offset = entriesAt
}

/** Reads the entry at the reader and moves behind it. */
export function readProduceEntry(reader: ByteReader, into: BatchEntry): void {
  const at = reader.offset
  const bytes = reader.bytes
  into.ordinal = bytes.readUInt32BE(at)
  into.place = bytes.readUInt32BE(at + 4)
  into.sizeBytes = bytes.readUInt32BE(at + 8)
  into.crc = bytes.readUInt32BE(at + 12)
  into.recordCount = bytes.readUInt32BE(at + 16)
  into.maxTimestampMs = bytes.readDoubleBE(at + 20)
  into.producerId = bytes.readDoubleBE(at + 28)
  into.baseSequence = bytes.readInt32BE(at + 36)
  into.producerEpoch = bytes.readInt16BE(at + 40)
  into.attributes = bytes.readUInt16BE(at + 42)
  into.appendTimeMs = bytes.readDoubleBE(at + 44)
  reader.offset = at + PRODUCE_ENTRY_BYTES
}

export function newBatchEntry(): BatchEntry {
  return {
    ordinal: 0,
    place: 0,
    sizeBytes: 0,
    crc: 0,
    recordCount: 0,
    maxTimestampMs: -1,
    producerId: -1,
    baseSequence: -1,
    producerEpoch: -1,
    attributes: 0,
    appendTimeMs: -1,
    position: 0,
  }
}
