import { describe, expect, it } from 'vitest'
import {
  checksumsOf,
  decodeEntry,
  decodeSlabHeader,
  ENTRY_BYTES,
  encodeEntry,
  encodeSlabHeader,
  MAX_CHUNKS,
  placeAsKept,
  SLAB_HEADER_BYTES,
  type SlotEntry,
  slabBytes,
  slotsAt,
  slotsWithin,
} from '#object-store/cache-slab.ts'
import { MAX_KEY_BYTES } from '#object-store/keys.ts'
import { CACHE_LIMITS } from '#object-store/range-cache.ts'

const SHAPE = { blockBytes: 1024, chunkBytes: 256 }
const HEADER = { slots: 8, ...SHAPE, place: 's3://bucket/prefix' }
const ENTRY: SlotEntry = { key: 'segments/a', block: 70_000, sizeBytes: 700, checksums: [1, 2, 4e9], sequence: 2 ** 33 }

describe('the header of a slab', () => {
  it('is read as it was written', () => {
    expect(decodeSlabHeader(encodeSlabHeader(HEADER))).toEqual(HEADER)
  })

  it('is none if any byte of it is wrong or missing', () => {
    const bytes = encodeSlabHeader(HEADER)
    for (let at = 0; at < bytes.length; at++) {
      bytes[at]! ^= 1
      expect(decodeSlabHeader(bytes)).toBe(null)
      bytes[at]! ^= 1
    }
    expect(decodeSlabHeader(bytes.subarray(0, -1))).toBe(null)
    expect(decodeSlabHeader(Buffer.alloc(SLAB_HEADER_BYTES))).toBe(null)
  })

  it('has what fits of a long place', () => {
    const place = `s3://${'p'.repeat(9000)}`
    const found = decodeSlabHeader(encodeSlabHeader({ ...HEADER, place }))
    expect(found?.place).toBe(placeAsKept(place))
    expect(place.startsWith(found!.place)).toBe(true)
  })
})

describe('the entry of a slot', () => {
  const among = (slot: number, bytes: Buffer): Buffer => {
    const entries = Buffer.alloc(8 * ENTRY_BYTES)
    entries.set(bytes, slot * ENTRY_BYTES)
    return entries
  }

  it('is read as it was written', () => {
    expect(decodeEntry(among(3, encodeEntry(3, ENTRY)), 3, SHAPE)).toEqual(ENTRY)
  })

  it('is none if any byte of it is wrong, or it is that of another slot', () => {
    const entries = among(3, encodeEntry(3, ENTRY))
    for (let at = 3 * ENTRY_BYTES; at < 4 * ENTRY_BYTES; at++) {
      entries[at]! ^= 128
      expect(decodeEntry(entries, 3, SHAPE)).toBe(null)
      entries[at]! ^= 128
    }
    expect(decodeEntry(among(4, encodeEntry(3, ENTRY)), 4, SHAPE)).toBe(null)
    expect(decodeEntry(Buffer.alloc(ENTRY_BYTES), 0, SHAPE)).toBe(null)
  })

  it('has room for the longest key and all checksums of a block', () => {
    const checksums = Array.from({ length: MAX_CHUNKS }, (_, i) => i)
    const entry = { ...ENTRY, key: 'k'.repeat(MAX_KEY_BYTES), sizeBytes: MAX_CHUNKS * 256, checksums }
    const shape = { blockBytes: MAX_CHUNKS * 256, chunkBytes: 256 }
    expect(decodeEntry(among(0, encodeEntry(0, entry)), 0, shape)).toEqual(entry)
    expect(CACHE_LIMITS.blockBytes / CACHE_LIMITS.chunkBytes).toBeLessThanOrEqual(MAX_CHUNKS)
  })
})

describe('a slab', () => {
  it('has as many slots as fit, at page boundaries', () => {
    for (let sizeBytes = 0; sizeBytes < 60_000; sizeBytes += 97) {
      const slots = slotsWithin(sizeBytes, 1024)
      expect(slotsAt(slots) % 4096).toBe(0)
      if (slots > 0) expect(slabBytes(slots, 1024)).toBeLessThanOrEqual(sizeBytes)
      expect(slabBytes(slots + 1, 1024)).toBeGreaterThan(sizeBytes)
    }
  })

  it('has a checksum for each chunk of a block, the last one shorter', () => {
    const bytes = Buffer.from('123456789123456789')
    expect(checksumsOf(bytes, 9)).toEqual([0xe3069283, 0xe3069283])
    expect(checksumsOf(bytes.subarray(0, 10), 9)).toEqual([0xe3069283, expect.any(Number)])
  })
})
