import { assert } from '#base/assert.ts'

/** Rows of numbers in one array, added behind the others and dropped from the front: 8 bytes a number, and no object for each. */
export abstract class PackedRows {
  readonly #columns: number
  /** Where row `i` begins is `rowAt(i)`. */
  protected values: Float64Array
  #first = 0
  #end = 0

  constructor(columns: number, rows: Float64Array) {
    assert(rows.length % columns === 0, 'rows come whole')
    this.#columns = columns
    this.values = rows
    this.#end = rows.length / columns
  }

  get length(): number {
    return this.#end - this.#first
  }

  /** All of them: what a checkpoint keeps. */
  rows(): Float64Array {
    return this.values.subarray(this.#first * this.#columns, this.#end * this.#columns)
  }

  protected rowAt(index: number): number {
    return (this.#first + index) * this.#columns
  }

  protected addRow(): number {
    if ((this.#end + 1) * this.#columns > this.values.length) {
      const grown = new Float64Array((Math.ceil(this.length * 1.5) + 1) * this.#columns)
      grown.set(this.rows())
      this.#end -= this.#first
      this.#first = 0
      this.values = grown
    }
    return this.#end++ * this.#columns
  }

  protected dropFirst(): void {
    this.#first++
  }

  /** Leaves the first ones. */
  protected cutTo(length: number): void {
    this.#end = this.#first + length
  }

  /** Adds rows as they are. */
  protected append(rows: Float64Array): void {
    const own = this.rows()
    const joined = new Float64Array(own.length + rows.length)
    joined.set(own)
    joined.set(rows, own.length)
    this.values = joined
    this.#first = 0
    this.#end = joined.length / this.#columns
  }

  /** The first row whose value in a column that never falls is at least so much; the length if there is none. */
  protected firstReaching(column: number, value: number): number {
    let low = 0
    let high = this.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.values[this.rowAt(middle) + column]! < value) low = middle + 1
      else high = middle
    }
    return low
  }
}
