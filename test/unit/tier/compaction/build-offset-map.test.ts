import { describe, expect, it } from 'vitest'
import { CODEC_NAMES } from '#bytes/codecs.ts'
import { OutputTooLarge } from '#bytes/errors.ts'
import { setBaseOffset } from '#records/batch.ts'
import { buildBatch } from '#records/build.ts'
import { buildOffsetMap, type MapOptions } from '#tier/compaction/build-offset-map.ts'
import { OffsetMap, SLOT_BYTES } from '#tier/compaction/offset-map.kernel.ts'

const secret = Buffer.from('sixteen of bytes')

function batchOf(baseOffset: number, keys: readonly string[], options = {}): Buffer {
  const batch = buildBatch(keys.map(key => ({ timestampMs: 1, key: Buffer.from(key), value: Buffer.alloc(1) })), options) // biome-ignore format: one step
  setBaseOffset(batch, 0, baseOffset)
  return batch
}

const keysOf = (count: number, from = 0) => Array.from({ length: count }, (_, i) => `key ${from + i}`)

function optionsWith(changes: Partial<MapOptions> & { map: OffsetMap }): MapOptions {
  const whole = { from: 0, to: 1000, aborted: null, decompressLimitBytes: 1 << 24, nextTurn: async () => {} }
  return { ...whole, ...changes }
}

function offsetOf(map: OffsetMap, key: string): number {
  map.note(0, Buffer.from(key), 0, key.length)
  return map.get(0)
}

describe('buildOffsetMap', () => {
  it.each(CODEC_NAMES)('knows all keys of the range and none from before it, %s', async codec => {
    const map = new OffsetMap(1 << 20, secret)
    const old = batchOf(0, keysOf(10), { codec })
    const straddling = batchOf(10, keysOf(10, 5), { codec })
    const dirty = batchOf(20, keysOf(3), { codec })
    const mapTo = await buildOffsetMap(
      [old, Buffer.concat([straddling, dirty])],
      optionsWith({ map, from: 15, to: 50 }),
    )
    expect([mapTo, map.size]).toEqual([50, 8])
    expect(['key 0', 'key 2', 'key 7', 'key 10', 'key 14'].map(key => offsetOf(map, key))).toEqual([20, 22, -1, 15, 19])
  })

  it('ends before the batch that finds no room', async () => {
    const map = new OffsetMap(8 * SLOT_BYTES, secret)
    const batches = [batchOf(0, keysOf(4)), batchOf(4, keysOf(4)), batchOf(8, keysOf(4, 4)), batchOf(12, keysOf(1))]
    expect(await buildOffsetMap(batches, optionsWith({ map }))).toBe(8)
    expect(map.size).toBe(6)
  })

  it.each(CODEC_NAMES)('ends within the first batch if that alone finds no room, %s', async codec => {
    const map = new OffsetMap(8 * SLOT_BYTES, secret)
    const batches = [batchOf(0, keysOf(3)), batchOf(5, keysOf(20, 5), { codec })]
    expect(await buildOffsetMap(batches, optionsWith({ map, from: 5 }))).toBe(11)
    map.clear(secret)
    expect(await buildOffsetMap([batchOf(5, keysOf(20, 5), { codec })], optionsWith({ map, from: 11 }))).toBe(17)
  })

  it('lets others have their turn in large batches and in many small ones', async () => {
    let turns = 0
    const nextTurn = async () => {
      turns++
    }
    const map = new OffsetMap(4 << 20, secret)
    await buildOffsetMap([batchOf(0, keysOf(50_000))], optionsWith({ map, to: 50_000, nextTurn }))
    expect(turns).toBeGreaterThanOrEqual(50_000 / 8_000)
    turns = 0
    map.clear(secret)
    const small = Array.from({ length: 500 }, (_, i) => batchOf(100 * i, keysOf(100), { codec: 'lz4' }))
    await buildOffsetMap([Buffer.concat(small)], optionsWith({ map, to: 50_000, nextTurn }))
    expect(turns).toBeGreaterThanOrEqual(1)
  })

  it('refuses damaged batches, and those that are too large once decompressed', async () => {
    const build = (bytes: Buffer, limit = 1 << 24) =>
      buildOffsetMap([bytes], optionsWith({ map: new OffsetMap(1 << 16, secret), decompressLimitBytes: limit }))
    const batch = batchOf(0, keysOf(10))
    const damaged = Buffer.from(batch)
    damaged[70]! ^= 1
    await expect(build(damaged)).rejects.toThrow('CRC')
    await expect(build(batch.subarray(0, 80))).rejects.toThrow('no whole batch')
    await expect(build(Buffer.concat([batch, Buffer.alloc(61)]))).rejects.toThrow('no whole batch')
    await expect(build(Buffer.alloc(20))).rejects.toThrow('no whole batch')
    await expect(build(batchOf(0, keysOf(100), { codec: 'zstd' }), 500)).rejects.toThrow(OutputTooLarge)
  })

  it('wants an empty map', async () => {
    const map = new OffsetMap(1 << 16, secret)
    await buildOffsetMap([batchOf(0, keysOf(3))], optionsWith({ map }))
    await expect(buildOffsetMap([], optionsWith({ map }))).rejects.toThrow('empty before a pass')
  })
})
