import type { Clock, Random, Timer } from '#base/ports.ts'
import type { SavedMember } from '#core/groups.ts'
import type { KafkaErrorName } from '#kafka/protocol/protocol.ts'
import { storageRefusal } from '#kafka/refusal.ts'
import type { Log } from '#log/log.ts'
import type { Counter } from '#observe/metrics.ts'
import { ClassicGroup, metadataFor, NO_BYTES, type Phase, type Token } from './classic-group.ts'
import { type JoinRequest, joinClassic } from './classic-join.ts'
import {
  type Caller,
  checkCommit,
  heartbeatClassic,
  leaveClassic,
  type SyncRequest,
  syncClassic,
} from './classic-requests.ts'
import {
  type ClassicLimits,
  classicSaved,
  classicTick,
  type JoinAnswer,
  joinRefusal,
  type Save,
  Step,
  type SyncAnswer,
  syncRefusal,
} from './classic-steps.ts'
import { CONSUMER_PROTOCOL, subscriptionsOf } from './consumer-protocol.ts'

// The coordinator of all groups: lets their steps happen, one after the other, and sees to what comes of them: answers go to
// who waits, what is to be saved becomes a record of the log, and a timer is set for what happens by itself.
//
// What is known of a group comes from the log's state when it is first asked for. After a restart its members go on as if
// nothing had happened: their generation is the same, and their sessions begin anew.

export interface CoordinatorLimits extends ClassicLimits {
  readonly maxGroups: number
  readonly minSessionTimeoutMs: number
  readonly maxSessionTimeoutMs: number
}

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

/** Registers what is to be done if nobody waits for the answer any more. */
type OnGone = (call: () => void) => void

const NOBODY = { phase: 'Empty', protocolType: null, protocol: null, members: [] } as const

export class GroupCoordinator {
  readonly #log: Log
  readonly #clock: Clock
  readonly #random: Random
  readonly #limits: CoordinatorLimits
  readonly #rebalances: Counter
  readonly #groups = new Map<string, ClassicGroup>()
  readonly #timers = new Map<ClassicGroup, { timer: Timer; atMs: number }>()
  readonly #waiting = new Map<Token, (answer: JoinAnswer | SyncAnswer) => void>()
  #lastToken = 0

  constructor(options: { log: Log; clock: Clock; random: Random; limits: CoordinatorLimits; rebalances: Counter }) {
    this.#log = options.log
    this.#clock = options.clock
    this.#random = options.random
    this.#limits = options.limits
    this.#rebalances = options.rebalances
    for (const [id, { saved }] of this.#log.state.groups) if (saved.members.length > 0) this.#find(id)
  }

  // ---- requests

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
    const group = this.#find(groupId) ?? (memberId === '' ? this.#create(groupId) : null)
    if (group === null) return joinRefusal(memberId === '' ? 'POLICY_VIOLATION' : 'UNKNOWN_MEMBER_ID', memberId)
    const newMemberId = `${request.instanceId ?? request.clientId}-${this.#uuid()}`
    const { token, answer } = this.#wait<JoinAnswer>(onGone, joinRefusal('NOT_COORDINATOR', memberId))
    this.#step(group, step => joinClassic(group, { ...request, token, newMemberId }, step))
    return answer
  }

  sync(groupId: string, request: Omit<SyncRequest, 'token'>, onGone: OnGone): Promise<SyncAnswer> | SyncAnswer {
    const group = this.#find(groupId)
    if (groupId === '') return syncRefusal('INVALID_GROUP_ID')
    if (group === null) return syncRefusal('UNKNOWN_MEMBER_ID')
    const { token, answer } = this.#wait<SyncAnswer>(onGone, syncRefusal('NOT_COORDINATOR'))
    this.#step(group, step => syncClassic(group, { ...request, token }, step))
    return answer
  }

