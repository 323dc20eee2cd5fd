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

const api: ApiId = { key: 16, name: 'ListGroups', versions: '0-5', flexibleFrom: 3 }

// v4: filter by state (KIP-518). v5: filter by type (KIP-848).
export const ListGroupsRequest = request(api, {
  statesFilter: array('4+', string()).default([]),
  typesFilter: array('5+', string()).default([]),
})
export type ListGroupsRequest = Decoded<typeof ListGroupsRequest>

// v4: state. v5: type.
export const ListGroupsResponse = response(api, {
  throttleTimeMs: int32('1+').default(0).ignorable(),
  errorCode: int16(),
  groups: array({
    groupId: string(),
    protocolType: string(),
    groupState: string('4+').ignorable(),
    groupType: string('5+').ignorable(),
  }),
})
export type ListGroupsResponse = Encodable<typeof ListGroupsResponse>
