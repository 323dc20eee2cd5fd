import { keepTogether } from '#bytes/keep.ts'
import { defineHandler } from '#kafka/handler.ts'
import { JoinGroupRequest, JoinGroupResponse } from '#kafka/protocol/apis/11-join-group.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'

// JoinGroup v0-9. The answer comes when all members have joined, or the time for it is over.

const REBALANCE_TIMEOUT_FROM = 1
const KNOWN_ID_FROM = 4
const NULL_PROTOCOL_FROM = 7
const SKIP_ASSIGNMENT_FROM = 9

export const joinGroup = defineHandler(
  { request: JoinGroupRequest, response: JoinGroupResponse, versions: [0, 9] },
  async (request, { broker, version, clientId, clientHost, onGone }) => {
    const { groupId, memberId, groupInstanceId, sessionTimeoutMs, protocolType } = request
    const kept = keepTogether(request.protocols.map(({ metadata }) => metadata))
    const answer = await broker.groups.join(
      groupId,
      {
        memberId,
        instanceId: groupInstanceId,
        clientId,
        clientHost,
        sessionTimeoutMs,
        rebalanceTimeoutMs: version >= REBALANCE_TIMEOUT_FROM ? request.rebalanceTimeoutMs : sessionTimeoutMs,
        protocolType,
        protocols: request.protocols.map(({ name }, i) => ({ name, metadata: kept[i]! })),
        requiresKnownId: version >= KNOWN_ID_FROM,
        canSkipAssignment: version >= SKIP_ASSIGNMENT_FROM,
      },
      onGone,
    )
    return {
      errorCode: errorCode(answer.error),
      generationId: answer.generation,
      protocolType: answer.protocolType,
      protocolName: answer.protocol ?? (version >= NULL_PROTOCOL_FROM ? null : ''),
      leader: answer.leaderId,
      skipAssignment: answer.skipAssignment,
      memberId: answer.memberId,
      members: answer.members.map(member => ({ ...member, groupInstanceId: member.instanceId })),
    }
  },
)
