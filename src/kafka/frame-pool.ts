// Memory for requests that do not arrive in one piece: taken when the size of a frame is known, given back when the request is
// done with. Sizes are powers of two, so that a stream of similar requests uses the same few buffers for ever. Large frames of
// all connections together stay within a limit: who comes too late waits, unread, for its turn.

const LEAST_BYTES = 1 << 14
/** Frames up to this size are not counted: a connection has at most one. */
const COUNTED_FROM_BYTES = 1 << 16

export interface FrameWaiter {
  /** There may be room now: take again. */
  frameRoom(): void
}

export class FramePool {
  readonly #keptBytes: number
  readonly #limitBytes: number
  readonly #free = new Map<number, Buffer[]>()
  #freeBytes = 0
  #takenBytes = 0
  #waiting: FrameWaiter[] = []

  constructor(options: { keptBytes: number; limitBytes: number }) {
    this.#keptBytes = options.keptBytes
    this.#limitBytes = options.limitBytes
  }

  get hasWaiters(): boolean {
    return this.#waiting.length > 0
  }

  /** A buffer of at least this size; null if there is no room for it now, and the waiter is told when to try again. */
  take(atLeastBytes: number, waiter: FrameWaiter): Buffer | null {
    const sizeBytes = sizeFor(atLeastBytes)
    if (sizeBytes > COUNTED_FROM_BYTES) {
      // One that is larger than the limit gets through alone.
      if (this.#takenBytes > 0 && this.#takenBytes + sizeBytes > this.#limitBytes) {
        this.#waiting.push(waiter)
        return null
      }
      this.#takenBytes += sizeBytes
    }
    const buffer = this.#free.get(sizeBytes)?.pop()
    if (buffer === undefined) return Buffer.allocUnsafeSlow(sizeBytes)
    this.#freeBytes -= sizeBytes
    return buffer
  }

  /** For bytes that are in memory already and have to stay for a while. */
  copy(bytes: Buffer, from: number, to: number): Buffer {
    const sizeBytes = sizeFor(to - from)
    if (sizeBytes > COUNTED_FROM_BYTES) this.#takenBytes += sizeBytes
    const copy = Buffer.allocUnsafeSlow(sizeBytes)
    bytes.copy(copy, 0, from, to)
    return copy
  }

  give(buffer: Buffer): void {
    const sizeBytes = buffer.length
    if (sizeBytes > COUNTED_FROM_BYTES) this.#takenBytes -= sizeBytes
    if (this.#freeBytes + sizeBytes <= this.#keptBytes) {
      const free = this.#free.get(sizeBytes)
      if (free === undefined) this.#free.set(sizeBytes, [buffer])
      else free.push(buffer)
      this.#freeBytes += sizeBytes
    }
    if (this.#waiting.length === 0) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const waiter of waiting) waiter.frameRoom()
  }
}

function sizeFor(bytes: number): number {
  let sizeBytes = LEAST_BYTES
  while (sizeBytes < bytes) sizeBytes *= 2
  return sizeBytes
}
