import { assert } from '#base/assert.ts'
import { PackedRows } from './packed-rows.ts'

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

/** A partition's extents in offset order, dense: each begins where the one before ends. */
export class Extents extends PackedRows {
  constructor(rows: Float64Array = new Float64Array(0)) {
    super(COLUMNS, rows)
  }

  at(index: number): Extent {
    assert(index >= 0 && index < this.length, 'an extent of this partition')
    const row = this.rowAt(index)
    return {
      file: this.values[row + FILE]!,
      baseOffset: this.values[row + BASE]!,
      nextOffset: this.values[row + NEXT]!,
      sizeBytes: this.values[row + SIZE]!,
      maxTimestampMs: this.values[row + MAX_TIMESTAMP]!,
      createdMs: this.values[row + CREATED]!,
    }
  }

  fileAt(index: number): number {
    return this.values[this.rowAt(index) + FILE]!
  }

  baseOffsetAt(index: number): number {
    return this.values[this.rowAt(index) + BASE]!
  }

  /** Index of the extent that holds the offset: the last one that begins at or before it; -1 before the first. */
  indexOf(offset: number): number {
    return this.firstReaching(BASE, offset + 1) - 1
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
    const last = this.rowAt(this.length - 1)
    const rows = this.values
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
    const row = this.addRow()
    this.values[row + FILE] = batch.file
    this.values[row + BASE] = batch.baseOffset
    this.values[row + NEXT] = batch.nextOffset
    this.values[row + SIZE] = batch.sizeBytes
    this.values[row + MAX_TIMESTAMP] = batch.maxTimestampMs
    this.values[row + CREATED] = batch.timeMs
    return true
  }

  /**
   * The batches before the offset, so many bytes, are in a segment now: forgets their extents, and the begin of the one that they
   * end in. What is left of that may be older than its largest timestamp says.
   */
  seal(offset: number, sizeBytes: number, dropped: (file: number) => void): void {
    let leftBytes = sizeBytes
    while (this.length > 0 && this.values[this.rowAt(0) + NEXT]! <= offset) {
      leftBytes -= this.values[this.rowAt(0) + SIZE]!
      dropped(this.fileAt(0))
      this.dropFirst()
    }
    if (leftBytes === 0) return
    const row = this.rowAt(0)
    this.values[row + BASE] = offset
    this.values[row + SIZE] = this.values[row + SIZE]! - leftBytes
    assert(this.length > 0 && leftBytes > 0 && this.values[row + SIZE]! > 0, 'a segment has the bytes of its extents')
  }

  sizeBytes(): number {
    let sizeBytes = 0
    for (let i = 0; i < this.length; i++) sizeBytes += this.values[this.rowAt(i) + SIZE]!
    return sizeBytes
  }

  /** Forgets the extents that end at or before the offset; tells the file of each. */
  dropBefore(offset: number, dropped: (file: number) => void): void {
    while (this.length > 0 && this.values[this.rowAt(0) + NEXT]! <= offset) {
      dropped(this.fileAt(0))
      this.dropFirst()
    }
  }
}
