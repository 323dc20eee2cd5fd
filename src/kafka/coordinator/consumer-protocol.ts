import { ByteReader, MalformedBytes } from '#bytes/cursor.ts'
import { type ClassicGroup, metadataFor } from './classic-group.ts'

// What members of a consumer group say of themselves, and what their leader tells them (Kafka: ConsumerProtocol). Only this is
// read of what is otherwise theirs.

export const CONSUMER_PROTOCOL = 'consumer'

/** Names of topics that some member is subscribed to. Null: some member says nothing that can be read, it may be any. */
export function subscriptionsOf(group: ClassicGroup): Set<string> | null {
  const topics = new Set<string>()
  for (const member of group.members.values()) {
    const names = topicsOf(metadataFor(member, group.protocol))
    if (names === null) return null
    for (const topic of names) topics.add(topic)
  }
  return topics
}

export interface AssignedTopic {
  readonly topic: string
  readonly partitions: readonly number[]
}

/** What a member was assigned; null if the bytes are none that a consumer would understand. */
export function assignmentIn(bytes: Buffer): AssignedTopic[] | null {
  if (bytes.length === 0) return []
  const reader = new ByteReader(bytes)
  const topics: AssignedTopic[] = []
  try {
    reader.i16()
    for (let left = reader.i32(); left > 0; left--) {
      const topic = reader.utf8(reader.i16())
      const partitions: number[] = []
      for (let more = reader.i32(); more > 0; more--) partitions.push(reader.i32())
      topics.push({ topic, partitions })
    }
  } catch (thrown) {
    if (thrown instanceof MalformedBytes) return null
    throw thrown
  }
  return topics
}

/** i16 version, then an array of topic names; later versions add fields behind them. */
function topicsOf(metadata: Buffer): string[] | null {
  const reader = new ByteReader(metadata)
  const topics: string[] = []
  try {
    reader.i16()
    for (let left = reader.i32(); left > 0; left--) topics.push(reader.utf8(reader.i16()))
  } catch (thrown) {
    if (thrown instanceof MalformedBytes) return null
    throw thrown
  }
  return topics
}
