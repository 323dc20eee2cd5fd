import { ByteReader, ByteWriter } from '#bytes/cursor.ts'
import {
  addProduceEntry,
  beginProduceRecord,
  endProduceRecord,
  newBatchEntry,
  type ProduceRecordHeader,
  readProduceEntry,
  readProduceHeader,
} from '#core/produce-record.kernel.ts'
import { measure } from './kernel-bench.ts'

// The commit record of a flush group: written once when it is sealed, read once when it is applied.

const ENTRIES = 100
const record = new ByteWriter()
const entry = newBatchEntry()
const header: ProduceRecordHeader = { timeMs: 0, file: 0, payloadPosition: 0, entryCount: 0 }

function write(): void {
  beginProduceRecord(record)
  for (let i = 0; i < ENTRIES; i++) {
    entry.ordinal = i
    addProduceEntry(record, entry)
  }
  endProduceRecord(record, 1_700_000_000_000, 0, 64)
}

function read(): void {
  const reader = new ByteReader(record.bytes, 0, record.offset)
  readProduceHeader(reader, header)
  for (let left = header.entryCount; left > 0; left--) readProduceEntry(reader, entry)
}

write()
const work = { items: ENTRIES, bytes: record.offset }
measure('produce record, written', work, write)
measure('produce record, read', work, read)
