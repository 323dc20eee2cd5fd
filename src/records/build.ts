import { CODEC_NAMES, type CodecName } from '#bytes/codecs.ts'
import { compress } from '#bytes/compression.ts'
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
  readonly codec?: CodecName
  readonly compressionLevel?: number
}

export function buildBatch(records: readonly RecordToWrite[], options: BatchOptions = {}): Buffer {
  const baseTimestampMs = records[0]?.timestampMs ?? -1
  const codec = options.codec ?? 'uncompressed'
  const body = compress(codec, bodyOf(records, baseTimestampMs), options.compressionLevel)
  let attributes = CODEC_NAMES.indexOf(codec)
  if (options.logAppendTimeMs !== undefined) attributes |= LOG_APPEND_TIME_BIT
  if (options.transactional) attributes |= TRANSACTIONAL_BIT
  if (options.control) attributes |= CONTROL_BIT
  const batch = Buffer.allocUnsafe(BATCH_HEADER_BYTES + body.length)
  body.copy(batch, BATCH_HEADER_BYTES)
  writeBatchHeader(batch, 0, batch.length, {
    baseOffset: options.baseOffset ?? 0,
    leaderEpoch: options.leaderEpoch ?? -1,
    attributes,
    lastOffsetDelta: records.length - 1,
    baseTimestampMs,
    maxTimestampMs: options.logAppendTimeMs ?? maxTimestampOf(records),
    producerId: options.producerId ?? -1,
    producerEpoch: options.producerEpoch ?? -1,
    baseSequence: options.baseSequence ?? -1,
    recordCount: records.length,
  })
  return batch
}

const MARKER_VERSION = 0
const MARKER_TYPES = { abort: 0, commit: 1 } as const

/** The batch that ends a transaction in a partition (Kafka: EndTransactionMarker). */
export function buildEndMarker(
  type: 'abort' | 'commit',
  marker: { producerId: number; producerEpoch: number; coordinatorEpoch: number; timestampMs: number },
): Buffer {
  const key = Buffer.alloc(4)
  key.writeInt16BE(MARKER_VERSION, 0)
  key.writeInt16BE(MARKER_TYPES[type], 2)
  const value = Buffer.alloc(6)
  value.writeInt16BE(MARKER_VERSION, 0)
  value.writeInt32BE(marker.coordinatorEpoch, 2)
  return buildBatch([{ timestampMs: marker.timestampMs, key, value }], {
    producerId: marker.producerId,
    producerEpoch: marker.producerEpoch,
    transactional: true,
    control: true,
  })
}

function maxTimestampOf(records: readonly RecordToWrite[]): number {
  let maxTimestampMs = -1
  for (const record of records) maxTimestampMs = Math.max(maxTimestampMs, record.timestampMs ?? -1)
  return maxTimestampMs
}

function bodyOf(records: readonly RecordToWrite[], baseTimestampMs: number): Buffer {
  const into = new ByteWriter(64 * records.length)
  let offsetDelta = 0
  for (const record of records) writeRecord(into, record, (record.timestampMs ?? -1) - baseTimestampMs, offsetDelta++)
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
