import { ChronikError, type ErrorKind } from '#base/errors.ts'
import type { Change } from '#core/change-records.ts'
import type { Broker } from './broker.ts'
import { type KafkaErrorName, kafkaErrors } from './protocol/protocol.ts'

/** Why a part of a request is not done, as the client is told. */
export interface Refusal {
  readonly ok: false
  readonly code: KafkaErrorName
  readonly message: string
}

export function refusal(code: KafkaErrorName, message: string = kafkaErrors[code].message): Refusal {
  return { ok: false, code, message }
}

/** Makes a change of the state durable; null when it is in force, else why it is not. */
export async function propose(broker: Broker, change: Change): Promise<Refusal | null> {
  try {
    const outcome = await broker.log.propose(change)
    return outcome === 'NONE' ? null : refusal(outcome)
  } catch (thrown) {
    return storageRefusal(thrown)
  }
}

const REFUSED_KINDS: readonly ErrorKind[] = ['retry', 'unavailable', 'closed']

/** The log could not take something: the disk is full, or has failed, or the broker ends. Whatever else was thrown goes on. */
export function storageRefusal(thrown: unknown): Refusal {
  if (thrown instanceof ChronikError && REFUSED_KINDS.includes(thrown.kind)) {
    return refusal('KAFKA_STORAGE_ERROR', thrown.message)
  }
  throw thrown
}
