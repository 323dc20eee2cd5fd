import {
  type Assignment,
  type ConsumerChange,
  type ConsumerMember,
  descriptionBytes,
  LEFT_FOR_A_WHILE,
  type MemberDescription,
  NO_PARTITIONS,
  NO_PROGRESS,
  NO_TARGET,
} from '#core/consumer-groups.ts'
import { REGEX_MAX_LENGTH } from '#kafka/regular-expressions.ts'
import { ASSIGNORS } from './assignors.ts'
import { fenceMembers } from './consumer-members.ts'
import { SUBSCRIBED_NAMES_MAX, subscribedNames } from './consumer-protocol.ts'
import { isSameAssignment, isWithin, type Owned, reconcile } from './consumer-reconcile.ts'
import { type ConsumerRefusal, type ConsumerStep, NEVER } from './consumer-step.ts'
import { preferredAssignor, updateEpoch, updateTargets } from './consumer-target.ts'

// ConsumerGroupHeartbeat (Kafka: GroupMetadataManager.consumerGroupHeartbeat, -Leave): how members join, stay, take and give up
// partitions, and leave. All is checked before anything changes.

export const JOINS = 0
export const LEAVES = -1

const MEMBER_ID_REQUIRED_FROM = 1

export interface HeartbeatRequest {
  readonly memberId: string
  /** The id it gets if it brings none: before v1 they were made here. */
  readonly newMemberId: string
  readonly memberEpoch: number
  readonly instanceId: string | null
  readonly rackId: string | null
  readonly clientId: string
  readonly clientHost: string
  /** -1: as before. */
  readonly rebalanceTimeoutMs: number
  /** Null here and below: as before. */
  readonly topicNames: readonly string[] | null
  readonly topicRegex: string | null
  readonly assignor: string | null
  readonly owned: Owned
}

export interface HeartbeatAnswer extends ConsumerRefusal {
  readonly memberId: string | null
  readonly memberEpoch: number
  readonly heartbeatIntervalMs: number
  /** Null: as before. */
  readonly assignment: Assignment | null
}

export function heartbeatRefusal({ error, message }: ConsumerRefusal): HeartbeatAnswer {
  return { error, message, memberId: null, memberEpoch: 0, heartbeatIntervalMs: 0, assignment: null }
}

function refusal(error: ConsumerRefusal['error'], message: string): ConsumerRefusal {
  return { error, message }
}

/** What is wrong with a request whatever the group is. Kafka: GroupCoordinatorService.throwIf...RequestIsInvalid */
export function problemWithHeartbeat(
  groupId: string,
  request: HeartbeatRequest,
  version: number,
): ConsumerRefusal | null {
  const invalid = (message: string): ConsumerRefusal => refusal('INVALID_REQUEST', message)
  const { memberId, memberEpoch, instanceId, rackId, rebalanceTimeoutMs, topicNames, topicRegex, owned } = request
  const needsId = version >= MEMBER_ID_REQUIRED_FROM || memberEpoch > 0 || memberEpoch === LEAVES
  if (needsId && memberId.trim() === '') return invalid("MemberId can't be empty.")
  if (groupId.trim() === '') return invalid("GroupId can't be empty.")
  if (instanceId?.trim() === '') return invalid("InstanceId can't be empty.")
  if (rackId?.trim() === '') return invalid("RackId can't be empty.")
  if (memberEpoch === JOINS) {
    if (rebalanceTimeoutMs === -1) return invalid('RebalanceTimeoutMs must be provided in first request.')
    if (owned === null || owned.length > 0) return invalid('TopicPartitions must be empty when (re-)joining.')
    if (topicNames === null && topicRegex === null) {
      return invalid('Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.')
    }
  } else if (memberEpoch === LEFT_FOR_A_WHILE && instanceId === null) return invalid("InstanceId can't be null.")
  else if (memberEpoch < LEFT_FOR_A_WHILE) return invalid('MemberEpoch is invalid.')
  if ((topicNames?.length ?? 0) > SUBSCRIBED_NAMES_MAX) {
    return invalid(`A member subscribes to at most ${SUBSCRIBED_NAMES_MAX} names.`)
  }
  if (request.assignor !== null && !ASSIGNORS.has(request.assignor)) {
    const names = [...ASSIGNORS.keys()].join(', ')
    return refusal('UNSUPPORTED_ASSIGNOR', `ServerAssignor ${request.assignor} is not supported. Supported: ${names}.`)
  }
  return null
}

