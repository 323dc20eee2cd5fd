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
}

/** Offsets of one topic, by partition. */
export type TopicOffsets = Map<number, CommittedOffset>

export class Group {
  readonly id: string
  saved = NO_GENERATION
  /** State time of the last change of its generation: for a group without members, since when it has none. */
  savedMs = 0
  /** By topic id. */
  readonly offsets = new Map<string, TopicOffsets>()

  constructor(id: string) {
    this.id = id
  }

  commit(topicId: string, partition: number, committed: CommittedOffset): void {
    const topic = this.offsets.get(topicId)
    if (topic === undefined) this.offsets.set(topicId, new Map([[partition, committed]]))
    else topic.set(partition, committed)
  }

  forget(topicId: string, partition: number): void {
    const topic = this.offsets.get(topicId)
    topic?.delete(partition)
    if (topic?.size === 0) this.offsets.delete(topicId)
  }
}

/** Offsets that are committed at once. */
export interface CommittedTopic {
  readonly topicId: string
  readonly partitions: readonly (Omit<CommittedOffset, 'committedMs'> & { readonly partition: number })[]
}

export interface RemovedTopic {
  readonly topicId: string
  readonly partitions: readonly number[]
}
