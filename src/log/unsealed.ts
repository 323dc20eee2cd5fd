import type { Clock } from '#base/ports.ts'
import type { Partition } from '#core/state.ts'
import type { Waiter } from './waiters.ts'

// Which partitions have records that are in no segment yet, how many bytes, and since when: what sealing goes by. Kept with every
// commit, so that nobody has to look for them.

export class Unsealed {
  readonly #clock: Clock
  /** By ordinal, in the order in which their first record came. */
  readonly #waiting = new Map<number, UnsealedPartition>()
  readonly #watchers = new Set<Waiter>()
  #sizeBytes = 0

  constructor(clock: Clock, partitions: readonly (Partition | undefined)[]) {
    this.#clock = clock
    for (const partition of partitions) this.recount(partition)
  }

  /** In the order in which their first record came. */
  get all(): Iterable<UnsealedPartition> {
    return this.#waiting.values()
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  find(ordinal: number): UnsealedPartition | undefined {
    return this.#waiting.get(ordinal)
  }

  /** The partition got a batch. */
  add(partition: Partition, sizeBytes: number): void {
    const waiting = this.#waiting.get(partition.ordinal)
    if (waiting === undefined) {
      this.recount(partition)
      this.#tell()
      return
    }
    waiting.sizeBytes += sizeBytes
    this.#sizeBytes += sizeBytes
    if (waiting.sizeBytes < waiting.tellBytes) return
    waiting.tellBytes = Number.POSITIVE_INFINITY
    this.#tell()
  }

  /** Its oldest batches are in a segment now: those behind them came later. */
  sealed(partition: Partition | undefined): void {
    if (partition === undefined) return
    const waiting = this.#waiting.get(partition.ordinal)
    // Nothing was taken, or no more than was told before: they wait as they did.
    if (waiting?.sizeBytes === partition.extents.sizeBytes()) return
    this.#sizeBytes -= waiting?.sizeBytes ?? 0
    this.#waiting.delete(partition.ordinal)
    const { sealingSinceMs = -1 } = waiting ?? {}
    this.recount(partition, sealingSinceMs < 0 ? this.#clock.monotonicMs() : sealingSinceMs)
  }

  /** Some of its batches were deleted. */
  recount(partition: Partition | undefined, sinceMs = this.#clock.monotonicMs()): void {
    if (partition === undefined) return
    const { ordinal, extents } = partition
    const waiting = this.#waiting.get(ordinal)
    const sizeBytes = extents.sizeBytes()
    this.#sizeBytes += sizeBytes - (waiting?.sizeBytes ?? 0)
    if (extents.length === 0) this.#waiting.delete(ordinal)
    else if (waiting !== undefined) waiting.sizeBytes = sizeBytes
    else {
      const waitsSinceMs = this.#clock.monotonicMs()
      const idle = { sealingSinceMs: -1, sealingBytes: 0, tellBytes: 0 }
      this.#waiting.set(ordinal, { partition, sizeBytes, sinceMs, waitsSinceMs, ...idle })
    }
  }

  /** A topic is gone. */
  forgetDeleted(): void {
    for (const [ordinal, { partition, sizeBytes }] of this.#waiting) {
      if (partition.extents.length > 0) continue
      this.#sizeBytes -= sizeBytes
      this.#waiting.delete(ordinal)
    }
  }

  /** A file of the log has ended: the oldest ones may have to go. */
  fileEnded(): void {
    this.#tell()
  }

  /** Is woken when a partition begins to wait, or comes to have its `tellBytes`, and when a file of the log ends. */
  watch(waiter: Waiter): void {
    this.#watchers.add(waiter)
  }

  #tell(): void {
    for (const watcher of this.#watchers) watcher.wake()
  }
}

export interface UnsealedPartition {
  readonly partition: Partition
  sizeBytes: number
  readonly sinceMs: number
  /** Since when nothing of it has been sealed, or since it has something. */
  readonly waitsSinceMs: number
  /** Whoever seals has begun with what there was then; negative: it is not being sealed. */
  sealingSinceMs: number
  /** How much that is, about. */
  sealingBytes: number
  /** Whoever seals is told when there are so many bytes. */
  tellBytes: number
}
