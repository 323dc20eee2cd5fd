import {
  type ApiId,
  array,
  bool,
  type Decoded,
  type Encodable,
  int8,
  int16,
  int32,
  request,
  response,
  string,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 33, name: 'AlterConfigs', versions: '0-2', flexibleFrom: 2 }

// Replaces the whole config of a resource. v2: flexible.
export const AlterConfigsRequest = request(api, {
  resources: array({
    resourceType: int8(),
    resourceName: string(),
    configs: array({ name: string(), value: string().nullable() }),
  }),
  validateOnly: bool(),
})
export type AlterConfigsRequest = Decoded<typeof AlterConfigsRequest>

// v2: flexible.
export const AlterConfigsResponse = response(api, {
  throttleTimeMs: int32().default(0),
  responses: array({
    errorCode: int16(),
    errorMessage: string().nullable(),
    resourceType: int8(),
    resourceName: string(),
  }),
})
export type AlterConfigsResponse = Encodable<typeof AlterConfigsResponse>
