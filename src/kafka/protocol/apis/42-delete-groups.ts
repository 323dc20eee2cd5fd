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

const api: ApiId = { key: 42, name: 'DeleteGroups', versions: '0-3', flexibleFrom: 2 }

// v2: flexible.
export const DeleteGroupsRequest = request(api, {
  groupsNames: array(string()),
})
export type DeleteGroupsRequest = Decoded<typeof DeleteGroupsRequest>

// v3: error message.
export const DeleteGroupsResponse = response(api, {
  throttleTimeMs: int32().default(0),
  results: array({
    groupId: string(),
    errorCode: int16(),
    errorMessage: string('3+').nullable().default(null).ignorable(),
  }),
})
export type DeleteGroupsResponse = Encodable<typeof DeleteGroupsResponse>
