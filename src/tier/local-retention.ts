import { messageOf } from '#base/errors.ts'
import type { Clock, Timer } from '#base/ports.ts'
import type { Partition } from '#core/state.ts'
import type { Log, TopicRules } from '#log/log.ts'
import { retainedFrom } from '#log/retention.ts'
import type { RangeCache } from '#object-store/range-cache.ts'
import { parseSegmentKey, type SegmentName, storedSegment } from '#segments/segment-names.ts'

// What the cache of a bucket keeps of topics: what `local.retention.*` says, and nothing of objects that nobody reads any more. Shared
// objects are of many topics, small and soon merged: they stay until the cache needs their room.

const CHECK_INTERVAL_MS = 60_000
/** Objects that are looked at before others get their turn: about a millisecond. */
const LOOKS_IN_A_TURN = 500

export interface LocalRetentionOptions {
  readonly log: Log
  readonly topicRules: TopicRules
  readonly cache: Pick<RangeCache, 'keys' | 'forget'>
  readonly clock: Clock
  report(level: 'info' | 'warn', message: string): void
}

export class LocalRetention {
  readonly #options: LocalRetentionOptions
  #timer: Timer | null = null
  #isEnded = false
  #working: Promise<void> = Promise.resolve()

  constructor(options: LocalRetentionOptions) {
    this.#options = options
    this.#wait()
  }

  #wait(): void {
    this.#timer = this.#options.clock.after(CHECK_INTERVAL_MS, () => {
      this.#working = this.enforce()
        .catch(thrown => this.#options.report('warn', `the cache could not be looked through: ${messageOf(thrown)}`))
        .finally(() => {
          if (!this.#isEnded) this.#wait()
        })
    })
  }

  /** Looks through the cache. */
  async enforce(): Promise<void> {
    const { cache, clock } = this.#options
    const localFrom = new Map<Partition, number>()
    for (const [i, key] of cache.keys().entries()) {
      if (this.#isEnded) return
      if (!this.#isLocal(key, localFrom)) await cache.forget(key)
      if (i % LOOKS_IN_A_TURN === LOOKS_IN_A_TURN - 1) await new Promise<void>(done => clock.soon(done))
    }
  }

  #isLocal(key: string, localFrom: Map<Partition, number>): boolean {
    const name = parseSegmentKey(key)
    if (name === null || name.topicId === '') return true
    const partition = this.#options.log.state.topicsById.get(name.topicId)?.partitions[name.partition]
    if (partition === undefined) return false
    const from = localFrom.get(partition) ?? this.#localFrom(partition)
    localFrom.set(partition, from)
    return name.nextOffset > from && isRead(partition, name, key)
  }

  /** The offset from which on a partition may be on the disk. */
  #localFrom(partition: Partition): number {
    const { topicRules, clock } = this.#options
    const { localRetentionMs, localRetentionBytes } = topicRules.of(partition.topic).config
    const limits = { retentionMs: localRetentionMs, retentionBytes: localRetentionBytes }
    return retainedFrom(partition, limits, clock.nowMs())
  }

  async close(): Promise<void> {
    this.#isEnded = true
    this.#timer?.cancel()
    await this.#working
  }
}

/** Is it a segment of the partition, or about to be one? */
function isRead(partition: Partition, { baseOffset }: SegmentName, key: string): boolean {
  if (baseOffset >= partition.walStart) return true
  const at = partition.segments.indexOf(baseOffset)
  return at >= 0 && storedSegment(partition, partition.segments.at(at)).key === key
}
