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

const api: ApiId = { key: 28, name: 'TxnOffsetCommit', versions: '0-6', flexibleFrom: 3 }

// v2: leader epoch. v3: group member (KIP-447). v5: adds the offsets to the transaction by itself (KIP-890). v6:
// topic ids (KIP-1319).
export const TxnOffsetCommitRequest = request(api, {
  transactionalId: string(),
  groupId: string(),
  producerId: int64(),
  producerEpoch: int16(),
  generationIdOrMemberEpoch: int32('3+').default(-1),
  memberId: string('3+').default(''),
  groupInstanceId: string('3+').nullable().default(null),
  topics: array({
    name: string('0-5').ignorable(),
    topicId: uuid('6+').ignorable(),
    partitions: array({
      partitionIndex: int32(),
      committedOffset: int64(),
      committedLeaderEpoch: int32('2+').default(-1).ignorable(),
      committedMetadata: string().nullable(),
    }),
  }),
})
export type TxnOffsetCommitRequest = Decoded<typeof TxnOffsetCommitRequest>

// v3: errors of group members. v6: topic ids.
export const TxnOffsetCommitResponse = response(api, {
  throttleTimeMs: int32().default(0),
  topics: array({
    name: string('0-5').ignorable(),
    topicId: uuid('6+').ignorable(),
    partitions: array({ partitionIndex: int32(), errorCode: int16() }),
  }),
})
export type TxnOffsetCommitResponse = Encodable<typeof TxnOffsetCommitResponse>
