// Memory for requests that do not arrive in one piece: taken when the size of a frame is known, given back when the request is
// done with. Sizes are powers of two, so that a stream of similar requests uses the same few buffers for ever.

const LEAST_BYTES = 1 << 14

export class FramePool {
  readonly #keptBytes: number
  readonly #free = new Map<number, Buffer[]>()
  #freeBytes = 0

  constructor(keptBytes: number) {
    this.#keptBytes = keptBytes
  }

  /** A buffer of at least this size. */
  take(atLeastBytes: number): Buffer {
    const sizeBytes = sizeFor(atLeastBytes)
    const buffer = this.#free.get(sizeBytes)?.pop()
    if (buffer === undefined) return Buffer.allocUnsafeSlow(sizeBytes)
    this.#freeBytes -= sizeBytes
    return buffer
  }

  give(buffer: Buffer): void {
    const sizeBytes = buffer.length
    if (this.#freeBytes + sizeBytes > this.#keptBytes) return
    const free = this.#free.get(sizeBytes)
    if (free === undefined) this.#free.set(sizeBytes, [buffer])
    else free.push(buffer)
    this.#freeBytes += sizeBytes
  }
}

function sizeFor(bytes: number): number {
  let sizeBytes = LEAST_BYTES
  while (sizeBytes < bytes) sizeBytes *= 2
  return sizeBytes
}
