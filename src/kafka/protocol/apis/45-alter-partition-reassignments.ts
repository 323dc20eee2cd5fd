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
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 45, name: 'AlterPartitionReassignments', versions: '0-1', flexibleFrom: 0 }

// v1: whether the replication factor may change.
export const AlterPartitionReassignmentsRequest = request(api, {
  timeoutMs: int32().default(60000),
  allowReplicationFactorChange: bool('1+').default(true),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      // Null: cancel.
      replicas: array(int32()).nullable().default(null),
    }),
  }),
})
export type AlterPartitionReassignmentsRequest = Decoded<typeof AlterPartitionReassignmentsRequest>

// v1: whether the replication factor may change.
export const AlterPartitionReassignmentsResponse = response(api, {
  throttleTimeMs: int32().default(0),
  allowReplicationFactorChange: bool('1+').default(true).ignorable(),
  errorCode: int16(),
  errorMessage: string().nullable(),
  responses: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      errorCode: int16(),
      errorMessage: string().nullable(),
    }),
  }),
})
export type AlterPartitionReassignmentsResponse = Encodable<typeof AlterPartitionReassignmentsResponse>
