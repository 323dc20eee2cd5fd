import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { CODEC_NAMES } from '#bytes/codecs.ts'
import { MalformedBytes } from '#bytes/cursor.ts'
import { OutputTooLarge } from '#bytes/errors.ts'
import { BATCH_HEADER_BYTES } from '#records/batch.ts'
import { buildBatch } from '#records/build.ts'
import { findByTimestamp, recordsOf } from '#records/read.ts'

const LIMIT = 1 << 20
const timeMs = 1_700_000_000_000

function read(batch: Buffer, at = 0, limit = LIMIT) {
  return Array.from(recordsOf(batch, at, limit), ({ offset, timestampMs, key, value, headers }) => ({
    offset,
    timestampMs,
    key: key?.toString() ?? null,
    value: value?.toString('latin1') ?? null,
    headers: headers.map(header => [header.key, header.value?.toString() ?? null]),
  }))
}

describe('recordsOf', () => {
  it.each(CODEC_NAMES)('reads what Java wrote with %s', codec => {
    const stepBytes = codec === 'uncompressed' ? 600 : 150_000
    const steps = Buffer.from(Array.from({ length: stepBytes }, (_, i) => i >> 9)).toString('latin1')
    const batch = Buffer.concat([Buffer.alloc(3), readFileSync(`fixtures/records/java-${codec}.bin`)])
    const first = [
      { timestampMs: timeMs, key: 'k0', value: 'v0', headers: [['h', 'x'], ['näme', null]] }, // biome-ignore format: a table
      { timestampMs: timeMs + 5000, key: null, value: null, headers: [] },
      { timestampMs: timeMs - 70000, key: '', value: '', headers: [] },
      { timestampMs: timeMs + 1, key: 'steps', value: steps, headers: [] },
    ]
    const rest = Array.from({ length: 100 }, (_, i) => {
      return { timestampMs: timeMs + 2 + i, key: `key-${i}`, value: `value-${i}`, headers: [] }
    })
    const expected = [...first, ...rest].map((record, i) => ({ offset: 100 + i, ...record }))
    expect(read(batch, 3)).toEqual(expected)
  })

  it('gives all records the time of the append where the topic has that', () => {
    const batch = buildBatch([{ timestampMs: 5 }, { timestampMs: 9 }], { logAppendTimeMs: timeMs })
    expect(read(batch).map(record => record.timestampMs)).toEqual([timeMs, timeMs])
  })

  it('decompresses no more than it is allowed to', () => {
    const batch = buildBatch([{ value: Buffer.alloc(10_000) }], { codec: 'zstd' })
    expect(() => read(batch, 0, 9_000)).toThrow(OutputTooLarge)
  })

  it('throws at a record that does not fit, wherever the batch is damaged', () => {
    const batch = buildBatch([{ key: Buffer.from('k'), value: Buffer.from('v') }])
    for (const [place, value] of [
      [0, 17],
      [0, 20],
      [0, 12],
      [4, 20],
      [4, 3],
      [6, 9],
      [8, 1],
      [8, 4],
    ] as const) {
      // biome-ignore format: a table
      const damaged = Buffer.from(batch)
      damaged[BATCH_HEADER_BYTES + place] = value
      expect(() => read(damaged), `byte ${place} = ${value}`).toThrow(MalformedBytes)
    }
  })

  it('throws at a record that reaches into the next', () => {
    const batch = buildBatch([{ key: Buffer.from('k') }, {}])
    batch[BATCH_HEADER_BYTES]! += 2
    expect(() => read(batch)).toThrow(MalformedBytes)
  })
})

describe('findByTimestamp', () => {
  const batch = buildBatch(
    [50, 40, 70, 60, 70].map(timestampMs => ({ timestampMs })),
    { baseOffset: 10, codec: 'lz4' },
  )
  const find = (timestampMs: number, minOffset = 0, bytes = batch) =>
    findByTimestamp(bytes, 0, { timestampMs, minOffset }, LIMIT)

  it('finds the first record at or after a time, with its own time', async () => {
    expect(await find(0)).toEqual({ offset: 10, timestampMs: 50 })
    expect(await find(45)).toEqual({ offset: 10, timestampMs: 50 })
    expect(await find(51)).toEqual({ offset: 12, timestampMs: 70 })
    expect(await find(70)).toEqual({ offset: 12, timestampMs: 70 })
    expect(await find(71)).toBe(null)
  })

  it('finds none before the offset asked for', async () => {
    expect(await find(0, 11)).toEqual({ offset: 11, timestampMs: 40 })
    expect(await find(70, 13)).toEqual({ offset: 14, timestampMs: 70 })
    expect(await find(0, 15)).toBe(null)
  })

  it('finds the first record of a batch with the time of the append', async () => {
    const appended = buildBatch([{ timestampMs: 1 }, { timestampMs: 2 }], { baseOffset: 4, logAppendTimeMs: 99 })
    expect(await find(50, 0, appended)).toEqual({ offset: 4, timestampMs: 99 })
  })
})
