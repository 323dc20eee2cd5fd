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
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 37, name: 'CreatePartitions', versions: '0-3', flexibleFrom: 2 }

// v3: THROTTLING_QUOTA_EXCEEDED (KIP-599).
export const CreatePartitionsRequest = request(api, {
  topics: array({
    name: string(),
    count: int32(),
    assignments: array({ brokerIds: array(int32()) }).nullable(),
  }),
  timeoutMs: int32(),
  validateOnly: bool(),
})
export type CreatePartitionsRequest = Decoded<typeof CreatePartitionsRequest>

// v3: THROTTLING_QUOTA_EXCEEDED.
export const CreatePartitionsResponse = response(api, {
  throttleTimeMs: int32().default(0),
  results: array({
    name: string(),
    errorCode: int16(),
    errorMessage: string().nullable().default(null),
  }),
})
export type CreatePartitionsResponse = Encodable<typeof CreatePartitionsResponse>
