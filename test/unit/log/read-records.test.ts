import { beforeEach, describe, expect, it, vi } from 'vitest'
import * as compression from '#bytes/compression.ts'
import { readRecords, recordsOf } from '#records/read.ts'
import { buildBatch, type Codec } from '#test/support/batch-builder.ts'
import { Prng } from '#test/support/sim/prng.ts'

vi.mock('#bytes/compression.ts', { spy: true })

const LIMIT = 8 << 20
const CODECS: readonly Codec[] = ['gzip', 'snappy', 'lz4', 'zstd']

function batchOf(codec: Codec, value: string): Buffer {
  return buildBatch([{ timestampMs: 1, value }, { timestampMs: 2 }], { codec })
}

function incompressible(length: number): string {
  const prng = new Prng(1)
  return Array.from({ length }, () => String.fromCharCode(prng.between(32, 126))).join('')
}

async function offThread(batch: Buffer): Promise<number> {
  vi.mocked(compression.decompressOffThread).mockClear()
  const found = [...(await readRecords(batch, 0, LIMIT))]
  expect(found).toEqual([...recordsOf(batch, 0, LIMIT)])
  return vi.mocked(compression.decompressOffThread).mock.calls.length
}

describe.each(CODECS)('the records of a stored batch of %s', codec => {
  beforeEach(() => vi.clearAllMocks())

  it('are decompressed here when they are few', async () => {
    expect(await offThread(batchOf(codec, 'few'))).toBe(0)
  })

  it('are decompressed off the thread when the batch is large', async () => {
    expect(await offThread(batchOf(codec, incompressible(60_000)))).toBe(1)
  })

  it('are decompressed off the thread when much comes out of little', async () => {
    expect(await offThread(batchOf(codec, 'x'.repeat(300_000)))).toBe(1)
  })

  it('are refused beyond the limit', async () => {
    await expect(readRecords(batchOf(codec, 'x'.repeat(300_000)), 0, 100_000)).rejects.toThrow('100000')
  })
})
