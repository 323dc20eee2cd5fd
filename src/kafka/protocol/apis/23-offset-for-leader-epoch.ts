import {
  type ApiId,
  array,
  type Decoded,
  type Encodable,
  int16,
  int32,
  int64,
  request,
  response,
  string,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 23, name: 'OffsetForLeaderEpoch', versions: '2-4', flexibleFrom: 4 }

// v3: replica id; -2 may see offsets beyond the high watermark.
export const OffsetForLeaderEpochRequest = request(api, {
  replicaId: int32('3+').default(-2).ignorable(),
  topics: array({
    topic: string(),
    partitions: array({
      partition: int32(),
      currentLeaderEpoch: int32().default(-1),
      leaderEpoch: int32(),
    }),
  }),
})
export type OffsetForLeaderEpochRequest = Decoded<typeof OffsetForLeaderEpochRequest>

// v4: flexible.
export const OffsetForLeaderEpochResponse = response(api, {
  throttleTimeMs: int32().default(0),
  topics: array({
    topic: string(),
    partitions: array({
      errorCode: int16(),
      partition: int32(),
      leaderEpoch: int32().default(-1),
      endOffset: int64().default(-1),
    }),
  }),
})
export type OffsetForLeaderEpochResponse = Encodable<typeof OffsetForLeaderEpochResponse>
