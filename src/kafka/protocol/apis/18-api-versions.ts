import {
  type ApiId,
  array,
  bool,
  type Decoded,
  type Encodable,
  int16,
  int32,
  int64,
  request,
  response,
  string,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 18, name: 'ApiVersions', versions: '0-5', flexibleFrom: 3 }

// v3: client software (KIP-511). v4: min version 0 in features (KAFKA-17011). v5: the node that the client means to
// talk to (KIP-1242).
export const ApiVersionsRequest = request(api, {
  clientSoftwareName: string('3+').ignorable(),
  clientSoftwareVersion: string('3+').ignorable(),
  clusterId: string('5+').nullable().default(null).ignorable(),
  nodeId: int32('5+').default(-1).ignorable(),
})
export type ApiVersionsRequest = Decoded<typeof ApiVersionsRequest>

// v1: throttle time. v3: features, as tagged fields. The header has no tags in any version.
export const ApiVersionsResponse = response(api, {
  errorCode: int16(),
  apiKeys: array({ apiKey: int16(), minVersion: int16(), maxVersion: int16() }),
  throttleTimeMs: int32('1+').default(0).ignorable(),
  supportedFeatures: array('3+', { name: string(), minVersion: int16(), maxVersion: int16() }).tag(0).ignorable(),
  finalizedFeaturesEpoch: int64('3+').tag(1).default(-1).ignorable(),
  finalizedFeatures: array('3+', { name: string(), maxVersionLevel: int16(), minVersionLevel: int16() })
    .tag(2)
    .ignorable(),
  zkMigrationReady: bool('3+').tag(3).ignorable(),
})
export type ApiVersionsResponse = Encodable<typeof ApiVersionsResponse>
