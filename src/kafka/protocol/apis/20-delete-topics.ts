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
  uuid,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 20, name: 'DeleteTopics', versions: '1-6', flexibleFrom: 4 }

// v5: THROTTLING_QUOTA_EXCEEDED (KIP-599). v6: by name or by topic id.
export const DeleteTopicsRequest = request(api, {
  topics: array('6+', { name: string().nullable().default(null), topicId: uuid() }).default([]),
  topicNames: array('1-5', string()).ignorable(),
  timeoutMs: int32(),
})
export type DeleteTopicsRequest = Decoded<typeof DeleteTopicsRequest>

// v3: TOPIC_DELETION_DISABLED. v5: error message. v6: topic id.
export const DeleteTopicsResponse = response(api, {
  throttleTimeMs: int32().default(0),
  responses: array({
    name: string().nullable('6+'),
    topicId: uuid('6+').ignorable(),
    errorCode: int16(),
    errorMessage: string('5+').nullable().default(null).ignorable(),
  }),
})
export type DeleteTopicsResponse = Encodable<typeof DeleteTopicsResponse>
