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

const api: ApiId = { key: 44, name: 'IncrementalAlterConfigs', versions: '0-1', flexibleFrom: 1 }

// v1: flexible.
export const IncrementalAlterConfigsRequest = request(api, {
  resources: array({
    resourceType: int8(),
    resourceName: string(),
    configs: array({
      name: string(),
      // 0 set, 1 delete, 2 append, 3 subtract.
      configOperation: int8(),
      value: string().nullable(),
    }),
  }),
  validateOnly: bool(),
})
export type IncrementalAlterConfigsRequest = Decoded<typeof IncrementalAlterConfigsRequest>

// v1: flexible.
export const IncrementalAlterConfigsResponse = response(api, {
  throttleTimeMs: int32().default(0),
  responses: array({
    errorCode: int16(),
    errorMessage: string().nullable(),
    resourceType: int8(),
    resourceName: string(),
  }),
})
export type IncrementalAlterConfigsResponse = Encodable<typeof IncrementalAlterConfigsResponse>