// ---- joining and staying

export function consumerHeartbeat(step: ConsumerStep, request: HeartbeatRequest): HeartbeatAnswer {
  const found = findMember(step, request)
  if ('error' in found) return heartbeatRefusal(found)
  const { known, replaces, memberId } = found
  const described = describe(known, memberId, request)
  const hasNewRegex = described.topicRegex !== (known?.topicRegex ?? '')
  const regexRefused = hasNewRegex && described.topicRegex !== '' ? problemWithRegex(step, described.topicRegex) : null
  if (regexRefused !== null) return heartbeatRefusal(refusal('INVALID_REGULAR_EXPRESSION', regexRefused))
  if (!hasRoomInBytes(step, described, known)) {
    const message = `Members of a group say ${step.limits.maxBytes} bytes of themselves at most, in all.`
    return heartbeatRefusal(refusal('GROUP_MAX_SIZE_REACHED', message))
  }
  const isFirst = step.group.members.size === 0
  // Counting is for who names another one: it takes as long as the group is large.
  const assignorBefore = described.assignor === (known?.assignor ?? null) ? null : preferredAssignor(step.group)
  if (replaces !== null) replaceMember(step, replaces, described)
  else if (known !== described) step.change({ kind: 'member', member: described })
  const before = step.group.members.get(memberId) ?? { ...described, ...NO_PROGRESS, target: NO_TARGET }
  const hasNewNames = !isSameList(described.topicNames, known?.topicNames ?? [])
  const hasSubscriptionChanged = hasNewNames || hasNewRegex
  const hasNewAssignor = assignorBefore !== null && preferredAssignor(step.group) !== assignorBefore
  updateEpoch(step, hasSubscriptionChanged || hasNewAssignor)
  updateTargets(step)
  reconcile(step, memberId, request.owned, hasSubscriptionChanged)
  if (isFirst) keepEpoch(step)
  step.timers.set(memberId, { sessionMs: step.nowMs + step.limits.sessionTimeoutMs, joinMs: NEVER, syncMs: NEVER })
  const after = step.member(memberId)
  const isFull =
    request.rebalanceTimeoutMs !== -1 &&
    (request.topicNames !== null || request.topicRegex !== null) &&
    request.owned !== null
  const tellsAssignment = request.memberEpoch === JOINS || isFull || !isSameAssignment(before.assigned, after.assigned)
  return {
    error: 'NONE',
    message: '',
    memberId,
    memberEpoch: after.epoch,
    heartbeatIntervalMs: step.limits.heartbeatIntervalMs,
    assignment: tellsAssignment ? after.assigned : null,
  }
}

/** Null: a member may subscribe by it. */
function problemWithRegex({ topics, group }: ConsumerStep, text: string): string | null {
  if (!topics.isRegex(text)) {
    return `SubscribedTopicRegex is no valid RE2 expression of at most ${REGEX_MAX_LENGTH} characters.`
  }
  if (!topics.isTooSlow(text)) return null
  // A group that waits for it already waits no longer for one member more.
  const isKnown = group.members.values().some(({ topicRegex }) => topicRegex === text)
  return isKnown ? null : 'SubscribedTopicRegex takes too long to match the names of the topics.'
}

/** Who says nothing more than before may go on, whatever the limit is now. */
export function hasRoomInBytes(
  { group, limits }: ConsumerStep,
  described: MemberDescription,
  known: MemberDescription | undefined,
): boolean {
  if (described === known) return true
  const bytes = group.bytesWith(described, known)
  return bytes <= limits.maxBytes || (known !== undefined && descriptionBytes(described) <= descriptionBytes(known))
}

