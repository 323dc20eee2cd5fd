import type { ByteReader, ByteWriter } from '#bytes/cursor.ts'
import { keepTogether } from '#bytes/keep.ts'
import { readBlob, readOptionalText, readText, viewOf, writeBlob, writeOptionalText, writeText } from './fields.ts'
import type { CommittedTopic, Generation, Offsets, RemovedTopic, SavedMember } from './groups.ts'

// Groups as bytes: in records of the commit log, and in checkpoints.

export function writeGeneration(
  into: ByteWriter,
  { generation, protocolType, protocol, leaderId, members }: Generation,
): void {
  into.uvarint(generation)
  writeOptionalText(into, protocolType)
  writeOptionalText(into, protocol)
  writeOptionalText(into, leaderId)
  into.uvarint(members.length)
  for (const member of members) writeMember(into, member)
}

export function readGeneration(from: ByteReader): Generation {
  const generation = from.uvarint()
  const protocolType = readOptionalText(from)
  const protocol = readOptionalText(from)
  const leaderId = readOptionalText(from)
  const members: SavedMember[] = []
  for (let left = from.uvarint(); left > 0; left--) members.push(readMember(from))
  return { generation, protocolType, protocol, leaderId, members: withKeptBytes(members) }
}

function withKeptBytes(members: SavedMember[]): SavedMember[] {
  const kept = keepTogether(members.flatMap(({ metadata, assignment }) => [metadata, assignment]))
  return members.map((member, i) => ({ ...member, metadata: kept[2 * i]!, assignment: kept[2 * i + 1]! }))
}

function writeMember(into: ByteWriter, member: SavedMember): void {
  writeText(into, member.id)
  writeOptionalText(into, member.instanceId)
  writeText(into, member.clientId)
  writeText(into, member.clientHost)
  into.i32(member.sessionTimeoutMs)
  into.i32(member.rebalanceTimeoutMs)
  writeBlob(into, member.metadata)
  writeBlob(into, member.assignment)
}

function readMember(from: ByteReader): SavedMember {
  return {
    id: readText(from),
    instanceId: readOptionalText(from),
    clientId: readText(from),
    clientHost: readText(from),
    sessionTimeoutMs: from.i32(),
    rebalanceTimeoutMs: from.i32(),
    metadata: readBlob(from),
    assignment: readBlob(from),
  }
}

export function writeCommittedTopics(into: ByteWriter, topics: readonly CommittedTopic[]): void {
  into.uvarint(topics.length)
  for (const { topicId, partitions } of topics) {
    writeText(into, topicId)
    into.uvarint(partitions.length)
    for (const { partition, offset, leaderEpoch, metadata, expiresMs } of partitions) {
      into.uvarint(partition)
      into.i64(offset)
      into.i32(leaderEpoch)
      writeText(into, metadata)
      into.f64(expiresMs)
    }
  }
}

export function readCommittedTopics(from: ByteReader): CommittedTopic[] {
  const topics: CommittedTopic[] = []
  for (let left = from.uvarint(); left > 0; left--) {
    const topicId = readText(from)
    const partitions: CommittedTopic['partitions'][number][] = []
    for (let more = from.uvarint(); more > 0; more--) {
      partitions.push({
        partition: from.uvarint(),
        offset: from.i64(),
        leaderEpoch: from.i32(),
        metadata: readText(from),
        expiresMs: from.f64(),
      })
    }
    topics.push({ topicId, partitions })
  }
  return topics
}

export function writeRemovedTopics(into: ByteWriter, topics: readonly RemovedTopic[]): void {
  into.uvarint(topics.length)
  for (const { topicId, partitions } of topics) {
    writeText(into, topicId)
    into.uvarint(partitions.length)
    for (const partition of partitions) into.uvarint(partition)
  }
}

export function readRemovedTopics(from: ByteReader): RemovedTopic[] {
  const topics: RemovedTopic[] = []
  for (let left = from.uvarint(); left > 0; left--) {
    const topicId = readText(from)
    const partitions: number[] = []
    for (let more = from.uvarint(); more > 0; more--) partitions.push(from.uvarint())
    topics.push({ topicId, partitions })
  }
  return topics
}

export const OFFSET_BYTES = 40

/** There may be hundreds of thousands, so their numbers are written through one view; texts are rare, and come behind. */
export function writeOffsets(into: ByteWriter, offsets: Offsets): void {
  into.uvarint(offsets.size)
  for (const [topicId, partitions] of offsets) {
    writeText(into, topicId)
    into.u32(partitions.size)
    let at = into.reserve(partitions.size * OFFSET_BYTES)
    const view = viewOf(into.bytes)
    const texts: [index: number, text: string][] = []
    let index = 0
    for (const [partition, { leaderEpoch, offset, committedMs, expiresMs, order, metadata }] of partitions) {
      view.setUint32(at, partition)
      view.setInt32(at + 4, leaderEpoch)
      view.setFloat64(at + 8, offset)
      view.setFloat64(at + 16, committedMs)
      view.setFloat64(at + 24, expiresMs)
      view.setFloat64(at + 32, order)
      at += OFFSET_BYTES
      if (metadata !== '') texts.push([index, metadata])
      index++
    }
    into.uvarint(texts.length)
    for (const [place, text] of texts) {
      into.uvarint(place)
      writeText(into, text)
    }
  }
}

export function readOffsets(from: ByteReader, offsets: Offsets): void {
  const view = viewOf(from.bytes)
  for (let left = from.uvarint(); left > 0; left--) {
    const topicId = readText(from)
    const count = from.u32()
    const rowsAt = from.take(count * OFFSET_BYTES)
    const texts = new Map<number, string>()
    for (let more = from.uvarint(); more > 0; more--) texts.set(from.uvarint(), readText(from))
    for (let index = 0; index < count; index++) {
      const at = rowsAt + index * OFFSET_BYTES
      offsets.commit(topicId, view.getUint32(at), {
        leaderEpoch: view.getInt32(at + 4),
        offset: view.getFloat64(at + 8),
        committedMs: view.getFloat64(at + 16),
        expiresMs: view.getFloat64(at + 24),
        order: view.getFloat64(at + 32),
        metadata: texts.get(index) ?? '',
      })
    }
  }
}
