import {
  type ApiId,
  array,
  type Decoded,
  type Encodable,
  int8,
  int16,
  int32,
  int64,
  request,
  response,
  string,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 2, name: 'ListOffsets', versions: '1-11', flexibleFrom: 6 }

// v2: isolation level. v4: leader epoch. v7: timestamp -3, max timestamp. v8: -4, local log start. v9: -5, last
// tiered. v10: timeout. v11: -6, earliest pending upload.
export const ListOffsetsRequest = request(api, {
  // -1: a consumer.
  replicaId: int32(),
  isolationLevel: int8('2+').default(0),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      currentLeaderEpoch: int32('4+').default(-1).ignorable(),
      timestamp: int64(),
    }),
  }),
  timeoutMs: int32('10+').ignorable(),
})
export type ListOffsetsRequest = Decoded<typeof ListOffsetsRequest>

// v1: one offset with its timestamp. v4: leader epoch. v6: flexible.
export const ListOffsetsResponse = response(api, {
  throttleTimeMs: int32('2+').default(0).ignorable(),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      errorCode: int16(),
      timestamp: int64().default(-1),
      offset: int64().default(-1),
      leaderEpoch: int32('4+').default(-1),
    }),
  }),
})
export type ListOffsetsResponse = Encodable<typeof ListOffsetsResponse>
