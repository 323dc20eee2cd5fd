import { keepTogether } from '#bytes/keep.ts'
import { defineHandler } from '#kafka/handler.ts'
import { SyncGroupRequest, SyncGroupResponse } from '#kafka/protocol/apis/14-sync-group.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'

// SyncGroup v0-5. The leader brings the assignments; the others wait for them until they are durable.

const PROTOCOL_FROM = 5

export const syncGroup = defineHandler(
  { request: SyncGroupRequest, response: SyncGroupResponse, versions: [0, 5] },
  async (request, { broker, version, onGone }) => {
    const { groupId, generationId, memberId, groupInstanceId, protocolType, protocolName } = request
    if (version >= PROTOCOL_FROM && (protocolType === null || protocolName === null)) {
      return { errorCode: errorCode('INCONSISTENT_GROUP_PROTOCOL'), assignment: Buffer.alloc(0) }
    }
    const kept = keepTogether(request.assignments.map(({ assignment }) => assignment))
    const answer = await broker.groups.sync(
      groupId,
      {
        memberId,
        instanceId: groupInstanceId,
        generation: generationId,
        protocolType,
        protocol: protocolName,
        assignments: new Map(request.assignments.map(({ memberId }, i) => [memberId, kept[i]!])),
      },
      onGone,
    )
    return {
      errorCode: errorCode(answer.error),
      protocolType: answer.protocolType,
      protocolName: answer.protocol,
      assignment: answer.assignment,
    }
  },
)
