import { type ConsumerGroup, type ConsumerMember, partitionsIn } from '#core/consumer-groups.ts'
import { GROUP_OPERATIONS, OPERATIONS_NOT_ASKED } from '#kafka/authorized-operations.ts'
import type { Broker } from '#kafka/broker.ts'
import { preferredAssignor } from '#kafka/coordinator/consumer-target.ts'
import { consumerPhase } from '#kafka/coordinator/consumer-view.ts'
import { defineHandler } from '#kafka/handler.ts'
import {
  ConsumerGroupDescribeRequest,
  ConsumerGroupDescribeResponse,
} from '#kafka/protocol/apis/69-consumer-group-describe.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'

// ConsumerGroupDescribe v0-1: groups of the consumer type with their members. v1: which protocol a member speaks (KIP-1099).

type GroupAnswer = ConsumerGroupDescribeResponse['groups'][number]
type MemberAnswer = GroupAnswer['members'][number]
type TopicAnswer = MemberAnswer['assignment']['topicPartitions'][number]

const SPEAKS_CLASSIC = 0
const SPEAKS_CONSUMER = 1

export const consumerGroupDescribe = defineHandler(
  { request: ConsumerGroupDescribeRequest, response: ConsumerGroupDescribeResponse, versions: [0, 1] },
  ({ groupIds, includeAuthorizedOperations }, { broker }) => {
    const authorizedOperations = includeAuthorizedOperations ? GROUP_OPERATIONS : OPERATIONS_NOT_ASKED
    return {
      groups: groupIds.map(groupId => {
        const group = groupId === '' ? null : broker.groups.describeConsumer(groupId)
        return group === null ? absent(groupId, broker) : { ...described(groupId, group, broker), authorizedOperations }
      }),
    }
  },
)

function absent(groupId: string, { groups }: Broker): GroupAnswer {
  const none = { groupId, groupState: '', groupEpoch: 0, assignmentEpoch: 0, assignorName: '', members: [] }
  if (groupId === '') return { errorCode: errorCode('INVALID_GROUP_ID'), ...none }
  const isClassic = groups.describe(groupId) !== null
  const errorMessage = isClassic ? `Group ${groupId} is not a consumer group.` : `Group ${groupId} not found.`
  return { errorCode: errorCode('GROUP_ID_NOT_FOUND'), errorMessage, ...none }
}

function described(groupId: string, group: ConsumerGroup, broker: Broker): GroupAnswer {
  return {
    errorCode: errorCode('NONE'),
    groupId,
    groupState: consumerPhase(group),
    groupEpoch: group.epoch,
    assignmentEpoch: group.targetEpoch,
    assignorName: preferredAssignor(group),
    members: [...group.members.values()].map(member => memberAnswer(member, broker)),
  }
}

function memberAnswer(member: ConsumerMember, broker: Broker): MemberAnswer {
  return {
    memberId: member.id,
    instanceId: member.instanceId,
    rackId: member.rackId,
    memberEpoch: member.epoch,
    clientId: member.clientId,
    clientHost: member.clientHost,
    subscribedTopicNames: member.topicNames,
    subscribedTopicRegex: member.topicRegex,
    assignment: { topicPartitions: topicsOf(partitionsIn(member.assigned), broker) },
    targetAssignment: { topicPartitions: topicsOf(member.target, broker) },
    memberType: member.classic === null ? SPEAKS_CONSUMER : SPEAKS_CLASSIC,
  }
}

/** A topic that was deleted meanwhile has no name any more. */
function topicsOf(partitions: Iterable<readonly [string, readonly number[]]>, { log }: Broker): TopicAnswer[] {
  return [...partitions].flatMap(([topicId, indexes]) => {
    const topic = log.state.topicsById.get(topicId)
    return topic === undefined ? [] : [{ topicId, topicName: topic.name, partitions: indexes }]
  })
}
