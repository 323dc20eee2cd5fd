import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import {
  checksumsOf,
  decodeEntry,
  decodeSlabHeader,
  encodeEntry,
  encodeSlabHeader,
  type SlotEntry,
} from '#object-store/cache-slab.ts'

// The slabs of the cache are what fixtures/formats has, byte for byte, and what it has is read.

const FIXTURE = fileURLToPath(new URL('../../fixtures/formats/cache/slab-v1.txt', import.meta.url))
const HEADER = { slots: 64, blockBytes: 2 ** 20, chunkBytes: 2 ** 18, place: 's3://bucket/prefix' }
const SLOT = 3
const BLOCK = 'a block of an object'.repeat(10_000)
const ENTRY: SlotEntry = {
  key: 'segments/orders/AQIDBAUGBwgJCgsMDQ4PEA/0/00000000000000000000-00000000000000001000-g1.log',
  block: 63,
  sizeBytes: BLOCK.length,
  checksums: checksumsOf(Buffer.from(BLOCK), HEADER.chunkBytes),
  sequence: 2 ** 32 + 5,
}

/** What is behind the last byte that is not zero is zeros. */
function hexOf(bytes: Buffer): string {
  return bytes.subarray(0, bytes.findLastIndex(byte => byte !== 0) + 1).toString('hex')
}

it('a slab of the cache has the bytes of version 1', async () => {
  const lines = [hexOf(encodeSlabHeader(HEADER)), hexOf(encodeEntry(SLOT, ENTRY))]
  await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot(FIXTURE)
})

it('a slab of version 1 is read', async () => {
  const [header = '', entry = ''] = (await readFile(FIXTURE, 'utf8')).split('\n')
  const bytes = Buffer.alloc(4096)
  bytes.write(header, 'hex')
  expect(decodeSlabHeader(bytes)).toEqual(HEADER)
  const entries = Buffer.alloc(HEADER.slots * 1024)
  entries.write(entry, SLOT * 1024, 'hex')
  expect(decodeEntry(entries, SLOT, HEADER)).toEqual(ENTRY)
})
