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

const api: ApiId = { key: 43, name: 'ElectLeaders', versions: '0-2', flexibleFrom: 2 }

// v1: election types (KIP-460).
export const ElectLeadersRequest = request(api, {
  // 0 preferred, 1 unclean.
  electionType: int8('1+').default(0),
  topicPartitions: array({ topic: string(), partitions: array(int32()) }).nullable(),
  timeoutMs: int32().default(60000),
})
export type ElectLeadersRequest = Decoded<typeof ElectLeadersRequest>

// v1: an error for the whole.
export const ElectLeadersResponse = response(api, {
  throttleTimeMs: int32().default(0),
  errorCode: int16('1+').default(0),
  replicaElectionResults: array({
    topic: string(),
    partitionResult: array({
      partitionId: int32(),
      errorCode: int16(),
      errorMessage: string().nullable(),
    }),
  }),
})
export type ElectLeadersResponse = Encodable<typeof ElectLeadersResponse>
