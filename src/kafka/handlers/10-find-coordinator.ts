import type { RequestContext } from '#kafka/broker.ts'
import { defineHandler } from '#kafka/handler.ts'
import { FindCoordinatorRequest, FindCoordinatorResponse } from '#kafka/protocol/apis/10-find-coordinator.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'

// FindCoordinator v0-6: this broker, for groups and transactions alike. v4: several keys at once.

const BATCHED_FROM = 4
const GROUP = 0
const TRANSACTION = 1

interface Coordinator {
  readonly errorCode: number
  readonly errorMessage: string
  readonly nodeId: number
  readonly host: string
  readonly port: number
}

export const findCoordinator = defineHandler(
  { request: FindCoordinatorRequest, response: FindCoordinatorResponse, versions: [0, 6] },
  (request, context) => {
    const coordinator = coordinatorFor(request.keyType, context)
    if (context.version >= BATCHED_FROM) {
      return { errorMessage: null, coordinators: request.coordinatorKeys.map(key => ({ key, ...coordinator })) }
    }
    // Kafka: before v4 the message of a success is the name of its code.
    return { ...coordinator, errorMessage: coordinator.errorMessage || 'NONE' }
  },
)

function coordinatorFor(keyType: number, { broker, advertised }: RequestContext): Coordinator {
  if (keyType === GROUP || keyType === TRANSACTION) {
    return { errorCode: errorCode('NONE'), errorMessage: '', nodeId: broker.settings.nodeId, ...advertised }
  }
  const errorMessage = `there are coordinators of groups (0) and transactions (1) here, not of type ${keyType}`
  return { errorCode: errorCode('INVALID_REQUEST'), errorMessage, nodeId: -1, host: '', port: -1 }
}
