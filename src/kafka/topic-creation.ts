import type { Random } from '#base/ports.ts'
import type { Broker } from './broker.ts'
import { propose, type Refusal, refusal } from './refusal.ts'
import { collidingName, isReservedTopicName, topicNameProblem } from './topic-names.ts'

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

/** What stands against a new topic of this name; `others` are made by the same request. */
export function checkNewName(broker: Broker, name: string, others: readonly NewTopic[]): Refusal | null {
  const problem = topicNameProblem(name)
  if (problem !== null) return refusal('INVALID_TOPIC_EXCEPTION', problem)
  if (isReservedTopicName(name)) {
    return refusal(
      'INVALID_TOPIC_EXCEPTION',
      `Topic '${name}' is reserved: what Kafka keeps there is kept elsewhere here`,
    )
  }
  const { topics } = broker.log.state
  if (topics.has(name)) return refusal('TOPIC_ALREADY_EXISTS', `Topic '${name}' already exists.`)
  const colliding =
    collidingName(name, topics.keys()) ??
    collidingName(
      name,
      others.map(other => other.name),
    )
  if (colliding === null) return null
  return refusal('INVALID_TOPIC_EXCEPTION', `Topic '${name}' collides with existing topic: ${colliding}`)
}

/** What stands against so many more partitions; `others` are made by the same request. */
export function checkPartitionLimit(broker: Broker, more: number, others: readonly NewTopic[] = []): Refusal | null {
  const { maxPartitions } = broker.settings
  const total = others.reduce((sum, other) => sum + other.partitionCount, broker.log.state.partitionCount() + more)
  if (total <= maxPartitions) return null
  const message = `${more} more would make ${total} partitions: the setting max-partitions allows ${maxPartitions}`
  return refusal('POLICY_VIOLATION', message)
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
