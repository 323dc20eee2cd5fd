import {
  type ApiId,
  array,
  type Decoded,
  type Encodable,
  int16,
  int32,
  request,
  response,
  string,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 46, name: 'ListPartitionReassignments', versions: '0', flexibleFrom: 0 }

// Null topics mean all.
export const ListPartitionReassignmentsRequest = request(api, {
  timeoutMs: int32().default(60000),
  topics: array({ name: string(), partitionIndexes: array(int32()) })
    .nullable()
    .default(null),
})
export type ListPartitionReassignmentsRequest = Decoded<typeof ListPartitionReassignmentsRequest>

// Only what is being reassigned.
export const ListPartitionReassignmentsResponse = response(api, {
  throttleTimeMs: int32().default(0),
  errorCode: int16(),
  errorMessage: string().nullable(),
  topics: array({
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      replicas: array(int32()),
      addingReplicas: array(int32()),
      removingReplicas: array(int32()),
    }),
  }),
})
export type ListPartitionReassignmentsResponse = Encodable<typeof ListPartitionReassignmentsResponse>
