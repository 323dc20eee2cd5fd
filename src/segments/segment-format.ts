import { assert } from '#base/assert.ts'
import { ChronikError } from '#base/errors.ts'
import { crc32c } from '#bytes/crc32c.kernel.ts'
import { ByteReader, type ByteWriter, MalformedBytes } from '#bytes/cursor.ts'

// A segment object: immutable, with ranges of one partition or of many. docs/formats/segment.md shows every byte of it.
//
//   body of part 1 | body of part 2 | ...   record batches as consumers get them
//   fence                                   where Kafka's reader of .log files stops
//   index of part 1 | index of part 2 | ... segment-index.ts
//   directory                               an entry a part
//   trailer                                 where the directory is
//
// They lie close to each other, without gaps: what begins where is said twice and compared. segment-writer.ts writes a segment.
// Here is what is behind its bodies, but for the indexes. All numbers are big-endian.
//
// Fence                                               Trailer
//   0  i64  -1, where a base offset would be            0  u32  magic "CHSE"
//   8  i32  2^31 - 1, where a batch length would be     4  u32  CRC-32C of the directory and what follows here
//  12  u32  magic "CHSG"                                8  i64  place of the directory
//  16  u16  version                                    16  u32  bytes of the directory
//  18  u16  zero                                       20  u16  version
//  20  u32  count of parts                             22  u16  zero
//                                                      24  i64  bytes of the object
// Entry of the directory
//   0  topic id, 24 bytes: as Kafka prints it, zeros behind
//  24  u32  partition
//  28  i64  base offset
//  36  i64  next offset
//  44  i64  place of the body
//  52  u32  bytes of the body
//  56  i64  place of the index
//  64  u32  bytes of the index
//  68  f64  largest timestamp, -1 if no record has one
//  76  f64  state time of the first batch, ms

export const SEGMENT_VERSION = 1
const FENCE_MAGIC = 0x43485347
const TRAILER_MAGIC = 0x43485345
export const FENCE_BYTES = 24
export const DIRECTORY_ENTRY_BYTES = 84
export const TRAILER_BYTES = 32
const TRAILER_CHECKED_FROM = 8
const TOPIC_ID_BYTES = 24
const RUNS_PAST_THE_END = 0x7fffffff

/** A body is summed up in blocks of this size: what must be read to trust any of it. */
export const BLOCK_BYTES = 1 << 20
/** Kafka's reader counts the bytes of a file in 31 bits. */
export const MAX_BODY_BYTES = 1 << 30
/** More than the bodies of any sealed segment can need: theirs are at most 64 MiB and a batch. */
export const MAX_INDEX_BYTES = 1 << 28
export const MAX_PARTS = 1 << 16

/** Which part of which object: what a partition's row of a segment knows. */
export interface PartPlace {
  readonly topicId: string
  readonly partition: number
  readonly baseOffset: number
  readonly nextOffset: number
  /** Where its batches begin in the object. */
  readonly place: number
  /** Of its batches, which lie one behind the other. */
  readonly sizeBytes: number
  readonly indexPlace: number
  readonly indexBytes: number
}

/** An entry of the directory. */
export interface SegmentPart extends PartPlace {
  /** Largest record timestamp, -1 if no record has one. */
  readonly maxTimestampMs: number
  /** State time of the first batch. */
  readonly createdMs: number
}

/** As the store knows it. */
export interface SegmentObject {
  readonly key: string
  readonly sizeBytes: number
}

export interface SegmentTrailer {
  readonly directoryPlace: number
  /** With the trailer, which is behind it: up to the end of the object. */
  readonly directoryBytes: number
}

export interface SegmentDirectory {
  /** Behind the bodies. */
  readonly fencePlace: number
  readonly parts: readonly SegmentPart[]
}

export function damagedSegment(key: string, place: number, what: string, options?: { cause?: unknown }): ChronikError {
  const advice = 'put it back from a copy of the store'
  return new ChronikError(
    'SEGMENT_DAMAGED',
    'corrupt',
    `the segment ${key} is damaged at byte ${place}: ${what}; ${advice}`,
    options,
  )
}

