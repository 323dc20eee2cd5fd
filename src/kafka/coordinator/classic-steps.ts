import { assert, unreachable } from '#base/assert.ts'
import type { KafkaErrorName } from '#kafka/protocol/protocol.ts'
import { type ClassicGroup, type Member, metadataFor, NO_BYTES, type Token } from './classic-group.ts'

// What happens to a classic group, step by step: (group, event, now) -> answers, and what is to be saved (Kafka:
// GroupMetadataManager). No clock, no random, no waiting: timers are the deadlines in the group, and `classicTick` is what they
// do. The phases:
//
//   Empty                 nobody is here
//   PreparingRebalance    members join, their requests wait until all have come or the time is over
//   CompletingRebalance   they know their generation, and wait for the leader to assign partitions
//   Stable                everybody has an assignment, which is durable

export interface ClassicLimits {
  readonly initialRebalanceDelayMs: number
  readonly maxMembers: number
  /** Of what the members of a group say of themselves, and of what they are assigned. */
  readonly maxBytes: number
}

export interface JoinAnswer {
  readonly kind: 'join'
  readonly error: KafkaErrorName
  readonly memberId: string
  readonly generation: number
  readonly protocolType: string | null
  readonly protocol: string | null
  readonly leaderId: string
  readonly skipAssignment: boolean
  /** For the leader alone. */
  readonly members: readonly {
    readonly memberId: string
    readonly instanceId: string | null
    readonly metadata: Buffer
  }[]
}

export interface SyncAnswer {
  readonly kind: 'sync'
  readonly error: KafkaErrorName
  readonly protocolType: string | null
  readonly protocol: string | null
  readonly assignment: Buffer
}

/** Why a group is saved, and so what follows when it is. */
export type Save =
  | { readonly kind: 'emptied' }
  | { readonly kind: 'assigned'; readonly assignments: ReadonlyMap<string, Buffer> }
  | { readonly kind: 'returned'; readonly memberId: string; readonly token: Token; readonly answer: JoinAnswer }

/** One step: when it happens, and what comes of it. */
export class Step {
  readonly nowMs: number
  readonly limits: ClassicLimits
  readonly answers: { readonly token: Token; readonly answer: JoinAnswer | SyncAnswer }[] = []
  save: Save | null = null

  constructor(nowMs: number, limits: ClassicLimits) {
    this.nowMs = nowMs
    this.limits = limits
  }
}

// ---- rebalancing

/** Kafka: classicGroupNewMemberJoinTimeoutMs */
const NEW_MEMBER_TIMEOUT_MS = 300_000

/** A rebalance begins, or the one that is under way may be complete now. */
export function rebalance(group: ClassicGroup, step: Step): void {
  if (group.phase === 'PreparingRebalance') completeJoinIfAllAreThere(group, step)
  else prepareRebalance(group, step)
}

function prepareRebalance(group: ClassicGroup, step: Step): void {
  if (group.phase === 'CompletingRebalance') answerSyncs(group, 'REBALANCE_IN_PROGRESS', step)
  group.saving = null
  group.unsynced.clear()
  group.syncByMs = Number.POSITIVE_INFINITY
  const isInitial = group.phase === 'Empty'
  group.phase = 'PreparingRebalance'
  if (isInitial) {
    const delayMs = step.limits.initialRebalanceDelayMs
    group.delayLeftMs = Math.max(0, group.rebalanceTimeoutMs - delayMs)
    group.memberCameSinceDelay = false
    group.joinByMs = step.nowMs + delayMs
    if (delayMs === 0) completeJoin(group, step)
  } else if (group.hasAllJoined) completeJoin(group, step)
  else group.joinByMs = step.nowMs + group.rebalanceTimeoutMs
}

/** The first generation waits for its delay, however many have come. */
export function completeJoinIfAllAreThere(group: ClassicGroup, step: Step): void {
  if (group.delayLeftMs === null && group.hasAllJoined) completeJoin(group, step)
}

function joinTimeIsOver(group: ClassicGroup, step: Step): void {
  const leftMs = group.delayLeftMs
  if (leftMs === null || leftMs === 0 || !group.memberCameSinceDelay) {
    completeJoin(group, step)
    return
  }
  const delayMs = Math.min(step.limits.initialRebalanceDelayMs, leftMs)
  group.memberCameSinceDelay = false
  group.delayLeftMs = leftMs - delayMs
  group.joinByMs = step.nowMs + delayMs
}

