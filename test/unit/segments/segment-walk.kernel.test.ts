import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { PartPlace } from '#segments/segment-format.ts'
import { BodyWalk, openBody, walkBody } from '#segments/segment-walk.kernel.ts'
import { bodyOf, type PlainBatch, type PlainPart, someParts } from '#test/support/plain-segment.ts'

const KEY = 'some.log'
const HEADER_BYTES = 61
/** Of the body in its object. */
const PLACE = 1000

interface Seen {
  readonly place: number
  readonly sizeBytes: number
  readonly baseOffset: number
  readonly lastOffset: number
  readonly maxTimestampMs: number
}

function placeOf(part: PlainPart, sizeBytes: number): PartPlace {
  return { ...part, place: PLACE, sizeBytes, indexPlace: 0, indexBytes: 0 }
}

function walked(walk: BodyWalk, bytesPlace: number): Seen[] {
  const seen: Seen[] = []
  while (walkBody(walk)) {
    const { at, sizeBytes, baseOffset, lastOffset, maxTimestampMs } = walk
    seen.push({ place: bytesPlace + at, sizeBytes, baseOffset, lastOffset, maxTimestampMs })
  }
  return seen
}

/** What the walk has to find: field after field from the batches that the body was made of. */
function plainWalk(batches: readonly PlainBatch[]): Seen[] {
  let end = 0
  return batches.map(({ sizeBytes, baseOffset, lastOffsetDelta, maxTimestampMs }) => {
    end += sizeBytes
    return { place: end - sizeBytes, sizeBytes, baseOffset, lastOffset: baseOffset + lastOffsetDelta, maxTimestampMs }
  })
}

describe('a walk through a body', () => {
  it('finds the batches whose headers are in the range', () => {
    fc.assert(
      fc.property(someParts, fc.nat(), fc.nat(), fc.nat(20), ([part], first, cut, before) => {
        const body = bodyOf(part!)
        const all = plainWalk(part!.batches)
        const { place } = all[first % Math.max(1, all.length)] ?? { place: 0 }
        const to = place + (cut % (body.length - place + 1))
        // The bytes are a range of the body, behind others and before others.
        const bytes = Buffer.concat([Buffer.alloc(before), body.subarray(place, to), Buffer.alloc(100, 0xff)])
        const walk = new BodyWalk(KEY, placeOf(part!, body.length))
        openBody(walk, bytes, before, before + to - place, place)
        const found = walked(walk, place - before)
        const wanted = all.filter(batch => batch.place >= place && batch.place + HEADER_BYTES <= to)
        expect(found).toEqual(wanted)
        const last = wanted.at(-1)
        expect(walk.nextAt - before + place).toBe(last === undefined ? place : last.place + last.sizeBytes)
      }),
      { numRuns: 100 },
    )
  })

  it('goes on where the bytes of a range end, in those of the next', () => {
    fc.assert(
      fc.property(someParts, fc.integer({ min: HEADER_BYTES, max: 5000 }), ([part], rangeBytes) => {
        const body = bodyOf(part!)
        const walk = new BodyWalk(KEY, placeOf(part!, body.length))
        const found: Seen[] = []
        for (let place = 0; place < body.length; ) {
          const bytes = body.subarray(place, place + rangeBytes)
          openBody(walk, bytes, 0, bytes.length, place)
          found.push(...walked(walk, place))
          place += walk.nextAt
        }
        expect(found).toEqual(plainWalk(part!.batches))
      }),
      { numRuns: 60 },
    )
  })

  it('ends with the body, whatever is behind it', () => {
    fc.assert(
      fc.property(someParts, ([part]) => {
        const body = bodyOf(part!)
        const walk = new BodyWalk(KEY, placeOf(part!, body.length))
        const bytes = Buffer.concat([body, body, Buffer.alloc(100)])
        openBody(walk, bytes, 0, bytes.length, 0)
        expect(walked(walk, 0)).toEqual(plainWalk(part!.batches))
      }),
      { numRuns: 30 },
    )
  })

  it('says where there is no batch of the part', () => {
    const about = { leaderEpoch: 0, recordCount: 2, maxTimestampMs: 1, isMarker: false, sizeBytes: 100 }
    const producer = { producerId: -1, producerEpoch: -1, baseSequence: -1 }
    const batches = [10, 12, 14].map(baseOffset => ({ ...about, ...producer, baseOffset, lastOffsetDelta: 1 }))
    const aborted = new Float64Array(0)
    const facts = { topicId: 'a', topicName: 'a', partition: 0, baseOffset: 10, nextOffset: 16, createdMs: 0, aborted }
    const whole = bodyOf({ ...facts, batches })
    const refuse = (change: (bytes: Buffer) => void, at: number, sizeBytes = 300) => {
      const bytes = Buffer.from(whole)
      change(bytes)
      const walk = new BodyWalk(KEY, placeOf({ ...facts, batches }, sizeBytes))
      openBody(walk, bytes, 0, Math.min(sizeBytes, bytes.length), 0)
      expect(() => walked(walk, 0)).toThrow(
        `the segment ${KEY} is damaged at byte ${at}: no batch of the part begins there`,
      )
    }
    refuse(bytes => bytes.writeInt32BE(-1, 108), 1100)
    refuse(bytes => bytes.writeInt32BE(48, 108), 1100)
    refuse(bytes => bytes.writeInt32BE(0x7fffffff, 208), 1200)
    refuse(bytes => bytes.writeInt32BE(89, 208), 1200)
    refuse(bytes => bytes.writeInt8(1, 116), 1100)
    refuse(bytes => bytes.writeBigInt64BE(9n, 0), 1000)
    refuse(bytes => bytes.writeBigInt64BE(11n, 100), 1100)
    refuse(bytes => bytes.writeBigInt64BE(15n, 200), 1200)
    refuse(bytes => bytes.writeInt32BE(-1, 123), 1100)
    refuse(() => {}, 1200, 260)
    refuse(() => {}, 1200, 299)
  })
})
