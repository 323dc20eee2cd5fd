import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { buildBatch, buildEndMarker } from '#records/build.ts'

const timeMs = 1_700_000_000_000

describe('buildBatch', () => {
  it('writes an uncompressed batch byte for byte as Java does', () => {
    const records = [
      {
        timestampMs: timeMs,
        key: Buffer.from('k0'),
        value: Buffer.from('v0'),
        headers: [
          { key: 'h', value: Buffer.from('x') },
          { key: 'näme', value: null },
        ],
      },
      { timestampMs: timeMs + 5000 },
      { timestampMs: timeMs - 70000, key: Buffer.alloc(0), value: Buffer.alloc(0) },
      {
        timestampMs: timeMs + 1,
        key: Buffer.from('steps'),
        value: Buffer.from(Array.from({ length: 600 }, (_, i) => i >> 9)),
      },
      ...Array.from({ length: 100 }, (_, i) => {
        return { timestampMs: timeMs + 2 + i, key: Buffer.from(`key-${i}`), value: Buffer.from(`value-${i}`) }
      }),
    ]
    const options = { baseOffset: 100, leaderEpoch: 5, producerId: 7, producerEpoch: 3, baseSequence: 11 }
    expect(buildBatch(records, options)).toEqual(readFileSync('fixtures/records/java-uncompressed.bin'))
  })
})

describe('buildEndMarker', () => {
  it.each(['commit', 'abort'] as const)('writes the %s marker byte for byte as Java does', type => {
    const marker = { producerId: 7, producerEpoch: 3, coordinatorEpoch: 9, timestampMs: timeMs }
    expect(buildEndMarker(type, marker)).toEqual(readFileSync(`fixtures/records/java-${type}-marker.bin`))
  })
})
