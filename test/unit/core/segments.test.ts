import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OWN_OBJECT, type Segment, Segments } from '#core/segments.ts'

type Step =
  | { kind: 'add'; count: number }
  | { kind: 'take'; offset: number }
  | { kind: 'replace'; at: number; count: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('add' as const), count: fc.integer({ min: 1, max: 9 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('take' as const), offset: fc.integer({ min: 0, max: 150 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('replace' as const),
      at: fc.integer({ min: 0, max: 20 }),
      count: fc.integer({ min: 1, max: 4 }),
    }),
  },
)

function segment(baseOffset: number, nextOffset: number, revision: number): Segment {
  return {
    ...{ baseOffset, nextOffset, sizeBytes: (nextOffset - baseOffset) * 10, maxTimestampMs: -1, createdMs: 0.5 },
    ...{
      place: 2 ** 40,
      indexPlace: 2 ** 41,
      indexBytes: 7,
      generation: 3,
      revision,
      sharedAt: OWN_OBJECT,
      hash: 0,
    },
  }
}

const listOf = (segments: Segments) => Array.from({ length: segments.length }, (_, i) => segments.at(i))

describe('segments of a partition', () => {
  it('have every number where it was put', () => {
    const one: Segment = {
      ...{ baseOffset: 1, nextOffset: 2, sizeBytes: 3, maxTimestampMs: 4, createdMs: 5, place: 6 },
      ...{ indexPlace: 7, indexBytes: 8, generation: 9, revision: 10, sharedAt: 11, hash: 12 },
    }
    const segments = new Segments()
    segments.add(one)
    expect([...segments.rows()]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
    expect(segments.at(0)).toEqual(one)
  })

  it('are the same as a list of them, whatever is done with them', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        const packed = new Segments()
        let plain: Segment[] = []
        let nextOffset = 0
        for (const [i, action] of steps.entries()) {
          if (action.kind === 'add') {
            const added = segment(nextOffset, nextOffset + action.count, 0)
            packed.add(added)
            plain.push(added)
            nextOffset = added.nextOffset
          } else if (action.kind === 'take') {
            const taken = plain.filter(one => one.nextOffset <= action.offset)
            expect(listOf(packed.takeBefore(action.offset))).toEqual(taken)
            plain = plain.slice(taken.length)
          } else if (action.at + action.count <= plain.length) {
            const replaced = plain.slice(action.at, action.at + action.count)
            const by = [segment(replaced[0]!.baseOffset, replaced.at(-1)!.nextOffset, i + 1)]
            expect(listOf(packed.replace(action.at, action.count, by))).toEqual(replaced)
            plain.splice(action.at, action.count, ...by)
          }
          expect(listOf(packed)).toEqual(plain)
          expect(listOf(new Segments(packed.rows().slice()))).toEqual(plain)
          expect(packed.endOffset(-1)).toBe(plain.at(-1)?.nextOffset ?? -1)
          expect(packed.sizeBytes()).toBe(plain.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0))
          for (let offset = 0; offset <= nextOffset + 1; offset += 3) {
            expect(packed.indexOf(offset)).toBe(plain.findLastIndex(({ baseOffset }) => baseOffset <= offset))
          }
        }
      }),
      { numRuns: 60 },
    )
  })

  it('are dense', () => {
    const segments = new Segments()
    segments.add(segment(5, 8, 0))
    expect(() => segments.add(segment(9, 10, 0))).toThrow('segments are dense')
    expect(() => segments.add(segment(7, 10, 0))).toThrow('segments are dense')
    expect(() => segments.replace(0, 1, [segment(5, 6, 1), segment(7, 8, 1)])).toThrow('segments are dense')
    expect(() => segments.at(1)).toThrow('a segment of this partition')
  })

  it('take 96 bytes each', () => {
    const segments = new Segments()
    for (let i = 0; i < 1000; i++) segments.add(segment(i, i + 1, 0))
    expect(segments.rows().byteLength).toBe(96_000)
    expect(segments.rows().buffer.byteLength).toBeLessThanOrEqual(96_000 * 1.5 + 200)
  })
})
