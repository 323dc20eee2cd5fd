import {
  type ApiId,
  array,
  type Decoded,
  type Encodable,
  int8,
  int16,
  int32,
  int64,
  LONG_MAX,
  records,
  request,
  response,
  string,
  struct,
  uuid,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 1, name: 'Fetch', versions: '4-18', flexibleFrom: 12 }

// v7: sessions (KIP-227). v9: leader epoch (KIP-320). v11: rack. v12: flexible, last fetched epoch. v13: topic ids.
// v15: replica state (KIP-903). v17: directory id. v18: high watermark (KIP-1166).
export const FetchRequest = request(api, {
  clusterId: string('12+').nullable().tag(0).default(null).ignorable(),
  // -1: a consumer.
  replicaId: int32('4-14').default(-1),
  replicaState: struct('15+', { replicaId: int32().default(-1), replicaEpoch: int64().default(-1) }).tag(1),
  maxWaitMs: int32(),
  minBytes: int32(),
  maxBytes: int32().default(0x7fffffff),
  isolationLevel: int8().default(0),
  sessionId: int32('7+').default(0).ignorable(),
  sessionEpoch: int32('7+').default(-1).ignorable(),
  topics: array({
    topic: string('4-12').ignorable(),
    topicId: uuid('13+').ignorable(),
    partitions: array({
      partition: int32(),
      currentLeaderEpoch: int32('9+').default(-1).ignorable(),
      fetchOffset: int64(),
      lastFetchedEpoch: int32('12+').default(-1),
      logStartOffset: int64('5+').default(-1).ignorable(),
      partitionMaxBytes: int32(),
      replicaDirectoryId: uuid('17+').tag(0).ignorable(),
      // LONG_MAX: the follower does not know this feature.
      highWatermark: int64('18+').tag(1).default(LONG_MAX).ignorable(),
    }),
  }),
  forgottenTopicsData: array('7+', {
    topic: string('7-12').ignorable(),
    topicId: uuid('13+').ignorable(),
    partitions: array(int32()),
  }).default([]),
  rackId: string('11+').default('').ignorable(),
})
export type FetchRequest = Decoded<typeof FetchRequest>

// v5: log start offset. v7: sessions. v11: preferred replica. v12: diverging epoch, current leader. v13: topic ids.
// v16: node endpoints.
export const FetchResponse = response(api, {
  throttleTimeMs: int32().default(0),
  errorCode: int16('7+').ignorable(),
  sessionId: int32('7+').default(0),
  responses: array({
    topic: string('4-12').ignorable(),
    topicId: uuid('13+').ignorable(),
    partitions: array({
      partitionIndex: int32(),
      errorCode: int16(),
      highWatermark: int64(),
      lastStableOffset: int64().default(-1),
      logStartOffset: int64('5+').default(-1).ignorable(),
      divergingEpoch: struct('12+', { epoch: int32().default(-1), endOffset: int64().default(-1) }).tag(0),
      currentLeader: struct('12+', { leaderId: int32().default(-1), leaderEpoch: int32().default(-1) }).tag(1),
      snapshotId: struct('12+', { endOffset: int64().default(-1), epoch: int32().default(-1) }).tag(2),
      abortedTransactions: array({ producerId: int64(), firstOffset: int64() }).nullable(),
      preferredReadReplica: int32('11+').default(-1),
      records: records(),
    }),
  }),
  nodeEndpoints: array('16+', {
    nodeId: int32(),
    host: string(),
    port: int32(),
    rack: string().nullable().default(null),
  }).tag(0),
})
export type FetchResponse = Encodable<typeof FetchResponse>
