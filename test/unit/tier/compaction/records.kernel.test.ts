import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BATCH_HEADER_BYTES, batchSizeBytesOf } from '#records/batch.ts'
import { recordsOf } from '#records/read.ts'
import { buildBatch, type RecordFields } from '#test/support/batch-builder.ts'
import { OffsetMap } from '#tier/compaction/offset-map.kernel.ts'
import {
  copyShifted,
  fetchAhead,
  Judgement,
  judgeRecords,
  KeyScan,
  MAX_GROWTH_BYTES,
  mapKeys,
} from '#tier/compaction/records.kernel.ts'

const BASE_OFFSET = 1000
const BASE_MS = 1_700_000_000_000
const LIMIT = 1 << 24
const secret = Buffer.from('sixteen of bytes')

const someBytes = (maxLength: number) => fc.uint8Array({ maxLength }).map(bytes => Buffer.from(bytes))
const someRecord: fc.Arbitrary<RecordFields> = fc.record({
  key: fc.option(fc.oneof(fc.constantFrom('a', 'b', 'c', ''), someBytes(200)), { nil: null, freq: 6 }),
  value: fc.option(someBytes(300), { nil: null, freq: 4 }),
  headers: fc.array(fc.tuple(fc.string({ maxLength: 5 }), fc.option(someBytes(9), { nil: null })), { maxLength: 2 }),
  timestampMs: fc
    .oneof(fc.nat(100), fc.integer({ min: -20_000, max: 20_000 }), fc.maxSafeInteger())
    .map(delta => BASE_MS + Math.max(-(2 ** 50), Math.min(2 ** 50, delta))),
})
/** With gaps between their offsets, as compaction leaves them. */
const someRecords = fc
  .array(fc.tuple(someRecord, fc.integer({ min: 1, max: 5 })), { minLength: 1, maxLength: 150 })
  .map(records => {
    let offsetDelta = -1
    return records.map(([record, step]) => {
      offsetDelta += step
      return { ...record, offsetDelta }
    })
  })

function batchOf(records: readonly RecordFields[], baseTimestampMs = BASE_MS): Buffer {
  const lastOffsetDelta = records.at(-1)!.offsetDelta!
  return buildBatch(records, { baseOffset: BASE_OFFSET, baseTimestampMs, lastOffsetDelta })
}

/** The records of a batch, with other bytes on both sides, so that a step outside is seen. */
function around(batch: Buffer): { bytes: Buffer; from: number; to: number } {
  const bytes = Buffer.concat([Buffer.alloc(3, 1), batch.subarray(BATCH_HEADER_BYTES), Buffer.alloc(9, 1)])
  return { bytes, from: 3, to: bytes.length - 9 }
}

const plainOf = (batch: Buffer) => [...recordsOf(batch, 0, LIMIT)].map(record => ({ ...record, name: record.key?.toString('hex') ?? null })) // biome-ignore format: one step

describe('mapKeys', () => {
  it('puts every key with its newest offset into the map, in as many turns as it takes', () => {
    fc.assert(
      fc.property(someRecords, fc.nat(200), fc.integer({ min: 1, max: 200 }), (records, fromDelta, perTurn) => {
        const batch = batchOf(records)
        const { bytes, from, to } = around(batch)
        const map = new OffsetMap(1 << 16, secret)
        const scan = new KeyScan()
        scan.begin(from)
        scan.baseOffset = BASE_OFFSET
        scan.fromOffset = BASE_OFFSET + fromDelta
        while (scan.index < records.length)
          mapKeys(map, bytes, to, Math.min(records.length, scan.index + perTurn), scan)
        expect([scan.isDamaged, scan.isFull, scan.at]).toEqual([false, false, to])
        const newest = new Map<string, number>()
        for (const { name, offset } of plainOf(batch)) {
          if (name !== null && offset >= scan.fromOffset) newest.set(name, offset)
        }
        expect(map.size).toBe(newest.size)
        for (const [name, offset] of newest) {
          const key = Buffer.from(name, 'hex')
          map.note(0, key, 0, key.length)
          expect(map.get(0)).toBe(offset)
        }
      }),
    )
  })

  it('says which record found no room, and which was the last that did', () => {
    const records = Array.from({ length: 100 }, (_, i) => ({ key: `${i % 80}`, offsetDelta: i }))
    const { bytes, from, to } = around(batchOf(records))
    const map = new OffsetMap(24 * 100, secret)
    const scan = new KeyScan()
    scan.begin(from)
    scan.baseOffset = BASE_OFFSET
    mapKeys(map, bytes, to, 100, scan)
    expect([scan.isFull, scan.lastOffset, map.size]).toEqual([true, BASE_OFFSET + 74, 75])
  })
})