  heartbeat(groupId: string, caller: Caller): KafkaErrorName {
    const group = this.#find(groupId)
    if (groupId === '') return 'INVALID_GROUP_ID'
    // A heartbeat only puts deadlines off: the timer that is set finds out.
    return group === null ? 'UNKNOWN_MEMBER_ID' : heartbeatClassic(group, caller, this.#newStep())
  }

  /** If nobody is left, the answer comes when that is durable: after a restart nobody waits for who has gone. */
  async leave(groupId: string, member: Omit<Caller, 'generation'>): Promise<KafkaErrorName> {
    const group = this.#find(groupId)
    if (groupId === '') return 'INVALID_GROUP_ID'
    if (group === null) return 'UNKNOWN_MEMBER_ID'
    const { result, saved } = this.#step(group, step => leaveClassic(group, member, step))
    return result === 'NONE' && saved !== null ? saved : result
  }

  /** May the caller commit offsets now? */
  mayCommit(groupId: string, caller: Caller): KafkaErrorName {
    return this.#mayCommit(groupId, caller, false)
  }

  /** The same for offsets that count once a transaction commits. */
  mayCommitInTransaction(groupId: string, caller: Caller): KafkaErrorName {
    return this.#mayCommit(groupId, caller, true)
  }

  #mayCommit(groupId: string, caller: Caller, isTransactional: boolean): KafkaErrorName {
    const group = this.#find(groupId)
    if (group !== null) return checkCommit(group, caller, isTransactional, this.#newStep())
    // Nobody manages this group: whoever names no generation may use it to keep offsets.
    const isKnown = this.#log.state.groups.has(groupId)
    if (caller.generation >= 0) return isKnown ? 'UNKNOWN_MEMBER_ID' : 'ILLEGAL_GENERATION'
    return isKnown || this.#log.state.groups.size < this.#limits.maxGroups ? 'NONE' : 'POLICY_VIOLATION'
  }

  /** Which topics a group's members are subscribed to, or why no offset of it is deleted. */
  mayDeleteOffsets(groupId: string): { ok: true; isSubscribed: IsSubscribed } | { ok: false; error: KafkaErrorName } {
    const found = this.describe(groupId)
    if (groupId === '' || found === null)
      return { ok: false, error: groupId === '' ? 'INVALID_GROUP_ID' : 'GROUP_ID_NOT_FOUND' }
    // What members of another type want is known to them alone.
    if (found.phase !== 'Empty' && found.protocolType !== CONSUMER_PROTOCOL)
      return { ok: false, error: 'NON_EMPTY_GROUP' }
    return { ok: true, isSubscribed: this.subscriptions(groupId) }
  }

  /** Is some member of a group subscribed to a topic? Where that is not to be known, yes. */
  subscriptions(groupId: string): IsSubscribed {
    const group = this.#find(groupId)
    if (group?.protocolType !== CONSUMER_PROTOCOL) return () => false
    const topics = subscriptionsOf(group)
    return topic => topics?.has(topic) ?? true
  }

  /** Null: there is no such group. */
  describe(id: string): DescribedGroup | null {
    const group = this.#find(id)
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

  list(): Pick<DescribedGroup, 'id' | 'phase' | 'protocolType'>[] {
    return [...this.ids()].map(id => this.describe(id) ?? { id, ...NOBODY })
  }

  /** Of all groups. Groups may come and go while who asks takes them one by one. */
  *ids(): Generator<string> {
    const known = this.#log.state.groups
    yield* known.keys()
    for (const id of this.#groups.keys()) if (!known.has(id)) yield id
  }

  /** Removes a group without members, and its offsets. */
  async remove(id: string): Promise<KafkaErrorName> {
    const found = this.describe(id)
    if (found === null) return 'GROUP_ID_NOT_FOUND'
    if (found.phase !== 'Empty') return 'NON_EMPTY_GROUP'
    try {
      await this.#log.propose({ kind: 'group-removed', groupId: id })
    } catch (thrown) {
      storageRefusal(thrown)
      return 'COORDINATOR_NOT_AVAILABLE'
    }
    // Only now: until then it could be found in the state again. Who joined meanwhile stays.
    const group = this.#groups.get(id)
    if (group?.isDeserted === true) this.#forget(group)
    return 'NONE'
  }

  #forget(group: ClassicGroup): void {
    this.#groups.delete(group.id)
    this.#timers.get(group)?.timer.cancel()
    this.#timers.delete(group)
  }

  // ---- groups

  /** Null: there is no such group, or only its offsets are known. */
  #find(id: string): ClassicGroup | null {
    const found = this.#groups.get(id)
    if (found !== undefined) return found
    const saved = this.#log.state.groups.get(id)?.saved
    if (saved === undefined || saved.generation === 0) return null
    const group = this.#adopt(new ClassicGroup(id))
    const { generation, protocolType, protocol, leaderId, members } = saved
    Object.assign(group, { generation, protocolType, protocol, phase: members.length === 0 ? 'Empty' : 'Stable' })
    for (const member of members) group.add(restored(member, protocol ?? '', this.#clock.monotonicMs()))
    group.leaderId = leaderId
    this.#arm(group)
    return group
  }

  #create(id: string): ClassicGroup | null {
    const known = this.#log.state.groups
    const count = this.#groups.size + (known.has(id) ? 0 : 1)
    return Math.max(count, known.size) > this.#limits.maxGroups ? null : this.#adopt(new ClassicGroup(id))
  }

  #adopt(group: ClassicGroup): ClassicGroup {
    this.#groups.set(group.id, group)
    return group
  }

  // ---- steps

  #newStep(): Step {
    return new Step(this.#clock.monotonicMs(), this.#limits)
  }

  #step<T>(group: ClassicGroup, act: (step: Step) => T): { result: T; saved: Promise<KafkaErrorName> | null } {
    const step = this.#newStep()
    const { generation } = group
    const result = act(step)
    this.#rebalances.value += group.generation - generation
    for (const { token, answer } of step.answers) this.#answer(token, answer)
    const saved = step.save === null ? null : this.#save(group, step.save)
    // Nobody joined it, and nothing of it is in the state: as if nobody had asked.
    if (group.isDeserted && group.generation === 0) this.#forget(group)
    else this.#arm(group)
    return { result, saved }
  }

