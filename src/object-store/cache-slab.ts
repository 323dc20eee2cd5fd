import { assert } from '#base/assert.ts'
import { crc32c } from '#bytes/crc32c.kernel.ts'
import { ByteReader, ByteWriter } from '#bytes/cursor.ts'
import { MAX_KEY_BYTES } from './keys.ts'

// The bytes of a slab, a file of the cache: a header, an entry for each of its slots, then the slots, one block of an object each.
// docs/formats/cache-slab.md is the same for readers. Nothing of it is synced but the header: an entry has the checksums of what
// is in its slot, so whatever a power loss or a kill left there is either the block or a miss.
//
// Header, 4,096 bytes                          Entry, 1,024 bytes, zeros if the slot is empty
//   0  u32  magic "CHCB"                         0  u32  CRC-32C of bytes 4..1,024
//   4  u32  CRC-32C of bytes 8..4,096            4  u32  slot
//   8  u16  version                              8  i64  which of all writes to the cache it was
//  10  u16  zero                                16  u32  block of the object
//  12  u32  slots                               20  u32  bytes of the block
//  16  u32  bytes of a block                    24  u16  bytes of the key
//  20  u32  bytes of a chunk                    26       CRC-32C of each chunk of the block, then the key
//  24  u16  bytes of the store's place
//  26       the store's place

const MAGIC = 0x43484342
const VERSION = 1
export const SLAB_HEADER_BYTES = 4096
export const ENTRY_BYTES = 1024
const PAGE_BYTES = 4096
const HEADER_CHECKED_FROM = 8
const HEADER_PLACE_AT = 26
const ENTRY_CHECKED_FROM = 4
const ENTRY_CHECKSUMS_AT = 26
const CHECKSUM_BYTES = 4
/** So that the largest key fits beside its block's checksums. */
export const MAX_CHUNKS = Math.floor((ENTRY_BYTES - ENTRY_CHECKSUMS_AT - MAX_KEY_BYTES) / CHECKSUM_BYTES)

/** How blocks are cut. */
export interface BlockShape {
  readonly blockBytes: number
  /** Read and verified as a whole. */
  readonly chunkBytes: number
}

export interface SlabHeader extends BlockShape {
  readonly slots: number
  /** Of the store that the blocks come from. */
  readonly place: string
}

/** What is in a slot. */
export interface SlotEntry {
  readonly key: string
  readonly block: number
  readonly sizeBytes: number
  /** Of each chunk. */
  readonly checksums: readonly number[]
  readonly sequence: number
}

export function entryAt(slot: number): number {
  return SLAB_HEADER_BYTES + slot * ENTRY_BYTES
}

/** Where the first slot begins. */
export function slotsAt(slots: number): number {
  return Math.ceil(entryAt(slots) / PAGE_BYTES) * PAGE_BYTES
}

export function slabBytes(slots: number, blockBytes: number): number {
  return slotsAt(slots) + slots * blockBytes
}

/** How many slots a slab of at most so many bytes has. */
export function slotsWithin(sizeBytes: number, blockBytes: number): number {
  let slots = Math.floor((sizeBytes - SLAB_HEADER_BYTES) / (blockBytes + ENTRY_BYTES))
  while (slots > 0 && slabBytes(slots, blockBytes) > sizeBytes) slots--
  return Math.max(0, slots)
}

export function encodeSlabHeader({ slots, blockBytes, chunkBytes, place }: SlabHeader): Buffer {
  const bytes = Buffer.alloc(SLAB_HEADER_BYTES)
  const placeBytes = placeWithin(place)
  bytes.writeUInt32BE(MAGIC, 0)
  bytes.writeUInt16BE(VERSION, 8)
  bytes.writeUInt32BE(slots, 12)
  bytes.writeUInt32BE(blockBytes, 16)
  bytes.writeUInt32BE(chunkBytes, 20)
  bytes.writeUInt16BE(placeBytes.length, 24)
  bytes.set(placeBytes, HEADER_PLACE_AT)
  bytes.writeUInt32BE(crc32c(bytes, HEADER_CHECKED_FROM, bytes.length), 4)
  return bytes
}

/** Null for what is none of this version, or damaged. */
export function decodeSlabHeader(bytes: Buffer): SlabHeader | null {
  if (bytes.length < SLAB_HEADER_BYTES || bytes.readUInt32BE(0) !== MAGIC) return null
  if (bytes.readUInt32BE(4) !== crc32c(bytes, HEADER_CHECKED_FROM, SLAB_HEADER_BYTES)) return null
  const reader = new ByteReader(bytes, HEADER_CHECKED_FROM, SLAB_HEADER_BYTES)
  if (reader.u16() !== VERSION) return null
  reader.u16()
  const slots = reader.u32()
  const blockBytes = reader.u32()
  const chunkBytes = reader.u32()
  return { slots, blockBytes, chunkBytes, place: reader.utf8(reader.u16()) }
}

/** The place as a header keeps it: what does not fit is cut off. */
export function placeAsKept(place: string): string {
  return placeWithin(place).toString()
}

function placeWithin(place: string): Buffer {
  return Buffer.from(place).subarray(0, SLAB_HEADER_BYTES - HEADER_PLACE_AT)
}

export function encodeEntry(slot: number, entry: SlotEntry): Buffer {
  assert(entry.checksums.length <= MAX_CHUNKS, 'a block has a bounded number of chunks')
  const writer = new ByteWriter(ENTRY_BYTES)
  writer.u32(0)
  writer.u32(slot)
  writer.i64(entry.sequence)
  writer.u32(entry.block)
  writer.u32(entry.sizeBytes)
  writer.u16(Buffer.byteLength(entry.key))
  for (const checksum of entry.checksums) writer.u32(checksum)
  writer.utf8(entry.key)
  assert(writer.offset <= ENTRY_BYTES, 'a key has a bounded length')
  writer.raw(new Uint8Array(ENTRY_BYTES - writer.offset))
  const bytes = writer.written()
  bytes.writeUInt32BE(crc32c(bytes, ENTRY_CHECKED_FROM, ENTRY_BYTES), 0)
  return bytes
}

/** The entry of a slot among all of its slab; null if it is empty, or damaged. */
export function decodeEntry(entries: Buffer, slot: number, { blockBytes, chunkBytes }: BlockShape): SlotEntry | null {
  const from = slot * ENTRY_BYTES
  const to = from + ENTRY_BYTES
  if (entries.readUInt32BE(from) !== crc32c(entries, from + ENTRY_CHECKED_FROM, to)) return null
  const reader = new ByteReader(entries, from + ENTRY_CHECKED_FROM, to)
  if (reader.u32() !== slot) return null
  const sequence = reader.i64()
  const block = reader.u32()
  const sizeBytes = reader.u32()
  const keyBytes = reader.u16()
  if (keyBytes === 0 || sizeBytes === 0 || sizeBytes > blockBytes) return null
  const checksums: number[] = []
  for (let chunk = 0; chunk * chunkBytes < sizeBytes; chunk++) checksums.push(reader.u32())
  return { key: reader.utf8(keyBytes), block, sizeBytes, checksums, sequence }
}

/** Of each chunk of a block. */
export function checksumsOf(block: Uint8Array, chunkBytes: number): number[] {
  const checksums: number[] = []
  for (let at = 0; at < block.length; at += chunkBytes) {
    checksums.push(crc32c(block, at, Math.min(block.length, at + chunkBytes)))
  }
  return checksums
}
