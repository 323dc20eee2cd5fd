import {
  type ApiId,
  array,
  bool,
  type Decoded,
  type Encodable,
  float64,
  int16,
  int32,
  request,
  response,
  string,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 49, name: 'AlterClientQuotas', versions: '0-1', flexibleFrom: 1 }

// v1: flexible.
export const AlterClientQuotasRequest = request(api, {
  entries: array({
    entity: array({ entityType: string(), entityName: string().nullable() }),
    ops: array({ key: string(), value: float64(), remove: bool() }),
  }),
  validateOnly: bool(),
})
export type AlterClientQuotasRequest = Decoded<typeof AlterClientQuotasRequest>

// v1: flexible.
export const AlterClientQuotasResponse = response(api, {
  throttleTimeMs: int32().default(0),
  entries: array({
    errorCode: int16(),
    errorMessage: string().nullable(),
    entity: array({ entityType: string(), entityName: string().nullable() }),
  }),
})
export type AlterClientQuotasResponse = Encodable<typeof AlterClientQuotasResponse>
