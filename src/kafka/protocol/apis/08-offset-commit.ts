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
  uuid,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 8, name: 'OffsetCommit', versions: '2-10', flexibleFrom: 8 }

// v5: no retention time. v6: leader epoch. v7: static members. v9: the consumer protocol (KIP-848). v10: topic ids.
export const OffsetCommitRequest = request(api, {
  groupId: string(),
  generationIdOrMemberEpoch: int32().default(-1),
  memberId: string(),
  groupInstanceId: string('7+').nullable().default(null),
  retentionTimeMs: int64('2-4').default(-1).ignorable(),
  topics: array({
    name: string('2-9').ignorable(),
    topicId: uuid('10+').ignorable(),
    partitions: array({
      partitionIndex: int32(),
      committedOffset: int64(),
      committedLeaderEpoch: int32('6+').default(-1).ignorable(),
      committedMetadata: string().nullable(),
    }),
  }),
})
export type OffsetCommitRequest = Decoded<typeof OffsetCommitRequest>

// v9: STALE_MEMBER_EPOCH, GROUP_ID_NOT_FOUND. v10: topic ids.
export const OffsetCommitResponse = response(api, {
  throttleTimeMs: int32('3+').default(0).ignorable(),
  topics: array({
    name: string('2-9').ignorable(),
    topicId: uuid('10+').ignorable(),
    partitions: array({ partitionIndex: int32(), errorCode: int16() }),
  }),
})
export type OffsetCommitResponse = Encodable<typeof OffsetCommitResponse>
