import type { Clock, Random } from '#base/ports.ts'

// Incremental fetches (KIP-227): the broker remembers which partitions a consumer reads and what it was told of them, so that
// requests and answers name only what changed. A session survives its connection; it goes when nobody used it for a while and
// another one wants its place. Sessions are bounded in number and in what they remember together; without one a consumer names
// everything in every fetch, and is served all the same.

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
  /** Of its partitions, those that count towards the limit of all sessions. */
  countedPartitions: number
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
  readonly #partitionLimit: number
  readonly #sessions = new Map<number, FetchSession>()
  #partitionCount = 0

  constructor(options: { clock: Clock; random: Random; limit: number; partitionLimit: number }) {
    this.#clock = options.clock
    this.#random = options.random
    this.#limit = options.limit
    this.#partitionLimit = options.partitionLimit
  }

  get size(): number {
    return this.#sessions.size
  }

  get(id: number): FetchSession | undefined {
    return this.#sessions.get(id)
  }

  remove(id: number): void {
    const session = this.#sessions.get(id)
    if (session === undefined) return
    this.#sessions.delete(id)
    this.#partitionCount -= session.countedPartitions
  }

  /** A session over these partitions; null if there is no place for one. */
  create(usesTopicIds: boolean, partitions: Map<string, SessionPartition>): FetchSession | null {
    if (partitions.size > this.#partitionLimit) return null
    while (this.#sessions.size >= this.#limit || this.#partitionCount + partitions.size > this.#partitionLimit) {
      if (!this.#evict()) return null
    }
    let id = 0
    while (id === 0 || this.#sessions.has(id)) id = this.#random.bytes(4).readUInt32BE(0) >>> 1
    const session: FetchSession = {
      id,
      usesTopicIds,
      epoch: FIRST_EPOCH,
      usedMs: this.#clock.monotonicMs(),
      countedPartitions: partitions.size,
      partitions,
    }
    this.#sessions.set(id, session)
    this.#partitionCount += partitions.size
    return session
  }

  /** A request of the session was accepted: the next one must carry the next epoch. False: it has grown too large, and is gone. */
  advance(session: FetchSession): boolean {
    this.#partitionCount += session.partitions.size - session.countedPartitions
    session.countedPartitions = session.partitions.size
    if (this.#partitionCount > this.#partitionLimit) {
      this.remove(session.id)
      return false
    }
    session.epoch = session.epoch === LAST_EPOCH ? FIRST_EPOCH : session.epoch + 1
    session.usedMs = this.#clock.monotonicMs()
    this.#sessions.delete(session.id) // and set again: the map is in the order of use
    this.#sessions.set(session.id, session)
    return true
  }

  #evict(): boolean {
    const oldest = this.#sessions.values().next().value
    if (oldest === undefined || this.#clock.monotonicMs() - oldest.usedMs < IDLE_MS) return false
    this.remove(oldest.id)
    return true
  }
}
