import {
  type ApiId,
  array,
  bool,
  type Decoded,
  type Encodable,
  int8,
  int16,
  int32,
  request,
  response,
  string,
  struct,
  uuid,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 69, name: 'ConsumerGroupDescribe', versions: '0-1', flexibleFrom: 0 }

const topicPartitions = { topicId: uuid(), topicName: string(), partitions: array(int32()) }

const assignment = { topicPartitions: array(topicPartitions) }

// KIP-848.
export const ConsumerGroupDescribeRequest = request(api, {
  groupIds: array(string()),
  includeAuthorizedOperations: bool(),
})
export type ConsumerGroupDescribeRequest = Decoded<typeof ConsumerGroupDescribeRequest>

// v1: member type (KIP-1099).
export const ConsumerGroupDescribeResponse = response(api, {
  throttleTimeMs: int32().default(0),
  groups: array({
    errorCode: int16(),
    errorMessage: string().nullable().default(null),
    groupId: string(),
    groupState: string(),
    groupEpoch: int32(),
    assignmentEpoch: int32(),
    assignorName: string(),
    members: array({
      memberId: string(),
      instanceId: string().nullable().default(null),
      rackId: string().nullable().default(null),
      memberEpoch: int32(),
      clientId: string(),
      clientHost: string(),
      subscribedTopicNames: array(string()),
      subscribedTopicRegex: string().nullable().default(null),
      assignment: struct(assignment),
      targetAssignment: struct(assignment),
      // 0 classic, 1 consumer, -1 unknown.
      memberType: int8('1+').default(-1).ignorable(),
    }),
    authorizedOperations: int32().default(-2147483648),
  }),
})
export type ConsumerGroupDescribeResponse = Encodable<typeof ConsumerGroupDescribeResponse>
