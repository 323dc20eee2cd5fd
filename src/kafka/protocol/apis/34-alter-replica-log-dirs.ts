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

const api: ApiId = { key: 34, name: 'AlterReplicaLogDirs', versions: '1-2', flexibleFrom: 2 }

// v2: flexible.
export const AlterReplicaLogDirsRequest = request(api, {
  dirs: array({
    path: string(),
    topics: array({ name: string(), partitions: array(int32()) }),
  }),
})
export type AlterReplicaLogDirsRequest = Decoded<typeof AlterReplicaLogDirsRequest>

// v2: flexible.
export const AlterReplicaLogDirsResponse = response(api, {
  throttleTimeMs: int32().default(0),
  results: array({
    topicName: string(),
    partitions: array({ partitionIndex: int32(), errorCode: int16() }),
  }),
})
export type AlterReplicaLogDirsResponse = Encodable<typeof AlterReplicaLogDirsResponse>
