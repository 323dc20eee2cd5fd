// Memory that is used again: there are few sizes, at most a quarter larger than what is needed, so that needs that are alike
// meet the same buffers. New memory each time would have to be mapped in by the system, and makes the garbage collector walk
// the heap.

const LEAST_BYTES = 1 << 14

export class BufferPool {
  readonly #keptBytes: number
  readonly #free = new Map<number, Buffer[]>()
  #freeBytes = 0

  /** `keptBytes`: what is kept for later at most. */
  constructor(keptBytes: number) {
    this.#keptBytes = keptBytes
  }

  /** A buffer of at least this size, with anything in it. */
  take(atLeastBytes: number): Buffer {
    const sizeBytes = sizeFor(atLeastBytes)
    const buffer = this.#free.get(sizeBytes)?.pop()
    if (buffer === undefined) return Buffer.allocUnsafeSlow(sizeBytes)
    this.#freeBytes -= sizeBytes
    return buffer
  }

  /** Takes back a buffer of `take` that nobody looks at any more. */
  give(buffer: Buffer): void {
    const sizeBytes = buffer.length
    if (this.#freeBytes + sizeBytes > this.#keptBytes) return
    const free = this.#free.get(sizeBytes)
    if (free === undefined) this.#free.set(sizeBytes, [buffer])
    else free.push(buffer)
    this.#freeBytes += sizeBytes
  }
}

/** Four sizes between one power of two and the next. */
function sizeFor(bytes: number): number {
  let powerBytes = LEAST_BYTES
  while (powerBytes < bytes) powerBytes *= 2
  const stepBytes = powerBytes / 8
  return powerBytes === LEAST_BYTES ? powerBytes : Math.ceil(bytes / stepBytes) * stepBytes
}
