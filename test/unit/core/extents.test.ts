import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Extent, Extents } from '#core/extents.ts'

interface Added {
  readonly newFile: boolean
  readonly recordCount: number
  readonly sizeBytes: number
  readonly maxTimestampMs: number
  readonly laterMs: number
}

const LIMITS = { segmentBytes: 1000, segmentMs: 50 }
const added = fc.record({
  newFile: fc.boolean(),
  recordCount: fc.integer({ min: 1, max: 20 }),
  sizeBytes: fc.integer({ min: 1, max: 600 }),
  maxTimestampMs: fc.integer({ min: -1, max: 100 }),
  laterMs: fc.integer({ min: 0, max: 30 }),
})
const step = fc.oneof(
  { weight: 8, arbitrary: added.map(batch => ({ kind: 'add' as const, batch })) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 300 }).map(offset => ({ kind: 'drop' as const, offset })) },
)

/** The same as a list of objects. */
class PlainExtents {
  list: Extent[] = []

  add(batch: Parameters<Extents['add']>[0]): boolean {
    const last = this.list.at(-1)
    const { file, baseOffset, nextOffset, sizeBytes, maxTimestampMs, timeMs } = batch
    const goesOn =
      last?.file === file &&
      last.sizeBytes + sizeBytes <= batch.segmentBytes &&
      timeMs - last.createdMs <= batch.segmentMs
    if (last === undefined || !goesOn) {
      this.list.push({ file, baseOffset, nextOffset, sizeBytes, maxTimestampMs, createdMs: timeMs })
      return true
    }
    this.list[this.list.length - 1] = {
      ...last,
      nextOffset,
      sizeBytes: last.sizeBytes + sizeBytes,
      maxTimestampMs: Math.max(last.maxTimestampMs, maxTimestampMs),
    }
    return false
  }

  dropBefore(offset: number): number[] {
    const dropped = this.list.filter(extent => extent.nextOffset <= offset)
    this.list = this.list.filter(extent => extent.nextOffset > offset)
    return dropped.map(extent => extent.file)
  }
}

class Both {
  readonly packed = new Extents()
  readonly plain = new PlainExtents()
  nextOffset = 0
  #file = 0
  #timeMs = 0

  add(batch: Added): void {
    if (batch.newFile) this.#file += 4096
    this.#timeMs += batch.laterMs
    const baseOffset = this.nextOffset
    this.nextOffset += batch.recordCount
    const { sizeBytes, maxTimestampMs } = batch
    const place = { file: this.#file, baseOffset, nextOffset: this.nextOffset, timeMs: this.#timeMs }
    const given = { ...place, sizeBytes, maxTimestampMs, ...LIMITS }
    expect(this.packed.add(given)).toBe(this.plain.add(given))
  }

  drop(offset: number): void {
    const files: number[] = []
    this.packed.dropBefore(offset, file => files.push(file))
    expect(files).toEqual(this.plain.dropBefore(offset))
  }
}

const listOf = (extents: Extents) => Array.from({ length: extents.length }, (_, i) => extents.at(i))

describe('the extents of a partition', () => {
  it('are what a plain list of them would be', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), steps => {
        const both = new Both()
        for (const taken of steps) {
          if (taken.kind === 'add') both.add(taken.batch)
          else both.drop(taken.offset)
          expect(listOf(both.packed)).toEqual(both.plain.list)
        }
        for (let offset = 0; offset < both.nextOffset; offset++) {
          expect(both.packed.indexOf(offset)).toBe(both.plain.list.findLastIndex(extent => extent.baseOffset <= offset))
        }
        expect(listOf(new Extents(both.packed.rows().slice()))).toEqual(both.plain.list)
      }),
    )
  })

  it('go on after they were read back from their rows', () => {
    const both = new Both()
    const batch = { newFile: true, recordCount: 5, sizeBytes: 10, maxTimestampMs: 7, laterMs: 1 }
    both.add(batch)
    const restored = new Extents(both.packed.rows().slice())
    const more = { file: 8192, baseOffset: 5, nextOffset: 6, sizeBytes: 1, maxTimestampMs: 3, timeMs: 9, ...LIMITS }
    expect(restored.add(more)).toBe(true)
    expect(restored.length).toBe(2)
    expect(restored.at(1)).toMatchObject({ file: 8192, baseOffset: 5, createdMs: 9 })
  })

  it('hold one entry for a file, however many batches it has', () => {
    const extents = new Extents()
    for (let i = 0; i < 10_000; i++) {
      const place = { file: 0, baseOffset: i, nextOffset: i + 1, timeMs: 0, maxTimestampMs: i }
      extents.add({ ...place, sizeBytes: 70, segmentBytes: 2 ** 30, segmentMs: 1000 })
    }
    expect(extents.length).toBe(1)
    expect(extents.at(0)).toMatchObject({ nextOffset: 10_000, sizeBytes: 700_000, maxTimestampMs: 9999 })
  })
})
