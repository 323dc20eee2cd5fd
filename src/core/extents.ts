import { assert } from '#base/assert.ts'

/** Which batches of a partition lie where: one entry per (partition, WAL file), split where a segment would roll. */
export interface Extent {
  /** Start position of the WAL file that holds the batches. */
  readonly file: number
  readonly baseOffset: number
  readonly nextOffset: number
  readonly sizeBytes: number
  /** Largest record timestamp, -1 if no record has one. */
  readonly maxTimestampMs: number
  /** State time of the first batch. */
  readonly createdMs: number
}

const COLUMNS = 6
const [FILE, BASE, NEXT, SIZE, MAX_TIMESTAMP, CREATED] = [0, 1, 2, 3, 4, 5]

/** A partition's extents in offset order, dense: each begins where the one before ends. Packed: 48 bytes an extent. */
export class Extents {
  #rows: Float64Array
  #first = 0
  #end = 0

  constructor(rows: Float64Array = new Float64Array(0)) {
    assert(rows.length % COLUMNS === 0, 'extents come in whole rows')
    this.#rows = rows
    this.#end = rows.length / COLUMNS
  }

  get length(): number {
    return this.#end - this.#first
  }

  /** The packed rows: what a checkpoint keeps. */
  rows(): Float64Array {
    return this.#rows.subarray(this.#first * COLUMNS, this.#end * COLUMNS)
  }

  at(index: number): Extent {
    assert(index >= 0 && index < this.length, 'an extent of this partition')
    const row = (this.#first + index) * COLUMNS
    return {
      file: this.#rows[row + FILE]!,
      baseOffset: this.#rows[row + BASE]!,
      nextOffset: this.#rows[row + NEXT]!,
      sizeBytes: this.#rows[row + SIZE]!,
      maxTimestampMs: this.#rows[row + MAX_TIMESTAMP]!,
      createdMs: this.#rows[row + CREATED]!,
    }
  }

  fileAt(index: number): number {
    return this.#rows[(this.#first + index) * COLUMNS + FILE]!
  }

  baseOffsetAt(index: number): number {
    return this.#rows[(this.#first + index) * COLUMNS + BASE]!
  }

  /** Index of the extent that holds the offset: the last one that begins at or before it; -1 before the first. */
  indexOf(offset: number): number {
    let low = 0
    let high = this.length - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      if (this.baseOffsetAt(middle) <= offset) low = middle + 1
      else high = middle - 1
    }
    return high
  }

  /** Adds a batch behind the others; true if it began a new extent. */
  add(batch: {
    file: number
    baseOffset: number
    nextOffset: number
    sizeBytes: number
    maxTimestampMs: number
    timeMs: number
    segmentBytes: number
    segmentMs: number
  }): boolean {
    const last = (this.#end - 1) * COLUMNS
    const rows = this.#rows
    if (
      this.length > 0 &&
      rows[last + FILE] === batch.file &&
      rows[last + SIZE]! + batch.sizeBytes <= batch.segmentBytes &&
      batch.timeMs - rows[last + CREATED]! <= batch.segmentMs
    ) {
      assert(rows[last + NEXT] === batch.baseOffset, 'extents are dense')
      rows[last + NEXT] = batch.nextOffset
      rows[last + SIZE] = rows[last + SIZE]! + batch.sizeBytes
      if (batch.maxTimestampMs > rows[last + MAX_TIMESTAMP]!) rows[last + MAX_TIMESTAMP] = batch.maxTimestampMs
      return false
    }
    const row = this.#newRow()
    this.#rows[row + FILE] = batch.file
    this.#rows[row + BASE] = batch.baseOffset
    this.#rows[row + NEXT] = batch.nextOffset
    this.#rows[row + SIZE] = batch.sizeBytes
    this.#rows[row + MAX_TIMESTAMP] = batch.maxTimestampMs
    this.#rows[row + CREATED] = batch.timeMs
    return true
  }

  /** Forgets the extents that end at or before the offset; tells the file of each. */
  dropBefore(offset: number, dropped: (file: number) => void): void {
    while (this.length > 0 && this.#rows[this.#first * COLUMNS + NEXT]! <= offset) {
      dropped(this.fileAt(0))
      this.#first++
    }
  }

  #newRow(): number {
    if ((this.#end + 1) * COLUMNS > this.#rows.length) {
      const live = this.rows()
      const grown = new Float64Array(Math.max(1, Math.ceil(this.length * 1.5)) * COLUMNS + COLUMNS)
      grown.set(live)
      this.#end -= this.#first
      this.#first = 0
      this.#rows = grown
    }
    return this.#end++ * COLUMNS
  }
}
