import {
  type ApiId,
  array,
  bytes,
  type Decoded,
  type Encodable,
  int16,
  int32,
  request,
  response,
  string,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 14, name: 'SyncGroup', versions: '0-5', flexibleFrom: 4 }

// v3: static members (KIP-345). v5: protocol type and name (KIP-559).
export const SyncGroupRequest = request(api, {
  groupId: string(),
  generationId: int32(),
  memberId: string(),
  groupInstanceId: string('3+').nullable().default(null),
  protocolType: string('5+').nullable().default(null).ignorable(),
  protocolName: string('5+').nullable().default(null).ignorable(),
  assignments: array({ memberId: string(), assignment: bytes() }),
})
export type SyncGroupRequest = Decoded<typeof SyncGroupRequest>

// v5: protocol type and name (KIP-559).
export const SyncGroupResponse = response(api, {
  throttleTimeMs: int32('1+').default(0).ignorable(),
  errorCode: int16(),
  protocolType: string('5+').nullable().default(null).ignorable(),
  protocolName: string('5+').nullable().default(null).ignorable(),
  assignment: bytes(),
})
export type SyncGroupResponse = Encodable<typeof SyncGroupResponse>
