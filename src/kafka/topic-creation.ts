import type { Random } from '#base/ports.ts'
import type { Broker } from './broker.ts'

import { propose, type Refusal, refusal } from './refusal.ts'
import { collidingName, topicNameProblem } from './topic-names.ts'

// How topics and partitions come to be, whoever asks for them: CreateTopics, CreatePartitions, or Metadata about a topic that
// is not there yet.

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
export function checkNewName(broker: Broker, name: string, others: Iterable<string> = []): Refusal | null {
  const problem = topicNameProblem(name)
  if (problem !== null) return refusal('INVALID_TOPIC_EXCEPTION', problem)
  const { topics } = broker.log.state
  if (topics.has(name)) return refusal('TOPIC_ALREADY_EXISTS', `Topic '${name}' already exists.`)
  const colliding = collidingName(name, topics.keys()) ?? collidingName(name, others)
  if (colliding === null) return null
  return refusal('INVALID_TOPIC_EXCEPTION', `Topic '${name}' collides with existing topic: ${colliding}`)
}

/** Makes a topic that was checked; null when it is there. */
export function createTopic(broker: Broker, topic: NewTopic): Promise<Refusal | null> {
  return withinLimit(broker, topic.partitionCount, () => propose(broker, { kind: 'topic-created', ...topic }))
}

/** Partitions that are proposed and not yet there: requests at the same time must not pass the limit together. */
const proposedPartitions = new WeakMap<Broker, number>()

/** Adds partitions unless the broker would then have more than it may. */
export async function withinLimit(
  broker: Broker,
  partitionCount: number,
  add: () => Promise<Refusal | null>,
): Promise<Refusal | null> {
  const refused = checkLimit(broker, partitionCount)
  if (refused !== null) return refused
  proposedPartitions.set(broker, proposedCount(broker) + partitionCount)
  try {
    return await add()
  } finally {
    proposedPartitions.set(broker, proposedCount(broker) - partitionCount)
  }
}

export function checkLimit(broker: Broker, partitionCount: number): Refusal | null {
  const { maxPartitions } = broker.settings
  const total = broker.log.state.partitionCount() + proposedCount(broker) + partitionCount
  if (total <= maxPartitions) return null
  return refusal(
    'POLICY_VIOLATION',
    `${partitionCount} more would make ${total} partitions: the setting max-partitions allows ${maxPartitions}`,
  )
}

function proposedCount(broker: Broker): number {
  return proposedPartitions.get(broker) ?? 0
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
