import {
  type ApiId,
  type Decoded,
  type Encodable,
  int16,
  int32,
  request,
  response,
  string,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 12, name: 'Heartbeat', versions: '0-4', flexibleFrom: 4 }

// v3: static members (KIP-345). v4: flexible.
export const HeartbeatRequest = request(api, {
  groupId: string(),
  generationId: int32(),
  memberId: string(),
  groupInstanceId: string('3+').nullable().default(null),
})
export type HeartbeatRequest = Decoded<typeof HeartbeatRequest>

// v1: throttle time. v4: flexible.
export const HeartbeatResponse = response(api, {
  throttleTimeMs: int32('1+').default(0).ignorable(),
  errorCode: int16(),
})
export type HeartbeatResponse = Encodable<typeof HeartbeatResponse>
