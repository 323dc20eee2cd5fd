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
  uuid,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 9, name: 'OffsetFetch', versions: '1-10', flexibleFrom: 6 }

// v2: null topics mean all. v7: stable offsets only. v8: several groups. v9: member id and epoch (KIP-848). v10:
// topic ids.
export const OffsetFetchRequest = request(api, {
  groupId: string('1-7').default(''),
  topics: array('1-7', { name: string(), partitionIndexes: array(int32()) })
    .nullable('2+')
    .default([]),
  groups: array('8+', {
    groupId: string(),
    memberId: string('9+').nullable().default(null).ignorable(),
    memberEpoch: int32('9+').default(-1).ignorable(),
    topics: array({
      name: string('8-9').ignorable(),
      topicId: uuid('10+').ignorable(),
      partitionIndexes: array(int32()),
    }).nullable(),
  }).default([]),
  requireStable: bool('7+').default(false),
})
export type OffsetFetchRequest = Decoded<typeof OffsetFetchRequest>

// v2: an error for the group. v5: leader epoch. v8: several groups. v10: topic ids.
export const OffsetFetchResponse = response(api, {
  throttleTimeMs: int32('3+').default(0).ignorable(),
  topics: array('1-7', {
    name: string(),
    partitions: array({
      partitionIndex: int32(),
      committedOffset: int64(),
      committedLeaderEpoch: int32('5+').default(-1).ignorable(),
      metadata: string().nullable(),
      errorCode: int16(),
    }),
  }).default([]),
  errorCode: int16('2-7').default(0).ignorable(),
  groups: array('8+', {
    groupId: string(),
    topics: array({
      name: string('8-9').ignorable(),
      topicId: uuid('10+').ignorable(),
      partitions: array({
        partitionIndex: int32(),
        committedOffset: int64(),
        committedLeaderEpoch: int32().default(-1),
        metadata: string().nullable(),
        errorCode: int16(),
      }),
    }),
    errorCode: int16().default(0),
  }).default([]),
})
export type OffsetFetchResponse = Encodable<typeof OffsetFetchResponse>
