import type { ConsumerGroup } from './consumer-groups.ts'

// Consumer groups as far as they outlive the process: who was a member of which generation with what assignment, and which
// offsets were committed. What members wait for is the coordinator's (kafka/coordinator).

export interface SavedMember {
  readonly id: string
  readonly instanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  /** What it said of itself for the group's protocol. */
  readonly metadata: Buffer
  readonly assignment: Buffer
}

export interface Generation {
  readonly generation: number
  readonly protocolType: string | null
  readonly protocol: string | null
  /** Null if there are members: nobody has assigned anything in this generation. */
  readonly leaderId: string | null
  readonly members: readonly SavedMember[]
}

export const NO_GENERATION: Generation = {
  generation: 0,
  protocolType: null,
  protocol: null,
  leaderId: null,
  members: [],
}

export interface CommittedOffset {
  readonly offset: number
  /** -1: the consumer did not say. */
  readonly leaderEpoch: number
  readonly metadata: string
  /** State time. */
  readonly committedMs: number
  /** When it goes whatever the group does; -1: as the broker's retention says. */
  readonly expiresMs: number
  /** Of the record that committed it: of two for one partition the later one counts. */
  readonly order: number
}

/** By topic id, then by partition. */
export class Offsets extends Map<string, Map<number, CommittedOffset>> {
  /** What one record commits. */
  commitAll(topics: readonly CommittedTopic[], when: Pick<CommittedOffset, 'committedMs' | 'order'>): void {
    for (const { topicId, partitions } of topics) {
      for (const { partition, ...committed } of partitions) this.commit(topicId, partition, { ...committed, ...when })
    }
  }

  commit(topicId: string, partition: number, committed: CommittedOffset): void {
    const topic = this.get(topicId)
    if (topic === undefined) this.set(topicId, new Map([[partition, committed]]))
    else topic.set(partition, committed)
  }

  forget(topicId: string, partition: number): void {
    const topic = this.get(topicId)
    topic?.delete(partition)
    if (topic?.size === 0) this.delete(topicId)
  }
}

export class Group {
  readonly id: string
  saved = NO_GENERATION
  /** Null unless the group is of the consumer type (KIP-848); then it has no generation. */
  consumer: ConsumerGroup | null = null
  /** State time of the last change of its generation: for a group without members, since when it has none. */
  savedMs = 0
  readonly offsets = new Offsets()
  /** By producer id: what open transactions commit, which counts once they do. */
  readonly pending = new Map<number, Offsets>()

  constructor(id: string) {
    this.id = id
  }

  pendingOf(producerId: number): Offsets {
    let pending = this.pending.get(producerId)
    if (pending === undefined) {
      pending = new Offsets()
      this.pending.set(producerId, pending)
    }
    return pending
  }

  /** Nobody is in it, and nothing is kept for it. */
  get isUnused(): boolean {
    const memberCount = this.saved.members.length + (this.consumer?.members.size ?? 0)
    return memberCount === 0 && this.offsets.size === 0 && this.pending.size === 0
  }

  /** Also what an open transaction is about to commit: it was there when the offset was deleted. */
  forget(topicId: string, partition: number): void {
    this.offsets.forget(topicId, partition)
    for (const pending of this.pending.values()) pending.forget(topicId, partition)
  }

  /** Partitions that open transactions commit offsets of, by topic. Made anew: for many questions at once. */
  pendingPartitions(): PendingPartitions {
    const byTopic = new Map<string, Set<number>>()
    for (const offsets of this.pending.values()) {
      for (const [topicId, partitions] of offsets) {
        const pending = byTopic.get(topicId) ?? new Set()
        for (const partition of partitions.keys()) pending.add(partition)
        byTopic.set(topicId, pending)
      }
    }
    return byTopic
  }
}

/** By topic id. */
export type PendingPartitions = ReadonlyMap<string, ReadonlySet<number>>

/** Offsets that are committed at once. */
export interface CommittedTopic {
  readonly topicId: string
  readonly partitions: readonly (Omit<CommittedOffset, 'committedMs' | 'order'> & {
    readonly partition: number
  })[]
}

export interface RemovedTopic {
  readonly topicId: string
  readonly partitions: readonly number[]
}
