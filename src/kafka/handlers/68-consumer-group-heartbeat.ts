import { partitionsIn } from '#core/consumer-groups.ts'
import { defineHandler } from '#kafka/handler.ts'
import {
  ConsumerGroupHeartbeatRequest,
  ConsumerGroupHeartbeatResponse,
} from '#kafka/protocol/apis/68-consumer-group-heartbeat.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'

// ConsumerGroupHeartbeat v0-1 (KIP-848): how members of a consumer group join, stay, get their partitions and leave. v1: regular
// expressions, and member ids that clients make.

export const consumerGroupHeartbeat = defineHandler(
  { request: ConsumerGroupHeartbeatRequest, response: ConsumerGroupHeartbeatResponse, versions: [0, 1] },
  async (request, { broker, version, clientId, clientHost }) => {
    const { memberId, memberEpoch, instanceId, rackId, rebalanceTimeoutMs } = request
    const answer = await broker.groups.consumerHeartbeat(
      request.groupId,
      {
        ...{ memberId, memberEpoch, instanceId, rackId, clientId, clientHost, rebalanceTimeoutMs },
        topicNames: request.subscribedTopicNames,
        topicRegex: request.subscribedTopicRegex,
        assignor: request.serverAssignor,
        owned: request.topicPartitions,
      },
      version,
    )
    const topicPartitions =
      answer.assignment === null
        ? null
        : [...partitionsIn(answer.assignment)].map(([topicId, partitions]) => ({ topicId, partitions }))
    return {
      errorCode: errorCode(answer.error),
      errorMessage: answer.error === 'NONE' ? null : answer.message,
      memberId: answer.memberId,
      memberEpoch: answer.memberEpoch,
      heartbeatIntervalMs: answer.heartbeatIntervalMs,
      assignment: topicPartitions === null ? null : { topicPartitions },
    }
  },
)
