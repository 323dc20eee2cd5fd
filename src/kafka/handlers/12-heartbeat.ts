import { defineHandler } from '#kafka/handler.ts'
import { HeartbeatRequest, HeartbeatResponse } from '#kafka/protocol/apis/12-heartbeat.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'

// Heartbeat v0-4.

export const heartbeat = defineHandler(
  { request: HeartbeatRequest, response: HeartbeatResponse, versions: [0, 4] },
  async ({ groupId, memberId, groupInstanceId, generationId }, { broker }) => {
    const caller = { memberId, instanceId: groupInstanceId, generation: generationId }
    return { errorCode: errorCode(await broker.groups.heartbeat(groupId, caller)) }
  },
)
