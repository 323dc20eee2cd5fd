import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BodyCopy, copyBatch, copyBytes, ENTRY_NUMBERS, patchAside } from '#segments/segment-batch.kernel.ts'
import {
  applyBatches,
  blocksOf,
  bodyOf,
  entriesOf,
  maxTimestampOf,
  type PlainPart,
  servedBatch,
  someParts,
  storedBatch,
} from '#test/support/plain-segment.ts'

const HEADER_BYTES = 61

/** Copies a part into pieces of these sizes, one after the other, and returns them. */
function copied(body: BodyCopy, part: PlainPart, pieceBytes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = []
  const turn = () => {
    pieces.push(body.piece.subarray(0, body.usedBytes))
    body.turn(Buffer.alloc(pieceBytes[pieces.length % pieceBytes.length]!, 0xee))
  }
  const add = (bytes: Buffer, from: number, sizeBytes: number) => {
    for (let count = 0; count < sizeBytes; ) {
      if (body.roomBytes === 0) turn()
      count += copyBytes(body, bytes, from + count, sizeBytes - count)
    }
  }
  body.begin(part.baseOffset)
  for (const batch of part.batches) {
    const bytes = Buffer.concat([Buffer.alloc(3, 0x77), storedBatch(batch), Buffer.alloc(2, 0x77)])
    const copy = body.roomBytes < HEADER_BYTES ? patchAside : copyBatch
    const count = copy(body, bytes, 3, batch.sizeBytes, batch.baseOffset, batch.leaderEpoch)
    if (copy === patchAside) add(body.aside, 0, count)
    add(bytes, 3 + count, batch.sizeBytes - count)
  }
  body.end()
  return [...pieces, body.piece.subarray(0, body.usedBytes)]
}

const somePieces = fc.oneof(
  fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 5 }),
  fc.constant([1 << 20]),
)

describe('the copy of a body', () => {
  it('is the batches as consumers get them, whatever pieces they are copied into', () => {
    const body = new BodyCopy()
    fc.assert(
      fc.property(someParts, somePieces, (parts, pieceBytes) => {
        for (const part of parts) {
          body.turn(Buffer.alloc(pieceBytes[0]!))
          const bytes = Buffer.concat(copied(body, part, pieceBytes))
          expect(bytes.equals(bodyOf(part))).toBe(true)
        }
      }),
      { numRuns: 60 },
    )
  })

  it('knows what a plain look at the batches finds', () => {
    const body = new BodyCopy()
    fc.assert(
      fc.property(someParts, somePieces, (parts, pieceBytes) => {
        // Bodies lie in pieces together, and what is known of one is used again for the next.
        for (const part of parts) {
          copied(body, part, pieceBytes)
          const plain = bodyOf(part)
          expect(body.blocks).toEqual(blocksOf(plain))
          expect(body.sizeBytes).toBe(plain.length)
          const entries = entriesOf(part)
          expect(body.entries).toEqual(entries.flat())
          expect(body.entries).toHaveLength(entries.length * ENTRY_NUMBERS)
          const last = part.batches.at(-1)
          const end = last === undefined ? part.baseOffset : last.baseOffset + last.lastOffsetDelta + 1
          expect(body.nextOffset).toBe(end)
          expect(body.maxTimestampMs).toBe(maxTimestampOf(part.batches))
          expect(body.recordCount).toBe(part.batches.reduce((sum, { recordCount }) => sum + recordCount, 0))
          const producers = applyBatches(new Map(), part.batches, 'markers are kept')
          expect([...body.producers.all()]).toEqual([...producers])
        }
      }),
      { numRuns: 60 },
    )
  })

  it('knows thousands of producers', () => {
    const body = new BodyCopy()
    const about = {
      leaderEpoch: 0,
      lastOffsetDelta: 0,
      recordCount: 1,
      maxTimestampMs: 7,
      isMarker: false,
      sizeBytes: 61,
    }
    const batches = Array.from({ length: 14_000 }, (_, i) => {
      const sequence = Math.floor(i / 2000)
      return { ...about, baseOffset: i, producerId: 10_000 - (i % 2000), producerEpoch: 1, baseSequence: sequence }
    })
    const facts = {
      topicId: 'a',
      topicName: 'a',
      partition: 0,
      baseOffset: 0,
      createdMs: 0,
      aborted: new Float64Array(0),
    }
    copied(body, { ...facts, batches, nextOffset: 14_000 }, [4096])
    expect([...body.producers.all()]).toEqual([...applyBatches(new Map(), batches, 'markers are kept')])
  })

  it('refuses what is not a batch of this size, or not behind the others', () => {
    const batch = {
      baseOffset: 5,
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
    const body = new BodyCopy()
    body.turn(Buffer.alloc(500))
    body.begin(5)
    const bytes = servedBatch(batch)
    expect(() => copyBatch(body, bytes, 0, 99, 5, 0)).toThrow(/the size that it says/)
    expect(() => copyBatch(body, bytes, 0, 101, 5, 0)).toThrow(/there is a batch/)
    expect(() => copyBatch(body, bytes, 0, 100, 4, 0)).toThrow(/in the order/)
    copyBatch(body, bytes, 0, 100, 5, 0)
    expect(() => copyBatch(body, bytes, 0, 100, 6, 0)).toThrow(/in the order/)
    copyBatch(body, bytes, 0, 100, 7, 0)
  })
})
