import { type ConsumerMember, type MemberDescription, partitionsIn } from '#core/consumer-groups.ts'
import type { KafkaErrorName } from '#kafka/protocol/protocol.ts'
import { offersSame } from './classic-group.ts'
import type { JoinRequest } from './classic-join.ts'
import type { Caller, SyncRequest } from './classic-requests.ts'
import { type JoinAnswer, joinRefusal, type SyncAnswer, syncRefusal } from './classic-steps.ts'
import {
  checkStaticMember,
  hasRoomInBytes,
  isSameDescription,
  isSameList,
  replaceMember,
} from './consumer-heartbeat.ts'
import { fenceMembers } from './consumer-members.ts'
import { downgradeTo, mayDowngrade, namedPartitions } from './consumer-migration.ts'
import {
  CONSUMER_PROTOCOL,
  readSubscription,
  type Subscription,
  subscribedNames,
  writeAssigned,
} from './consumer-protocol.ts'
import { type Owned, reconcile } from './consumer-reconcile.ts'
import { type ConsumerStep, NEVER } from './consumer-step.ts'
import { updateEpoch, updateTargets } from './consumer-target.ts'

// Members of a consumer group that still speak the classic protocol (Kafka: classicGroup...ToConsumerGroup). JoinGroup is their
// heartbeat: they join again whenever they have something to give up or to get, are told their epoch as the generation, and
// fetch with SyncGroup what they have. None of them leads.

// ---- JoinGroup

export function classicJoin(step: ConsumerStep, request: Omit<JoinRequest, 'token'>): JoinAnswer {
  const { instanceId, protocols, rebalanceTimeoutMs, sessionTimeoutMs } = request
  const refuse = (error: KafkaErrorName, id = request.memberId): JoinAnswer => joinRefusal(error, id)
  const isNew = request.memberId === ''
  const memberId = isNew ? request.newMemberId : request.memberId
  if (step.limits.migrationPolicy === 'disabled') return refuse('INCONSISTENT_GROUP_PROTOCOL')
  if (!hasRoomFor(step, memberId, instanceId)) return refuse('GROUP_MAX_SIZE_REACHED', '')
  const subscription = supportsProtocols(step, request) ? readSubscription(protocols[0]!.metadata) : null
  if (subscription === null) return refuse('INCONSISTENT_GROUP_PROTOCOL')
  const owner = instanceId === null ? undefined : step.group.staticMember(instanceId)
  const known = owner ?? step.group.members.get(memberId)
  const described = describe(known, memberId, request, subscription)
  if (!hasRoomInBytes(step, described, known)) return refuse('GROUP_MAX_SIZE_REACHED', '')
  if (isNew && instanceId === null && request.requiresKnownId) return refuse('MEMBER_ID_REQUIRED', memberId)
  const refused = instanceId === null || isNew ? null : checkStaticMember(step, instanceId, memberId)
  if (refused !== null) return refuse(refused.error)
  if (owner !== undefined && isNew) replaceMember(step, owner, described)
  else if (known !== described) step.change({ kind: 'member', member: described })
  // The last one that spoke the consumer protocol is back, and speaks it no more.
  const becomesClassic =
    owner !== undefined && owner.classic === null && mayDowngrade(step, [...step.group.members.values()])
  const hasChanged = !isSameList(described.topicNames, known?.topicNames ?? []) || (known?.topicRegex ?? '') !== ''
  updateEpoch(step, hasChanged)
  if (!becomesClassic) updateTargets(step)
  if (!becomesClassic || !hasChanged) reconcile(step, memberId, ownedOf(step, subscription), hasChanged)
  const { epoch } = step.member(memberId)
  const { nowMs } = step
  const sessionMs = nowMs + sessionTimeoutMs
  step.timers.set(memberId, { sessionMs, joinMs: NEVER, syncMs: nowMs + rebalanceTimeoutMs, revokeMs: NEVER })
  if (becomesClassic) downgradeTo(step, [...step.group.members.values()], !isSettled(step))
  // Of a group that rebalances it hears at SyncGroup.
  const generation = becomesClassic ? step.group.epoch : epoch
  const answer = { kind: 'join', error: 'NONE', memberId, generation, protocolType: CONSUMER_PROTOCOL } as const
  return { ...answer, protocol: protocols[0]!.name, leaderId: '', skipAssignment: false, members: [] }
}

/** Does everybody have what it is to have, and know so? */
function isSettled({ group }: ConsumerStep): boolean {
  if (group.targetEpoch !== group.epoch) return false
  for (const { state, epoch } of group.members.values()) if (state !== 'stable' || epoch !== group.epoch) return false
  return true
}

function hasRoomFor({ group, limits }: ConsumerStep, memberId: string, instanceId: string | null): boolean {
  if (group.members.size < limits.maxMembers || group.members.has(memberId)) return true
  return instanceId !== null && group.staticIds.has(instanceId)
}

/** Is there a protocol among these that all who speak the classic protocol can do? */
function supportsProtocols(step: ConsumerStep, { protocolType, protocols }: Omit<JoinRequest, 'token'>): boolean {
  if (protocolType !== CONSUMER_PROTOCOL) return false
  const others = [...step.group.members.values()].flatMap(({ classic }) =>
    classic === null ? [] : [classic.protocols],
  )
  return protocols.some(({ name }) => others.every(known => known.some(protocol => protocol.name === name)))
}

