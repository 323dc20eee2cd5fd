import type { Conversation } from './conversation.ts'

/** One sentence about Kafka, and the requests that show whether it is true of a broker. */
export interface Case {
  readonly name: string
  /** Sends the requests; what it returns is compared, after normalising. */
  run(broker: Conversation): Promise<unknown>
  /** Where we answer otherwise on purpose. */
  readonly difference?: Difference
}

export interface Difference {
  readonly because: string
  /** Our whole answer, normalised. It must differ from Kafka's: a difference that is gone has to go from here too. */
  readonly ours: unknown
}

export function sameAsKafka(name: string, run: Case['run']): Case {
  return { name, run }
}

export function otherThanKafka(name: string, difference: Difference, run: Case['run']): Case {
  return { name, run, difference }
}
