import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PIECE_BYTES, PiecePool } from '#bytes/piece-pool.ts'
import { NO_NUMBERS } from '#core/packed-fields.ts'
import { readDirectory } from '#segments/segment-format.ts'
import { SegmentWriter } from '#segments/segment-writer.ts'
import { fill, type PlainPart, plainSegment, someParts, storedBatch } from '#test/support/plain-segment.ts'

class CountingPool extends PiecePool {
  taken = 0
  given = 0

  override take(): Buffer {
    this.taken++
    return super.take().fill(this.taken)
  }

  override give(buffer: Buffer): void {
    this.given++
    super.give(buffer)
  }
}

const PART: PlainPart = {
  topicId: 'AQIDBAUGBwgJCgsMDQ4PEA',
  topicName: 'orders',
  partition: 3,
  baseOffset: 10,
  createdMs: 5,
  aborted: NO_NUMBERS,
  batches: [],
  nextOffset: 12,
}
const BATCH = {
  baseOffset: 10,
  leaderEpoch: 0,
  lastOffsetDelta: 1,
  recordCount: 2,
  maxTimestampMs: 1,
  producerId: -1,
  producerEpoch: -1,
  baseSequence: -1,
  isMarker: false,
  sizeBytes: 100,
}

describe('a segment', () => {
  it('has the bytes of its layout, whatever is in it', () => {
    const pool = new CountingPool(1 << 24)
    fc.assert(
      fc.property(someParts, parts => {
        const writer = new SegmentWriter(pool)
        fill(writer, parts)
        const sealed = writer.end()
        const bytes = Buffer.concat(sealed.pieces)
        expect(bytes.equals(plainSegment(parts))).toBe(true)
        expect(sealed.sizeBytes).toBe(bytes.length)
        expect(sealed.parts).toEqual(readDirectory(bytes, { key: 'k', sizeBytes: bytes.length }).parts)
        writer.release()
      }),
      { numRuns: 60 },
    )
    expect(pool.given).toBe(pool.taken)
  })

  it('has a hash that tells records apart', () => {
    const hashOf = (maxTimestampMs: number, sizeBytes = 100) => {
      const writer = new SegmentWriter(new PiecePool(0))
      fill(writer, [{ ...PART, batches: [{ ...BATCH, maxTimestampMs, sizeBytes }] }])
      return writer.end().hash
    }
    expect(hashOf(1)).toBe(hashOf(1))
    expect(new Set([hashOf(1), hashOf(2), hashOf(1, 101)]).size).toBe(3)
  })

  it('says how large it has become', () => {
    const writer = new SegmentWriter(new PiecePool(0))
    const bytes = storedBatch(BATCH)
    writer.beginPart(PART)
    expect([writer.partBytes, writer.sizeBytes]).toEqual([0, 0])
    writer.addBatch(bytes, 0, 100, 10, 0)
    writer.addBatch(bytes, 0, 100, 12, 0)
    expect([writer.partBytes, writer.sizeBytes]).toEqual([200, 200])
    writer.endPart(14, NO_NUMBERS)
    expect([writer.partBytes, writer.sizeBytes]).toEqual([0, 200])
    writer.beginPart(PART)
    writer.addBatch(bytes, 0, 100, 10, 0)
    expect([writer.partBytes, writer.sizeBytes]).toEqual([100, 300])
  })

  it('takes no more memory than its pieces, and gives it back when it is given up', () => {
    const pool = new CountingPool(1 << 24)
    const writer = new SegmentWriter(pool)
    const bytes = storedBatch({ ...BATCH, sizeBytes: 100_000 })
    writer.beginPart(PART)
    for (let i = 0; i < 100; i++) writer.addBatch(bytes, 0, bytes.length, 10 + 2 * i, 0)
    expect(pool.taken).toBe(Math.ceil((100 * bytes.length) / PIECE_BYTES))
    writer.release()
    writer.release()
    expect(pool.given).toBe(pool.taken)
    expect(() => writer.addBatch(bytes, 0, bytes.length, 400, 0)).toThrow(/a body is begun/)
    expect(() => writer.beginPart(PART)).toThrow(/one part at a time/)
    expect(() => writer.end()).toThrow(/ends once/)
  })

  it('is written in order', () => {
    const writer = new SegmentWriter(new PiecePool(0))
    const bytes = storedBatch(BATCH)
    expect(() => writer.end()).toThrow(/a segment has parts/)
    const second = new SegmentWriter(new PiecePool(0))
    expect(() => second.addBatch(bytes, 0, 100, 10, 0)).toThrow(/a body is begun/)
    expect(() => second.endPart(10, NO_NUMBERS)).toThrow(/ends behind its last batch/)
    expect(() => second.beginPart({ ...PART, topicId: 'a/b' })).toThrow(/a topic id/)
    expect(() => second.beginPart({ ...PART, topicId: 'a'.repeat(25) })).toThrow(/a topic id/)
    expect(() => second.beginPart({ ...PART, createdMs: Number.NaN })).toThrow(/begun sometime/)
    expect(() => second.beginPart({ ...PART, baseOffset: -1 })).toThrow(/begins somewhere/)
    second.beginPart(PART)
    expect(() => second.beginPart(PART)).toThrow(/one part at a time/)
    second.addBatch(bytes, 0, 100, 10, 0)
    expect(() => second.end()).toThrow(/ends once/)
    expect(() => second.endPart(12, new Float64Array(3))).toThrow(/come whole/)
    expect(() => second.endPart(11, NO_NUMBERS)).toThrow(/ends behind its last batch/)
    second.endPart(12, NO_NUMBERS)
    second.end()
    expect(() => second.end()).toThrow(/ends once/)
  })
})
