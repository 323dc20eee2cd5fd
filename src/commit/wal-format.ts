import { assert } from '#base/assert.ts'
import { writtenByNewer } from '#base/errors.ts'
import { crc32c } from '#bytes/crc32c.kernel.ts'
import { ByteReader, ByteWriter } from '#bytes/cursor.ts'

// The bytes of a write-ahead log file: a header, then flush groups back to back, then zeros or what a recycled file held.
// docs/formats/wal.md is the same for readers. Every checksum is CRC-32C that starts from the file's sequence number, so that
// leftovers of the file's earlier life never pass, and each group carries the checksum of the group before it, so that
// leftovers of a write that was given up never pass either.
//
// File header                                  Group header
//   0  u32  magic "CHWL"                         0  u32  magic "CHGR"
//   4  u32  checksum of bytes 8..64              4  u32  checksum of bytes 8..48
//   8  u16  version                              8  u32  checksum of the group before
//  10  u16  zero                                12  u32  checksum of the records
//  12  u32  checksum of the group before        16  u32  bytes of payload, which follows the header
//  16  i64  sequence number of the file         20  u32  bytes of records, which follow the payload
//  24  i64  position of the file's byte 0       24  i64  position of the group
//  32  zeros up to 64                           32  i64  position known to be synced when the group was written
//                                               40  i64  zero

export const WAL_VERSION = 1
export const FILE_HEADER_BYTES = 64
export const GROUP_HEADER_BYTES = 48
const FILE_MAGIC = 0x4348574c
export const GROUP_MAGIC = 0x43484752
const CHECKED_FROM = 8

/** One record of a group's records section: type, version, length, then its body. */
export const RECORD_HEADER_BYTES = 6

export interface FileHeader {
  sequence: number
  position: number
  previousChecksum: number
}

export interface GroupHeader {
  checksum: number
  previousChecksum: number
  recordsChecksum: number
  payloadBytes: number
  recordsBytes: number
  position: number
  syncedPosition: number
}

/** What checksums of a file start from. */
export function saltOf(sequence: number): number {
  return sequence % 4294967296
}

export function checksum(bytes: Uint8Array, from: number, to: number, sequence: number): number {
  return crc32c(bytes, from, to, saltOf(sequence))
}

export function encodeFileHeader(into: Buffer, at: number, header: FileHeader): void {
  const writer = new ByteWriter(FILE_HEADER_BYTES)
  writer.u32(FILE_MAGIC)
  writer.u32(0)
  writer.u16(WAL_VERSION)
  writer.u16(0)
  writer.u32(header.previousChecksum)
  writer.i64(header.sequence)
  writer.i64(header.position)
  writer.raw(new Uint8Array(FILE_HEADER_BYTES - writer.offset))
  writer.bytes.writeUInt32BE(checksum(writer.bytes, CHECKED_FROM, FILE_HEADER_BYTES, header.sequence), 4)
  into.set(writer.written(), at)
}

/** null: not the header of this file (never used, left from an earlier life, or damaged). Refuses one of a later version. */
export function decodeFileHeader(bytes: Buffer, sequence: number, path: string): FileHeader | null {
  if (bytes.length < FILE_HEADER_BYTES) return null
  const reader = new ByteReader(bytes)
  if (reader.u32() !== FILE_MAGIC || reader.u32() !== checksum(bytes, CHECKED_FROM, FILE_HEADER_BYTES, sequence))
    return null
  const version = reader.u16()
  if (version > WAL_VERSION) throw writtenByNewer('WAL_TOO_NEW', path, { found: version, known: WAL_VERSION })
  if (version < 1) return null
  reader.u16()
  const header = { previousChecksum: reader.u32(), sequence: reader.i64(), position: reader.i64() }
  return header.sequence === sequence ? header : null
}

/** Writes the header with both checksums, over a records section that already stands behind the payload. */
export function sealGroupHeader(
  into: Buffer,
  at: number,
  sequence: number,
  header: Omit<GroupHeader, 'checksum' | 'recordsChecksum'>,
): number {
  const recordsAt = at + GROUP_HEADER_BYTES + header.payloadBytes
  assert(recordsAt + header.recordsBytes <= into.length, 'a group lies within its chunk')
  into.writeUInt32BE(GROUP_MAGIC, at)
  into.writeUInt32BE(header.previousChecksum, at + 8)
  into.writeUInt32BE(checksum(into, recordsAt, recordsAt + header.recordsBytes, sequence), at + 12)
  into.writeUInt32BE(header.payloadBytes, at + 16)
  into.writeUInt32BE(header.recordsBytes, at + 20)
  into.writeBigInt64BE(BigInt(header.position), at + 24)
  into.writeBigInt64BE(BigInt(header.syncedPosition), at + 32)
  into.writeBigInt64BE(0n, at + 40)
  const sum = checksum(into, at + CHECKED_FROM, at + GROUP_HEADER_BYTES, sequence)
  into.writeUInt32BE(sum, at + 4)
  return sum
}

/** null: no whole group header of this file. */
export function decodeGroupHeader(bytes: Buffer, at: number, sequence: number): GroupHeader | null {
  if (at + GROUP_HEADER_BYTES > bytes.length || bytes.readUInt32BE(at) !== GROUP_MAGIC) return null
  const sum = bytes.readUInt32BE(at + 4)
  if (sum !== checksum(bytes, at + CHECKED_FROM, at + GROUP_HEADER_BYTES, sequence)) return null
  const reader = new ByteReader(bytes, at + CHECKED_FROM, at + GROUP_HEADER_BYTES)
  return {
    checksum: sum,
    previousChecksum: reader.u32(),
    recordsChecksum: reader.u32(),
    payloadBytes: reader.u32(),
    recordsBytes: reader.u32(),
    position: reader.i64(),
    syncedPosition: reader.i64(),
  }
}

export function groupBytes(header: GroupHeader): number {
  return GROUP_HEADER_BYTES + header.payloadBytes + header.recordsBytes
}

/** Adds a record to a records section. */
export function writeRecord(into: ByteWriter, type: number, version: number, body: Uint8Array): void {
  into.u8(type)
  into.u8(version)
  into.u32(body.length)
  into.raw(body)
}

/** A record of the commit log; the reader stands at its body and is bounded by it. */
export interface LogRecord {
  readonly type: number
  readonly version: number
  readonly body: ByteReader
}

/** Calls for each record of a section; the body is read whole when the call returns. */
export function eachRecord(bytes: Buffer, from: number, to: number, call: (record: LogRecord) => void): void {
  const section = new ByteReader(bytes, from, to)
  while (section.remaining > 0) {
    const type = section.u8()
    const version = section.u8()
    const bodyBytes = section.u32()
    const bodyAt = section.take(bodyBytes)
    const body = new ByteReader(bytes, bodyAt, bodyAt + bodyBytes)
    call({ type, version, body })
    assert(body.remaining === 0, 'a commit record is read whole')
  }
}