function judge(
  map: OffsetMap,
  batch: Buffer,
  rules: { latestOffset: number; keepsTombstones: boolean },
  perTurn = 1000,
) {
  const { bytes, from, to } = around(batch)
  const count = batch.readInt32BE(57)
  const judgement = new Judgement()
  judgement.begin(from)
  Object.assign(judgement, rules, { baseOffset: BASE_OFFSET, baseTimestampMs: BASE_MS })
  while (judgement.index < count && !judgement.isDamaged) {
    judgeRecords(map, bytes, to, Math.min(count, judgement.index + perTurn), judgement)
  }
  return { judgement, bytes, from, to }
}

describe('judgeRecords', () => {
  it('finds the records that stay, and what there is to say of them', () => {
    const someRules = fc.record({ latestOffset: fc.integer({ min: 990, max: 1400 }), keepsTombstones: fc.boolean() })
    const someNewer = fc.array(fc.constantFrom('a', 'b', 'c', ''), { maxLength: 3 })
    fc.assert(
      fc.property(
        someRecords,
        someRules,
        someNewer,
        fc.integer({ min: 1, max: 200 }),
        (records, rules, newer, perTurn) => {
          const batch = batchOf(records)
          const map = new OffsetMap(1 << 16, secret)
          const newest = new Map(newer.map((key, i) => [Buffer.from(key).toString('hex'), BASE_OFFSET + 30 * i]))
          for (const [name, offset] of newest) {
            map.note(0, Buffer.from(name, 'hex'), 0, name.length / 2)
            map.put(0, offset)
          }
          const kept = plainOf(batch).filter(({ name, offset, value }) => {
            if (offset > rules.latestOffset) return true
            return name !== null && offset >= (newest.get(name) ?? -1) && (value !== null || rules.keepsTombstones)
          })
          const { judgement, bytes, to } = judge(map, batch, rules, perTurn)
          const times = kept.map(({ timestampMs }) => timestampMs)
          expect([judgement.isDamaged, judgement.at, judgement.keptCount]).toEqual([false, to, kept.length])
          expect(judgement.hasTombstone).toBe(kept.some(({ value }) => value === null))
          expect(judgement.nullKeys).toBe(plainOf(batch).filter(record => record.name === null && record.offset <= rules.latestOffset).length) // biome-ignore format: one step
          expect([judgement.minTimestampMs, judgement.maxTimestampMs]).toEqual([Math.min(...times), Math.max(...times)])
          if (kept.length > 0) expect(judgement.firstTimestampMs).toBe(times[0])
          const pieces = Array.from({ length: judgement.rangeCount }, (_, i) => {
            return bytes.subarray(judgement.ranges[2 * i], judgement.ranges[2 * i + 1])
          })
          const rebuilt = Buffer.concat([batch.subarray(0, BATCH_HEADER_BYTES), ...pieces])
          rebuilt.writeInt32BE(rebuilt.length - 12, 8)
          rebuilt.writeInt32BE(kept.length, 57)
          expect(plainOf(rebuilt)).toEqual(kept)
        },
      ),
    )
  })

  it('makes one range of neighbours', () => {
    const batch = batchOf(Array.from({ length: 200 }, (_, i) => ({ key: `${i}`, offsetDelta: i })))
    const map = new OffsetMap(1 << 16, secret)
    map.note(0, Buffer.from('150'), 0, 3)
    map.put(0, BASE_OFFSET + 150 + 1)
    const { judgement, from, to } = judge(map, batch, { latestOffset: 2000, keepsTombstones: true })
    expect(judgement.rangeCount).toBe(2)
    expect([judgement.ranges[0], judgement.ranges[3]]).toEqual([from, to])
  })

  it('makes no range so large that copying it would hold up the thread', () => {
    const value = Buffer.alloc(300)
    const batch = batchOf(Array.from({ length: 3000 }, (_, i) => ({ key: `${i}`, value, offsetDelta: i })))
    const map = new OffsetMap(1 << 16, secret)
    const { judgement, from, to } = judge(map, batch, { latestOffset: 2000, keepsTombstones: true })
    const ranges = judgement.ranges.subarray(0, 2 * judgement.rangeCount)
    expect(judgement.rangeCount).toBeGreaterThanOrEqual(3)
    expect([ranges[0], ranges.at(-1)]).toEqual([from, to])
    for (let i = 2; i < ranges.length; i += 2) expect(ranges[i]).toBe(ranges[i - 1])
  })

  it('stays within the bytes of the batch whatever is in them', () => {
    fc.assert(
      fc.property(
        someRecords,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (records, damages) => {
          const batch = batchOf(records)
          const size = batch.length - BATCH_HEADER_BYTES
          for (const [place, value] of damages) batch[BATCH_HEADER_BYTES + (place % size)] = value
          const map = new OffsetMap(1 << 16, secret)
          const { judgement, from, to } = judge(map, batch, { latestOffset: 2000, keepsTombstones: true })
          for (const place of judgement.ranges.subarray(0, 2 * judgement.rangeCount)) {
            expect(place >= from && place <= to).toBe(true)
          }
          expect(judgement.isDamaged || judgement.at <= to).toBe(true)
          const { bytes } = around(batch)
          const scan = new KeyScan()
          scan.begin(from)
          mapKeys(map, bytes, to, records.length, scan)
          expect(scan.isDamaged).toBe(judgement.isDamaged)
        },
      ),
    )
  })
})