/** To be asked when the checksum over the version has been found right. */
export function checkVersion(version: number, key: string, place: number): void {
  if (version === 0) throw damagedSegment(key, place, 'there is no version 0')
  if (version > SEGMENT_VERSION) {
    throw new ChronikError(
      'SEGMENT_TOO_NEW',
      'invalid',
      `the segment ${key} has version ${version} of the format, of which this program knows ${SEGMENT_VERSION}: upgrade it`,
    )
  }
}

/** What stands between the bodies and the indexes. */
export function fenceOf(partCount: number): Buffer {
  const fence = Buffer.alloc(FENCE_BYTES)
  fence.writeBigInt64BE(-1n, 0)
  fence.writeInt32BE(RUNS_PAST_THE_END, 8)
  fence.writeUInt32BE(FENCE_MAGIC, 12)
  fence.writeUInt16BE(SEGMENT_VERSION, 16)
  fence.writeUInt32BE(partCount, 20)
  return fence
}

/** Only who checks an object has to look at its fence: all that it says is in the directory. */
export function checkFence(bytes: Buffer, at: number, key: string, directory: SegmentDirectory): void {
  const isRight = bytes.subarray(at, at + FENCE_BYTES).equals(fenceOf(directory.parts.length))
  if (!isRight) throw damagedSegment(key, directory.fencePlace, 'the fence behind the batches is not what it has to be')
}

/** Writes the directory and the trailer, with which an object ends. `place`: of the directory in the object. */
export function writeDirectory(into: ByteWriter, parts: readonly SegmentPart[], place: number): void {
  assert(parts.length > 0 && parts.length <= MAX_PARTS, 'a segment has parts, within the limit')
  const from = into.offset
  for (const part of parts) writeEntry(into, part)
  const trailerAt = into.offset
  into.u32(TRAILER_MAGIC)
  into.u32(0)
  into.i64(place)
  into.u32(trailerAt - from)
  into.u16(SEGMENT_VERSION)
  into.u16(0)
  into.i64(place + trailerAt - from + TRAILER_BYTES)
  into.bytes.writeUInt32BE(directorySum(into.bytes, from, trailerAt), trailerAt + 4)
}

function directorySum(bytes: Buffer, from: number, trailerAt: number): number {
  return crc32c(bytes, trailerAt + TRAILER_CHECKED_FROM, trailerAt + TRAILER_BYTES, crc32c(bytes, from, trailerAt))
}

function writeEntry(into: ByteWriter, part: SegmentPart): void {
  const at = into.reserve(TOPIC_ID_BYTES)
  into.bytes.fill(0, at, at + TOPIC_ID_BYTES)
  into.bytes.write(part.topicId, at, 'latin1')
  into.u32(part.partition)
  into.i64(part.baseOffset)
  into.i64(part.nextOffset)
  into.i64(part.place)
  into.u32(part.sizeBytes)
  into.i64(part.indexPlace)
  into.u32(part.indexBytes)
  into.f64(part.maxTimestampMs)
  into.f64(part.createdMs)
}

export function isTopicId(text: string): boolean {
  return text.length <= TOPIC_ID_BYTES && /^[\w-]+$/.test(text)
}

/** From the last bytes of an object: TRAILER_BYTES or more of them. It is not to be trusted before the directory is read. */
export function readTrailer(bytes: Buffer, { key, sizeBytes }: SegmentObject): SegmentTrailer {
  const place = sizeBytes - TRAILER_BYTES
  if (bytes.length < TRAILER_BYTES || bytes.length > sizeBytes) {
    throw damagedSegment(
      key,
      Math.max(0, place),
      `a trailer does not fit into ${Math.min(bytes.length, sizeBytes)} bytes`,
    )
  }
  const reader = new ByteReader(bytes, bytes.length - TRAILER_BYTES)
  if (reader.u32() !== TRAILER_MAGIC) throw damagedSegment(key, place, 'it does not end with the trailer of a segment')
  reader.u32()
  return intact(key, place, () => {
    const directoryPlace = reader.i64()
    const entriesBytes = reader.u32()
    reader.u32()
    const isWhole = reader.i64() === sizeBytes && directoryPlace >= FENCE_BYTES
    if (!isWhole || directoryPlace + entriesBytes !== place || entriesBytes > MAX_PARTS * DIRECTORY_ENTRY_BYTES) {
      throw new MalformedBytes(`its trailer is not that of an object of ${sizeBytes} bytes`)
    }
    return { directoryPlace, directoryBytes: entriesBytes + TRAILER_BYTES }
  })
}

