import { BufferPool } from '#bytes/buffer-pool.ts'

// Memory for requests that do not arrive in one piece: taken when the size of a frame is known, given back when the request is
// done with. Large frames of all connections together stay within a limit: who comes too late waits, unread, for its turn.

/** Frames up to this size are not counted: a connection has at most one. */
const COUNTED_FROM_BYTES = 1 << 16

export interface FrameWaiter {
  /** There may be room now: take again. */
  frameRoom(): void
}

export class FramePool {
  readonly #pool: BufferPool
  readonly #limitBytes: number
  #takenBytes = 0
  /** What of it is whose. */
  readonly #taken = new Map<Buffer, number>()
  #waiting: FrameWaiter[] = []

  constructor(options: { keptBytes: number; limitBytes: number }) {
    this.#pool = new BufferPool(options.keptBytes)
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
    // One that is larger than the limit gets through alone.
    const isTooMuch = this.#takenBytes > 0 && this.#takenBytes + atLeastBytes > this.#limitBytes
    if (atLeastBytes > COUNTED_FROM_BYTES && isTooMuch) {
      this.#waiting.push(waiter)
      return null
    }
    return this.#counted(this.#pool.take(atLeastBytes), atLeastBytes)
  }

  /** For bytes that are in memory already and have to stay for a while. */
  copy(bytes: Buffer, from: number, to: number): Buffer {
    const copy = this.#pool.take(to - from)
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
    this.#takenBytes -= this.#taken.get(buffer) ?? 0
    this.#taken.delete(buffer)
    this.#pool.give(buffer)
    if (this.#waiting.length === 0) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const waiter of waiting) waiter.frameRoom()
  }
}