/** Who did not join again is out, unless it is static; the others learn their generation. */
function completeJoin(group: ClassicGroup, step: Step): void {
  group.joinByMs = Number.POSITIVE_INFINITY
  group.delayLeftMs = null
  for (const member of [...group.members.values()]) {
    if (member.joinToken === null && member.instanceId === null) group.remove(member.id)
  }
  if (group.members.size > 0 && !electJoinedLeader(group)) {
    // Only static members are left, and none has come: their sessions decide.
    group.joinByMs = step.nowMs + group.rebalanceTimeoutMs
    return
  }
  group.generation++
  group.unsynced.clear()
  if (group.members.size === 0) {
    group.phase = 'Empty'
    group.protocol = null
    step.save = { kind: 'emptied' }
    return
  }
  group.protocol = group.selectProtocol()
  group.phase = 'CompletingRebalance'
  for (const member of group.members.values()) {
    answerJoin(group, member, step)
    member.isNew = false
    touch(member, step)
    group.unsynced.add(member.id)
  }
  group.syncByMs = step.nowMs + group.rebalanceTimeoutMs
}

function electJoinedLeader(group: ClassicGroup): boolean {
  const leader = group.members.get(group.leaderId ?? '')
  if (leader !== undefined && leader.joinToken !== null) return true
  for (const member of group.members.values()) {
    if (member.joinToken === null) continue
    group.leaderId = member.id
    return true
  }
  return false
}

/** Who has not fetched its assignment is out. */
function syncTimeIsOver(group: ClassicGroup, step: Step): void {
  group.syncByMs = Number.POSITIVE_INFINITY
  if (group.unsynced.size === 0) return
  for (const memberId of [...group.unsynced]) group.remove(memberId)
  prepareRebalance(group, step)
}

// ---- answers

export function answerJoin(group: ClassicGroup, member: Member, step: Step): void {
  if (member.joinToken === null) return
  step.answers.push({ token: member.joinToken, answer: joinAnswer(group, member) })
  member.joinToken = null
}

/** The generation as it is. */
export function joinAnswer(group: ClassicGroup, member: Member): JoinAnswer {
  const { generation, protocolType, protocol } = group
  const leaderId = group.leaderId ?? ''
  const members = leaderId === member.id ? membersFor(group) : []
  const base = { kind: 'join', error: 'NONE', memberId: member.id, skipAssignment: false } as const
  return { ...base, generation, protocolType, protocol, leaderId, members }
}

export function membersFor(group: ClassicGroup): JoinAnswer['members'] {
  return [...group.members.values()].map(member => ({
    memberId: member.id,
    instanceId: member.instanceId,
    metadata: metadataFor(member, group.protocol),
  }))
}

export function joinRefusal(error: KafkaErrorName, memberId: string): JoinAnswer {
  const none = { generation: -1, protocolType: null, protocol: null, leaderId: '', skipAssignment: false, members: [] }
  return { kind: 'join', error, memberId, ...none }
}

export function syncRefusal(error: KafkaErrorName): SyncAnswer {
  return { kind: 'sync', error, protocolType: null, protocol: null, assignment: NO_BYTES }
}

export function syncAnswer(group: ClassicGroup, member: Member): SyncAnswer {
  const { protocolType, protocol } = group
  return { kind: 'sync', error: 'NONE', protocolType, protocol, assignment: member.assignment }
}

/** All that wait for the leader. */
function answerSyncs(group: ClassicGroup, error: KafkaErrorName, step: Step): void {
  for (const member of group.members.values()) {
    if (error !== 'NONE') member.assignment = NO_BYTES
    if (member.syncToken === null) continue
    const answer = error === 'NONE' ? syncAnswer(group, member) : syncRefusal(error)
    step.answers.push({ token: member.syncToken, answer })
    member.syncToken = null
    group.unsynced.delete(member.id)
    touch(member, step)
  }
}

/** What a member waits for is answered with an error: it is no member any more. */
export function refuseWaiting(member: Member, error: KafkaErrorName, step: Step): void {
  if (member.joinToken !== null) step.answers.push({ token: member.joinToken, answer: joinRefusal(error, member.id) })
  if (member.syncToken !== null) step.answers.push({ token: member.syncToken, answer: syncRefusal(error) })
  member.joinToken = null
  member.syncToken = null
}

