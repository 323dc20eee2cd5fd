import { defineHandler } from '#kafka/handler.ts'
import { InitProducerIdRequest, InitProducerIdResponse } from '#kafka/protocol/apis/22-init-producer-id.ts'
import { errorCode, type KafkaErrorName } from '#kafka/protocol/protocol.ts'
import { storageRefusal } from '#kafka/refusal.ts'

// InitProducerId v0-5. A producer without a transactional id always gets a new id, whatever id it had.
//
// A transactional id is refused: there are no transactions here. This is the one code that every client takes for the end;
// librdkafka asks again for ever after UNSUPPORTED_VERSION.

const NONE = -1

export const initProducerId = defineHandler(
  { request: InitProducerIdRequest, response: InitProducerIdResponse, versions: [0, 5] },
  async ({ transactionalId, producerId, producerEpoch }, { broker }) => {
    // Kafka: an id and its epoch come together or not at all.
    if ((producerId === NONE) !== (producerEpoch === NONE) || transactionalId === '') return refused('INVALID_REQUEST')
    if (transactionalId !== null) return refused('TRANSACTIONAL_ID_AUTHORIZATION_FAILED')
    try {
      return { errorCode: errorCode('NONE'), producerId: await broker.producerIds.take(), producerEpoch: 0 }
    } catch (thrown) {
      return refused(storageRefusal(thrown).code)
    }
  },
)

function refused(error: KafkaErrorName): InitProducerIdResponse {
  return { errorCode: errorCode(error), producerId: NONE, producerEpoch: NONE }
}
