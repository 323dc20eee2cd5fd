import {
  type ApiId,
  array,
  type Decoded,
  type Encodable,
  int16,
  int32,
  int64,
  records,
  request,
  response,
  string,
  struct,
  uuid,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 0, name: 'Produce', versions: '3-13', flexibleFrom: 9 }

// v7: zstd. v9: flexible. v12: adds partitions to the transaction by itself (KIP-890). v13: topic ids (KIP-516). v0-2
// are advertised for librdkafka (KAFKA-18659) and refused.
export const ProduceRequest = request(api, {
  transactionalId: string().nullable().default(null),
  acks: int16(),
  timeoutMs: int32(),
  topicData: array({
    name: string('3-12').ignorable(),
    topicId: uuid('13+').ignorable(),
    partitionData: array({ index: int32(), records: records() }),
  }),
})
export type ProduceRequest = Decoded<typeof ProduceRequest>

// v5: log start offset. v8: record errors (KIP-467). v10: current leader and node endpoints (KIP-951). v13: topic
// ids.
export const ProduceResponse = response(api, {
  responses: array({
    name: string('3-12').ignorable(),
    topicId: uuid('13+').ignorable(),
    partitionResponses: array({
      index: int32(),
      errorCode: int16(),
      baseOffset: int64(),
      // -1 unless the topic has LogAppendTime.
      logAppendTimeMs: int64().default(-1),
      logStartOffset: int64('5+').default(-1).ignorable(),
      recordErrors: array('8+', {
        batchIndex: int32(),
        batchIndexErrorMessage: string().nullable().default(null),
      }).ignorable(),
      errorMessage: string('8+').nullable().default(null).ignorable(),
      currentLeader: struct('10+', { leaderId: int32().default(-1), leaderEpoch: int32().default(-1) }).tag(0),
    }),
  }),
  throttleTimeMs: int32().default(0),
  nodeEndpoints: array('10+', {
    nodeId: int32(),
    host: string(),
    port: int32(),
    rack: string().nullable().default(null),
  }).tag(0),
})
export type ProduceResponse = Encodable<typeof ProduceResponse>
