import { defineHandler } from '#kafka/handler.ts'
import { ListGroupsRequest, ListGroupsResponse } from '#kafka/protocol/apis/16-list-groups.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'

// ListGroups v0-5. v4: only those in given states. v5: only those of given types. Names are compared without case, as in Kafka.

export const listGroups = defineHandler(
  { request: ListGroupsRequest, response: ListGroupsResponse, versions: [0, 5] },
  ({ statesFilter, typesFilter }, { broker }) => {
    const isWanted = (filter: readonly string[], name: string): boolean =>
      filter.length === 0 || filter.some(one => one.toLowerCase() === name.toLowerCase())
    const groups = broker.groups
      .list()
      .filter(({ state, type }) => isWanted(statesFilter, state) && isWanted(typesFilter, type))
      .map(({ id, type, state, protocolType }) => ({
        groupId: id,
        protocolType: protocolType ?? '',
        groupState: state,
        groupType: type,
      }))
    return { errorCode: errorCode('NONE'), groups }
  },
)
