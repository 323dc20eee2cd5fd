import { ChronikError, messageOf, systemCodeOf } from '#base/errors.ts'
import type { Clock } from '#base/ports.ts'
import type { Partition } from '#core/state.ts'
import type { Logger } from '#observe/log.ts'

/** While a partition cannot be read its clients try again several times a second: the log says so once in a while. */
const SAID_EVERY_MS = 30_000

/** Partitions of which something could not be read, as the log is told of them. */
export class Unreadable {
  readonly #clock: Clock
  readonly #logger: Pick<Logger, 'error'>
  readonly #saidMs = new WeakMap<Partition, number>()

  constructor(clock: Clock, logger: Pick<Logger, 'error'>) {
    this.#clock = clock
    this.#logger = logger
  }

  /** Takes note of what the disk or the object store did not give; whatever else was thrown goes on. */
  note(partition: Partition, thrown: unknown): void {
    if (!(thrown instanceof ChronikError) && systemCodeOf(thrown) === '') throw thrown
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - (this.#saidMs.get(partition) ?? Number.NEGATIVE_INFINITY) < SAID_EVERY_MS) return
    this.#saidMs.set(partition, nowMs)
    const { topic, index } = partition
    this.#logger.error(`could not read ${topic.name}-${index}: ${messageOf(thrown)}`, { error: thrown })
  }
}
