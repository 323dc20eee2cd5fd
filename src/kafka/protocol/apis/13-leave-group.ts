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

const api: ApiId = { key: 13, name: 'LeaveGroup', versions: '0-5', flexibleFrom: 4 }

// v3: several members, static ones (KIP-345). v5: reason (KIP-800).
export const LeaveGroupRequest = request(api, {
  groupId: string(),
  memberId: string('0-2').default(''),
  members: array('3+', {
    memberId: string(),
    groupInstanceId: string().nullable().default(null),
    reason: string('5+').nullable().default(null).ignorable(),
  }).default([]),
})
export type LeaveGroupRequest = Decoded<typeof LeaveGroupRequest>

// v3: an error for each member.
export const LeaveGroupResponse = response(api, {
  throttleTimeMs: int32('1+').default(0).ignorable(),
  errorCode: int16(),
  members: array('3+', {
    memberId: string(),
    groupInstanceId: string().nullable(),
    errorCode: int16(),
  }).default([]),
})
export type LeaveGroupResponse = Encodable<typeof LeaveGroupResponse>