/** The group may expire while its first member is on its way to the disk: then it is made anew, and must go on as this one. */
function keepEpoch(step: ConsumerStep): void {
  const { epoch, targetEpoch, topicsHash } = step.group
  const says = (kind: ConsumerChange['kind']): boolean => step.changes.some(change => change.kind === kind)
  if (!says('epoch')) step.change({ kind: 'epoch', epoch, topicsHash })
  if (!says('target-epoch')) step.change({ kind: 'target-epoch', epoch: targetEpoch })
}

interface Found {
  readonly memberId: string
  /** Undefined for who is new. */
  readonly known: ConsumerMember | undefined
  /** The static member whose place it takes; then `known` is that one. */
  readonly replaces: ConsumerMember | null
}

function findMember(step: ConsumerStep, request: HeartbeatRequest): Found | ConsumerRefusal {
  const { group, limits } = step
  const { memberEpoch, instanceId } = request
  const joins = memberEpoch === JOINS
  const memberId = request.memberId === '' ? request.newMemberId : request.memberId
  const isKnown = group.members.has(memberId) || (instanceId !== null && group.staticIds.has(instanceId))
  if (!isKnown && group.members.size >= limits.maxMembers) {
    const message = `The consumer group has reached its maximum capacity of ${limits.maxMembers} members.`
    return refusal('GROUP_MAX_SIZE_REACHED', message)
  }
  if (instanceId !== null) return findStaticMember(step, request, instanceId, memberId)
  const known = group.members.get(memberId)
  if (known === undefined && !joins) {
    return refusal('UNKNOWN_MEMBER_ID', `Member ${memberId} is not a member of group ${step.groupId}.`)
  }
  return checkEpoch(known, request) ?? { memberId, known, replaces: null }
}

function findStaticMember(
  step: ConsumerStep,
  request: HeartbeatRequest,
  instanceId: string,
  memberId: string,
): Found | ConsumerRefusal {
  const owner = step.group.staticMember(instanceId)
  if (request.memberEpoch === JOINS) {
    if (owner === undefined) return { memberId, known: step.group.members.get(memberId), replaces: null }
    if (owner.classic === null && owner.epoch !== LEFT_FOR_A_WHILE) {
      const message = `Static member ${memberId} with instance id ${instanceId} cannot join the group because the instance id is owned by ${owner.id} member.`
      return refusal('UNRELEASED_INSTANCE_ID', message)
    }
    return { memberId, known: owner, replaces: owner }
  }
  const refused = checkStaticMember(step, instanceId, memberId)
  if (refused !== null) return refused
  return checkEpoch(owner, request) ?? { memberId, known: owner, replaces: null }
}

/** Null: the member has the instance id. */
export function checkStaticMember(step: ConsumerStep, instanceId: string, memberId: string): ConsumerRefusal | null {
  const owner = step.group.staticMember(instanceId)
  if (owner === undefined) return refusal('UNKNOWN_MEMBER_ID', `Instance id ${instanceId} is unknown.`)
  if (owner.id === memberId) return null
  const message = `Static member ${memberId} with instance id ${instanceId} was fenced by member ${owner.id}.`
  return refusal('FENCED_INSTANCE_ID', message)
}

function checkEpoch(known: ConsumerMember | undefined, request: HeartbeatRequest): ConsumerRefusal | null {
  const { memberEpoch, owned } = request
  if (known === undefined || memberEpoch === JOINS || memberEpoch === known.epoch) return null
  // The answer that told the new epoch may have been lost.
  if (memberEpoch < known.epoch && memberEpoch === known.previousEpoch && isWithin(owned, known.assigned)) return null
  const relation = memberEpoch > known.epoch ? 'greater' : 'smaller'
  const message = `The consumer group member has a ${relation} member epoch (${memberEpoch}) than the one known by the group coordinator (${known.epoch}). The member must abandon all its partitions and rejoin.`
  return refusal('FENCED_MEMBER_EPOCH', message)
}

