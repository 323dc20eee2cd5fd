import { assert } from '#base/assert.ts'

// Where the newest batches of one partition are: in memory until their WAL file has its index file and the cache has let go of
// their bytes. Parallel typed arrays, 28 bytes a batch.

export class BatchTail {
  #baseOffsets = new Float64Array(4)
  #positions = new Float64Array(4)
  #sizes = new Uint32Array(4)
  #maxTimestamps = new Float64Array(4)
  #first = 0
  #end = 0

  get length(): number {
    return this.#end - this.#first
  }

  add(baseOffset: number, position: number, sizeBytes: number, maxTimestampMs: number): void {
    if (this.#end === this.#positions.length) this.#makeRoom()
    const at = this.#end++
    this.#baseOffsets[at] = baseOffset
    this.#positions[at] = position
    this.#sizes[at] = sizeBytes
    this.#maxTimestamps[at] = maxTimestampMs
  }

  baseOffset(index: number): number {
    return this.#baseOffsets[this.#first + index]!
  }

  position(index: number): number {
    return this.#positions[this.#first + index]!
  }

  sizeBytes(index: number): number {
    return this.#sizes[this.#first + index]!
  }

  maxTimestampMs(index: number): number {
    return this.#maxTimestamps[this.#first + index]!
  }

  /** Index of the batch that holds the offset, if it is not before the first; else -1. */
  indexOfOffset(offset: number): number {
    return lastAtMost(this.#baseOffsets, this.#first, this.#end, offset) - this.#first
  }

  /** Index of the last batch at or before the position; -1 before the first. */
  indexOfPosition(position: number): number {
    return lastAtMost(this.#positions, this.#first, this.#end, position) - this.#first
  }

  /** Forgets the batches before a position. */
  dropBefore(position: number): void {
    while (this.#first < this.#end && this.#positions[this.#first]! < position) this.#first++
    if (this.length * 4 < this.#positions.length && this.#positions.length > 4)
      this.#resize(Math.max(4, this.length * 2))
  }

  #makeRoom(): void {
    assert(this.#end === this.#positions.length, 'there is no room left')
    this.#resize(Math.max(4, this.length * 2))
  }

  #resize(capacity: number): void {
    const [first, end] = [this.#first, this.#end]
    this.#baseOffsets = moved(new Float64Array(capacity), this.#baseOffsets, first, end)
    this.#positions = moved(new Float64Array(capacity), this.#positions, first, end)
    this.#sizes = moved(new Uint32Array(capacity), this.#sizes, first, end)
    this.#maxTimestamps = moved(new Float64Array(capacity), this.#maxTimestamps, first, end)
    this.#end -= first
    this.#first = 0
  }
}

function moved<T extends Float64Array | Uint32Array>(into: T, from: T, first: number, end: number): T {
  into.set(from.subarray(first, end))
  return into
}

/** Index of the last of the ascending values in [first, end) that is at most `wanted`; `first - 1` if all are larger. */
export function lastAtMost(values: Float64Array, first: number, end: number, wanted: number): number {
  let low = first
  let high = end - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    if (values[middle]! <= wanted) low = middle + 1
    else high = middle - 1
  }
  return high
}
