import type { Clock, Random } from '#base/ports.ts'

// Incremental fetches (KIP-227): the broker remembers which partitions a consumer reads and what it was told of them, so that
// requests and answers name only what changed. A session survives its connection; it goes when nobody used it for a while and
// another one wants its place.

/** One partition that a fetch wants. */
export interface FetchPartition {
  /** '' when the topic is named by id. */
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  fetchOffset: number
  maxBytes: number
  currentLeaderEpoch: number
  lastFetchedEpoch: number
}

/** What the consumer was told last. */
export interface SessionPartition extends FetchPartition {
  highWatermark: number
  logStartOffset: number
}

export interface FetchSession {
  readonly id: number
  readonly usesTopicIds: boolean
  /** Expected of the next request. */
  epoch: number
  usedMs: number
  /** In the order in which they are served: one that had data goes behind the others. */
  readonly partitions: Map<string, SessionPartition>
}

const IDLE_MS = 120_000
const LAST_EPOCH = 2147483647
const FIRST_EPOCH = 1

export function partitionKey(of: { topic: string; topicId: string; partition: number }): string {
  return `${of.topicId || of.topic}:${of.partition}`
}

export class FetchSessions {
  readonly #clock: Clock
  readonly #random: Random
  readonly #limit: number
  readonly #sessions = new Map<number, FetchSession>()

  constructor(options: { clock: Clock; random: Random; limit: number }) {
    this.#clock = options.clock
    this.#random = options.random
    this.#limit = options.limit
  }

  get size(): number {
    return this.#sessions.size
  }

  get(id: number): FetchSession | undefined {
    return this.#sessions.get(id)
  }

  remove(id: number): void {
    this.#sessions.delete(id)
  }

  /** A session over these partitions; null if there is no place for one. */
  create(usesTopicIds: boolean, partitions: Map<string, SessionPartition>): FetchSession | null {
    if (this.#sessions.size >= this.#limit && !this.#evict()) return null
    let id = 0
    while (id === 0 || this.#sessions.has(id)) id = this.#random.bytes(4).readUInt32BE(0) >>> 1
    const session: FetchSession = {
      id,
      usesTopicIds,
      epoch: FIRST_EPOCH,
      usedMs: this.#clock.monotonicMs(),
      partitions,
    }
    this.#sessions.set(id, session)
    return session
  }

  /** A request of the session was accepted: the next one must carry the next epoch. */
  advance(session: FetchSession): void {
    session.epoch = session.epoch === LAST_EPOCH ? FIRST_EPOCH : session.epoch + 1
    session.usedMs = this.#clock.monotonicMs()
    this.#sessions.delete(session.id) // and set again: the map is in the order of use
    this.#sessions.set(session.id, session)
  }

  #evict(): boolean {
    const oldest = this.#sessions.values().next().value
    if (oldest === undefined || this.#clock.monotonicMs() - oldest.usedMs < IDLE_MS) return false
    this.#sessions.delete(oldest.id)
    return true
  }
}
