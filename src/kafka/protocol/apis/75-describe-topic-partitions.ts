import {
  type ApiId,
  array,
  bool,
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

const api: ApiId = { key: 75, name: 'DescribeTopicPartitions', versions: '0', flexibleFrom: 0 }

// KIP-966. Answers in pages: the cursor of one response is for the next request.
export const DescribeTopicPartitionsRequest = request(api, {
  topics: array({ name: string() }),
  responsePartitionLimit: int32().default(2000),
  cursor: struct({ topicName: string(), partitionIndex: int32() }).nullable().default(null),
})
export type DescribeTopicPartitionsRequest = Decoded<typeof DescribeTopicPartitionsRequest>

// KIP-966.
export const DescribeTopicPartitionsResponse = response(api, {
  throttleTimeMs: int32().default(0),
  topics: array({
    errorCode: int16(),
    name: string().nullable(),
    topicId: uuid(),
    isInternal: bool().default(false),
    partitions: array({
      errorCode: int16(),
      partitionIndex: int32(),
      leaderId: int32(),
      leaderEpoch: int32().default(-1),
      replicaNodes: array(int32()),
      isrNodes: array(int32()),
      eligibleLeaderReplicas: array(int32()).nullable().default(null),
      lastKnownElr: array(int32()).nullable().default(null),
      offlineReplicas: array(int32()),
    }),
    topicAuthorizedOperations: int32().default(-2147483648),
  }),
  // Null: this was the last page.
  nextCursor: struct({ topicName: string(), partitionIndex: int32() }).nullable().default(null),
})
export type DescribeTopicPartitionsResponse = Encodable<typeof DescribeTopicPartitionsResponse>
