import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteReader, ByteWriter, MalformedBytes } from '#bytes/cursor.ts'
import {
  addProduceEntry,
  type BatchEntry,
  beginProduceRecord,
  endProduceRecord,
  newBatchEntry,
  PRODUCE_ENTRY_BYTES,
  PRODUCE_HEADER_BYTES,
  type ProduceRecordHeader,
  readProduceEntry,
  readProduceHeader,
} from '#core/produce-record.kernel.ts'

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const entries = fc.record({
  ordinal: u32,
  place: u32,
  sizeBytes: u32,
  crc: u32,
  recordCount: u32,
  maxTimestampMs: fc.integer({ min: -1, max: Number.MAX_SAFE_INTEGER }),
  producerId: fc.integer({ min: -1, max: Number.MAX_SAFE_INTEGER }),
  baseSequence: fc.integer({ min: -1, max: 2 ** 31 - 1 }),
  producerEpoch: fc.integer({ min: -1, max: 32767 }),
  attributes: fc.integer({ min: 0, max: 65535 }),
  appendTimeMs: fc.integer({ min: -1, max: Number.MAX_SAFE_INTEGER }),
})

/** The layout by the book: one field after the other. */
function plainRecord(
  timeMs: number,
  file: number,
  payloadPosition: number,
  list: Omit<BatchEntry, 'position'>[],
): Buffer {
  const writer = new ByteWriter()
  writer.f64(timeMs)
  writer.f64(file)
  writer.f64(payloadPosition)
  writer.u32(list.length)
  for (const entry of list) {
    for (const value of [entry.ordinal, entry.place, entry.sizeBytes, entry.crc, entry.recordCount]) writer.u32(value)
    writer.f64(entry.maxTimestampMs)
    writer.f64(entry.producerId)
    writer.i32(entry.baseSequence)
    writer.i16(entry.producerEpoch)
    writer.u16(entry.attributes)
    writer.f64(entry.appendTimeMs)
  }
  return writer.written()
}

describe('the record of produced batches', () => {
  it('has the bytes of its layout and is read back as it was written', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.nat(),
        fc.nat(),
        fc.array(entries, { maxLength: 20 }),
        (timeMs, file, position, list) => {
          const record = new ByteWriter()
          beginProduceRecord(record)
          for (const entry of list) addProduceEntry(record, { ...entry, position: 0 })
          endProduceRecord(record, timeMs, file, position)
          expect(record.written()).toEqual(plainRecord(timeMs, file, position, list))

          const reader = new ByteReader(record.written())
          const header: ProduceRecordHeader = { timeMs: 0, file: 0, payloadPosition: 0, entryCount: 0 }
          readProduceHeader(reader, header)
          expect(header).toEqual({ timeMs, file, payloadPosition: position, entryCount: list.length })
          for (const entry of list) {
            const read = newBatchEntry()
            readProduceEntry(reader, read)
            expect(read).toEqual({ ...entry, position: 0 })
          }
          expect(reader.remaining).toBe(0)
        },
      ),
    )
  })

  it('is malformed if an entry is missing', () => {
    const record = new ByteWriter()
    beginProduceRecord(record)
    addProduceEntry(record, newBatchEntry())
    endProduceRecord(record, 1, 2, 3)
    const header: ProduceRecordHeader = { timeMs: 0, file: 0, payloadPosition: 0, entryCount: 0 }
    const short = new ByteReader(record.bytes, 0, PRODUCE_HEADER_BYTES + PRODUCE_ENTRY_BYTES - 1)
    expect(() => readProduceHeader(short, header)).toThrow(MalformedBytes)
  })
})
