import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { OWN_SEGMENT, SHARED_SEGMENT, sealedBytes, servedBytes } from '#test/support/segment-fixtures.ts'
import { readWholeSegment } from '#test/support/segment-reading.ts'

// Segments that are sealed today are what fixtures/formats has, byte for byte, and those of every released version are read. Before
// version 3 there were none.

const pathOf = (version: string, name: string): string =>
  fileURLToPath(new URL(`../../fixtures/formats/${version}/${name}.log.hex`, import.meta.url))
const VERSIONS = ['v3'] as const
const NEWEST = 'v3'
const SEGMENTS = [
  ['own-segment', OWN_SEGMENT],
  ['shared-segment', SHARED_SEGMENT],
] as const

const hexOf = (bytes: Buffer): string => `${bytes.toString('hex').replace(/.{64}/g, '$&\n').trimEnd()}\n`

describe('what is sealed', () => {
  it.each(SEGMENTS)('as %s has the bytes of the newest version', async (name, parts) => {
    await expect(hexOf(sealedBytes(parts))).toMatchFileSnapshot(pathOf(NEWEST, name))
  })
})

describe.each(VERSIONS)('what version %s has sealed', version => {
  it.each(SEGMENTS)('as %s is read', async (name, parts) => {
    const bytes = Buffer.from((await readFile(pathOf(version, name), 'utf8')).replaceAll('\n', ''), 'hex')
    const read = readWholeSegment(bytes, name)
    expect(read).toHaveLength(parts.length)
    for (const [i, { index, body, batches }] of read.entries()) {
      const part = parts[i]!
      const { topicId, topicName, partition, baseOffset, nextOffset, createdMs } = part
      expect(index).toMatchObject({ topicId, topicName, partition, baseOffset, nextOffset, createdMs })
      expect(body).toEqual(Buffer.concat(part.batches.map(servedBytes)))
      expect(batches.map(batch => batch[2])).toEqual(part.batches.map(batch => batch.baseOffset))
      expect([...index.aborted().rows()]).toEqual([...part.aborted])
    }
    const orders = read.at(-1)!.index
    expect(orders).toMatchObject({ maxTimestampMs: 1_800_000_000_051, recordCount: 13 })
    const kept = { firstSequence: 40, lastSequence: 41, baseOffset: 1203, timestampMs: 1_800_000_000_011 }
    const later = { firstSequence: 42, lastSequence: 43, baseOffset: 1213, timestampMs: 1_800_000_000_051 }
    expect([...orders.producers()]).toEqual([
      [9, { epoch: 0, lastAppendMs: 1_800_000_000_051, batches: [kept, later] }],
      [7, { epoch: 3, lastAppendMs: 1_800_000_000_005, batches: [] }],
    ])
    expect(orders.firstNotBefore(1_800_000_000_051, 0)).toBe(0)
    expect(orders.firstNotBefore(1_800_000_000_052, 0)).toBe(-1)
  })
})
