import { type ChronikError, systemCodeOf } from '#base/errors.ts'
import { followAccepted, type LogEvent } from '#log/follow.ts'
import { Violation } from './history.ts'
import type { World } from './world.ts'

/** Follows the log over restarts, from where it was. It must see every batch that is kept, once and in order. */
export class Follower {
  readonly #world: World
  /** It has everything before. */
  #position = 0
  /** Of the group that it is in. */
  #nextPosition = 0
  /** By partition: behind the last batch it saw. */
  readonly #ends = new Map<string, number>()
  #ending = new AbortController()

  constructor(world: World) {
    this.#world = world
  }

  connect(): void {
    const { log } = this.#world
    this.#ending = new AbortController()
    this.#nextPosition = this.#position
    const events = followAccepted(log, this.#position, this.#ending.signal)
    const failed = (thrown: unknown): void => {
      if ((thrown as ChronikError).code === 'LOG_CLOSED') return
      if (!this.#world.faultsOnReads || systemCodeOf(thrown) !== 'EIO') throw thrown
      this.connect()
    }
    this.#world.own(this.#follow(events).catch(failed))
  }

  disconnected(): void {
    this.#ending.abort()
  }

  /** What it saw may never have been. */
  beginAnew(): void {
    this.#position = 0
    this.#ends.clear()
  }

  async #follow(events: AsyncGenerator<LogEvent, void, void>): Promise<void> {
    const { log } = this.#world
    for await (const event of events) {
      if (log !== this.#world.log) return
      if (event.nextPosition !== this.#nextPosition) {
        this.#position = this.#nextPosition
        this.#nextPosition = event.nextPosition
      }
      if (event.kind === 'batch') this.#world.guard(() => this.#sawBatch(event))
    }
  }

  #sawBatch(event: Extract<LogEvent, { kind: 'batch' }>): void {
    const { model } = this.#world.history
    const partition = model.topics.get(event.topicId)?.partitions[event.partition]
    if (partition === undefined) return
    const key = `${event.topicId}-${event.partition}`
    const seenTo = this.#ends.get(key) ?? 0
    if (event.baseOffset < seenTo) return // seen before the restart
    if (event.baseOffset > Math.max(seenTo, partition.logStart)) {
      throw new Violation(`a follower misses ${key} from ${seenTo} to ${event.baseOffset}`)
    }
    const kept = partition.batches[partition.indexOf(event.baseOffset)]
    const { recordCount, maxTimestampMs, sizeBytes } = event
    const { entry, bytes } = kept?.sent ?? {}
    if (
      kept?.baseOffset !== event.baseOffset ||
      entry?.recordCount !== recordCount ||
      entry.maxTimestampMs !== maxTimestampMs ||
      bytes?.length !== sizeBytes
    ) {
      throw new Violation(`a follower sees another batch of ${key} at ${event.baseOffset}`)
    }
    this.#ends.set(key, event.baseOffset + recordCount)
  }

  hasSeenAll(): boolean {
    const topics = [...this.#world.history.model.topics.values()]
    return topics.every(topic =>
      topic.partitions.every(({ index, nextOffset, logStart }) => {
        const seenTo = this.#ends.get(`${topic.id}-${index}`) ?? 0
        return seenTo >= nextOffset || nextOffset === logStart
      }),
    )
  }
}
