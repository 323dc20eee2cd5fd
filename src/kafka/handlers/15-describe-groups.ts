import { GROUP_OPERATIONS, OPERATIONS_NOT_ASKED } from '#kafka/authorized-operations.ts'
import { defineHandler } from '#kafka/handler.ts'
import { DescribeGroupsRequest, DescribeGroupsResponse } from '#kafka/protocol/apis/15-describe-groups.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'

// DescribeGroups v0-6: classic groups with their members; those of the consumer type are not among them. v6 says that a group is not there (KIP-1043); before, it is Dead.

const NOT_FOUND_FROM = 6

export const describeGroups = defineHandler(
  { request: DescribeGroupsRequest, response: DescribeGroupsResponse, versions: [0, 6] },
  ({ groups, includeAuthorizedOperations }, { broker, version }) => {
    const authorizedOperations = includeAuthorizedOperations ? GROUP_OPERATIONS : OPERATIONS_NOT_ASKED
    return {
      groups: groups.map(groupId => {
        const found = broker.groups.describe(groupId)
        if (found === null) {
          const dead = { groupId, groupState: 'Dead', protocolType: '', protocolData: '', members: [] }
          if (version < NOT_FOUND_FROM) return { errorCode: errorCode('NONE'), ...dead, authorizedOperations }
          const isConsumer = broker.groups.describeConsumer(groupId) !== null
          const errorMessage = isConsumer ? `Group ${groupId} is not a classic group.` : `Group ${groupId} not found.`
          return { errorCode: errorCode('GROUP_ID_NOT_FOUND'), errorMessage, ...dead }
        }
        const { phase, protocolType, protocol, members } = found
        return {
          errorCode: errorCode('NONE'),
          groupId,
          groupState: phase,
          protocolType: protocolType ?? '',
          protocolData: phase === 'Stable' ? (protocol ?? '') : '',
          members: members.map(member => ({
            memberId: member.id,
            groupInstanceId: member.instanceId,
            clientId: member.clientId,
            clientHost: member.clientHost,
            memberMetadata: member.metadata,
            memberAssignment: member.assignment,
          })),
          authorizedOperations,
        }
      }),
    }
  },
)
