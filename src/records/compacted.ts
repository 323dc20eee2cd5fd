import {
  attributesOf,
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  baseSequenceOf,
  CODEC_MASK,
  DELETE_HORIZON_BIT,
  KNOWN_ATTRIBUTES,
  lastOffsetDeltaOf,
  leaderEpochOf,
  maxTimestampOf,
  producerEpochOf,
  producerIdOf,
  writeBatchHeader,
} from './batch.ts'

// Batches that compaction took records out of (Kafka: MemoryRecords.filterTo). Offsets, sequence numbers, producer and leader
// epoch stay those of the batch as it was: a producer that comes again finds its last sequence, a consumer the next offset.

const NO_TIMESTAMP = -1

/** What is said of the records that stayed. */
export interface KeptRecords {
  readonly recordCount: number
  readonly baseTimestampMs: number
  readonly maxTimestampMs: number
  /** The base timestamp is the time from which the batch's tombstones, or its marker, may go. */
  readonly hasDeleteHorizon: boolean
}

/** The batch at (bytes, at) with `body`, compressed with its codec, in the place of its records. */
export function compactedBatch(bytes: Buffer, at: number, kept: KeptRecords, body: Buffer): Buffer {
  const attributes = attributesOf(bytes, at) & KNOWN_ATTRIBUTES & ~DELETE_HORIZON_BIT
  const batch = Buffer.allocUnsafe(BATCH_HEADER_BYTES + body.length)
  body.copy(batch, BATCH_HEADER_BYTES)
  writeHeader(batch, bytes, at, { ...kept, attributes: attributes | (kept.hasDeleteHorizon ? DELETE_HORIZON_BIT : 0) })
  return batch
}

/** The batch at (bytes, at) without its records: a header, which keeps its offsets and sequence numbers in the log. */
export function emptiedBatch(bytes: Buffer, at: number): Buffer {
  const attributes = attributesOf(bytes, at) & KNOWN_ATTRIBUTES & ~DELETE_HORIZON_BIT & ~CODEC_MASK
  const batch = Buffer.allocUnsafe(BATCH_HEADER_BYTES)
  const maxTimestampMs = maxTimestampOf(bytes, at)
  writeHeader(batch, bytes, at, { attributes, recordCount: 0, baseTimestampMs: NO_TIMESTAMP, maxTimestampMs })
  return batch
}

interface Changes {
  readonly attributes: number
  readonly recordCount: number
  readonly baseTimestampMs: number
  readonly maxTimestampMs: number
}

function writeHeader(batch: Buffer, bytes: Buffer, at: number, changes: Changes): void {
  writeBatchHeader(batch, 0, batch.length, {
    baseOffset: baseOffsetOf(bytes, at),
    leaderEpoch: leaderEpochOf(bytes, at),
    attributes: changes.attributes,
    lastOffsetDelta: lastOffsetDeltaOf(bytes, at),
    baseTimestampMs: changes.baseTimestampMs,
    maxTimestampMs: changes.maxTimestampMs,
    producerId: producerIdOf(bytes, at),
    producerEpoch: producerEpochOf(bytes, at),
    baseSequence: baseSequenceOf(bytes, at),
    recordCount: changes.recordCount,
  })
}
