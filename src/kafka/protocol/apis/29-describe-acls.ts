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

const api: ApiId = { key: 29, name: 'DescribeAcls', versions: '1-3', flexibleFrom: 2 }

// v1: pattern type. v3: the resource type user (KIP-373).
export const DescribeAclsRequest = request(api, {
  resourceTypeFilter: int8(),
  resourceNameFilter: string().nullable(),
  patternTypeFilter: int8().default(3),
  principalFilter: string().nullable(),
  hostFilter: string().nullable(),
  operation: int8(),
  permissionType: int8(),
})
export type DescribeAclsRequest = Decoded<typeof DescribeAclsRequest>

// v1: pattern type. v3: the resource type user.
export const DescribeAclsResponse = response(api, {
  throttleTimeMs: int32().default(0),
  errorCode: int16(),
  errorMessage: string().nullable(),
  resources: array({
    resourceType: int8(),
    resourceName: string(),
    patternType: int8().default(3),
    acls: array({
      principal: string(),
      host: string(),
      operation: int8(),
      permissionType: int8(),
    }),
  }),
})
export type DescribeAclsResponse = Encodable<typeof DescribeAclsResponse>
