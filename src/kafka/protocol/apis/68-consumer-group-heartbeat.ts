import {
  type ApiId,
  array,
  type Decoded,
  type Encodable,
  int16,
  int32,
  request,
  response,
  string,
  struct,
  uuid,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 68, name: 'ConsumerGroupHeartbeat', versions: '0-1', flexibleFrom: 0 }

const topicPartitions = { topicId: uuid(), partitions: array(int32()) }

// KIP-848. v1: subscription by regular expression; the client makes its member id (KIP-1082).
export const ConsumerGroupHeartbeatRequest = request(api, {
  groupId: string(),
  memberId: string(),
  // 0 joins, -1 leaves, -2 leaves as a static member that comes back.
  memberEpoch: int32(),
  instanceId: string().nullable().default(null),
  rackId: string().nullable().default(null),
  rebalanceTimeoutMs: int32().default(-1),
  // Null here and below: as in the last heartbeat.
  subscribedTopicNames: array(string()).nullable().default(null),
  subscribedTopicRegex: string('1+').nullable().default(null),
  serverAssignor: string().nullable().default(null),
  topicPartitions: array({ topicId: uuid(), partitions: array(int32()) })
    .nullable()
    .default(null),
})
export type ConsumerGroupHeartbeatRequest = Decoded<typeof ConsumerGroupHeartbeatRequest>

// v1: INVALID_REGULAR_EXPRESSION.
export const ConsumerGroupHeartbeatResponse = response(api, {
  throttleTimeMs: int32().default(0),
  errorCode: int16(),
  errorMessage: string().nullable().default(null),
  memberId: string().nullable().default(null),
  memberEpoch: int32(),
  heartbeatIntervalMs: int32(),
  assignment: struct({ topicPartitions: array(topicPartitions) })
    .nullable()
    .default(null),
})
export type ConsumerGroupHeartbeatResponse = Encodable<typeof ConsumerGroupHeartbeatResponse>
