import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Producer } from '#core/producers.ts'
import { KEPT_BATCHES } from '#core/producers.ts'
import { BLOCK_BYTES, type PartPlace, readDirectory } from '#segments/segment-format.ts'
import { type PartIndex, readPartIndex } from '#segments/segment-index.ts'
import {
  applyBatches,
  bodyOf,
  entriesOf,
  type PlainBatch,
  type PlainPart,
  plainIndex,
  plainSegment,
  someParts,
} from '#test/support/plain-segment.ts'

const KEY = 'some.log'

/** The index of a part as if it were alone. */
function indexOf(part: PlainPart): PartIndex {
  const bytes = plainIndex(part, 0)
  return readPartIndex(bytes, KEY, placeOf(part, bytes))
}

function placeOf(part: PlainPart, index: Buffer): PartPlace {
  const sizeBytes = bodyOf(part).length
  return { ...part, place: 0, sizeBytes, indexPlace: sizeBytes + 24, indexBytes: index.length }
}

/** Batches with the places where they begin. */
function placed(part: PlainPart): (PlainBatch & { place: number })[] {
  let place = 0
  return part.batches.map(batch => {
    place += batch.sizeBytes
    return { ...batch, place: place - batch.sizeBytes }
  })
}

const lastOffsetOf = ({ baseOffset, lastOffsetDelta }: PlainBatch): number => baseOffset + lastOffsetDelta

