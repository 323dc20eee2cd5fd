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

const api: ApiId = { key: 15, name: 'DescribeGroups', versions: '0-6', flexibleFrom: 5 }

// v3: authorized operations. v6: GROUP_ID_NOT_FOUND instead of the state Dead (KIP-1043).
export const DescribeGroupsRequest = request(api, {
  groups: array(string()),
  includeAuthorizedOperations: bool('3+').default(false),
})
export type DescribeGroupsRequest = Decoded<typeof DescribeGroupsRequest>

// v3: authorized operations. v4: static members. v6: error message.
export const DescribeGroupsResponse = response(api, {
  throttleTimeMs: int32('1+').default(0).ignorable(),
  groups: array({
    errorCode: int16(),
    errorMessage: string('6+').nullable().default(null),
    groupId: string(),
    groupState: string(),
    protocolType: string(),
    protocolData: string(),
    members: array({
      memberId: string(),
      groupInstanceId: string('4+').nullable().default(null).ignorable(),
      clientId: string(),
      clientHost: string(),
      memberMetadata: bytes(),
      memberAssignment: bytes(),
    }),
    authorizedOperations: int32('3+').default(-2147483648),
  }),
})
export type DescribeGroupsResponse = Encodable<typeof DescribeGroupsResponse>
