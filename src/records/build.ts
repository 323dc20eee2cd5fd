import { ByteWriter } from '#bytes/cursor.ts'
import { varintSizeBytes, varlongSizeBytes, writeVarint, writeVarlong } from '#bytes/varint.kernel.ts'
import { BATCH_HEADER_BYTES, CONTROL_BIT, LOG_APPEND_TIME_BIT, TRANSACTIONAL_BIT, writeBatchHeader } from './batch.ts'

// Builds record batches: for the batches that the broker itself writes, for tools and for tests.

export interface RecordToWrite {
  /** -1, the default, for none. */
  readonly timestampMs?: number
  readonly key?: Uint8Array | null
  readonly value?: Uint8Array | null
  readonly headers?: readonly { readonly key: string; readonly value: Uint8Array | null }[]
}

export interface BatchOptions {
  readonly baseOffset?: number
  readonly leaderEpoch?: number
  readonly producerId?: number
  readonly producerEpoch?: number
  readonly baseSequence?: number
  readonly transactional?: boolean
  readonly control?: boolean
  /** All records get this time, as on a topic with LogAppendTime. */
  readonly logAppendTimeMs?: number
}

export function buildBatch(records: readonly RecordToWrite[], options: BatchOptions = {}): Buffer {
  const into = new ByteWriter(BATCH_HEADER_BYTES + 64 * records.length)
  into.reserve(BATCH_HEADER_BYTES)
  const baseTimestampMs = records[0]?.timestampMs ?? -1
  let maxTimestampMs = -1
  for (let index = 0; index < records.length; index++) {
    const record = records[index]!
    const timestampMs = record.timestampMs ?? -1
    maxTimestampMs = Math.max(maxTimestampMs, timestampMs)
    writeRecord(into, record, timestampMs - baseTimestampMs, index)
  }
  let attributes = 0
  if (options.logAppendTimeMs !== undefined) attributes |= LOG_APPEND_TIME_BIT
  if (options.transactional) attributes |= TRANSACTIONAL_BIT
  if (options.control) attributes |= CONTROL_BIT
  writeBatchHeader(into.bytes, 0, into.offset, {
    baseOffset: options.baseOffset ?? 0,
    leaderEpoch: options.leaderEpoch ?? -1,
    attributes,
    lastOffsetDelta: records.length - 1,
    baseTimestampMs,
    maxTimestampMs: options.logAppendTimeMs ?? maxTimestampMs,
    producerId: options.producerId ?? -1,
    producerEpoch: options.producerEpoch ?? -1,
    baseSequence: options.baseSequence ?? -1,
    recordCount: records.length,
  })
  return into.written()
}

function writeRecord(into: ByteWriter, record: RecordToWrite, timestampDelta: number, offsetDelta: number): void {
  const headers = record.headers ?? []
  let sizeBytes = 1 + varlongSizeBytes(timestampDelta) + varintSizeBytes(offsetDelta) + varintSizeBytes(headers.length)
  sizeBytes += fieldSizeBytes(record.key) + fieldSizeBytes(record.value)
  for (const header of headers) sizeBytes += fieldSizeBytes(Buffer.from(header.key)) + fieldSizeBytes(header.value)

  varint(into, sizeBytes)
  into.u8(0)
  const at = into.reserve(varlongSizeBytes(timestampDelta))
  writeVarlong(into.bytes, at, timestampDelta)
  varint(into, offsetDelta)
  field(into, record.key)
  field(into, record.value)
  varint(into, headers.length)
  for (const header of headers) {
    field(into, Buffer.from(header.key))
    field(into, header.value)
  }
}

function varint(into: ByteWriter, value: number): void {
  const at = into.reserve(varintSizeBytes(value))
  writeVarint(into.bytes, at, value)
}

function field(into: ByteWriter, bytes: Uint8Array | null | undefined): void {
  varint(into, bytes?.length ?? -1)
  if (bytes) into.raw(bytes)
}

function fieldSizeBytes(bytes: Uint8Array | null | undefined): number {
  const length = bytes?.length ?? 0
  return varintSizeBytes(length) + length
}
