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

const api: ApiId = { key: 31, name: 'DeleteAcls', versions: '1-3', flexibleFrom: 2 }

// v1: pattern type. v3: the resource type user (KIP-373).
export const DeleteAclsRequest = request(api, {
  filters: array({
    resourceTypeFilter: int8(),
    resourceNameFilter: string().nullable(),
    patternTypeFilter: int8().default(3),
    principalFilter: string().nullable(),
    hostFilter: string().nullable(),
    operation: int8(),
    permissionType: int8(),
  }),
})
export type DeleteAclsRequest = Decoded<typeof DeleteAclsRequest>

// v1: pattern type. v3: the resource type user.
export const DeleteAclsResponse = response(api, {
  throttleTimeMs: int32().default(0),
  filterResults: array({
    errorCode: int16(),
    errorMessage: string().nullable(),
    matchingAcls: array({
      errorCode: int16(),
      errorMessage: string().nullable(),
      resourceType: int8(),
      resourceName: string(),
      patternType: int8().default(3),
      principal: string(),
      host: string(),
      operation: int8(),
      permissionType: int8(),
    }),
  }),
})
export type DeleteAclsResponse = Encodable<typeof DeleteAclsResponse>
