import {
  type ApiId,
  array,
  bool,
  bytes,
  type Decoded,
  type Encodable,
  int16,
  int32,
  request,
  response,
  string,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 11, name: 'JoinGroup', versions: '0-9', flexibleFrom: 6 }

// v1: rebalance timeout. v4: MEMBER_ID_REQUIRED (KIP-394). v5: static members (KIP-345). v8: reason (KIP-800).
export const JoinGroupRequest = request(api, {
  groupId: string(),
  sessionTimeoutMs: int32(),
  // -1: the session timeout.
  rebalanceTimeoutMs: int32('1+').default(-1).ignorable(),
  memberId: string(),
  groupInstanceId: string('5+').nullable().default(null),
  protocolType: string(),
  protocols: array({ name: string(), metadata: bytes() }),
  reason: string('8+').nullable().default(null).ignorable(),
})
export type JoinGroupRequest = Decoded<typeof JoinGroupRequest>

// v5: static members. v7: protocol type, and the protocol name may be null. v9: skip assignment (KIP-814).
export const JoinGroupResponse = response(api, {
  throttleTimeMs: int32('2+').default(0).ignorable(),
  errorCode: int16(),
  generationId: int32().default(-1),
  protocolType: string('7+').nullable().default(null).ignorable(),
  protocolName: string().nullable('7+'),
  leader: string(),
  skipAssignment: bool('9+').default(false),
  memberId: string(),
  // For the leader only.
  members: array({
    memberId: string(),
    groupInstanceId: string('5+').nullable().default(null).ignorable(),
    metadata: bytes(),
  }),
})
export type JoinGroupResponse = Encodable<typeof JoinGroupResponse>