/** From the last bytes of an object: those from the directory on, or more. */
export function readDirectory(bytes: Buffer, object: SegmentObject): SegmentDirectory {
  const { key } = object
  const { directoryPlace, directoryBytes } = readTrailer(bytes, object)
  const from = bytes.length - directoryBytes
  if (from < 0) throw damagedSegment(key, directoryPlace, `${-from} bytes of the directory are missing`)
  const trailerAt = bytes.length - TRAILER_BYTES
  if (bytes.readUInt32BE(trailerAt + 4) !== directorySum(bytes, from, trailerAt)) {
    throw damagedSegment(key, directoryPlace, 'the checksum of the directory is wrong')
  }
  checkVersion(bytes.readUInt16BE(trailerAt + 20), key, trailerAt)
  const reader = new ByteReader(bytes, from, trailerAt)
  return intact(key, directoryPlace, () => {
    const parts: SegmentPart[] = []
    while (reader.remaining > 0) parts.push(readEntry(reader))
    return { parts, fencePlace: checkLayout(parts, directoryPlace) }
  })
}

function readEntry(from: ByteReader): SegmentPart {
  const topicId = from.view(TOPIC_ID_BYTES).toString('latin1').replace(/\0+$/, '')
  if (!isTopicId(topicId)) throw new MalformedBytes('a topic id has bytes that it cannot have')
  const part = {
    topicId,
    partition: from.u32(),
    baseOffset: from.i64(),
    nextOffset: from.i64(),
    place: from.i64(),
    sizeBytes: from.u32(),
    indexPlace: from.i64(),
    indexBytes: from.u32(),
    maxTimestampMs: from.f64(),
    createdMs: from.f64(),
  }
  checkRange(part)
  return part
}

/** Of what a part says about itself, in the directory and in its index. */
export function checkRange(part: Omit<SegmentPart, 'indexPlace' | 'indexBytes'>): void {
  const isRange = part.baseOffset >= 0 && part.nextOffset >= part.baseOffset
  const isWithinLimits = part.sizeBytes <= MAX_BODY_BYTES
  if (!isRange || !isWithinLimits) throw new MalformedBytes('a part has offsets or a size that it cannot have')
  if (!Number.isFinite(part.maxTimestampMs) || !Number.isFinite(part.createdMs)) {
    throw new MalformedBytes('a part has times that it cannot have')
  }
}

/** Bodies, fence, indexes and directory without gaps. Returns where the fence is. */
function checkLayout(parts: readonly SegmentPart[], directoryPlace: number): number {
  let place = 0
  for (const part of parts) {
    if (part.place !== place) throw new MalformedBytes('a body is not where the one before it ends')
    place += part.sizeBytes
  }
  const fencePlace = place
  place += FENCE_BYTES
  for (const part of parts) {
    const follows = part.indexPlace === place && part.indexBytes <= MAX_INDEX_BYTES
    if (!follows) throw new MalformedBytes('an index is not where the one before it ends')
    place += part.indexBytes
  }
  const isWhole = parts.length > 0 && place === directoryPlace
  if (!isWhole) throw new MalformedBytes('the directory is not where the last index ends')
  return fencePlace
}

/** What is malformed in a segment is damage to it. */
export function intact<T>(key: string, place: number, read: () => T): T {
  try {
    return read()
  } catch (thrown) {
    if (!(thrown instanceof MalformedBytes)) throw thrown
    throw damagedSegment(key, place, thrown.message, { cause: thrown })
  }
}
