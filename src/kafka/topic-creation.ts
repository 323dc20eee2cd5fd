import type { Random } from '#base/ports.ts'
import type { Broker } from './broker.ts'
import { propose, type Refusal, refusal } from './refusal.ts'
import { isReservedTopicName, lookalikeOf, topicNameProblem } from './topic-names.ts'

// How topics come to be, whoever asks for them: CreateTopics, or Metadata about a topic that is not there yet. Checks and
// creations of one request happen in turn with those of others (in-turn.ts).

export interface NewTopic {
  readonly id: string
  readonly name: string
  readonly partitionCount: number
  /** What is set on the topic itself. */
  readonly configs: ReadonlyMap<string, string>
}

/** One replica is all there is, whatever number is asked for. */
export const REPLICATION_FACTOR = 1

/** Checks the topics that one request makes against what is there and against each other. What is there is counted once. */
export class NewTopics {
  readonly #broker: Broker
  readonly #room: PartitionRoom
  readonly #byLookalike = new Map<string, string>()

  constructor(broker: Broker) {
    this.#broker = broker
    this.#room = new PartitionRoom(broker)
    for (const name of broker.log.state.topics.keys()) this.#byLookalike.set(lookalikeOf(name), name)
  }

  /** What stands against a new topic of this name. */
  checkName(name: string): Refusal | null {
    const problem = topicNameProblem(name)
    if (problem !== null) return refusal('INVALID_TOPIC_EXCEPTION', problem)
    if (isReservedTopicName(name)) {
      return refusal(
        'INVALID_TOPIC_EXCEPTION',
        `Topic '${name}' is reserved: what Kafka keeps there is kept elsewhere here`,
      )
    }
    if (this.#broker.log.state.topics.has(name)) {
      return refusal('TOPIC_ALREADY_EXISTS', `Topic '${name}' already exists.`)
    }
    const colliding = this.#byLookalike.get(lookalikeOf(name))
    if (colliding === undefined) return null
    return refusal('INVALID_TOPIC_EXCEPTION', `Topic '${name}' collides with existing topic: ${colliding}`)
  }

  /** Takes a name that was checked, and room for its partitions, unless there is none. */
  plan(name: string, partitionCount: number): Refusal | null {
    const problem = this.#room.take(partitionCount)
    if (problem === null) this.#byLookalike.set(lookalikeOf(name), name)
    return problem
  }
}

/** How many partitions one request may still add: those there are are counted once. */
export class PartitionRoom {
  readonly #maxPartitions: number
  #total: number

  constructor({ settings, log }: Broker) {
    this.#maxPartitions = settings.maxPartitions
    this.#total = log.state.partitionCount()
  }

  /** What stands against so many more. */
  take(more: number): Refusal | null {
    const total = this.#total + more
    if (total > this.#maxPartitions) {
      const limit = `the setting max-partitions allows ${this.#maxPartitions}`
      return refusal('POLICY_VIOLATION', `${more} more would make ${total} partitions: ${limit}`)
    }
    this.#total = total
    return null
  }
}

export function createTopic(broker: Broker, topic: NewTopic): Promise<Refusal | null> {
  return propose(broker, { kind: 'topic-created', ...topic })
}

/** A random uuid (version 4) as Kafka prints it; none that a command line would take for an option. */
export function newTopicId(random: Random): string {
  for (;;) {
    const bytes = random.bytes(16)
    bytes[6] = (bytes[6]! & 0x0f) | 0x40
    bytes[8] = (bytes[8]! & 0x3f) | 0x80
    const id = bytes.toString('base64url')
    if (!id.startsWith('-')) return id
  }
}
