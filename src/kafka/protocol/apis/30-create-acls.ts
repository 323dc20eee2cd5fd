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

const api: ApiId = { key: 30, name: 'CreateAcls', versions: '1-3', flexibleFrom: 2 }

// v1: pattern type. v3: the resource type user (KIP-373).
export const CreateAclsRequest = request(api, {
  creations: array({
    resourceType: int8(),
    resourceName: string(),
    resourcePatternType: int8().default(3),
    principal: string(),
    host: string(),
    operation: int8(),
    permissionType: int8(),
  }),
})
export type CreateAclsRequest = Decoded<typeof CreateAclsRequest>

// One result for each creation, in order.
export const CreateAclsResponse = response(api, {
  throttleTimeMs: int32().default(0),
  results: array({ errorCode: int16(), errorMessage: string().nullable() }),
})
export type CreateAclsResponse = Encodable<typeof CreateAclsResponse>
