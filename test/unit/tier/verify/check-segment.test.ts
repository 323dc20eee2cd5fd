import { crc32c } from '@node-rs/crc32'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Finding } from '#base/inspection.ts'
import { PiecePool } from '#bytes/piece-pool.ts'
import { NO_NUMBERS } from '#core/packed-fields.ts'
import { OWN_OBJECT } from '#core/segments.ts'
import { readDirectory, TRAILER_BYTES } from '#segments/segment-format.ts'
import { SegmentWriter } from '#segments/segment-writer.ts'
import { buildBatch } from '#test/support/batch-builder.ts'
import { OWN_SEGMENT, SHARED_SEGMENT, sealedBytes } from '#test/support/segment-fixtures.ts'
import { MemoryObjects } from '#test/support/verify-lab.ts'
import { BodyCheck } from '#tier/verify/body-check.ts'
import { checkSegment, type HeldSegment } from '#tier/verify/check-segment.ts'

const KEY = 'segments/one.log'
const body = new BodyCheck()

interface Wish {
  readonly isCompacted?: boolean
  readonly hash?: number
  readonly held?: readonly HeldSegment[]
}

async function check(bytes: Buffer, { isCompacted = false, hash = hashOf(bytes), held = [] }: Wish = {}) {
  const store = new MemoryObjects([[KEY, bytes]])
  const tools = { store, signal: new AbortController().signal, body, passed() {} }
  return checkSegment(tools, { key: KEY, sizeBytes: bytes.length, hash, held, isCompacted })
}

const said = (findings: readonly Finding[]) => findings.map(({ message }) => message)

/** As the writer says it. */
function hashOf(bytes: Buffer): number {
  try {
    const { fencePlace } = readDirectory(bytes, { key: KEY, sizeBytes: bytes.length })
    return crc32c(bytes.subarray(fencePlace, bytes.length - TRAILER_BYTES))
  } catch {
    return 0
  }
}

interface Batch {
  readonly baseOffset: number
  readonly bytes: Buffer
}

const batchOf = (baseOffset: number, valueBytes = 100, crc?: number): Batch => {
  const value = Buffer.alloc(valueBytes, baseOffset + 1)
  return { baseOffset, bytes: buildBatch([{ value }], { baseTimestampMs: 5, ...(crc === undefined ? {} : { crc }) }) }
}

function segment(batches: readonly Batch[], nextOffset = batches.at(-1)!.baseOffset + 1): Buffer {
  const writer = new SegmentWriter(new PiecePool(0))
  writer.beginPart({ topicId: 'id', topicName: 'topic', partition: 2, baseOffset: 0, createdMs: 1 })
  for (const { baseOffset, bytes } of batches) writer.addBatch(bytes, 0, bytes.length, baseOffset, 0)
  writer.endPart(nextOffset, NO_NUMBERS)
  return Buffer.concat(writer.end().pieces)
}

/** The row that says what is in it. */
function rowOf(bytes: Buffer): HeldSegment {
  const [part] = readDirectory(bytes, { key: KEY, sizeBytes: bytes.length }).parts
  const where = { generation: 1, revision: 0, sharedAt: OWN_OBJECT, hash: hashOf(bytes), key: KEY }
  return { topicName: 'topic', segment: { ...part!, ...where } }
}

describe('a segment that is as it was made', () => {
  it.each([
    ['of one partition', OWN_SEGMENT],
    ['of many', SHARED_SEGMENT],
  ])('%s is all right, though compaction has been through it', async (_, parts) => {
    expect(await check(sealedBytes(parts), { isCompacted: true })).toEqual([])
  })

  it('is all right with batches that go on from block to block, and are larger than one', async () => {
    const sizes = [900_000, 300_000, 2_500_000, 10, 1_048_000, 4_300_000, 100]
    const bytes = segment(sizes.map((size, i) => batchOf(i, size)))
    expect(await check(bytes, { held: [rowOf(bytes)] })).toEqual([])
  })
})