describe('copyShifted', () => {
  it('writes the same records for another base timestamp', () => {
    const someShift = fc.oneof(fc.nat(100), fc.integer({ min: -(2 ** 31), max: 2 ** 31 }), fc.constant(-(2 ** 50)))
    fc.assert(
      fc.property(someRecords, someShift, (records, shift) => {
        const { bytes, from, to } = around(batchOf(records))
        const into = Buffer.alloc(2 + to - from + MAX_GROWTH_BYTES * records.length, 7)
        const end = copyShifted(bytes, from, to, into, 2, 1, shift)
        expect(into.subarray(2, end).equals(batchOf(records, BASE_MS - shift).subarray(BATCH_HEADER_BYTES))).toBe(true)
      }),
    )
  })

  it('gives all records the same time where the batch has the time of its appending', () => {
    const records = [5, 9, 300].map((delta, i) => ({ key: `${i}`, timestampMs: BASE_MS + delta, offsetDelta: i }))
    const { bytes, from, to } = around(batchOf(records))
    const into = Buffer.alloc(100)
    const end = copyShifted(bytes, from, to, into, 0, 0, -86_400_000)
    const same = records.map(record => ({ ...record, timestampMs: BASE_MS }))
    expect(into.subarray(0, end).equals(batchOf(same, BASE_MS + 86_400_000).subarray(BATCH_HEADER_BYTES))).toBe(true)
  })
})

describe('fetchAhead', () => {
  it('goes over small batches up to a batch, whatever is in them', () => {
    const someBatches = fc.array(fc.array(someRecord, { minLength: 1, maxLength: 30 }), { minLength: 1, maxLength: 12 })
    const someDamage = fc.option(fc.tuple(fc.nat(), fc.nat(255)))
    fc.assert(
      fc.property(someBatches, someDamage, (batches, damage) => {
        const bytes = Buffer.concat(batches.map(records => buildBatch(records, { baseTimestampMs: BASE_MS })))
        const ends = new Set<number>()
        for (let at = 0; at < bytes.length; at += batchSizeBytesOf(bytes, at))
          ends.add(at + batchSizeBytesOf(bytes, at))
        if (damage !== null) bytes[damage[0] % bytes.length] = damage[1]
        const map = new OffsetMap(1 << 16, secret)
        const to = fetchAhead(map, bytes, 0)
        expect(map.size).toBe(0)
        if (damage === null) expect(ends.has(to)).toBe(true)
        else expect(to >= 0 && to <= bytes.length).toBe(true)
      }),
    )
  })
})
