import type { ChronikError } from '#base/errors.ts'
import { followAccepted, type LogEvent, type LogGap } from '#log/follow.ts'
import type { Log } from '#log/log.ts'
import { type LogSlices, readLog, release } from '#log/read-log.ts'
import { Violation } from './history.ts'
import { checkRead, isDiskFault } from './reader.ts'
import type { World } from './world.ts'

const RETRY_MS = 10

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
  #isConnected = false

  constructor(world: World) {
    this.#world = world
  }

  /** Goes on, unless it is at it. */
  connect(): void {
    const { log } = this.#world
    if (this.#isConnected) return
    this.#isConnected = true
    this.#ending = new AbortController()
    this.#nextPosition = this.#position
    const events = followAccepted(log, this.#position, this.#ending.signal)
    const failed = (thrown: unknown): void => {
      if ((thrown as ChronikError).code === 'LOG_CLOSED') return
      const isExpected = this.#world.tiers?.isExpected(thrown) || (this.#world.faultsOnReads && isDiskFault(thrown))
      if (!isExpected) throw thrown
      this.#isConnected = false
      this.#world.clock.after(RETRY_MS, () => this.connect())
    }
    this.#world.own(this.#follow(events).catch(failed))
  }

  disconnected(): void {
    this.#isConnected = false
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
      if (event.kind === 'gap') for (const missed of event.missed) await this.#readMissed(log, missed)
    }
  }

  /** What it was too late for it reads as a consumer does. */
  async #readMissed(log: Log, { topicId, partition: index, startOffset, endOffset }: LogGap['missed'][number]) {
    const { history } = this.#world
    const key = `${topicId}-${index}`
    for (;;) {
      const partition = log.state.topicsById.get(topicId)?.partitions[index]
      if (partition === undefined) return
      const offset = Math.max(startOffset, partition.logStart, this.#ends.get(key) ?? 0)
      if (offset >= endOffset) return
      const range = { offset, endOffset, maxBytes: 10_000, atLeastOne: true }
      let read: LogSlices
      try {
        read = await readLog(log, partition, range)
      } catch (thrown) {
        if (log.state.partitions[partition.ordinal] !== partition || partition.logStart > offset) continue
        throw thrown
      }
      const model = history.model.partitions[partition.ordinal]
      this.#world.guard(() => model && checkRead(model, offset, read))
      if (read.nextOffset <= offset) throw new Violation(`a follower finds nothing at ${offset} of ${key}`)
      this.#ends.set(key, read.nextOffset)
      release(log, read)
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
