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
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 47, name: 'OffsetDelete', versions: '0', flexibleFrom: null }

// Never flexible.
export const OffsetDeleteRequest = request(api, {
  groupId: string(),
  topics: array({
    name: string(),
    partitions: array({ partitionIndex: int32() }),
  }),
})
export type OffsetDeleteRequest = Decoded<typeof OffsetDeleteRequest>

// Never flexible.
export const OffsetDeleteResponse = response(api, {
  errorCode: int16(),
  throttleTimeMs: int32().default(0),
  topics: array({
    name: string(),
    partitions: array({ partitionIndex: int32(), errorCode: int16() }),
  }),
})
export type OffsetDeleteResponse = Encodable<typeof OffsetDeleteResponse>