describe('a flipped bit in a segment', () => {
  it.each([
    ['of one partition', OWN_SEGMENT],
    ['of many', SHARED_SEGMENT],
  ])('%s is found, wherever it is', async (_, parts) => {
    const bytes = sealedBytes(parts)
    const hash = hashOf(bytes)
    const unfound: number[] = []
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      bytes[bit >> 3]! ^= 1 << (bit & 7)
      if ((await check(bytes, { hash, isCompacted: true })).length === 0) unfound.push(bit)
      bytes[bit >> 3]! ^= 1 << (bit & 7)
    }
    expect(unfound).toEqual([])
  })

  it('is found in each of many blocks, and the records that it takes with it are named', async () => {
    const bytes = segment(Array.from({ length: 30 }, (_, i) => batchOf(i, 200_000)))
    const held = [rowOf(bytes)]
    const hash = hashOf(bytes)
    const flips = fc.integer({ min: 0, max: bytes.length * 8 - 1 })
    await fc.assert(
      fc.asyncProperty(flips, async bit => {
        const damaged = Buffer.from(bytes)
        damaged[bit >> 3]! ^= 1 << (bit & 7)
        const findings = await check(damaged, { hash, held })
        expect(findings.length).toBeGreaterThan(0)
        const affected = [{ topic: 'topic', partition: 2, fromOffset: 0, toOffset: 30 }]
        expect(findings[0]).toMatchObject({ kind: 'damage', where: KEY, affected })
      }),
      { numRuns: 60 },
    )
  })
})

describe('what is said of damage', () => {
  it('is which block it is in, and that the fence is not one', async () => {
    const bytes = segment(Array.from({ length: 12 }, (_, i) => batchOf(i, 200_000)))
    const hash = hashOf(bytes)
    bytes[1_200_000]! ^= 1
    expect(said(await check(bytes, { hash }))).toEqual([
      expect.stringContaining('at byte 1048576: the checksum of block 1 is wrong'),
    ])
    bytes[1_200_000]! ^= 1
    bytes[readDirectory(bytes, { key: KEY, sizeBytes: bytes.length }).fencePlace]! ^= 1
    expect(said(await check(bytes, { hash }))).toEqual([expect.stringContaining('the fence behind the batches is not')])
  })
})

describe('an object that ends too early', () => {
  it('is found, wherever it ends', async () => {
    const bytes = sealedBytes(OWN_SEGMENT)
    for (let length = 0; length < bytes.length; length += 13) {
      expect((await check(bytes.subarray(0, length), { hash: hashOf(bytes) })).length).toBe(1)
    }
  })
})

describe('a segment whose checksums are all right', () => {
  it('is damaged if the CRC of a batch is not: it was so before it was sealed', async () => {
    const bytes = segment([batchOf(0), batchOf(1, 100, 42), batchOf(2)])
    expect(said(await check(bytes))).toEqual([expect.stringContaining('the CRC of the batch of offset 1 is wrong')])
  })

  it('is damaged if an offset is left out that compaction did not take', async () => {
    const bytes = segment([batchOf(0), batchOf(2)])
    expect(said(await check(bytes))).toEqual([expect.stringContaining('offset 1 is expected, and there is 2')])
    expect(await check(bytes, { isCompacted: true })).toEqual([])
    const short = segment([batchOf(0), batchOf(1)], 5)
    expect(said(await check(short))).toEqual([expect.stringContaining('ends with offset 2, and not with 5')])
  })

  it('is damaged if its index says something else than its batches', async () => {
    const bytes = segment([batchOf(0), batchOf(1)])
    const object = { key: KEY, sizeBytes: bytes.length }
    const { indexPlace, indexBytes } = readDirectory(bytes, object).parts[0]!
    const index = bytes.subarray(indexPlace, indexPlace + indexBytes)
    index.writeBigInt64BE(3n, 60) // records in the body
    index.writeUInt32BE(crc32c(index.subarray(8)), 4)
    expect(said(await check(bytes))).toEqual([expect.stringContaining('the index does not say what the batches say')])
  })

  it('is the wrong one if its name has another hash, or the log says something else of it', async () => {
    const bytes = segment([batchOf(0), batchOf(1)])
    expect(said(await check(bytes, { hash: 1 }))).toEqual([
      expect.stringContaining('its name has the hash of another object'),
    ])
    const row = rowOf(bytes)
    const fields = ['nextOffset', 'sizeBytes', 'indexPlace', 'indexBytes', 'maxTimestampMs', 'createdMs'] as const
    for (const field of fields) {
      const segmentOf = { ...row.segment, [field]: 77 }
      const findings = await check(bytes, { held: [{ ...row, segment: segmentOf }] })
      expect(said(findings)).toEqual([expect.stringContaining(`the ${field} of topic-2 is ${row.segment[field]}, and`)])
    }
    const elsewhere = { ...row, segment: { ...row.segment, partition: 3 } }
    expect(said(await check(bytes, { held: [elsewhere] }))).toEqual([
      expect.stringContaining('it has no part of topic-3 at byte 0'),
    ])
  })
})
