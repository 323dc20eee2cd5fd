import {
  type ApiId,
  array,
  bool,
  type Decoded,
  type Encodable,
  float64,
  int8,
  int16,
  int32,
  request,
  response,
  string,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 48, name: 'DescribeClientQuotas', versions: '0-1', flexibleFrom: 1 }

// v1: flexible.
export const DescribeClientQuotasRequest = request(api, {
  components: array({
    entityType: string(),
    // 0 exactly `match`, 1 the default entity, 2 any.
    matchType: int8(),
    match: string().nullable(),
  }),
  strict: bool(),
})
export type DescribeClientQuotasRequest = Decoded<typeof DescribeClientQuotasRequest>

// v1: flexible.
export const DescribeClientQuotasResponse = response(api, {
  throttleTimeMs: int32().default(0),
  errorCode: int16(),
  errorMessage: string().nullable(),
  entries: array({
    entity: array({ entityType: string(), entityName: string().nullable() }),
    values: array({ key: string(), value: float64() }),
  }).nullable(),
})
export type DescribeClientQuotasResponse = Encodable<typeof DescribeClientQuotasResponse>