/** The same object if nothing of it is new. */
function describe(
  known: ConsumerMember | undefined,
  id: string,
  request: HeartbeatRequest,
): MemberDescription | ConsumerMember {
  const { clientId, clientHost, rebalanceTimeoutMs } = request
  const names = request.topicNames === null ? null : subscribedNames(request.topicNames)
  const next: MemberDescription = {
    id,
    instanceId: request.instanceId ?? known?.instanceId ?? null,
    rackId: request.rackId ?? known?.rackId ?? null,
    clientId,
    clientHost,
    rebalanceTimeoutMs: rebalanceTimeoutMs === -1 ? (known?.rebalanceTimeoutMs ?? -1) : rebalanceTimeoutMs,
    topicNames: names ?? known?.topicNames ?? [],
    topicRegex: request.topicRegex ?? known?.topicRegex ?? '',
    assignor: request.assignor ?? known?.assignor ?? null,
    classic: null,
  }
  return known !== undefined && isSameDescription(known, next) ? known : next
}

export function isSameDescription(a: MemberDescription, b: MemberDescription): boolean {
  return (
    a.id === b.id &&
    a.instanceId === b.instanceId &&
    a.rackId === b.rackId &&
    a.clientId === b.clientId &&
    a.clientHost === b.clientHost &&
    a.rebalanceTimeoutMs === b.rebalanceTimeoutMs &&
    a.topicRegex === b.topicRegex &&
    a.assignor === b.assignor &&
    a.classic === b.classic &&
    isSameList(a.topicNames, b.topicNames)
  )
}

export function isSameList(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((text, i) => text === b[i]))
}

/** A static member is back under another id, and takes over all that the one before it had. */
export function replaceMember(step: ConsumerStep, replaced: ConsumerMember, by: MemberDescription): void {
  const { target, state, assigned, revoking } = replaced
  step.change({ kind: 'member-gone', memberId: replaced.id })
  step.timers.members.delete(replaced.id)
  step.change({ kind: 'member', member: by })
  step.change({ kind: 'target', memberId: by.id, target })
  const progress = { epoch: 0, previousEpoch: 0, state, assigned, revoking }
  step.change({ kind: 'progress', memberId: by.id, progress })
}

// ---- leaving

export function consumerLeave(step: ConsumerStep, request: HeartbeatRequest): HeartbeatAnswer {
  const { memberId, memberEpoch, instanceId } = request
  const member = instanceId === null ? step.group.members.get(memberId) : step.group.staticMember(instanceId)
  const refused = instanceId === null ? null : checkStaticMember(step, instanceId, memberId)
  if (refused !== null) return heartbeatRefusal(refused)
  if (member === undefined) {
    const message = `Member ${memberId} is not a member of group ${step.groupId}.`
    return heartbeatRefusal(refusal('UNKNOWN_MEMBER_ID', message))
  }
  if (memberEpoch === LEFT_FOR_A_WHILE) leaveForAWhile(step, member)
  else fenceMembers(step, [member])
  const answer = { error: 'NONE', message: '', memberId, memberEpoch } as const
  return { ...answer, heartbeatIntervalMs: 0, assignment: null }
}

/** It keeps its partitions until its session is over. */
function leaveForAWhile(step: ConsumerStep, { id, previousEpoch, state, assigned }: ConsumerMember): void {
  // KIP-1251: who comes back has an epoch of its own, and may commit what it gets.
  const reset = [...assigned].map(
    ([topicId, epochs]) => [topicId, new Map([...epochs.keys()].map(p => [p, 0]))] as const,
  )
  const progress = { epoch: LEFT_FOR_A_WHILE, previousEpoch, state, assigned: new Map(reset), revoking: NO_PARTITIONS }
  step.change({ kind: 'progress', memberId: id, progress })
  step.timers.set(id, { revokeMs: NEVER })
}