  async #save(group: ClassicGroup, save: Save): Promise<KafkaErrorName> {
    let error: KafkaErrorName = 'NONE'
    try {
      await this.#log.propose({ kind: 'group-saved', groupId: group.id, saved: generationOf(group, save) })
    } catch (thrown) {
      storageRefusal(thrown)
      error = 'COORDINATOR_NOT_AVAILABLE'
    }
    this.#step(group, step => classicSaved(group, save, error, step))
    return error
  }

  /** Sets the timer of a group, unless one is set that rings early enough: then it is set anew when it rings. */
  #arm(group: ClassicGroup): void {
    const atMs = group.deadlineMs()
    const set = this.#timers.get(group)
    if (set !== undefined && set.atMs <= atMs) return
    set?.timer.cancel()
    this.#timers.delete(group)
    if (atMs === Number.POSITIVE_INFINITY) return
    const timer = this.#clock.after(Math.max(0, atMs - this.#clock.monotonicMs()), () => {
      this.#timers.delete(group)
      this.#step(group, step => classicTick(group, step))
    })
    this.#timers.set(group, { timer, atMs })
  }

  // ---- waiting

  /** A request's place among those that wait. If its connection ends, or the broker does, it hears `otherwise`. */
  #wait<A extends JoinAnswer | SyncAnswer>(onGone: OnGone, otherwise: A): { token: Token; answer: Promise<A> } {
    const token = ++this.#lastToken
    const { promise, resolve } = Promise.withResolvers<A>()
    this.#waiting.set(token, resolve as (answer: JoinAnswer | SyncAnswer) => void)
    onGone(() => this.#answer(token, otherwise))
    return { token, answer: promise }
  }

  /** Nothing if it was answered: its connection ended meanwhile. */
  #answer(token: Token, answer: JoinAnswer | SyncAnswer): void {
    this.#waiting.get(token)?.(answer)
    this.#waiting.delete(token)
  }

  #uuid(): string {
    const hex = this.#random.bytes(16).toString('hex')
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  }
}

function restored(saved: SavedMember, protocol: string, nowMs: number) {
  const { id, instanceId, clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs, metadata, assignment } = saved
  return {
    ...{ id, instanceId, clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs, assignment },
    protocols: [{ name: protocol, metadata }],
    joinToken: null,
    syncToken: null,
    isNew: false,
    expiresMs: nowMs + sessionTimeoutMs,
  }
}

function generationOf(group: ClassicGroup, save: Save) {
  const { generation, protocolType, protocol, leaderId } = group
  const members = [...group.members.values()].map(member => ({
    id: member.id,
    instanceId: member.instanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    sessionTimeoutMs: member.sessionTimeoutMs,
    rebalanceTimeoutMs: member.rebalanceTimeoutMs,
    metadata: metadataFor(member, protocol),
    assignment: save.kind === 'assigned' ? (save.assignments.get(member.id) ?? NO_BYTES) : member.assignment,
  }))
  return { generation, protocolType, protocol, leaderId, members }
}
