import { assert } from '#base/assert.ts'
import { PackedRows } from './packed-rows.ts'

/** No shared object: the segment has one of its own. */
export const OWN_OBJECT = -1
/** Revision of a segment in a shared object that was written before it was sealed: a copy of the newest records. */
export const TAIL_REVISION = -1

/** A range of a partition that lies in the object store. */
export interface Segment {
  readonly baseOffset: number
  readonly nextOffset: number
  /** Of its record batches, which lie one behind the other. */
  readonly sizeBytes: number
  /** Largest record timestamp, -1 if no record has one. */
  readonly maxTimestampMs: number
  /** State time of the first batch. */
  readonly createdMs: number
  /** Where its batches begin in the object. */
  readonly place: number
  readonly indexPlace: number
  readonly indexBytes: number
  /** Of the owner who wrote the object. */
  readonly generation: number
  /** 0 as it was sealed; else what tells the object from the one before: it was compacted, or merged with others. */
  readonly revision: number
  /** Where the log stood when its shared object was made; OWN_OBJECT if it has one of its own. */
  readonly sharedAt: number
  /** Of what is in the object. */
  readonly hash: number
}

const FIELDS = [
  'baseOffset',
  'nextOffset',
  'sizeBytes',
  'maxTimestampMs',
  'createdMs',
  'place',
  'indexPlace',
  'indexBytes',
  'generation',
  'revision',
  'sharedAt',
  'hash',
] as const satisfies readonly (keyof Segment)[]

const COLUMNS = FIELDS.length
const [BASE, NEXT, SIZE, CREATED] = [0, 1, 2, 4]

/** A partition's segments in offset order, dense: each begins where the one before ends. Packed: 96 bytes each. */
export class Segments extends PackedRows {
  constructor(rows: Float64Array = new Float64Array(0)) {
    super(COLUMNS, rows)
  }

  at(index: number): Segment {
    assert(index >= 0 && index < this.length, 'a segment of this partition')
    const row = this.rowAt(index)
    // Written out: partitions have thousands, and whoever looks through them does not leave the thread meanwhile.
    return {
      baseOffset: this.values[row]!,
      nextOffset: this.values[row + 1]!,
      sizeBytes: this.values[row + 2]!,
      maxTimestampMs: this.values[row + 3]!,
      createdMs: this.values[row + 4]!,
      place: this.values[row + 5]!,
      indexPlace: this.values[row + 6]!,
      indexBytes: this.values[row + 7]!,
      generation: this.values[row + 8]!,
      revision: this.values[row + 9]!,
      sharedAt: this.values[row + 10]!,
      hash: this.values[row + 11]!,
    }
  }

  /** Behind the last one; `otherwise` if there is none. */
  endOffset(otherwise: number): number {
    return this.length === 0 ? otherwise : this.values[this.rowAt(this.length - 1) + NEXT]!
  }

  /** Index of the segment that holds the offset: the last one that begins at or before it; -1 before the first. */
  indexOf(offset: number): number {
    return this.firstReaching(BASE, offset + 1) - 1
  }

  /** Of one, without all else that is known of it. */
  sizeBytesAt(index: number): number {
    return this.values[this.rowAt(index) + SIZE]!
  }

  baseOffsetAt(index: number): number {
    return this.values[this.rowAt(index) + BASE]!
  }

  createdMsAt(index: number): number {
    return this.values[this.rowAt(index) + CREATED]!
  }

  sizeBytes(): number {
    let sizeBytes = 0
    for (let i = 0; i < this.length; i++) sizeBytes += this.sizeBytesAt(i)
    return sizeBytes
  }

  add(segment: Segment): void {
    assert(this.length === 0 || this.endOffset(0) === segment.baseOffset, 'segments are dense')
    this.addApart(segment)
  }

  /** The same where others between them are left out. */
  addApart(segment: Segment): void {
    const row = this.addRow()
    for (const [column, field] of FIELDS.entries()) this.values[row + column] = segment[field]
  }

  /** Takes away those that end at or before the offset, and returns them. */
  takeBefore(offset: number): Segments {
    const kept = this.firstReaching(NEXT, offset + 1)
    const taken = new Segments(this.rows().slice(0, kept * COLUMNS))
    for (let left = kept; left > 0; left--) this.dropFirst()
    return taken
  }

  /** Puts others in the place of `count` from `index` on, which cover the same offsets; returns those that were there. */
  replace(index: number, count: number, by: readonly Segment[]): Segments {
    const rows = this.rows()
    const [from, to] = [index * COLUMNS, (index + count) * COLUMNS]
    const replaced = new Segments(rows.slice(from, to))
    const behind = rows.slice(to)
    this.cutTo(index)
    for (const segment of by) this.add(segment)
    this.append(behind)
    return replaced
  }
}
