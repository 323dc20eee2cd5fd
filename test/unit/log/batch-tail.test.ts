import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BatchTail, lastAtMost } from '#log/batch-tail.ts'

interface Batch {
  baseOffset: number
  position: number
  sizeBytes: number
  maxTimestampMs: number
}

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ records: fc.integer({ min: 1, max: 5 }), gap: fc.integer({ min: 0, max: 50 }) }),
  },
  { weight: 1, arbitrary: fc.record({ dropBefore: fc.integer({ min: 0, max: 6000 }) }) },
)

const listOf = (tail: BatchTail): Batch[] =>
  Array.from({ length: tail.length }, (_, i) => ({
    baseOffset: tail.baseOffset(i),
    position: tail.position(i),
    sizeBytes: tail.sizeBytes(i),
    maxTimestampMs: tail.maxTimestampMs(i),
  }))

describe('the newest batches of a partition', () => {
  it('are what a plain list of them would be', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), steps => {
        const tail = new BatchTail()
        let plain: Batch[] = []
        let [offset, position] = [1000, 0]
        for (const taken of steps) {
          if ('dropBefore' in taken) {
            tail.dropBefore(taken.dropBefore)
            plain = plain.filter(batch => batch.position >= taken.dropBefore)
          } else {
            const batch = { baseOffset: offset, position, sizeBytes: 70 + taken.gap, maxTimestampMs: offset * 2 }
            tail.add(batch.baseOffset, batch.position, batch.sizeBytes, batch.maxTimestampMs)
            plain.push(batch)
            offset += taken.records
            position += batch.sizeBytes + taken.gap
          }
        }
        expect(listOf(tail)).toEqual(plain)
        for (let wanted = 995; wanted < offset + 3; wanted++) {
          expect(tail.indexOfOffset(wanted)).toBe(plain.findLastIndex(batch => batch.baseOffset <= wanted))
        }
        for (let wanted = 0; wanted < position; wanted += 13) {
          expect(tail.indexOfPosition(wanted)).toBe(plain.findLastIndex(batch => batch.position <= wanted))
        }
      }),
    )
  })

  it('give their memory back when most of them are dropped', () => {
    const tail = new BatchTail()
    for (let i = 0; i < 10_000; i++) tail.add(i, i * 100, 100, 0)
    tail.dropBefore(999_000)
    expect(listOf(tail).map(batch => batch.baseOffset)).toEqual([
      9990, 9991, 9992, 9993, 9994, 9995, 9996, 9997, 9998, 9999,
    ])
    for (let i = 10_000; i < 10_100; i++) tail.add(i, i * 100, 100, 0)
    expect(tail.length).toBe(110)
    expect(tail.baseOffset(109)).toBe(10_099)
  })
})

describe('a search among ascending values', () => {
  it('finds the last that is at most the wanted one, within its bounds', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 50 })),
        fc.integer({ min: -1, max: 51 }),
        fc.nat(5),
        (list, wanted, skip) => {
          const values = Float64Array.from([...list].sort((a, b) => a - b))
          const first = Math.min(skip, values.length)
          const expected = [...values.slice(first)].findLastIndex(value => value <= wanted)
          expect(lastAtMost(values, first, values.length, wanted) - first).toBe(expected)
        },
      ),
    )
  })
})
