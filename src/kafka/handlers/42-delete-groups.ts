import { defineHandler } from '#kafka/handler.ts'
import { DeleteGroupsRequest, DeleteGroupsResponse } from '#kafka/protocol/apis/42-delete-groups.ts'
import { errorCode, kafkaErrors } from '#kafka/protocol/protocol.ts'

// DeleteGroups v0-3: groups without members, with their offsets.

export const deleteGroups = defineHandler(
  { request: DeleteGroupsRequest, response: DeleteGroupsResponse, versions: [0, 3] },
  async ({ groupsNames }, { broker }) => {
    const results = await Promise.all(
      [...new Set(groupsNames)].map(async groupId => {
        const error = await broker.groups.remove(groupId)
        const errorMessage = error === 'NONE' ? null : kafkaErrors[error].message
        return { groupId, errorCode: errorCode(error), errorMessage }
      }),
    )
    return { results }
  },
)
