import { ChronikError } from '#base/errors.ts'
import {
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  batchSizeBytesOf,
  computeCrc,
  crcOf,
  MAGIC,
  magicOf,
  recordCountOf,
} from '#records/batch.ts'
import { MIN_RECORD_BYTES } from './records.kernel.ts'

/** Records looked at in one turn of the thread: some 2 ms (bench/kernel/compaction.bench.ts). */
export const RECORDS_PER_TURN = 8_000
/** Bytes of small batches looked at in one. */
export const BYTES_PER_TURN = 512 * 1024

/**
 * Where the batch at (bytes, at) ends. What is written anew gets a new CRC, which must not make right what was damaged, and a key
 * that is not one would remove a record: so every batch is checked before it is looked into.
 */
export function checkedBatchEnd(bytes: Buffer, at: number): number {
  const hasHeader = bytes.length - at >= BATCH_HEADER_BYTES
  const end = hasHeader ? at + batchSizeBytesOf(bytes, at) : at
  if (!hasHeader || end > bytes.length || end - at < BATCH_HEADER_BYTES || magicOf(bytes, at) !== MAGIC) {
    throw damagedBatch('something that is no whole batch', bytes, at)
  }
  if (computeCrc(bytes, at) !== crcOf(bytes, at)) throw damagedBatch('a batch whose CRC is wrong', bytes, at)
  return end
}

/** Records of a batch, of which `bodyBytes` are there, decompressed. */
export function checkedRecordCount(bytes: Buffer, at: number, bodyBytes: number): number {
  const count = recordCountOf(bytes, at)
  if (count < 0 || count * MIN_RECORD_BYTES > bodyBytes) throw damagedBatch('a batch with other records', bytes, at)
  return count
}

export function damagedBatch(what: string, bytes: Buffer, at: number): ChronikError {
  const offset = bytes.length - at >= 8 ? `where offset ${baseOffsetOf(bytes, at)} is expected` : 'at the end'
  return new ChronikError('SEGMENT_DAMAGED', 'corrupt', `compaction found ${what} ${offset}: nothing was changed`)
}
