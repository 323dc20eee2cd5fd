import { defineHandler } from '#kafka/handler.ts'
import { EndTxnRequest, EndTxnResponse } from '#kafka/protocol/apis/26-end-txn.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'

// EndTxn v0-5: commits or aborts, everywhere at once. v2: PRODUCER_FENCED. v5: the producer goes on with the next epoch (KIP-890).

const FENCED_FROM = 2
const BUMPS_FROM = 5

export const endTxn = defineHandler(
  { request: EndTxnRequest, response: EndTxnResponse, versions: [0, 5] },
  async ({ transactionalId, producerId, producerEpoch, committed }, { broker, version }) => {
    const { error, ...identity } = await broker.transactions.end({
      transactionalId,
      producerId,
      epoch: producerEpoch,
      isCommit: committed,
      bumps: version >= BUMPS_FROM,
    })
    const told = error === 'PRODUCER_FENCED' && version < FENCED_FROM ? 'INVALID_PRODUCER_EPOCH' : error
    return { errorCode: errorCode(told), producerId: identity.producerId, producerEpoch: identity.epoch }
  },
)
