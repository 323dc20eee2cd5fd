import { defineHandler } from '#kafka/handler.ts'
import { LeaveGroupRequest, LeaveGroupResponse } from '#kafka/protocol/apis/13-leave-group.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'

// LeaveGroup v0-5. v3: several members, static ones by their instance id alone.

const SEVERAL_FROM = 3

export const leaveGroup = defineHandler(
  { request: LeaveGroupRequest, response: LeaveGroupResponse, versions: [0, 5] },
  async ({ groupId, memberId, members }, { broker, version }) => {
    if (groupId === '') return { errorCode: errorCode('INVALID_GROUP_ID') }
    const isOne = version < SEVERAL_FROM
    const leaving = isOne
      ? [{ memberId, instanceId: null }]
      : members.map(member => ({ memberId: member.memberId, instanceId: member.groupInstanceId }))
    const errors = await broker.groups.leave(groupId, leaving)
    if (isOne) return { errorCode: errorCode(errors[0] ?? 'NONE') }
    const answers = leaving.map((member, i) => ({
      memberId: member.memberId,
      groupInstanceId: member.instanceId,
      errorCode: errorCode(errors[i] ?? 'NONE'),
    }))
    return { errorCode: errorCode('NONE'), members: answers }
  },
)
