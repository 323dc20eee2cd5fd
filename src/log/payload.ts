import type { ByteReader } from '#bytes/cursor.ts'
import { eachRecord } from '#commit/wal-format.ts'
import type { RecoveredGroup } from '#commit/wal-recovery.ts'
import { decodeChange, PRODUCE_RECORD, typeOfChange } from '#core/change-records.ts'
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
  eachRecord(group.bytes, group.recordsFrom, group.recordsTo, ({ type, version, body }) => {
    if (type === PRODUCE_RECORD) intact = batchesAreIntact(group, body) && intact
    else if (type === TRANSACTION_ENDED) intact = markersAreIntact(group, decodeChange(type, version, body)) && intact
    else body.take(body.remaining)
  })
  return intact
}

const TRANSACTION_ENDED = typeOfChange('transaction-ended')

function markersAreIntact(group: RecoveredGroup, { change }: ReturnType<typeof decodeChange>): boolean {
  return change.kind === 'transaction-ended' && change.markers.every(marker => isIntact(group, marker))
}

interface PlacedBatch {
  readonly place: number
  readonly sizeBytes: number
  readonly crc: number
}

function isIntact({ bytes, payloadFrom, payloadTo }: RecoveredGroup, { place, sizeBytes, crc }: PlacedBatch): boolean {
  const at = payloadFrom + place
  return (
    at + sizeBytes <= payloadTo &&
    magicOf(bytes, at) === MAGIC &&
    batchSizeBytesOf(bytes, at) === sizeBytes &&
    crcOf(bytes, at) === crc &&
    computeCrc(bytes, at) === crc
  )
}

function batchesAreIntact(group: RecoveredGroup, body: ByteReader): boolean {
  const header: ProduceRecordHeader = { timeMs: 0, file: 0, payloadPosition: 0, entryCount: 0 }
  const entry = newBatchEntry()
  let intact = true
  readProduceHeader(body, header)
  for (let left = header.entryCount; left > 0; left--) {
    readProduceEntry(body, entry)
    intact &&= isIntact(group, entry)
  }
  return intact
}
