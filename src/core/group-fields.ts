import type { ByteReader, ByteWriter } from '#bytes/cursor.ts'
import { readBlob, readOptionalText, readText, writeBlob, writeOptionalText, writeText } from './fields.ts'
import type { CommittedOffset, CommittedTopic, Generation, Offsets, RemovedTopic, SavedMember } from './groups.ts'

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
  return { generation, protocolType, protocol, leaderId, members }
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

function writeOffset(into: ByteWriter, committed: CommittedOffset): void {
  into.i64(committed.offset)
  into.i32(committed.leaderEpoch)
  writeText(into, committed.metadata)
  into.f64(committed.committedMs)
  into.f64(committed.expiresMs)
  into.i64(committed.order)
}

function readOffset(from: ByteReader): CommittedOffset {
  return {
    offset: from.i64(),
    leaderEpoch: from.i32(),
    metadata: readText(from),
    committedMs: from.f64(),
    expiresMs: from.f64(),
    order: from.i64(),
  }
}

export function writeOffsets(into: ByteWriter, offsets: Offsets): void {
  into.uvarint(offsets.size)
  for (const [topicId, partitions] of offsets) {
    writeText(into, topicId)
    into.uvarint(partitions.size)
    for (const [partition, committed] of partitions) {
      into.uvarint(partition)
      writeOffset(into, committed)
    }
  }
}

export function readOffsets(from: ByteReader, offsets: Offsets): void {
  for (let left = from.uvarint(); left > 0; left--) {
    const topicId = readText(from)
    for (let more = from.uvarint(); more > 0; more--) offsets.commit(topicId, from.uvarint(), readOffset(from))
  }
}
