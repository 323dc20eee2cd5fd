import type { Broker } from '#kafka/broker.ts'
import { defineHandler } from '#kafka/handler.ts'
import { InitProducerIdRequest, InitProducerIdResponse } from '#kafka/protocol/apis/22-init-producer-id.ts'
import { errorCode, type KafkaErrorName } from '#kafka/protocol/protocol.ts'
import { storageRefusal } from '#kafka/refusal.ts'

// InitProducerId v0-5. A producer without a transactional id always gets a new id, whatever id it had. One with a transactional
// id gets the next epoch of its id: whoever had it before is fenced, and what that one left open is aborted first. Kafka answers
// CONCURRENT_TRANSACTIONS while it aborts; here that is one record, so the answer can wait for it. v4: PRODUCER_FENCED.

const NONE = -1
const FENCED_FROM = 4

export const initProducerId = defineHandler(
  { request: InitProducerIdRequest, response: InitProducerIdResponse, versions: [0, 5] },
  async ({ transactionalId, transactionTimeoutMs, producerId, producerEpoch }, { broker, version }) => {
    // Kafka: an id and its epoch come together or not at all.
    if ((producerId === NONE) !== (producerEpoch === NONE)) return refused('INVALID_REQUEST')
    if (transactionalId === null) return newProducer(broker)
    const { error, ...identity } = await broker.transactions.init({
      transactionalId,
      timeoutMs: transactionTimeoutMs,
      from: producerId === NONE ? null : { producerId, epoch: producerEpoch },
    })
    if (error === 'PRODUCER_FENCED' && version < FENCED_FROM) return refused('INVALID_PRODUCER_EPOCH')
    return { errorCode: errorCode(error), producerId: identity.producerId, producerEpoch: identity.epoch }
  },
)

async function newProducer({ producerIds }: Broker): Promise<InitProducerIdResponse> {
  try {
    return { errorCode: errorCode('NONE'), producerId: await producerIds.take(), producerEpoch: 0 }
  } catch (thrown) {
    return refused(storageRefusal(thrown).code)
  }
}

function refused(error: KafkaErrorName): InitProducerIdResponse {
  return { errorCode: errorCode(error), producerId: NONE, producerEpoch: NONE }
}
