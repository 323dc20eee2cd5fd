import { unreachable } from '#base/assert.ts'
import type { KafkaErrorName } from '#kafka/protocol/protocol.ts'
import type { ClassicGroup, Token } from './classic-group.ts'
import {
  checkMember,
  dismiss,
  membersWent,
  type Step,
  saveAssignments,
  syncAnswer,
  syncRefusal,
  touch,
} from './classic-steps.ts'

// What members ask of a classic group besides joining it (Kafka: GroupMetadataManager.classicGroupSync, -Heartbeat, -Leave).

/** How a member names itself. */
export interface Caller {
  readonly memberId: string
  readonly instanceId: string | null
  readonly generation: number
}

export interface SyncRequest extends Caller {
  readonly token: Token
  readonly protocolType: string | null
  readonly protocol: string | null
  readonly assignments: ReadonlyMap<string, Buffer>
}

export function syncClassic(group: ClassicGroup, request: SyncRequest, step: Step): void {
  const error = checkSync(group, request)
  if (error !== 'NONE') {
    step.answers.push({ token: request.token, answer: syncRefusal(error) })
    return
  }
  const member = group.members.get(request.memberId)!
  if (member.syncToken !== null) {
    step.answers.push({ token: member.syncToken, answer: syncRefusal('REBALANCE_IN_PROGRESS') })
    member.syncToken = null
  }
  group.unsynced.delete(member.id)
  touch(member, step)
  if (group.phase === 'Stable') {
    step.answers.push({ token: request.token, answer: syncAnswer(group, member) })
    return
  }
  member.syncToken = request.token
  if (group.leaderId === member.id && group.saving === null) saveAssignments(group, request.assignments, step)
}

function checkSync(group: ClassicGroup, request: SyncRequest): KafkaErrorName {
  const error = checkCaller(group, request)
  if (error !== 'NONE') return error
  if (differs(request.protocolType, group.protocolType) || differs(request.protocol, group.protocol)) {
    return 'INCONSISTENT_GROUP_PROTOCOL'
  }
  if (group.phase === 'Empty') return 'UNKNOWN_MEMBER_ID'
  return group.phase === 'PreparingRebalance' ? 'REBALANCE_IN_PROGRESS' : 'NONE'
}

function differs(asked: string | null, actual: string | null): boolean {
  return asked !== null && actual !== null && asked !== actual
}

function checkCaller(group: ClassicGroup, caller: Caller): KafkaErrorName {
  const error = checkMember(group, caller.memberId, caller.instanceId)
  if (error !== 'NONE') return error
  return caller.generation === group.generation ? 'NONE' : 'ILLEGAL_GENERATION'
}

export function heartbeatClassic(group: ClassicGroup, caller: Caller, step: Step): KafkaErrorName {
  const error = checkCaller(group, caller)
  if (error !== 'NONE') return error
  switch (group.phase) {
    case 'Empty':
      return 'UNKNOWN_MEMBER_ID'
    case 'PreparingRebalance':
      touch(group.members.get(caller.memberId)!, step)
      return 'REBALANCE_IN_PROGRESS'
    case 'CompletingRebalance':
    case 'Stable':
      touch(group.members.get(caller.memberId)!, step)
      return 'NONE'
    default:
      return unreachable(group.phase)
  }
}

/** An administrator names a static member by its instance id alone. */
export function leaveClassic(
  group: ClassicGroup,
  { memberId, instanceId }: Omit<Caller, 'generation'>,
  step: Step,
): KafkaErrorName {
  if (group.pending.delete(memberId)) {
    membersWentWhilePreparing(group, step)
    return 'NONE'
  }
  const id = memberId === '' && instanceId !== null ? (group.staticIds.get(instanceId) ?? '') : memberId
  const error = checkMember(group, id, instanceId)
  if (error === 'NONE') dismiss(group, group.members.get(id)!, step)
  return error
}

function membersWentWhilePreparing(group: ClassicGroup, step: Step): void {
  if (group.phase === 'PreparingRebalance') membersWent(group, step)
}

/** May these offsets be committed? Kafka: ClassicGroup.validateOffsetCommit */
export function checkCommit(group: ClassicGroup, caller: Caller, isTransactional: boolean, step: Step): KafkaErrorName {
  const { memberId, instanceId, generation } = caller
  if (generation < 0 && group.phase === 'Empty') return 'NONE'
  if (generation >= 0 || memberId !== '' || instanceId !== null) {
    const error = checkCaller(group, caller)
    if (error !== 'NONE') return error
  } else if (!isTransactional && group.phase !== 'Empty') return 'UNKNOWN_MEMBER_ID'
  if (!isTransactional && group.phase === 'CompletingRebalance') return 'REBALANCE_IN_PROGRESS'
  const member = group.members.get(memberId)
  if (member !== undefined && !isTransactional) touch(member, step)
  return 'NONE'
}
