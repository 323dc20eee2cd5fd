import { CODEC_NAMES, type CodecName } from '#bytes/codecs.ts'
import { decompress, decompressOffThread, INLINE_INPUT_BYTES, INLINE_OUTPUT_BYTES } from '#bytes/compression.ts'
import { MalformedBytes } from '#bytes/cursor.ts'
import { OutputTooLarge } from '#bytes/errors.ts'
import { readVarint, readVarlong, varintEnd } from '#bytes/varint.kernel.ts'
import {
  attributesOf,
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  baseTimestampOf,
  batchSizeBytesOf,
  codecOf,
  isLogAppendTime,
  maxTimestampOf,
  recordCountOf,
} from './batch.ts'

// The records of a stored batch as objects: for whoever looks at few of them.

/** What is stored was held against the limit when it came, and the setting may have been lowered since. */
export const STORED_LIMIT_BYTES = 2 ** 31 - 1

export interface RecordHeader {
  readonly key: string
  readonly value: Buffer | null
}

/** Keys and values are views of the batch, or of its decompressed records. */
export interface StoredRecord {
  readonly offset: number
  readonly timestampMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly RecordHeader[]
}

/** The records of the batch at (bytes, at), which may be fewer than there were: compaction leaves gaps. */
export function* recordsOf(bytes: Buffer, at: number, decompressLimitBytes: number): Generator<StoredRecord> {
  const end = at + batchSizeBytesOf(bytes, at)
  yield* recordsIn(
    bytes,
    at,
    decompress(codecNameOf(bytes, at), bytes, at + BATCH_HEADER_BYTES, end, decompressLimitBytes),
  )
}

/** The same; what takes long to decompress holds up nobody, and must not change meanwhile. */
export async function readRecords(
  bytes: Buffer,
  at: number,
  decompressLimitBytes: number,
): Promise<Generator<StoredRecord>> {
  return recordsIn(bytes, at, await openRecords(bytes, at, decompressLimitBytes))
}

/** What is in the batch at (bytes, at) behind its header, decompressed: a view if it was not compressed. */
export async function openRecords(bytes: Buffer, at: number, decompressLimitBytes: number): Promise<Buffer> {
  const codec = codecNameOf(bytes, at)
  const from = at + BATCH_HEADER_BYTES
  const end = at + batchSizeBytesOf(bytes, at)
  if (codec === 'uncompressed' || end - at <= INLINE_INPUT_BYTES) {
    const inlineBytes = codec === 'uncompressed' ? decompressLimitBytes : INLINE_OUTPUT_BYTES
    try {
      return decompress(codec, bytes, from, end, Math.min(inlineBytes, decompressLimitBytes))
    } catch (thrown) {
      if (!(thrown instanceof OutputTooLarge)) throw thrown
    }
  }
  return decompressOffThread(codec, bytes, from, end, decompressLimitBytes)
}

function codecNameOf(bytes: Buffer, at: number): CodecName {
  const number = codecOf(attributesOf(bytes, at))
  const codec = CODEC_NAMES[number]
  if (codec === undefined) throw new MalformedBytes(`There is no compression codec ${number}`)
  return codec
}

/** The records of a batch whose body is decompressed. */
function* recordsIn(bytes: Buffer, at: number, body: Buffer): Generator<StoredRecord> {
  const attributes = attributesOf(bytes, at)
  const baseOffset = baseOffsetOf(bytes, at)
  const baseTimestampMs = baseTimestampOf(bytes, at)
  const appendTimeMs = isLogAppendTime(attributes) ? maxTimestampOf(bytes, at) : undefined
  const reader = new RecordReader(body)
  for (let left = recordCountOf(bytes, at); left > 0; left--) {
    const record = reader.record()
    yield {
      offset: baseOffset + record.offsetDelta,
      timestampMs: appendTimeMs ?? baseTimestampMs + record.timestampDelta,
      key: record.key,
      value: record.value,
      headers: record.headers,
    }
  }
}

/** The first record of the batch from that offset on whose time is not before that time (Kafka: RecordBatch, ListOffsets). */
export async function findByTimestamp(
  bytes: Buffer,
  at: number,
  wanted: { timestampMs: number; minOffset: number },
  decompressLimitBytes: number,
): Promise<{ offset: number; timestampMs: number } | null> {
  if (maxTimestampOf(bytes, at) < wanted.timestampMs) return null
  for (const { offset, timestampMs } of await readRecords(bytes, at, decompressLimitBytes)) {
    if (offset >= wanted.minOffset && timestampMs >= wanted.timestampMs) return { offset, timestampMs }
  }
  return null
}

class RecordReader {
  private readonly body: Buffer
  private at = 0
  private end: number

  constructor(body: Buffer) {
    this.body = body
    this.end = body.length
  }

  record() {
    this.end = this.body.length
    const length = this.varint()
    this.end = this.at + length
    if (length < 0 || this.end > this.body.length) throw new MalformedBytes(`a record cannot be ${length} bytes long`)
    this.at++
    const timestampDelta = this.moved(readVarlong(this.body, this.at, this.end))
    const offsetDelta = this.varint()
    const key = this.field()
    const value = this.field()
    const headers: RecordHeader[] = []
    const headerCount = this.varint()
    if (headerCount < 0) throw new MalformedBytes(`a record cannot have ${headerCount} headers`)
    while (headers.length < headerCount) headers.push(this.header())
    if (this.at !== this.end) throw new MalformedBytes(`a record of ${length} bytes does not end where it should`)
    return { timestampDelta, offsetDelta, key, value, headers }
  }

  private header(): RecordHeader {
    const key = this.field()
    if (key === null) throw new MalformedBytes('a record header has no key')
    return { key: key.toString(), value: this.field() }
  }

  private field(): Buffer | null {
    const length = this.varint()
    if (length === -1) return null
    const start = this.at
    if (length < 0 || length > this.end - start) throw new MalformedBytes(`${length} bytes wanted in a record`)
    this.at += length
    return this.body.subarray(start, this.at)
  }

  private varint(): number {
    return this.moved(readVarint(this.body, this.at, this.end))
  }

  private moved(value: number): number {
    if (varintEnd < 0) throw new MalformedBytes('a number in a record is not whole')
    this.at = varintEnd
    return value
  }
}
