import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NOTED_KEYS, OffsetMap, SLOT_BYTES } from '#tier/compaction/offset-map.kernel.ts'

const secretOf = (seed: number) => createHash('md5').update(`${seed}`).digest()

function put(map: OffsetMap, key: string, offset: number): boolean {
  map.note(0, Buffer.from(key), 0, Buffer.byteLength(key))
  return map.put(0, offset)
}

function get(map: OffsetMap, key: string): number {
  map.note(0, Buffer.from(key), 0, Buffer.byteLength(key))
  return map.get(0)
}

describe('OffsetMap', () => {
  it('knows the newest offset of each key until it is full, as a plain map does', () => {
    const someKey = fc.oneof(fc.string({ maxLength: 3 }), fc.string({ minLength: 14, maxLength: 40 }))
    fc.assert(
      fc.property(fc.array(someKey, { maxLength: 400 }), fc.nat(300), fc.nat(), (keys, slots, seed) => {
        const map = new OffsetMap((slots + 2) * SLOT_BYTES, secretOf(seed))
        const plain = new Map<string, number>()
        for (const [i, key] of keys.entries()) {
          const hasRoom = plain.has(key) || plain.size < map.capacity
          expect(put(map, key, 2 ** 40 + i)).toBe(hasRoom)
          if (hasRoom) plain.set(key, 2 ** 40 + i)
        }
        expect(map.size).toBe(plain.size)
        for (const key of keys) expect(get(map, key)).toBe(plain.get(key) ?? -1)
        expect(get(map, 'none of them is that long, or is it, now that it is 60 bytes')).toBe(-1)
      }),
    )
  })

  it('has room for a quarter less than its memory has slots', () => {
    expect(new OffsetMap(1000 * SLOT_BYTES, secretOf(0)).capacity).toBe(750)
    expect(() => new OffsetMap(SLOT_BYTES, secretOf(0))).toThrow('room for a key')
  })

  it('tells noted keys apart, fetched or not', () => {
    const map = new OffsetMap(1 << 16, secretOf(1))
    const keys = Buffer.from(Array.from({ length: NOTED_KEYS }, (_, i) => 100 + i))
    for (let i = 0; i < NOTED_KEYS; i++) map.note(i, keys, i, i + 1)
    map.fetch(NOTED_KEYS)
    for (let i = 0; i < NOTED_KEYS; i++) expect(map.put(i, i)).toBe(true)
    for (let i = 0; i < NOTED_KEYS; i++) expect(map.get(i)).toBe(i)
    expect(map.size).toBe(NOTED_KEYS)
  })

  it('keeps offset 0 and an empty key apart from nothing', () => {
    const map = new OffsetMap(1 << 10, secretOf(2))
    expect(get(map, '')).toBe(-1)
    put(map, '', 0)
    expect(get(map, '')).toBe(0)
    expect(map.size).toBe(1)
  })

  it('forgets everything when it is cleared, and has another secret then', () => {
    const map = new OffsetMap(1 << 10, secretOf(3))
    put(map, 'a', 7)
    map.clear(secretOf(4))
    expect([map.size, get(map, 'a')]).toEqual([0, -1])
    put(map, 'a', 9)
    map.clear(secretOf(4))
    expect(put(map, 'a', 11)).toBe(true)
    expect(get(map, 'a')).toBe(11)
  })
})