/** The same object if nothing of it is new: who joins again and again must not fill the disk. */
function describe(
  known: ConsumerMember | undefined,
  id: string,
  request: Omit<JoinRequest, 'token'>,
  { topics, rackId }: Subscription,
): MemberDescription | ConsumerMember {
  const { instanceId, clientId, clientHost, rebalanceTimeoutMs, sessionTimeoutMs, protocols } = request
  const before = known?.classic ?? null
  const hasSameSide = before !== null && before.sessionTimeoutMs === sessionTimeoutMs && offersSame(before, protocols)
  const next: MemberDescription = {
    ...{ id, clientId, clientHost, rebalanceTimeoutMs },
    instanceId: instanceId ?? known?.instanceId ?? null,
    rackId: rackId ?? known?.rackId ?? null,
    topicNames: subscribedNames(topics),
    topicRegex: '',
    assignor: known?.assignor ?? null,
    classic: hasSameSide ? before : { sessionTimeoutMs, protocols },
  }
  return known !== undefined && isSameDescription(known, next) ? known : next
}

function ownedOf(step: ConsumerStep, { owned }: Subscription): Owned {
  return [...owned].flatMap(([name, partitions]) => {
    const topicId = step.topics.idOf(name)
    return topicId === undefined ? [] : [{ topicId, partitions }]
  })
}

// ---- SyncGroup and Heartbeat

export function classicSync(step: ConsumerStep, request: Omit<SyncRequest, 'token'>): SyncAnswer {
  const member = memberOf(step, request)
  if (typeof member === 'string') return syncRefusal(member)
  const protocol = member.classic?.protocols[0]
  const isOther = (asked: string | null, ours: string | undefined): boolean => asked !== null && asked !== ours
  if (isOther(request.protocolType, CONSUMER_PROTOCOL) || isOther(request.protocol, protocol?.name)) {
    return syncRefusal('INCONSISTENT_GROUP_PROTOCOL')
  }
  if (isBehind(step, member) && member.state !== 'unrevoked') {
    awaitJoin(step, member)
    return syncRefusal('REBALANCE_IN_PROGRESS')
  }
  step.timers.set(member.id, { sessionMs: sessionEndOf(step, member), syncMs: NEVER })
  const version = protocol === undefined ? 0 : (readSubscription(protocol.metadata)?.version ?? 0)
  return {
    kind: 'sync',
    error: 'NONE',
    protocolType: CONSUMER_PROTOCOL,
    protocol: protocol?.name ?? null,
    assignment: writeAssigned(version, namedPartitions(step.topics, partitionsIn(member.assigned))),
  }
}

export function classicHeartbeat(step: ConsumerStep, caller: Caller): KafkaErrorName {
  const member = memberOf(step, caller)
  if (typeof member === 'string') return member
  step.timers.set(member.id, { sessionMs: sessionEndOf(step, member) })
  // There may be nobody else who would find out that topics have changed.
  updateEpoch(step, false)
  const joinsAgain =
    isBehind(step, member) ||
    member.state === 'unrevoked' ||
    (member.state === 'unreleased' && !waitsForOthers(step, member))
  if (!joinsAgain) return 'NONE'
  awaitJoin(step, member)
  return 'REBALANCE_IN_PROGRESS'
}

/** Is there a target for it to come for, or may there be one? Kafka lets it join again and again until there may. */
function isBehind(step: ConsumerStep, { epoch }: ConsumerMember): boolean {
  const { group, timers, limits, nowMs } = step
  const { targetEpoch } = group
  if (epoch < targetEpoch || targetEpoch === group.epoch) return epoch < targetEpoch
  if (!step.knowsTopics()) return false
  return timers.assignedMs === null || nowMs >= timers.assignedMs + limits.assignmentIntervalMs
}

function awaitJoin({ timers, nowMs }: ConsumerStep, { id, rebalanceTimeoutMs }: ConsumerMember): void {
  if (timers.of(id).joinMs === NEVER) timers.set(id, { joinMs: nowMs + rebalanceTimeoutMs })
}

function sessionEndOf({ nowMs }: ConsumerStep, { classic }: ConsumerMember): number {
  return nowMs + (classic?.sessionTimeoutMs ?? 0)
}

/** Has somebody else what it is to get? */
function waitsForOthers({ group }: ConsumerStep, { target, assigned }: ConsumerMember): boolean {
  for (const [topicId, partitions] of target) {
    for (const partition of partitions) {
      const isMissing = assigned.get(topicId)?.has(partition) !== true
      if (isMissing && group.ownerOf(topicId, partition) !== undefined) return true
    }
  }
  return false
}

/** The member that a caller is, or why it is not. */
function memberOf(step: ConsumerStep, { memberId, instanceId, generation }: Caller): ConsumerMember | KafkaErrorName {
  const refused = instanceId === null ? null : checkStaticMember(step, instanceId, memberId)
  if (refused !== null) return refused.error
  const member = step.group.members.get(memberId)
  if (member === undefined || member.classic === null) return 'UNKNOWN_MEMBER_ID'
  return member.epoch === generation ? member : 'ILLEGAL_GENERATION'
}

// ---- LeaveGroup

/** Members of either protocol: an administrator removes static ones by their instance id alone. */
export function classicLeave(
  step: ConsumerStep,
  leaving: readonly Omit<Caller, 'generation'>[],
): readonly KafkaErrorName[] {
  const gone = new Set<ConsumerMember>()
  const errors = leaving.map(({ memberId, instanceId }): KafkaErrorName => {
    const member = instanceId === null ? step.group.members.get(memberId) : step.group.staticMember(instanceId)
    if (member === undefined) return 'UNKNOWN_MEMBER_ID'
    if (instanceId !== null && memberId !== '' && member.id !== memberId) return 'FENCED_INSTANCE_ID'
    gone.add(member)
    return 'NONE'
  })
  fenceMembers(step, [...gone])
  return errors
}
