import { type BatchEntry, JOINS_TRANSACTION_BIT, newBatchEntry } from '#core/produce-record.kernel.ts'
import { BATCH_HEADER_BYTES, crcOf, writeBatchHeader } from '#records/batch.ts'
import type { Prng } from '#test/support/sim/prng.ts'

/** A batch on its way: its bytes, and what the log is told of them. */
export interface SentBatch {
  readonly id: number
  readonly ordinal: number
  readonly bytes: Buffer
  readonly entry: Readonly<BatchEntry>
}

export interface BatchKind {
  id: number
  ordinal: number
  sizeBytes: number
  recordCount: number
  timestampMs: number
  producerId: number
  producerEpoch: number
  baseSequence: number
  /** As the record of the log has them: those of the batch, and ours. */
  attributes?: number
}

/** What the log never looks into is filled with the batch's number, and now and then with what looks like the log's own. */
export function makeBatch(kind: BatchKind, prng: Prng): SentBatch {
  const { id, ordinal, recordCount, timestampMs, producerId, producerEpoch, baseSequence, attributes = 0 } = kind
  const bytes = Buffer.alloc(Math.max(kind.sizeBytes, BATCH_HEADER_BYTES + 8), id & 255)
  bytes.writeUInt32BE(id, BATCH_HEADER_BYTES)
  if (prng.chance(0.1)) bytes.write('CHGR', prng.between(BATCH_HEADER_BYTES + 4, bytes.length - 4))
  writeBatchHeader(bytes, 0, bytes.length, {
    baseOffset: 0,
    leaderEpoch: -1,
    attributes: attributes & ~JOINS_TRANSACTION_BIT,
    lastOffsetDelta: recordCount - 1,
    baseTimestampMs: timestampMs,
    maxTimestampMs: timestampMs,
    producerId,
    producerEpoch,
    baseSequence,
    recordCount,
  })
  const entry: BatchEntry = {
    ...newBatchEntry(),
    ordinal,
    crc: crcOf(bytes, 0),
    recordCount,
    maxTimestampMs: timestampMs,
    producerId,
    baseSequence,
    producerEpoch,
    attributes,
  }
  return { id, ordinal, bytes, entry }
}
