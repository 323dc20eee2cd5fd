import type { Broker } from '#kafka/broker.ts'
import type { CommitRule } from '#kafka/coordinator/consumer-view.ts'
import { defineHandler } from '#kafka/handler.ts'
import { sortCommits } from '#kafka/offset-commits.ts'
import { TxnOffsetCommitRequest, TxnOffsetCommitResponse } from '#kafka/protocol/apis/28-txn-offset-commit.ts'
import type { KafkaErrorName } from '#kafka/protocol/protocol.ts'

// TxnOffsetCommit v0-6: offsets that count once the transaction commits. v3: by a member of the group, which must be one. v5: the
// group need not have been added to the transaction (KIP-890). v6: topics by id.

const ABORTABLE_FROM = 4
const JOINS_FROM = 5
const IDS_FROM = 6

export const txnOffsetCommit = defineHandler(
  { request: TxnOffsetCommitRequest, response: TxnOffsetCommitResponse, versions: [0, 6] },
  async (request, { broker, version }) => {
    const { groupId, producerId, producerEpoch } = request
    const joins = version >= JOINS_FROM
    const { commits, answer } = sortCommits(broker, request.topics, {
      byId: version >= IDS_FROM,
      mayCommit: ruleFor(broker, request, version),
      expiresMs: -1,
    })
    if (commits.length === 0) return { topics: answer('NONE') }
    const commit = { groupId, producerId, epoch: producerEpoch, joins, topics: commits }
    return { topics: answer(asOffsetError(await broker.transactions.commitOffsets(commit))) }
  },
)

function ruleFor(broker: Broker, request: TxnOffsetCommitRequest, version: number): CommitRule {
  const { transactionalId, producerId, producerEpoch, groupId, memberId, groupInstanceId } = request
  if (groupId === '') return () => 'INVALID_GROUP_ID'
  const producer = { transactionalId, producerId, epoch: producerEpoch }
  const problem = broker.transactions.mayCommit({ ...producer, groupId, joins: version >= JOINS_FROM })
  if (problem === 'INVALID_TXN_STATE' && version >= ABORTABLE_FROM) return () => 'TRANSACTION_ABORTABLE'
  if (problem !== 'NONE') return () => asOffsetError(problem)
  const caller = { memberId, instanceId: groupInstanceId, generation: request.generationIdOrMemberEpoch }
  return broker.groups.mayCommitInTransaction(groupId, caller)
}

/** Kafka: what a group answers to a fenced producer is the older code. */
function asOffsetError(error: KafkaErrorName): KafkaErrorName {
  return error === 'PRODUCER_FENCED' ? 'INVALID_PRODUCER_EPOCH' : error
}
