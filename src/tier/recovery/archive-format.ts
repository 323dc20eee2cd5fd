import { ChronikError, writtenByNewer } from '#base/errors.ts'
import { crc32c } from '#bytes/crc32c.kernel.ts'
import { ByteReader, ByteWriter, MalformedBytes } from '#bytes/cursor.ts'

// Objects of the archive: a piece of the metadata log, or a checkpoint. docs/formats/archive.md shows every byte. All numbers are
// big-endian.
//
//   0  u32  magic "CHAR"
//   4  u32  CRC-32C of everything behind
//   8  u16  version
//  10  u8   1: records of the log, 2: a checkpoint
//  11  u8   how the content is compressed: 1 gzip, 2 zstd
//  12  u32  generation
//  16  i64  position where it begins: of a checkpoint its own
//  24  i64  position where it ends: of a checkpoint its own
//  32  f64  state time there, ms
//  40  i64  when it was written, ms
//  48  u32  bytes of the content when it is not compressed
//  52  the content: groups, or the state as in a checkpoint on disk
//
// Group: i64 position, i64 position of its end, u32 bytes of records, the records as in the write-ahead log.

export const ARCHIVE_VERSION = 1
const MAGIC = 0x43484152
export const ARCHIVE_HEADER_BYTES = 52
const CHECKED_FROM = 8

const KINDS = { 1: 'metalog', 2: 'checkpoint' } as const
const CODECS = { 1: 'gzip', 2: 'zstd' } as const

export type ArchiveCodec = (typeof CODECS)[keyof typeof CODECS]

export interface ArchiveHeader {
  readonly kind: (typeof KINDS)[keyof typeof KINDS]
  readonly generation: number
  readonly from: number
  readonly to: number
  readonly stateTimeMs: number
  readonly writtenMs: number
}

/** Compresses what is archived. */
export interface Packer {
  readonly codec: ArchiveCodec
  pack(content: Buffer): Promise<Buffer>
}

/** The other way round, whatever the codec. */
export type Unpack = (codec: ArchiveCodec, packed: Buffer, contentBytes: number) => Promise<Buffer>

export async function encodeArchived(header: ArchiveHeader, content: Buffer, packer: Packer): Promise<Buffer> {
  const packed = await packer.pack(content)
  const into = new ByteWriter(ARCHIVE_HEADER_BYTES + packed.length)
  into.u32(MAGIC)
  into.u32(0)
  into.u16(ARCHIVE_VERSION)
  into.u8(header.kind === 'metalog' ? 1 : 2)
  into.u8(packer.codec === 'gzip' ? 1 : 2)
  into.u32(header.generation)
  into.i64(header.from)
  into.i64(header.to)
  into.f64(header.stateTimeMs)
  into.i64(header.writtenMs)
  into.u32(content.length)
  into.raw(packed)
  const bytes = into.written()
  bytes.writeUInt32BE(crc32c(bytes, CHECKED_FROM, bytes.length), 4)
  return bytes
}

export interface ArchivedObject {
  readonly header: ArchiveHeader
  readonly content: Buffer
}

/** Refuses what is damaged, or of a later version. */
export async function decodeArchived(key: string, bytes: Buffer, unpack: Unpack): Promise<ArchivedObject> {
  checkMagic(key, bytes)
  if (bytes.readUInt32BE(4) !== crc32c(bytes, CHECKED_FROM, bytes.length)) throw damaged(key, 'its checksum is wrong')
  const { header, codec, contentBytes } = readHeader(key, bytes)
  try {
    return { header, content: await unpack(codec, bytes.subarray(ARCHIVE_HEADER_BYTES), contentBytes) }
  } catch (cause) {
    throw damaged(key, 'it does not decompress', { cause })
  }
}

/** What the begin of an object says, unchecked: for choosing among many. */
export function peekArchived(key: string, bytes: Buffer): ArchiveHeader {
  checkMagic(key, bytes)
  try {
    return readHeader(key, bytes).header
  } catch (thrown) {
    if (!(thrown instanceof MalformedBytes)) throw thrown
    throw damaged(key, thrown.message, { cause: thrown })
  }
}

function checkMagic(key: string, bytes: Buffer): void {
  if (bytes.length < ARCHIVE_HEADER_BYTES || bytes.readUInt32BE(0) !== MAGIC) {
    throw damaged(key, 'it does not begin as it must')
  }
}

function readHeader(key: string, bytes: Buffer): { header: ArchiveHeader; codec: ArchiveCodec; contentBytes: number } {
  const reader = new ByteReader(bytes, CHECKED_FROM)
  const version = reader.u16()
  if (version > ARCHIVE_VERSION) {
    throw writtenByNewer('ARCHIVE_TOO_NEW', key, { found: version, known: ARCHIVE_VERSION })
  }
  const kind = KINDS[reader.u8() as keyof typeof KINDS] as ArchiveHeader['kind'] | undefined
  const codec = CODECS[reader.u8() as keyof typeof CODECS] as ArchiveCodec | undefined
  if (version === 0 || kind === undefined || codec === undefined) throw damaged(key, 'its header makes no sense')
  const generation = reader.u32()
  const [from, to] = [reader.i64(), reader.i64()]
  const stateTimeMs = reader.f64()
  const header = { kind, generation, from, to, stateTimeMs, writtenMs: reader.i64() }
  return { header, codec, contentBytes: reader.u32() }
}

/** The records of a committed group. */
export interface ArchivedGroup {
  readonly position: number
  readonly endPosition: number
  readonly records: Buffer
}

const GROUP_BYTES = 20

export function groupsSizeBytes(recordsBytes: number): number {
  return GROUP_BYTES + recordsBytes
}

export function writeGroup(into: ByteWriter, { position, endPosition, records }: ArchivedGroup): void {
  into.i64(position)
  into.i64(endPosition)
  into.u32(records.length)
  into.raw(records)
}

/** The groups of a piece of the metadata log, in their order; each begins where the one before ends, or behind a file's header. */
export function* readGroups(key: string, { header, content }: ArchivedObject): Generator<ArchivedGroup> {
  const reader = new ByteReader(content)
  let end = header.from
  while (reader.remaining > 0) {
    const position = reader.i64()
    const endPosition = reader.i64()
    const follows = position === end || position === end + LOG_FILE_HEADER_BYTES
    if (!follows || endPosition <= position)
      throw damaged(key, `a group at ${position} does not follow one up to ${end}`)
    yield { position, endPosition, records: reader.view(reader.u32()) }
    end = endPosition
  }
  if (end !== header.to) throw damaged(key, `it ends at ${end} and not at ${header.to}`)
}

/** What lies between two groups of which the second is in the next file. */
const LOG_FILE_HEADER_BYTES = 64

function damaged(key: string, what: string, options?: { cause?: unknown }): ChronikError {
  const advice = 'put it back from a copy of the store'
  return new ChronikError('ARCHIVE_DAMAGED', 'corrupt', `${key} is damaged: ${what}; ${advice}`, options)
}
