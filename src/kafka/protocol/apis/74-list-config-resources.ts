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

const api: ApiId = { key: 74, name: 'ListConfigResources', versions: '0-1', flexibleFrom: 0 }

// v0: client metrics resources only. v1: by resource type, none means all (KIP-1142).
export const ListConfigResourcesRequest = request(api, {
  resourceTypes: array('1+', int8()).default([]),
})
export type ListConfigResourcesRequest = Decoded<typeof ListConfigResourcesRequest>

// v1: resource type.
export const ListConfigResourcesResponse = response(api, {
  throttleTimeMs: int32().default(0),
  errorCode: int16(),
  configResources: array({ resourceName: string(), resourceType: int8('1+').default(16).ignorable() }),
})
export type ListConfigResourcesResponse = Encodable<typeof ListConfigResourcesResponse>