// ---- members

/** A sign of life. */
export function touch(member: Member, step: Step): void {
  member.expiresMs = step.nowMs + (member.isNew ? NEW_MEMBER_TIMEOUT_MS : member.sessionTimeoutMs)
}

export function checkMember(group: ClassicGroup, memberId: string, instanceId: string | null): KafkaErrorName {
  if (instanceId !== null) {
    const owner = group.staticIds.get(instanceId)
    if (owner === undefined) return 'UNKNOWN_MEMBER_ID'
    if (owner !== memberId) return 'FENCED_INSTANCE_ID'
  }
  return group.members.has(memberId) ? 'NONE' : 'UNKNOWN_MEMBER_ID'
}

export function dismiss(group: ClassicGroup, member: Member, step: Step): void {
  refuseWaiting(member, 'UNKNOWN_MEMBER_ID', step)
  group.remove(member.id)
  membersWent(group, step)
}

export function membersWent(group: ClassicGroup, step: Step): void {
  switch (group.phase) {
    case 'Empty':
      return
    case 'PreparingRebalance':
      completeJoinIfAllAreThere(group, step)
      return
    case 'CompletingRebalance':
    case 'Stable':
      prepareRebalance(group, step)
      return
    default:
      unreachable(group.phase)
  }
}

// ---- events besides requests

/** What the deadlines of the group have brought about by now. */
export function classicTick(group: ClassicGroup, step: Step): void {
  for (const [memberId, expiresMs] of [...group.pending]) {
    if (expiresMs > step.nowMs) continue
    group.pending.delete(memberId)
    if (group.phase === 'PreparingRebalance') completeJoinIfAllAreThere(group, step)
  }
  for (const member of [...group.members.values()]) {
    if (member.expiresMs > step.nowMs) continue
    // Who waits for others is not late, unless it does not even know that it is a member.
    if (!member.isNew && (member.joinToken !== null || member.syncToken !== null)) touch(member, step)
    else if (group.members.has(member.id)) dismiss(group, member, step)
  }
  if (group.joinByMs <= step.nowMs) joinTimeIsOver(group, step)
  if (group.syncByMs <= step.nowMs) syncTimeIsOver(group, step)
}

/** What was to be saved is durable, or could not be made so. */
export function classicSaved(group: ClassicGroup, save: Save, error: KafkaErrorName, step: Step): void {
  switch (save.kind) {
    case 'emptied':
      return
    case 'assigned':
      if (group.phase !== 'CompletingRebalance' || group.saving !== save.assignments) return
      group.saving = null
      if (error === 'NONE') {
        for (const member of group.members.values()) member.assignment = save.assignments.get(member.id) ?? NO_BYTES
        group.phase = 'Stable'
        answerSyncs(group, 'NONE', step)
      } else assignmentsFailed(group, error, step)
      return
    case 'returned': {
      // The generation that it came back to may be over by now: then it joins the next one.
      const isCurrent = group.phase === 'Stable' && group.generation === save.answer.generation
      const problem = error === 'NONE' && !isCurrent ? 'REBALANCE_IN_PROGRESS' : error
      const answer = problem === 'NONE' ? save.answer : joinRefusal(problem, save.memberId)
      step.answers.push({ token: save.token, answer })
      return
    }
    default:
      unreachable(save)
  }
}

/** Nobody has an assignment of this generation: the members join again. */
function assignmentsFailed(group: ClassicGroup, error: KafkaErrorName, step: Step): void {
  answerSyncs(group, error, step)
  prepareRebalance(group, step)
}

export function saveAssignments(group: ClassicGroup, assignments: ReadonlyMap<string, Buffer>, step: Step): void {
  assert(group.phase === 'CompletingRebalance', 'partitions are assigned once in a generation')
  const complete = new Map<string, Buffer>()
  let bytes = 0
  for (const id of group.members.keys()) {
    const assignment = assignments.get(id) ?? NO_BYTES
    complete.set(id, assignment)
    bytes += assignment.length
  }
  if (bytes > step.limits.maxBytes) {
    // Kafka answers so where its log takes no record that large.
    assignmentsFailed(group, 'UNKNOWN_SERVER_ERROR', step)
    return
  }
  group.saving = complete
  step.save = { kind: 'assigned', assignments: complete }
}
