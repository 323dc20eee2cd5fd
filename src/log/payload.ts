import type { ByteReader } from '#bytes/cursor.ts'
import { eachRecord } from '#commit/wal-format.ts'
import type { RecoveredGroup } from '#commit/wal-recovery.ts'
import { PRODUCE_RECORD } from '#core/change-records.ts'
import {
  newBatchEntry,
  type ProduceRecordHeader,
  readProduceEntry,
  readProduceHeader,
} from '#core/produce-record.kernel.ts'
import { batchSizeBytesOf, computeCrc, crcOf, MAGIC, magicOf } from '#records/batch.ts'

/** Are the batches of a group those that its records speak of? Their own checksums say so; the log adds none of its own. */
export function payloadIsIntact(group: RecoveredGroup): boolean {
  let intact = true
  eachRecord(group.bytes, group.recordsFrom, group.recordsTo, ({ type, body }) => {
    if (type === PRODUCE_RECORD) intact = intact && batchesAreIntact(group, body)
    else body.take(body.remaining)
  })
  return intact
}

function batchesAreIntact(group: RecoveredGroup, body: ByteReader): boolean {
  const header: ProduceRecordHeader = { timeMs: 0, file: 0, payloadPosition: 0, entryCount: 0 }
  const entry = newBatchEntry()
  const { bytes, payloadFrom, payloadTo } = group
  let intact = true
  readProduceHeader(body, header)
  for (let left = header.entryCount; left > 0; left--) {
    readProduceEntry(body, entry)
    const at = payloadFrom + entry.place
    intact &&=
      at + entry.sizeBytes <= payloadTo &&
      magicOf(bytes, at) === MAGIC &&
      batchSizeBytesOf(bytes, at) === entry.sizeBytes &&
      crcOf(bytes, at) === entry.crc &&
      computeCrc(bytes, at) === entry.crc
  }
  return intact
}
