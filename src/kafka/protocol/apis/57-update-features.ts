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

const api: ApiId = { key: 57, name: 'UpdateFeatures', versions: '0-2', flexibleFrom: 0 }

// v1: upgrade type, validate only.
export const UpdateFeaturesRequest = request(api, {
  timeoutMs: int32().default(60000),
  featureUpdates: array({
    feature: string(),
    maxVersionLevel: int16(),
    allowDowngrade: bool('0'),
    // 1 upgrade, 2 safe downgrade, 3 unsafe downgrade.
    upgradeType: int8('1+').default(1),
  }),
  validateOnly: bool('1+').default(false),
})
export type UpdateFeaturesRequest = Decoded<typeof UpdateFeaturesRequest>

// v2: no results by feature.
export const UpdateFeaturesResponse = response(api, {
  throttleTimeMs: int32().default(0),
  errorCode: int16(),
  errorMessage: string().nullable(),
  results: array('0-1', { feature: string(), errorCode: int16(), errorMessage: string().nullable() }).ignorable(),
})
export type UpdateFeaturesResponse = Encodable<typeof UpdateFeaturesResponse>
