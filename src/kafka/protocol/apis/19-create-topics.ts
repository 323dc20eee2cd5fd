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
  uuid,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 19, name: 'CreateTopics', versions: '2-7', flexibleFrom: 5 }

// v4: -1 partitions or replicas mean the default (KIP-464). v6: THROTTLING_QUOTA_EXCEEDED (KIP-599).
export const CreateTopicsRequest = request(api, {
  topics: array({
    name: string(),
    numPartitions: int32(),
    replicationFactor: int16(),
    assignments: array({ partitionIndex: int32(), brokerIds: array(int32()) }),
    configs: array({ name: string(), value: string().nullable() }),
  }),
  timeoutMs: int32().default(60000),
  validateOnly: bool().default(false),
})
export type CreateTopicsRequest = Decoded<typeof CreateTopicsRequest>

// v5: the effective configs (KIP-525). v7: topic id.
export const CreateTopicsResponse = response(api, {
  throttleTimeMs: int32().default(0),
  topics: array({
    name: string(),
    topicId: uuid('7+').ignorable(),
    errorCode: int16(),
    errorMessage: string().nullable(),
    topicConfigErrorCode: int16('5+').tag(0).ignorable(),
    numPartitions: int32('5+').default(-1).ignorable(),
    replicationFactor: int16('5+').default(-1).ignorable(),
    configs: array('5+', {
      name: string(),
      value: string().nullable(),
      readOnly: bool(),
      configSource: int8().default(-1),
      isSensitive: bool(),
    })
      .nullable()
      .ignorable(),
  }),
})
export type CreateTopicsResponse = Encodable<typeof CreateTopicsResponse>
