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

const api: ApiId = { key: 60, name: 'DescribeCluster', versions: '0-2', flexibleFrom: 0 }

// v1: endpoint type (KIP-919). v2: fenced brokers (KIP-1073).
export const DescribeClusterRequest = request(api, {
  includeClusterAuthorizedOperations: bool(),
  // 1 brokers, 2 controllers.
  endpointType: int8('1+').default(1),
  includeFencedBrokers: bool('2+').default(false),
})
export type DescribeClusterRequest = Decoded<typeof DescribeClusterRequest>

// v1: endpoint type. v2: whether a broker is fenced.
export const DescribeClusterResponse = response(api, {
  throttleTimeMs: int32().default(0),
  errorCode: int16(),
  errorMessage: string().nullable().default(null),
  endpointType: int8('1+').default(1),
  clusterId: string(),
  controllerId: int32().default(-1),
  brokers: array({
    brokerId: int32(),
    host: string(),
    port: int32(),
    rack: string().nullable().default(null),
    isFenced: bool('2+'),
  }),
  clusterAuthorizedOperations: int32().default(-2147483648),
})
export type DescribeClusterResponse = Encodable<typeof DescribeClusterResponse>
