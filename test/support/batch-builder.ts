// Record batches for tests, right ones and wrong ones: every field can be set to what it should not be. Written apart from the
// product's own code, so that the two check each other.

import { gzipSync, zstdCompressSync } from 'node:zlib'
import { crc32c } from '@node-rs/crc32'
import { compressFrameSync } from 'lz4-napi'
import { compressSync } from 'snappy'
import { ByteWriter } from '#bytes/cursor.ts'

export type Codec = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
const CODEC_BITS: Record<Codec, number> = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 }

export interface RecordFields {
  readonly key?: Buffer | string | null
  readonly value?: Buffer | string | null
  readonly headers?: readonly (readonly [name: string, value: Buffer | string | null])[]
  readonly timestampMs?: number
  /** Of its place in the batch unless given. */
  readonly offsetDelta?: number
  /** What the record claims instead of its true length. */
  readonly length?: number
  /** What it claims instead of the number of its headers. */
  readonly headerCount?: number
}

export interface BatchFields {
  readonly codec?: Codec
  readonly baseOffset?: number
  readonly partitionLeaderEpoch?: number
  readonly magic?: number
  /** Instead of those that the other fields give. */
  readonly attributes?: number
  readonly isTransactional?: boolean
  readonly isControl?: boolean
  readonly lastOffsetDelta?: number
  readonly baseTimestampMs?: number
  readonly maxTimestampMs?: number
  readonly producerId?: number
  readonly producerEpoch?: number
  readonly baseSequence?: number
  readonly recordCount?: number
  /** Of what follows the length field, instead of the true one. */
  readonly batchLength?: number
  readonly crc?: number
  /** Behind the last record, inside the batch. */
  readonly trailingBytes?: Buffer
  /** In place of the (compressed) records. */
  readonly payload?: Buffer
}

export const BATCH_HEADER_BYTES = 61
const CRC_AT = 17
const CRC_FROM = 21

export function buildBatch(records: readonly RecordFields[], batch: BatchFields = {}): Buffer {
  const timestamps = records.map(({ timestampMs }) => timestampMs ?? batch.baseTimestampMs ?? 0)
  const baseTimestampMs = batch.baseTimestampMs ?? timestamps[0] ?? 0
  const payload =
    batch.payload ?? compress(recordBytes(records, timestamps, baseTimestampMs, batch), batch.codec ?? 'none')
  const computedAttributes =
    CODEC_BITS[batch.codec ?? 'none'] | (batch.isTransactional ? 16 : 0) | (batch.isControl ? 32 : 0)

  const writer = new ByteWriter(BATCH_HEADER_BYTES + payload.length)
  writer.i64(batch.baseOffset ?? 0)
  writer.i32(batch.batchLength ?? BATCH_HEADER_BYTES - 12 + payload.length)
  writer.i32(batch.partitionLeaderEpoch ?? -1)
  writer.i8(batch.magic ?? 2)
  writer.u32(0)
  writer.i16(batch.attributes ?? computedAttributes)
  writer.i32(batch.lastOffsetDelta ?? records.length - 1)
  writer.i64(baseTimestampMs)
  writer.i64(batch.maxTimestampMs ?? Math.max(baseTimestampMs, ...timestamps))
  writer.i64(batch.producerId ?? -1)
  writer.i16(batch.producerEpoch ?? -1)
  writer.i32(batch.baseSequence ?? -1)
  writer.i32(batch.recordCount ?? records.length)
  writer.raw(payload)
  const bytes = Buffer.from(writer.written())
  bytes.writeUInt32BE(batch.crc ?? crc32c(bytes.subarray(CRC_FROM)), CRC_AT)
  return bytes
}

function recordBytes(
  records: readonly RecordFields[],
  timestamps: readonly number[],
  baseTimestampMs: number,
  { trailingBytes }: BatchFields,
): Buffer {
  const writer = new ByteWriter()
  for (const [i, record] of records.entries()) {
    const body = recordBody(record, record.offsetDelta ?? i, timestamps[i]! - baseTimestampMs)
    zigzag(writer, record.length ?? body.length)
    writer.raw(body)
  }
  if (trailingBytes !== undefined) writer.raw(trailingBytes)
  return Buffer.from(writer.written())
}

function recordBody(
  { key, value, headers = [], headerCount }: RecordFields,
  offsetDelta: number,
  timestampDelta: number,
) {
  const writer = new ByteWriter()
  writer.i8(0)
  zigzag(writer, timestampDelta)
  zigzag(writer, offsetDelta)
  sized(writer, key ?? null)
  sized(writer, value ?? null)
  zigzag(writer, headerCount ?? headers.length)
  for (const [name, headerValue] of headers) {
    sized(writer, name)
    sized(writer, headerValue)
  }
  return writer.written()
}

function sized(writer: ByteWriter, content: Buffer | string | null): void {
  if (content === null) {
    zigzag(writer, -1)
    return
  }
  const bytes = Buffer.from(content)
  zigzag(writer, bytes.length)
  writer.raw(bytes)
}

function zigzag(writer: ByteWriter, value: number): void {
  writer.uvarint(value >= 0 ? value * 2 : -value * 2 - 1)
}

function compress(bytes: Buffer, codec: Codec): Buffer {
  switch (codec) {
    case 'none':
      return bytes
    case 'gzip':
      return gzipSync(bytes)
    case 'snappy':
      return compressSync(bytes)
    case 'lz4':
      return compressFrameSync(bytes)
    case 'zstd':
      return zstdCompressSync(bytes)
  }
}
