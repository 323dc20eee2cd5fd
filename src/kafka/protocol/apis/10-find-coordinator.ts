import {
  type ApiId,
  array,
  type Decoded,
  type Encodable,
  int8,
  int16,
  int32,
  request,
  response,
  string,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 10, name: 'FindCoordinator', versions: '0-6', flexibleFrom: 3 }

// v1: transaction coordinators. v4: several keys. v6: share groups (KIP-932).
export const FindCoordinatorRequest = request(api, {
  key: string('0-3').default(''),
  // 0 group, 1 transaction, 2 share.
  keyType: int8('1+').default(0),
  coordinatorKeys: array('4+', string()).default([]),
})
export type FindCoordinatorRequest = Decoded<typeof FindCoordinatorRequest>

// v1: an error message. v4: one answer for each key.
export const FindCoordinatorResponse = response(api, {
  throttleTimeMs: int32('1+').default(0).ignorable(),
  errorCode: int16('0-3').default(0),
  errorMessage: string('1-3').nullable().ignorable(),
  nodeId: int32('0-3').default(0),
  host: string('0-3').default(''),
  port: int32('0-3').default(0),
  coordinators: array('4+', {
    key: string(),
    nodeId: int32(),
    host: string(),
    port: int32(),
    errorCode: int16(),
    errorMessage: string().nullable(),
  }).default([]),
})
export type FindCoordinatorResponse = Encodable<typeof FindCoordinatorResponse>
