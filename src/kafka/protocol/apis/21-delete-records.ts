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

const api: ApiId = { key: 21, name: 'DeleteRecords', versions: '0-2', flexibleFrom: 2 }

// v2: flexible.
export const DeleteRecordsRequest = request(api, {
  topics: array({
    name: string(),
    partitions: array({ partitionIndex: int32(), offset: int64() }),
  }),
  timeoutMs: int32(),
})
export type DeleteRecordsRequest = Decoded<typeof DeleteRecordsRequest>

// v2: flexible.
export const DeleteRecordsResponse = response(api, {
  throttleTimeMs: int32().default(0),
  topics: array({
    name: string(),
    partitions: array({ partitionIndex: int32(), lowWatermark: int64(), errorCode: int16() }),
  }),
})
export type DeleteRecordsResponse = Encodable<typeof DeleteRecordsResponse>
