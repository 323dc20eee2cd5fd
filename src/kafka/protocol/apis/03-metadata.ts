import {
  type ApiId,
  array,
  bool,
  type Decoded,
  type Encodable,
  int16,
  int32,
  request,
  response,
  string,
  uuid,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 3, name: 'Metadata', versions: '0-13', flexibleFrom: 9 }

// v0: an empty list means all topics; from v1 null does. v4: auto creation can be refused. v10: topic ids. v12: by
// topic id.
export const MetadataRequest = request(api, {
  topics: array({ topicId: uuid('10+').ignorable(), name: string().nullable('10+') }).nullable('1+'),
  allowAutoTopicCreation: bool('4+').default(true),
  includeClusterAuthorizedOperations: bool('8-10').default(false),
  includeTopicAuthorizedOperations: bool('8+').default(false),
})
export type MetadataRequest = Decoded<typeof MetadataRequest>

// v7: leader epoch. v8: authorized operations. v10: topic ids. v12: the name may be null. v13: an error for the whole
// (KIP-1102).
export const MetadataResponse = response(api, {
  throttleTimeMs: int32('3+').default(0).ignorable(),
  brokers: array({
    nodeId: int32(),
    host: string(),
    port: int32(),
    rack: string('1+').nullable().default(null).ignorable(),
  }),
  clusterId: string('2+').nullable().default(null).ignorable(),
  controllerId: int32('1+').default(-1).ignorable(),
  topics: array({
    errorCode: int16(),
    name: string().nullable('12+'),
    topicId: uuid('10+').ignorable(),
    isInternal: bool('1+').default(false).ignorable(),
    partitions: array({
      errorCode: int16(),
      partitionIndex: int32(),
      leaderId: int32(),
      leaderEpoch: int32('7+').default(-1).ignorable(),
      replicaNodes: array(int32()),
      isrNodes: array(int32()),
      offlineReplicas: array('5+', int32()).ignorable(),
    }),
    topicAuthorizedOperations: int32('8+').default(-2147483648),
  }),
  clusterAuthorizedOperations: int32('8-10').default(-2147483648),
  errorCode: int16('13+').ignorable(),
})
export type MetadataResponse = Encodable<typeof MetadataResponse>
