import type { Clock, Random } from '#base/ports.ts'
import type { ConsumerGroup } from '#core/consumer-groups.ts'
import type { KafkaErrorName } from '#kafka/protocol/protocol.ts'
import { storageRefusal } from '#kafka/refusal.ts'
import type { Log } from '#log/log.ts'
import type { Logger } from '#observe/log.ts'
import type { Counter } from '#observe/metrics.ts'
import { ClassicCoordinator, type OnGone } from './classic-coordinator.ts'
import { type ClassicGroup, metadataFor, NO_BYTES, type Phase } from './classic-group.ts'
import type { JoinRequest } from './classic-join.ts'
import type { Caller, SyncRequest } from './classic-requests.ts'
import { type ClassicLimits, type JoinAnswer, joinRefusal, type SyncAnswer, syncRefusal } from './classic-steps.ts'
import { classicHeartbeat, classicJoin, classicLeave, classicSync } from './consumer-classic.ts'
import { ConsumerCoordinator } from './consumer-coordinator.ts'
import {
  consumerHeartbeat,
  consumerLeave,
  type HeartbeatAnswer,
  type HeartbeatRequest,
  heartbeatRefusal,
  JOINS,
  problemWithHeartbeat,
} from './consumer-heartbeat.ts'
import { upgradeFrom } from './consumer-migration.ts'
import { CONSUMER_PROTOCOL, subscriptionsOf } from './consumer-protocol.ts'
import type { ConsumerLimits, ConsumerRefusal } from './consumer-step.ts'
import { type CommitRule, consumerCommitRule, consumerPhase, consumerSubscriptions } from './consumer-view.ts'
import type { TopicView } from './topic-view.ts'

// The coordinator of all groups, of both types: finds out of which type a group is, and lets its shell do what is asked. Here
// groups change their type; while a record of one is on its way, whatever else is asked of it waits.

export interface CoordinatorLimits extends ClassicLimits {
  readonly maxGroups: number
  readonly minSessionTimeoutMs: number
  readonly maxSessionTimeoutMs: number
  /** Of groups of the consumer type, some of them as configured for the group. */
  consumerLimitsOf(groupId: string): ConsumerLimits
}

export interface ListedGroup {
  readonly id: string
  readonly type: 'classic' | 'consumer'
  readonly state: string
  readonly protocolType: string | null
}

/** A classic group, or one that only keeps offsets. */
export interface DescribedGroup {
  readonly id: string
  readonly phase: Phase
  readonly protocolType: string | null
  readonly protocol: string | null
  readonly members: readonly {
    readonly id: string
    readonly instanceId: string | null
    readonly clientId: string
    readonly clientHost: string
    readonly metadata: Buffer
    readonly assignment: Buffer
  }[]
}

/** Of a topic by its name. */
export type IsSubscribed = (topic: string) => boolean

/** The disk is full, or has failed. */
const NOT_STORED = 'COORDINATOR_NOT_AVAILABLE'
const NOT_TAKEN: ConsumerRefusal = { error: NOT_STORED, message: 'The change could not be stored.' }
/** OffsetCommit. */
const NOT_FOUND_FROM = 9
const NOBODY = { phase: 'Empty', protocolType: null, protocol: null, members: [] } as const

export class GroupCoordinator {
  readonly #log: Log
  readonly #random: Random
  readonly #limits: CoordinatorLimits
  readonly #classic: ClassicCoordinator
  readonly #consumers: ConsumerCoordinator

