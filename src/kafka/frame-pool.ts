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
  /** What of it is whose. */
  readonly #taken = new Map<Buffer, number>()
  #waiting: FrameWaiter[] = []

  constructor(options: { keptBytes: number; limitBytes: number }) {
    this.#keptBytes = options.keptBytes
    this.#limitBytes = options.limitBytes
  }

  /** Bytes of large frames that have not been given back. */
  get takenBytes(): number {
    return this.#takenBytes
  }

  get hasWaiters(): boolean {
    return this.#waiting.length > 0
  }

  /** A buffer of at least this size; null if there is no room for it now, and the waiter is told when to try again. */
  take(atLeastBytes: number, waiter: FrameWaiter): Buffer | null {
    const sizeBytes = sizeFor(atLeastBytes)
    // One that is larger than the limit gets through alone.
    const isTooMuch = this.#takenBytes > 0 && this.#takenBytes + atLeastBytes > this.#limitBytes
    if (atLeastBytes > COUNTED_FROM_BYTES && isTooMuch) {
      this.#waiting.push(waiter)
      return null
    }
    const buffer = this.#free.get(sizeBytes)?.pop()
    if (buffer !== undefined) this.#freeBytes -= sizeBytes
    return this.#counted(buffer ?? Buffer.allocUnsafeSlow(sizeBytes), atLeastBytes)
  }

  /** For bytes that are in memory already and have to stay for a while. */
  copy(bytes: Buffer, from: number, to: number): Buffer {
    const copy = Buffer.allocUnsafeSlow(sizeFor(to - from))
    bytes.copy(copy, 0, from, to)
    return this.#counted(copy, to - from)
  }

  #counted(buffer: Buffer, wantedBytes: number): Buffer {
    if (wantedBytes <= COUNTED_FROM_BYTES) return buffer
    this.#takenBytes += wantedBytes
    this.#taken.set(buffer, wantedBytes)
    return buffer
  }

  give(buffer: Buffer): void {
    const sizeBytes = buffer.length
    this.#takenBytes -= this.#taken.get(buffer) ?? 0
    this.#taken.delete(buffer)
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
