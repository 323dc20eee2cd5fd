import {
  type ApiId,
  array,
  type Decoded,
  type Encodable,
  int16,
  int32,
  int64,
  request,
  response,
  string,
  uint16,
  uuid,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 55, name: 'DescribeQuorum', versions: '0-2', flexibleFrom: 0 }

const replicaState = {
  replicaId: int32(),
  replicaDirectoryId: uuid('2+'),
  logEndOffset: int64(),
  lastFetchTimestamp: int64('1+').default(-1).ignorable(),
  lastCaughtUpTimestamp: int64('1+').default(-1).ignorable(),
}

// v1, v2: as v0.
export const DescribeQuorumRequest = request(api, {
  topics: array({
    topicName: string(),
    partitions: array({ partitionIndex: int32() }),
  }),
})
export type DescribeQuorumRequest = Decoded<typeof DescribeQuorumRequest>

// v1: fetch and caught-up times (KIP-836). v2: nodes, directory ids, error messages (KIP-853).
export const DescribeQuorumResponse = response(api, {
  errorCode: int16(),
  errorMessage: string('2+').nullable().ignorable(),
  topics: array({
    topicName: string(),
    partitions: array({
      partitionIndex: int32(),
      errorCode: int16(),
      errorMessage: string('2+').nullable().ignorable(),
      leaderId: int32(),
      leaderEpoch: int32(),
      highWatermark: int64(),
      currentVoters: array(replicaState),
      observers: array(replicaState),
    }),
  }),
  nodes: array('2+', {
    nodeId: int32(),
    listeners: array({ name: string(), host: string(), port: uint16() }),
  }).default([]),
})
export type DescribeQuorumResponse = Encodable<typeof DescribeQuorumResponse>
