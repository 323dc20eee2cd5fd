import { defineHandler } from '#kafka/handler.ts'
import { LeaveGroupRequest, LeaveGroupResponse } from '#kafka/protocol/apis/13-leave-group.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'

// LeaveGroup v0-5. v3: several members, static ones by their instance id alone.

const SEVERAL_FROM = 3

export const leaveGroup = defineHandler(
  { request: LeaveGroupRequest, response: LeaveGroupResponse, versions: [0, 5] },
  async ({ groupId, memberId, members }, { broker, version }) => {
    if (groupId === '') return { errorCode: errorCode('INVALID_GROUP_ID') }
    if (version < SEVERAL_FROM) {
      return { errorCode: errorCode(await broker.groups.leave(groupId, { memberId, instanceId: null })) }
    }
    const leaving = members.map(async ({ memberId: id, groupInstanceId }) => ({
      memberId: id,
      groupInstanceId,
      errorCode: errorCode(await broker.groups.leave(groupId, { memberId: id, instanceId: groupInstanceId })),
    }))
    const answers = await Promise.all(leaving)
    return { errorCode: errorCode('NONE'), members: answers }
  },
)
