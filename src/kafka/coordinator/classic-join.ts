import { unreachable } from '#base/assert.ts'
import type { KafkaErrorName } from '#kafka/protocol/protocol.ts'
import {
  bytesOf,
  type ClassicGroup,
  type Member,
  NO_BYTES,
  offersSame,
  type Protocol,
  type Token,
} from './classic-group.ts'
import {
  checkMember,
  completeJoinIfAllAreThere,
  joinAnswer,
  joinRefusal,
  membersFor,
  rebalance,
  refuseWaiting,
  type Step,
  touch,
} from './classic-steps.ts'

// JoinGroup of a classic group (Kafka: GroupMetadataManager.classicGroupJoin). Each request is answered once: in this step, or in
// a later one that completes the rebalance it waits for.

export interface JoinRequest {
  readonly token: Token
  /** '' for who is new. */
  readonly memberId: string
  /** The id it gets if it is new. */
  readonly newMemberId: string
  readonly instanceId: string | null
  readonly clientId: string
  readonly clientHost: string
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
  readonly protocolType: string
  readonly protocols: readonly Protocol[]
  /** KIP-394: who is new is given its id first, and joins with it. */
  readonly requiresKnownId: boolean
  /** KIP-814 */
  readonly canSkipAssignment: boolean
}

export function joinClassic(group: ClassicGroup, request: JoinRequest, step: Step): void {
  const { token, memberId } = request
  const refuse = (error: KafkaErrorName, id = memberId): void => {
    step.answers.push({ token, answer: joinRefusal(error, id) })
  }
  if (!hasRoomFor(group, memberId, step)) {
    group.remove(memberId)
    refuse('GROUP_MAX_SIZE_REACHED', '')
  } else if (group.bytesBesides(placeOf(group, request)) + bytesOf(request.protocols) > step.limits.maxBytes) {
    refuse('GROUP_MAX_SIZE_REACHED', '')
  } else if (!group.supports(request.protocolType, request.protocols)) refuse('INCONSISTENT_GROUP_PROTOCOL')
  else if (memberId === '') joinNew(group, request, step)
  else if (group.pending.has(memberId) && request.instanceId === null) addMember(group, memberId, request, step)
  else {
    const error = checkMember(group, memberId, request.instanceId)
    if (error === 'NONE') joinAgain(group, group.members.get(memberId)!, request, step)
    else refuse(error)
  }
}

function hasRoomFor(group: ClassicGroup, memberId: string, { limits }: Step): boolean {
  switch (group.phase) {
    case 'Empty':
      return true
    case 'PreparingRebalance':
      return (group.members.get(memberId)?.joinToken ?? null) !== null || group.joinedCount < limits.maxMembers
    case 'CompletingRebalance':
    case 'Stable':
      return group.members.has(memberId) || group.members.size < limits.maxMembers
    default:
      return unreachable(group.phase)
  }
}

/** Id of the member that who joins is, or takes the place of; '' for none. */
function placeOf(group: ClassicGroup, { memberId, instanceId }: JoinRequest): string {
  if (memberId !== '' || instanceId === null) return memberId
  return group.staticIds.get(instanceId) ?? ''
}

function joinNew(group: ClassicGroup, request: JoinRequest, step: Step): void {
  const { instanceId, newMemberId } = request
  const known = group.members.get(placeOf(group, request))
  if (known !== undefined) comeBack(group, known, request, step)
  else if (instanceId === null && request.requiresKnownId && group.pending.size >= step.limits.maxMembers) {
    step.answers.push({ token: request.token, answer: joinRefusal('GROUP_MAX_SIZE_REACHED', '') })
  } else if (instanceId === null && request.requiresKnownId) {
    group.pending.set(newMemberId, step.nowMs + request.sessionTimeoutMs)
    step.answers.push({ token: request.token, answer: joinRefusal('MEMBER_ID_REQUIRED', newMemberId) })
  } else addMember(group, newMemberId, request, step)
}

function addMember(group: ClassicGroup, id: string, request: JoinRequest, step: Step): void {
  const { instanceId, clientId, clientHost, sessionTimeoutMs, rebalanceTimeoutMs, protocols, token } = request
  const member: Member = {
    id,
    instanceId,
    clientId,
    clientHost,
    sessionTimeoutMs,
    rebalanceTimeoutMs,
    protocols,
    assignment: NO_BYTES,
    joinToken: token,
    syncToken: null,
    isNew: true,
    expiresMs: 0,
  }
  if (group.members.size === 0) group.protocolType = request.protocolType
  group.add(member)
  touch(member, step)
  if (group.delayLeftMs !== null) group.memberCameSinceDelay = true
  rebalance(group, step)
}

/** A member that is known by its id joins again. */
function joinAgain(group: ClassicGroup, member: Member, request: JoinRequest, step: Step): void {
  const isSame = offersSame(member, request.protocols)
  const isLeader = group.leaderId === member.id
  switch (group.phase) {
    case 'PreparingRebalance':
      update(group, member, request, step)
      completeJoinIfAllAreThere(group, step)
      return
    case 'CompletingRebalance':
    case 'Stable':
      // The answer it got before was lost; only the leader of a stable group asks for a new generation by joining.
      if (isSame && !(isLeader && group.phase === 'Stable')) {
        touch(member, step)
        step.answers.push({ token: request.token, answer: joinAnswer(group, member) })
        return
      }
      update(group, member, request, step)
      rebalance(group, step)
      return
    case 'Empty':
      step.answers.push({ token: request.token, answer: joinRefusal('UNKNOWN_MEMBER_ID', request.memberId) })
      return
    default:
      unreachable(group.phase)
  }
}

function update(group: ClassicGroup, member: Member, request: JoinRequest, step: Step): void {
  // Who asks twice hears of the newer request alone; the connection of the older one is gone.
  refuseWaiting(member, 'REBALANCE_IN_PROGRESS', step)
  group.offer(member, request.protocols)
  member.sessionTimeoutMs = request.sessionTimeoutMs
  member.rebalanceTimeoutMs = request.rebalanceTimeoutMs
  member.clientId = request.clientId
  member.clientHost = request.clientHost
  member.joinToken = request.token
  touch(member, step)
}

/** KIP-345: a static member that was restarted takes the place it had, under a new id. */
function comeBack(group: ClassicGroup, member: Member, request: JoinRequest, step: Step): void {
  const oldLeaderId = group.leaderId ?? ''
  refuseWaiting(member, 'FENCED_INSTANCE_ID', step)
  group.rename(member, request.newMemberId)
  update(group, member, request, step)
  if (group.phase !== 'Stable' || group.selectProtocol() !== group.protocol) {
    rebalance(group, step)
    return
  }
  // Nothing changes for the others. A leader that cannot be told to skip the assignment is not told that it leads.
  member.joinToken = null
  const isLeader = group.leaderId === member.id
  const answer = request.canSkipAssignment
    ? { ...joinAnswer(group, member), members: isLeader ? membersFor(group) : [], skipAssignment: isLeader }
    : { ...joinAnswer(group, member), members: [], leaderId: oldLeaderId }
  step.save = { kind: 'returned', memberId: member.id, token: request.token, answer }
}
