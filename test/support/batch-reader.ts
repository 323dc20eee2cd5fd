// What a fetched record set says, field by field. Like batch-builder.ts it shares nothing with the product's own code.

import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { crc32c } from '@node-rs/crc32'
import { decompressFrameSync } from 'lz4-napi'
import { uncompressSync } from 'snappy'
import { ByteReader } from '#bytes/cursor.ts'

export interface ReadBatch {
  readonly baseOffset: number
  readonly partitionLeaderEpoch: number
  readonly magic: number
  readonly isCrcRight: boolean
  readonly attributes: number
  readonly lastOffsetDelta: number
  readonly baseTimestampMs: number
  readonly maxTimestampMs: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
  /** Decompressed: what follows the header, not parsed any further. */
  readonly records: Buffer
}

export interface ReadRecord {
  readonly offset: number
  /** Null and empty are told apart in neither. */
  readonly key: Buffer
  readonly value: Buffer
}

/** The whole batches of a record set: the last one may be cut short, which clients tolerate. */
export function readBatches(recordSet: Buffer | null): ReadBatch[] {
  const batches: ReadBatch[] = []
  let rest = recordSet ?? Buffer.alloc(0)
  while (rest.length >= 12) {
    const endOffset = 12 + rest.readInt32BE(8)
    if (rest.length < endOffset) break
    batches.push(readBatch(rest.subarray(0, endOffset)))
    rest = rest.subarray(endOffset)
  }
  return batches
}

function readBatch(bytes: Buffer): ReadBatch {
  const reader = new ByteReader(bytes)
  const baseOffset = reader.i64()
  reader.i32()
  const partitionLeaderEpoch = reader.i32()
  const magic = reader.i8()
  const isCrcRight = reader.u32() === crc32c(bytes.subarray(reader.offset))
  const attributes = reader.i16()
  return {
    baseOffset,
    partitionLeaderEpoch,
    magic,
    isCrcRight,
    attributes,
    lastOffsetDelta: reader.i32(),
    baseTimestampMs: reader.i64(),
    maxTimestampMs: reader.i64(),
    producerId: reader.i64(),
    producerEpoch: reader.i16(),
    baseSequence: reader.i32(),
    recordCount: reader.i32(),
    records: decompress(reader.view(reader.remaining), attributes & 7),
  }
}

function decompress(bytes: Buffer, codec: number): Buffer {
  switch (codec) {
    case 0:
      return bytes
    case 1:
      return gunzipSync(bytes)
    case 2:
      return uncompressSnappy(bytes)
    case 3:
      return decompressFrameSync(bytes)
    case 4:
      return zstdDecompressSync(bytes)
    default:
      throw new Error(`a batch with the codec ${codec}`)
  }
}

// The Java client frames snappy: a magic with two version numbers, then chunks with their lengths.
const XERIAL_MAGIC = Buffer.from('82534e4150505900', 'hex')
const XERIAL_HEADER_BYTES = 16

function uncompressSnappy(bytes: Buffer): Buffer {
  if (!bytes.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) return uncompressSync(bytes) as Buffer
  const reader = new ByteReader(bytes, XERIAL_HEADER_BYTES)
  const chunks: Buffer[] = []
  while (reader.remaining > 0) chunks.push(uncompressSync(reader.view(reader.i32())) as Buffer)
  return Buffer.concat(chunks)
}

export function recordsOf({ records, recordCount, baseOffset }: ReadBatch): ReadRecord[] {
  const cursor = new RecordCursor(records)
  return Array.from({ length: recordCount }, () => {
    const end = cursor.varint() + cursor.at
    cursor.at++ // attributes
    cursor.varint() // time
    const offset = baseOffset + cursor.varint()
    const [key, value] = [cursor.sized(), cursor.sized()]
    cursor.at = end
    return { offset, key, value }
  })
}

class RecordCursor {
  readonly #bytes: Buffer
  at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  varint(): number {
    let [value, shift] = [0, 0]
    for (let more = true; more; shift += 7) {
      const byte = this.#bytes[this.at++]!
      value += (byte & 127) * 2 ** shift
      more = byte >= 128
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  sized(): Buffer {
    const length = Math.max(0, this.varint())
    this.at += length
    return this.#bytes.subarray(this.at - length, this.at)
  }
}
