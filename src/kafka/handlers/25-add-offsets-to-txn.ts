import { defineHandler } from '#kafka/handler.ts'
import { AddOffsetsToTxnRequest, AddOffsetsToTxnResponse } from '#kafka/protocol/apis/25-add-offsets-to-txn.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'

// AddOffsetsToTxn v0-4: a transaction is to commit offsets of a group. v2: PRODUCER_FENCED.

const FENCED_FROM = 2

export const addOffsetsToTxn = defineHandler(
  { request: AddOffsetsToTxnRequest, response: AddOffsetsToTxnResponse, versions: [0, 4] },
  async ({ transactionalId, producerId, producerEpoch, groupId }, { broker, version }) => {
    if (groupId === '') return { errorCode: errorCode('INVALID_GROUP_ID') }
    const producer = { transactionalId, producerId, epoch: producerEpoch }
    const error = await broker.transactions.join({ ...producer, ordinals: [], groupIds: [groupId] })
    const told = error === 'PRODUCER_FENCED' && version < FENCED_FROM ? 'INVALID_PRODUCER_EPOCH' : error
    return { errorCode: errorCode(told) }
  },
)
