import { type ConsumerChange, ConsumerGroup, type ConsumerMember } from '#core/consumer-groups.ts'
import type { KafkaErrorName } from '#kafka/protocol/protocol.ts'
import type { ClassicGroup } from './classic-group.ts'
import type { TopicView } from './topic-view.ts'

// One step of a consumer group: (group, request, now) -> answer and changes (Kafka: GroupMetadataManager, KIP-848). A step works
// on a draft of the group, which is the group itself until something changes. What it changed becomes one record of the log, so
// it happens as a whole or not at all, and the draft is thrown away: the log's state is the only truth. Besides there are only
// timers, which are data: the deadlines of members.

export type MigrationPolicy = 'bidirectional' | 'upgrade' | 'downgrade' | 'disabled'

export interface ConsumerLimits {
  readonly maxMembers: number
  /** Of what members say of themselves, in all. */
  readonly maxBytes: number
  readonly sessionTimeoutMs: number
  readonly heartbeatIntervalMs: number
  /** Targets are not computed more often. */
  readonly assignmentIntervalMs: number
  readonly migrationPolicy: MigrationPolicy
  /** Of the group that a consumer group may become. */
  readonly maxClassicMembers: number
}

/** When members are given up, by the monotonic clock; Infinity is never. */
export interface MemberDeadlines {
  sessionMs: number
  /** It has not given its partitions up. */
  revokeMs: number
  /** It speaks the classic protocol, and has not joined again. */
  joinMs: number
  /** It speaks the classic protocol, and has not fetched its assignment. */
  syncMs: number
}

export const NEVER = Number.POSITIVE_INFINITY

/** What is known of a group besides what is stored. */
export class ConsumerTimers {
  readonly members = new Map<string, MemberDeadlines>()
  /** Of the topics when they were last compared with what the group was made for; -1: not yet. */
  topicsEpoch = -1
  /** When the targets were computed; null: not since the start. */
  assignedMs: number | null = null

  /** Not after the next thing happens by itself. */
  nearestMs = NEVER

  of(memberId: string): Readonly<MemberDeadlines> {
    return this.members.get(memberId) ?? NO_DEADLINES
  }

  set(memberId: string, deadlines: Partial<MemberDeadlines>): void {
    const known = this.members.get(memberId)
    if (known === undefined) this.members.set(memberId, { ...NO_DEADLINES, ...deadlines })
    else Object.assign(known, deadlines)
    this.nearestMs = Math.min(this.nearestMs, earliestOf(this.of(memberId)))
  }

  /** After something has happened by itself. */
  findNearest(): void {
    this.nearestMs = NEVER
    for (const deadlines of this.members.values()) this.nearestMs = Math.min(this.nearestMs, earliestOf(deadlines))
  }
}

const NO_DEADLINES: MemberDeadlines = { sessionMs: NEVER, revokeMs: NEVER, joinMs: NEVER, syncMs: NEVER }

export function earliestOf({ sessionMs, revokeMs, joinMs, syncMs }: MemberDeadlines): number {
  return Math.min(sessionMs, revokeMs, joinMs, syncMs)
}

/** Why a request is refused, as the member is told. */
export interface ConsumerRefusal {
  readonly error: KafkaErrorName
  readonly message: string
}

export class ConsumerStep {
  readonly groupId: string
  readonly timers: ConsumerTimers
  readonly topics: TopicView
  readonly nowMs: number
  readonly limits: ConsumerLimits
  changes: ConsumerChange[] = []
  /** Set if the group becomes a classic one: that takes the place of all changes. */
  downgrade: { readonly group: ClassicGroup; readonly rebalances: boolean } | null = null
  readonly #before: ConsumerGroup
  #group: ConsumerGroup

  constructor(of: {
    groupId: string
    group: ConsumerGroup | null
    timers: ConsumerTimers
    topics: TopicView
    nowMs: number
    limits: ConsumerLimits
  }) {
    this.groupId = of.groupId
    this.#before = of.group ?? new ConsumerGroup()
    this.#group = this.#before
    this.timers = of.timers
    this.topics = of.topics
    this.nowMs = of.nowMs
    this.limits = of.limits
  }

  /** As it is after the changes so far: only `change` changes it. */
  get group(): Readonly<ConsumerGroup> {
    return this.#group
  }

  change(change: ConsumerChange): void {
    if (this.#group === this.#before) this.#group = this.#before.copy()
    this.#group.apply(change)
    this.changes.push(change)
  }

  /** Nothing of it happens. */
  discard(): void {
    this.#group = this.#before
    this.changes = []
    this.downgrade = null
  }

  member(id: string): ConsumerMember {
    return this.#group.members.get(id)!
  }

  /** Is it known which topics each member wants? */
  knowsTopics(): boolean {
    let isKnown = true
    for (const { topicRegex } of this.#group.members.values()) {
      if (topicRegex !== '' && this.topics.matching(topicRegex) === null) isKnown = false
    }
    return isKnown
  }

  /** Ids of all topics that a member wants and that are there; null: it is not known yet which its expression matches. */
  topicIdsOf({
    topicNames,
    topicRegex,
  }: Pick<ConsumerMember, 'topicNames' | 'topicRegex'>): ReadonlySet<string> | null {
    const matching = topicRegex === '' ? [] : this.topics.matching(topicRegex)
    if (matching === null) return null
    const ids = new Set<string>()
    for (const names of [topicNames, matching]) {
      for (const name of names) {
        const id = this.topics.idOf(name)
        if (id !== undefined) ids.add(id)
      }
    }
    return ids
  }
}
