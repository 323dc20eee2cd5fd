import type { Partition } from '#core/state.ts'

/** Is woken when what it waits for may have happened: once for a commit. */
export interface Waiter {
  wake(): void
}

/** Who waits for partitions to change, or for whatever is committed next. All are woken when a commit is applied as a whole. */
export class Waiters {
  readonly #ofPartition = new Map<number, Set<Waiter>>()
  readonly #woken = new Set<Waiter>()
  readonly #followers = new Set<Waiter>()

  /** Wakes the waiter whenever a partition gets or loses records, or is deleted. It stays until `stop`. */
  waitFor(ordinal: number, waiter: Waiter): void {
    const waiting = this.#ofPartition.get(ordinal)
    if (waiting === undefined) this.#ofPartition.set(ordinal, new Set([waiter]))
    else waiting.add(waiter)
  }

  stop(ordinal: number, waiter: Waiter): void {
    const waiting = this.#ofPartition.get(ordinal)
    waiting?.delete(waiter)
    if (waiting?.size === 0) this.#ofPartition.delete(ordinal)
  }

  /** Wakes the waiter once, after the next commit. */
  waitForCommit(waiter: Waiter): void {
    this.#followers.add(waiter)
  }

  stopWaitingForCommit(waiter: Waiter): void {
    this.#followers.delete(waiter)
  }

  changed(ordinal: number): void {
    const waiting = this.#ofPartition.get(ordinal)
    if (waiting !== undefined) for (const waiter of waiting) this.#woken.add(waiter)
  }

  /** Those that are there no more have changed. */
  deleted(partitions: readonly (Partition | undefined)[]): void {
    for (const ordinal of this.#ofPartition.keys()) if (partitions[ordinal] === undefined) this.changed(ordinal)
  }

  wake(): void {
    for (const waiter of this.#woken) waiter.wake()
    this.#woken.clear()
    for (const follower of this.#followers) follower.wake()
    this.#followers.clear()
  }
}
