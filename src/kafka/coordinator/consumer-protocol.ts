import { ByteReader, ByteWriter, MalformedBytes } from '#bytes/cursor.ts'
import { TOPIC_NAME_MAX_LENGTH } from '#kafka/topic-names.ts'
import { type ClassicGroup, metadataFor } from './classic-group.ts'

// What members of a consumer group say of themselves, and are told, in the classic protocol (Kafka: ConsumerProtocol). Only
// this is read of what is otherwise theirs.

export const CONSUMER_PROTOCOL = 'consumer'
/** Names that a member of a consumer group may subscribe to; a regular expression does for more. */
export const SUBSCRIBED_NAMES_MAX = 10_000

const OWNED_FROM = 1
const GENERATION_FROM = 2
const RACK_FROM = 3
const HIGHEST_VERSION = 3

/** Partitions by topic name. */
export type NamedPartitions = ReadonlyMap<string, readonly number[]>

export interface Subscription {
  readonly version: number
  readonly topics: readonly string[]
  /** What it holds on to while it joins again. */
  readonly owned: NamedPartitions
  readonly rackId: string | null
}

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
  return attempt(() => {
    const reader = new ByteReader(bytes)
    reader.i16()
    return [...readPartitions(reader)].map(([topic, partitions]) => ({ topic, partitions }))
  })
}

/** i16 version, then an array of topic names; later versions add fields behind them. */
function topicsOf(metadata: Buffer): string[] | null {
  return attempt(() => {
    const reader = new ByteReader(metadata)
    reader.i16()
    return readNames(reader)
  })
}

/** As they are kept: sorted, each once. Kafka takes names that no topic can have, and so finds none. */
export function subscribedNames(names: readonly string[]): string[] {
  return [...new Set(names)].filter(({ length }) => length <= TOPIC_NAME_MAX_LENGTH).sort()
}

/** Null: it cannot be read, or says more than a member may. */
export function readSubscription(metadata: Buffer): Subscription | null {
  return attempt(() => {
    const reader = new ByteReader(metadata)
    const version = reader.i16()
    if (version < 0) return null
    const topics = readNames(reader, SUBSCRIBED_NAMES_MAX)
    readOptionalBytes(reader)
    const owned = version >= OWNED_FROM ? readPartitions(reader) : new Map<string, number[]>()
    if (version >= GENERATION_FROM) reader.i32()
    const rackId = version >= RACK_FROM ? readOptionalName(reader) : null
    return { version: Math.min(version, HIGHEST_VERSION), topics, owned, rackId }
  })
}

/** Null: it cannot be read. No bytes at all are an assignment of nothing. */
export function readAssigned(assignment: Buffer): { partitions: NamedPartitions; hasUserData: boolean } | null {
  if (assignment.length === 0) return { partitions: new Map(), hasUserData: false }
  return attempt(() => {
    const reader = new ByteReader(assignment)
    if (reader.i16() < 0) return null
    const partitions = readPartitions(reader)
    return { partitions, hasUserData: readOptionalBytes(reader) > 0 }
  })
}

/** An assignment as a member of the given version reads it. */
export function writeAssigned(version: number, partitions: NamedPartitions): Buffer {
  const into = new ByteWriter()
  into.i16(version)
  into.i32(partitions.size)
  for (const [topic, indexes] of partitions) {
    into.i16(Buffer.byteLength(topic))
    into.utf8(topic)
    into.i32(indexes.length)
    for (const index of indexes) into.i32(index)
  }
  into.i32(-1)
  return Buffer.from(into.written())
}

function attempt<T>(read: () => T): T | null {
  try {
    return read()
  } catch (thrown) {
    if (thrown instanceof MalformedBytes) return null
    throw thrown
  }
}

function readNames(reader: ByteReader, most = Number.POSITIVE_INFINITY): string[] {
  const names: string[] = []
  const count = reader.i32()
  if (count > most) throw new MalformedBytes(`${count} names, ${most} at most`)
  for (let left = count; left > 0; left--) names.push(reader.utf8(reader.i16()))
  return names
}

function readPartitions(reader: ByteReader): Map<string, number[]> {
  const partitions = new Map<string, number[]>()
  for (let left = reader.i32(); left > 0; left--) {
    const topic = reader.utf8(reader.i16())
    const indexes: number[] = []
    for (let more = reader.i32(); more > 0; more--) indexes.push(reader.i32())
    partitions.set(topic, indexes)
  }
  return partitions
}

function readOptionalName(reader: ByteReader): string | null {
  const length = reader.i16()
  return length < 0 ? null : reader.utf8(length)
}

/** Moves over them, and returns how many there are. */
function readOptionalBytes(reader: ByteReader): number {
  const length = reader.i32()
  if (length > 0) reader.take(length)
  return length
}