  constructor(options: {
    log: Log
    clock: Clock
    random: Random
    logger: Logger
    limits: CoordinatorLimits
    rebalances: Counter
  }) {
    const { log, clock, logger, limits, rebalances } = options
    this.#log = log
    this.#random = options.random
    this.#limits = limits
    this.#classic = new ClassicCoordinator({
      log,
      clock,
      limits,
      rebalances,
      isMoving: groupId => this.#consumers.isBusy(groupId),
    })
    this.#consumers = new ConsumerCoordinator({
      log,
      clock,
      logger,
      rebalances,
      limitsOf: groupId => limits.consumerLimitsOf(groupId),
      becameClassic: (group, isToRebalance) => this.#classic.adopt(group, isToRebalance),
    })
    this.#classic.begin()
  }

  /** Nothing happens by itself any more. */
  close(): void {
    this.#classic.close()
    this.#consumers.close()
  }

  // ---- the classic protocol

  join(
    groupId: string,
    request: Omit<JoinRequest, 'token' | 'newMemberId'>,
    onGone: OnGone,
  ): Promise<JoinAnswer> | JoinAnswer {
    const { memberId, sessionTimeoutMs } = request
    const { minSessionTimeoutMs, maxSessionTimeoutMs } = this.#limits
    if (groupId === '') return joinRefusal('INVALID_GROUP_ID', memberId)
    if (sessionTimeoutMs < minSessionTimeoutMs || sessionTimeoutMs > maxSessionTimeoutMs) {
      return joinRefusal('INVALID_SESSION_TIMEOUT', memberId)
    }
    const wanted = { ...request, newMemberId: `${request.instanceId ?? request.clientId}-${this.#uuid()}` }
    return this.#consumers.whenSettled(groupId, () => {
      if ((this.#consumerGroup(groupId)?.members.size ?? 0) > 0) {
        const refused = joinRefusal(NOT_STORED, memberId)
        return this.#consumers.step(groupId, { act: step => classicJoin(step, wanted), refused })
      }
      const known = this.#classic.find(groupId)
      if (known === null && memberId !== '') return joinRefusal('UNKNOWN_MEMBER_ID', memberId)
      if (known === null && !this.#hasRoomFor(groupId)) return joinRefusal('POLICY_VIOLATION', memberId)
      return this.#classic.join(known ?? this.#classic.create(groupId), wanted, onGone)
    })
  }

  sync(groupId: string, request: Omit<SyncRequest, 'token'>, onGone: OnGone): Promise<SyncAnswer> | SyncAnswer {
    if (groupId === '') return syncRefusal('INVALID_GROUP_ID')
    return this.#consumers.whenSettled(groupId, () => {
      if (this.#consumerGroup(groupId) !== null) {
        const refused = syncRefusal(NOT_STORED)
        return this.#consumers.step(groupId, { act: step => classicSync(step, request), refused })
      }
      const group = this.#classic.find(groupId)
      return group === null ? syncRefusal('UNKNOWN_MEMBER_ID') : this.#classic.sync(group, request, onGone)
    })
  }

  heartbeat(groupId: string, caller: Caller): KafkaErrorName | Promise<KafkaErrorName> {
    if (groupId === '') return 'INVALID_GROUP_ID'
    return this.#consumers.whenSettled<KafkaErrorName>(groupId, () => {
      if (this.#consumerGroup(groupId) !== null) {
        const act = (step: Parameters<typeof classicHeartbeat>[0]) => classicHeartbeat(step, caller)
        return this.#consumers.step<KafkaErrorName>(groupId, { act, refused: NOT_STORED })
      }
      const group = this.#classic.find(groupId)
      return group === null ? 'UNKNOWN_MEMBER_ID' : this.#classic.heartbeat(group, caller)
    })
  }

  /** An error for each that leaves. */
  leave(
    groupId: string,
    leaving: readonly Omit<Caller, 'generation'>[],
  ): readonly KafkaErrorName[] | Promise<readonly KafkaErrorName[]> {
    const all = (error: KafkaErrorName): KafkaErrorName[] => leaving.map(() => error)
    if (groupId === '') return all('INVALID_GROUP_ID')
    return this.#consumers.whenSettled<readonly KafkaErrorName[]>(groupId, () => {
      if (this.#consumerGroup(groupId) !== null) {
        const act = (step: Parameters<typeof classicLeave>[0]) => classicLeave(step, leaving)
        return this.#consumers.step<readonly KafkaErrorName[]>(groupId, { act, refused: all(NOT_STORED) })
      }
      const group = this.#classic.find(groupId)
      if (group === null) return all('UNKNOWN_MEMBER_ID')
      return Promise.all(leaving.map(member => this.#classic.leave(group, member)))
    })
  }

  // ---- the consumer protocol

  /** ConsumerGroupHeartbeat; `version` is that of the request. */
  consumerHeartbeat(
    groupId: string,
    request: Omit<HeartbeatRequest, 'newMemberId'>,
    version: number,
  ): HeartbeatAnswer | Promise<HeartbeatAnswer> {
    const wanted = { ...request, newMemberId: request.memberId === '' ? this.#uuid() : '' }
    const problem = problemWithHeartbeat(groupId, wanted, version)
    if (problem !== null) return heartbeatRefusal(problem)
    return this.#consumers.whenSettled(groupId, () => this.#consumerHeartbeat(groupId, wanted))
  }

  #consumerHeartbeat(groupId: string, request: HeartbeatRequest): HeartbeatAnswer | Promise<HeartbeatAnswer> {
    const joins = request.memberEpoch === JOINS
    const classic = this.#classic.find(groupId)
    const refuse = (error: KafkaErrorName, message: string): HeartbeatAnswer => heartbeatRefusal({ error, message })
    if (classic !== null && joins) return this.#toConsumer(classic, request)
    if (classic !== null) return refuse('GROUP_ID_NOT_FOUND', `Group ${groupId} is not a consumer group.`)
    if (this.#consumers.find(groupId) === null) {
      if (!joins) return refuse('GROUP_ID_NOT_FOUND', `Consumer group ${groupId} not found.`)
      if (!this.#hasRoomFor(groupId)) return refuse('POLICY_VIOLATION', 'There are as many groups as there may be.')
    }
    const act = request.memberEpoch < JOINS ? consumerLeave : consumerHeartbeat
    return this.#consumers.step(groupId, { act: step => act(step, request), refused: heartbeatRefusal(NOT_TAKEN) })
  }

  /** A member that speaks the consumer protocol joins a classic group, which becomes one of the consumer type. */
  #toConsumer(classic: ClassicGroup, request: HeartbeatRequest): HeartbeatAnswer | Promise<HeartbeatAnswer> {
    const answer = this.#consumers.step(classic.id, {
      act: step => {
        const refused = classic.phase === 'Empty' ? null : upgradeFrom(classic, step)
        if (refused !== null) return heartbeatRefusal(refused)
        const result = consumerHeartbeat(step, request)
        if (result.error !== 'NONE') step.discard()
        return result
      },
      refused: heartbeatRefusal(NOT_TAKEN),
      landed: isDurable => {
        if (isDurable) this.#classic.forget(classic)
        else this.#classic.resume(classic)
      },
    })
    if (this.#consumers.isBusy(classic.id)) this.#classic.suspend(classic)
    return answer
  }

  // ---- offsets

  /** Which offsets the caller may commit now; `version` is that of OffsetCommit. */
  mayCommit(groupId: string, caller: Caller, version: number): CommitRule {
    const consumer = this.#consumerGroup(groupId)
    if (consumer !== null) return consumerCommitRule(consumer, caller, version)
    return this.#mayCommit(groupId, caller, version)
  }

  /** The same for offsets that count once a transaction commits. */
  mayCommitInTransaction(groupId: string, caller: Caller): CommitRule {
    const consumer = this.#consumerGroup(groupId)
    if (consumer !== null) return consumerCommitRule(consumer, caller, null)
    return this.#mayCommit(groupId, caller, null)
  }

  #mayCommit(groupId: string, caller: Caller, version: number | null): CommitRule {
    const group = this.#classic.find(groupId)
    const error =
      group === null
        ? this.#mayKeep(groupId, caller, version)
        : this.#classic.checkCommit(group, caller, version === null)
    return () => error
  }

  #mayKeep(groupId: string, { generation }: Caller, version: number | null): KafkaErrorName {
    if (generation < 0) return this.mayKeep(groupId)
    if (this.#log.state.groups.has(groupId)) return 'UNKNOWN_MEMBER_ID'
    return version !== null && version >= NOT_FOUND_FROM ? 'GROUP_ID_NOT_FOUND' : 'ILLEGAL_GENERATION'
  }

  /** Nobody manages this group: may it keep offsets for whoever commits them? */
  mayKeep(groupId: string): KafkaErrorName {
    return this.#hasRoomFor(groupId) ? 'NONE' : 'POLICY_VIOLATION'
  }

  /** May there be configs for this group, whether it exists or not? They outlive it. */
  mayConfigure(groupId: string): KafkaErrorName {
    const { groupConfigs } = this.#log.state
    if (groupConfigs.has(groupId)) return 'NONE'
    return groupConfigs.size < this.#limits.maxGroups ? this.mayKeep(groupId) : 'POLICY_VIOLATION'
  }

  /** Acts at once, or after what is on its way: members may be joining. */
  whenSettled<T>(groupId: string, act: () => T | Promise<T>): T | Promise<T> {
    return this.#consumers.whenSettled(groupId, act)
  }

  /** Which topics a group's members are subscribed to, or why no offset of it is deleted. */
  mayDeleteOffsets(groupId: string): { ok: true; isSubscribed: IsSubscribed } | { ok: false; error: KafkaErrorName } {
    if (groupId === '') return { ok: false, error: 'INVALID_GROUP_ID' }
    if (this.#consumerGroup(groupId) !== null) return { ok: true, isSubscribed: this.subscriptions(groupId) }
    const found = this.describe(groupId)
    if (found === null) return { ok: false, error: 'GROUP_ID_NOT_FOUND' }
    // What members of another type want is known to them alone.
    if (found.phase !== 'Empty' && found.protocolType !== CONSUMER_PROTOCOL)
      return { ok: false, error: 'NON_EMPTY_GROUP' }
    return { ok: true, isSubscribed: this.subscriptions(groupId) }
  }

  /** Is some member of a group subscribed to a topic? Where that is not to be known, yes. */
  subscriptions(groupId: string): IsSubscribed {
    const consumer = this.#consumerGroup(groupId)
    const group = this.#classic.find(groupId)
    const isManaged = consumer !== null || group?.protocolType === CONSUMER_PROTOCOL
    if (!isManaged) return () => false
    const topics = consumer === null ? subscriptionsOf(group!) : consumerSubscriptions(consumer, this.#consumers.topics)
    return topic => topics?.has(topic) ?? true
  }

  /** What decides when offsets of a group expire; null: there is no such group. */
  expiryView(groupId: string): Pick<DescribedGroup, 'phase' | 'protocolType'> | null {
    const consumer = this.#consumerGroup(groupId)
    if (consumer === null) return this.describe(groupId)
    return { phase: consumer.members.size === 0 ? 'Empty' : 'Stable', protocolType: CONSUMER_PROTOCOL }
  }

  /** Groups that went with their last offset. */
  forgetUnused(): void {
    this.#classic.forgetUnused()
    this.#consumers.forgetUnused()
  }

  // ---- all groups

  /** As they are seen here. */
  get topics(): TopicView {
    return this.#consumers.topics
  }

  /** Null: there is no such group, or it is of the consumer type. */
  describe(id: string): DescribedGroup | null {
    if (this.#consumerGroup(id) !== null) return null
    const group = this.#classic.find(id)
    if (group === null) return this.#log.state.groups.has(id) ? { id, ...NOBODY } : null
    const { phase, protocolType, protocol } = group
    const isStable = phase === 'Stable'
    const members = [...group.members.values()].map(member => ({
      id: member.id,
      instanceId: member.instanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      metadata: isStable ? metadataFor(member, protocol) : NO_BYTES,
      assignment: member.assignment,
    }))
    return { id, phase, protocolType, protocol, members }
  }

  /** A group of the consumer type; null: there is none of this name, or it is of another type. */
  describeConsumer(id: string): ConsumerGroup | null {
    return this.#consumerGroup(id)
  }

  #consumerGroup(id: string): ConsumerGroup | null {
    // A classic group that is not stored yet takes the place of an empty consumer group.
    return this.#classic.ids.has(id) ? null : this.#consumers.find(id)
  }

  list(): ListedGroup[] {
    return [...this.ids()].map(id => {
      const consumer = this.#consumerGroup(id)
      if (consumer !== null) {
        return { id, type: 'consumer', state: consumerPhase(consumer), protocolType: CONSUMER_PROTOCOL }
      }
      const { phase, protocolType } = this.describe(id) ?? NOBODY
      return { id, type: 'classic', state: phase, protocolType }
    })
  }

  /** Of all groups. Groups may come and go while who asks takes them one by one. */
  *ids(): Generator<string> {
    const stored = this.#log.state.groups
    yield* stored.keys()
    for (const id of this.#classic.ids.keys()) if (!stored.has(id)) yield id
  }

  #hasRoomFor(id: string): boolean {
    const stored = this.#log.state.groups
    const { ids } = this.#classic
    const { maxGroups } = this.#limits
    if (stored.has(id) || ids.has(id) || stored.size + ids.size < maxGroups) return true
    // Most of those that are known here are stored too.
    const unstored = ids.keys().filter(known => !stored.has(known))
    return stored.size + unstored.reduce(count => count + 1, 0) < maxGroups
  }

  /** Removes a group without members, and its offsets. */
  async remove(id: string): Promise<KafkaErrorName> {
    return this.#consumers.whenSettled<KafkaErrorName>(id, async () => {
      const consumer = this.#consumerGroup(id)
      const found = this.describe(id)
      if (consumer === null && found === null) return 'GROUP_ID_NOT_FOUND'
      if (consumer === null ? found?.phase !== 'Empty' : consumer.members.size > 0) return 'NON_EMPTY_GROUP'
      const error = await this.#consumers.exclusively(id, () => this.#remove(id))
      const group = this.#classic.find(id)
      if (group !== null) this.#classic.resume(group)
      return error
    })
  }

  async #remove(id: string): Promise<KafkaErrorName> {
    try {
      await this.#log.propose({ kind: 'group-removed', groupId: id })
    } catch (thrown) {
      storageRefusal(thrown)
      return NOT_STORED
    }
    // Only now: until then it could be found in the state again.
    const group = this.#classic.find(id)
    if (group?.isDeserted === true) this.#classic.forget(group)
    this.#consumers.forget(id)
    return 'NONE'
  }

  #uuid(): string {
    const hex = this.#random.bytes(16).toString('hex')
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  }
}