describe('the index of a part', () => {
  it('leads to the batch of an offset, from the entry before it', () => {
    fc.assert(
      fc.property(someParts, ([part]) => {
        const index = indexOf(part!)
        const entries = entriesOf(part!)
        const batches = placed(part!)
        const offsets = [part!.baseOffset, part!.nextOffset]
        for (const batch of batches) offsets.push(batch.baseOffset, lastOffsetOf(batch), lastOffsetOf(batch) + 1)
        for (const offset of offsets) {
          const from = index.placeOf(offset)
          const behind = index.placeBehind(from)
          const at = entries.findLastIndex(entry => part!.baseOffset + entry[0]! <= offset)
          expect(from).toBe(entries[Math.max(0, at)]?.[1] ?? 0)
          expect(behind).toBe(entries[Math.max(0, at) + 1]?.[1] ?? index.sizeBytes)
          // What was wanted lies between the two; where compaction took it away, what is behind it may be the next entry.
          const wanted = batches.find(batch => lastOffsetOf(batch) >= offset)
          if (wanted === undefined) continue
          expect(wanted.place).toBeGreaterThanOrEqual(from)
          if (wanted.baseOffset <= offset) expect(wanted.place + wanted.sizeBytes).toBeLessThanOrEqual(behind)
          else expect(wanted.place).toBeLessThanOrEqual(behind)
        }
      }),
      { numRuns: 60 },
    )
  })

  it('leads to the first batch that is new enough', () => {
    fc.assert(
      fc.property(someParts, fc.nat(), ([part], which) => {
        const index = indexOf(part!)
        const batches = placed(part!)
        const entries = entriesOf(part!)
        const atMs = batches[which % Math.max(1, batches.length)]?.maxTimestampMs ?? 5
        for (const timestampMs of [atMs, atMs + 1]) {
          for (const { place: fromPlace } of [{ place: 0 }, ...batches]) {
            const from = index.firstNotBefore(timestampMs, fromPlace)
            const first = entries.findLastIndex(entry => entry[1]! <= fromPlace)
            const entry = entries.find((entry, i) => i >= first && entry[2]! >= timestampMs)
            expect(from).toBe(entry === undefined ? -1 : Math.max(entry[1]!, fromPlace))
            const wanted = batches.find(batch => batch.place >= fromPlace && batch.maxTimestampMs >= timestampMs)
            if (wanted === undefined) continue
            expect(from).toBeGreaterThanOrEqual(fromPlace)
            expect(from).toBeLessThanOrEqual(wanted.place)
          }
        }
      }),
      { numRuns: 60 },
    )
  })

  it('tells whether a block of the body is what it was', () => {
    fc.assert(
      fc.property(someParts, fc.nat(), ([part], where) => {
        const index = indexOf(part!)
        const body = bodyOf(part!)
        expect(index.blockCount).toBe(Math.ceil(body.length / BLOCK_BYTES))
        for (let block = 0; block < index.blockCount; block++) {
          const at = block * BLOCK_BYTES
          const bytes = Buffer.concat([Buffer.alloc(5), body.subarray(at, at + BLOCK_BYTES)])
          expect(index.blockBytes(block)).toBe(bytes.length - 5)
          expect(index.blockIsIntact(block, bytes, 5)).toBe(true)
          expect(index.blockIsIntact(block, bytes, 6)).toBe(false)
          expect(index.blockIsIntact(block, bytes.subarray(0, -1), 5)).toBe(false)
          bytes[5 + (where % (bytes.length - 5))]! ^= 64
          expect(index.blockIsIntact(block, bytes, 5)).toBe(false)
        }
      }),
      { numRuns: 30 },
    )
  })

  it('has the aborted transactions that it was given', () => {
    const part = { ...PART, aborted: Float64Array.of(7, 100, 120, 110, 8, 90, 130, 90) }
    expect(indexOf(part).aborted().between(115, 116)).toEqual([
      { producerId: 8, firstOffset: 90, lastOffset: 130, lastStableOffset: 90 },
      { producerId: 7, firstOffset: 100, lastOffset: 120, lastStableOffset: 110 },
    ])
    expect(indexOf(PART).aborted().length).toBe(0)
  })

  it('has what the producers of a partition can be made of again, part by part', () => {
    fc.assert(
      fc.property(someParts, fc.array(fc.nat(60), { maxLength: 4 }), ([part], cuts) => {
        const { batches } = part!
        const live = applyBatches(new Map(), batches, 'markers are nothing')
        const again = new Map<number, Producer>()
        const ends = [...cuts.map(cut => Math.min(cut, batches.length)).sort((a, b) => a - b), batches.length]
        let from = 0
        for (const end of ends) {
          const piece = batches.slice(from, end)
          merge(again, indexOf({ ...part!, batches: piece, baseOffset: 0 }).producers())
          from = end
        }
        expect(again).toEqual(live)
      }),
      { numRuns: 200 },
    )
  })

  it('takes little memory', () => {
    const batches = Array.from({ length: 1024 }, (_, i) => ({ ...BATCH, baseOffset: 10 + i, sizeBytes: 65536 }))
    const index = indexOf({ ...PART, batches, nextOffset: 1034 })
    expect(index.sizeBytes).toBe(1 << 26)
    expect(index.memoryBytes).toBeLessThan(24_000)
    const small = indexOf({ ...PART, batches: [BATCH] })
    expect(small.memoryBytes).toBeLessThan(1500)
  })

  it('is copied out of what it is read from', () => {
    const bytes = plainIndex({ ...PART, batches: [BATCH] }, 0)
    const index = readPartIndex(bytes, KEY, placeOf({ ...PART, batches: [BATCH] }, bytes))
    const known = [index.topicName, index.producers(), index.placeOf(10), index.describe()]
    bytes.fill(0)
    expect([index.topicName, index.producers(), index.placeOf(10), index.describe()]).toEqual(known)
  })

  it('is refused where another part or another body is meant', () => {
    const bytes = plainSegment([PART, { ...PART, partition: 4 }])
    const [first, second] = readDirectory(bytes, { key: KEY, sizeBytes: bytes.length }).parts
    const at = (part: PartPlace) => bytes.subarray(part.indexPlace)
    readPartIndex(at(first!), KEY, first!)
    const wrong = /the segment some.log is damaged at byte \d+: there is the index of orders-3, offsets 10 to 12/
    expect(() => readPartIndex(at(first!), KEY, { ...second!, indexBytes: first!.indexBytes })).toThrow(wrong)
    for (const other of [{ topicId: 'b' }, { partition: 2 }, { baseOffset: 9 }, { nextOffset: 13 }, { place: 1 }]) {
      expect(() => readPartIndex(at(first!), KEY, { ...first!, ...other })).toThrow(wrong)
    }
    expect(() => readPartIndex(at(first!), KEY, { ...first!, sizeBytes: 1 })).toThrow(wrong)
    const short = at(first!).subarray(0, first!.indexBytes - 1)
    expect(() => readPartIndex(short, KEY, first!)).toThrow(/is damaged at byte \d+: its index has/)
  })
})

/** docs/formats/segment.md says how. */
function merge(known: Map<number, Producer>, part: ReadonlyMap<number, Producer>): void {
  for (const [id, { epoch, lastAppendMs, batches }] of part) {
    const producer = known.get(id)
    if (producer === undefined) {
      if (lastAppendMs >= 0) known.set(id, { epoch, lastAppendMs, batches })
      continue
    }
    if (producer.epoch !== epoch) producer.batches.length = 0
    producer.epoch = epoch
    producer.batches = [...producer.batches, ...batches].slice(-KEPT_BATCHES)
    if (lastAppendMs >= 0) producer.lastAppendMs = lastAppendMs
  }
}

const PART: PlainPart = {
  topicId: 'AQIDBAUGBwgJCgsMDQ4PEA',
  topicName: 'orders',
  partition: 3,
  baseOffset: 10,
  createdMs: 5,
  aborted: new Float64Array(0),
  batches: [],
  nextOffset: 12,
}
const BATCH: PlainBatch = {
  baseOffset: 10,
  leaderEpoch: 0,
  lastOffsetDelta: 0,
  recordCount: 1,
  maxTimestampMs: 1,
  producerId: 5,
  producerEpoch: 0,
  baseSequence: 0,
  isMarker: false,
  sizeBytes: 100,
}
