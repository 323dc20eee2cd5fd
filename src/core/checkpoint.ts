import { assert } from '#base/assert.ts'
import { ChronikError, writtenByNewer } from '#base/errors.ts'
import { asOrdinal } from '#base/numbers.ts'
import { ByteReader, ByteWriter } from '#bytes/cursor.ts'
import { readConsumerGroup, writeConsumerGroup } from './consumer-group-fields.ts'
import { Extents } from './extents.ts'
import { readText, readTextMap, writeText, writeTextMap } from './fields.ts'
import { holdObject } from './garbage.ts'
import { OFFSET_BYTES, readGeneration, readOffsets, writeGeneration, writeOffsets } from './group-fields.ts'
import type { Group } from './groups.ts'
import {
  NO_NUMBERS,
  producersSizeBytes,
  readNumbers,
  readProducers,
  writeNumbers,
  writeProducers,
} from './packed-fields.ts'
import { readGarbage, writeGarbage } from './segment-fields.ts'
import { Segments } from './segments.ts'
import { Partition, State, Topic } from './state.ts'
import { readTransaction, writeTransaction } from './transaction-fields.ts'
import { AbortedTransactions } from './transactions.ts'

// The state at one position of the log, as bytes: equal states give equal bytes. docs/formats/checkpoint.md shows them. It is
// made on the broker's thread at every roll of the log, so what there is much of is written in bulk: extents as they lie in
// memory, producers through one view (bench/kernel/checkpoint.bench.ts).

export const CHECKPOINT_VERSION = 3
/** Before version 2 there were neither groups nor transactions. */
const GROUPS_FROM = 2
/** Before version 3 everything was in the write-ahead log. */
const SEGMENTS_FROM = 3

const PARTITION_BYTES = 64
/** Its id, and what counts its offsets. */
const TOPIC_BYTES = 32
/** Of texts and configs it is not counted what they take. */
const OTHER_BYTES = 1 << 16

export function encodeState(state: State): Buffer {
  const into = new ByteWriter(OTHER_BYTES + partitionsSizeBytes(state) + offsetsSizeBytes(state))
  into.u16(CHECKPOINT_VERSION)
  into.f64(state.timeMs)
  writeText(into, state.clusterId)
  into.i64(state.nextProducerId)
  writeTextMap(into, state.brokerConfigs)
  into.u32(state.partitions.length)
  into.u32(state.topics.size)
  for (const topic of state.topics.values()) {
    writeText(into, topic.id)
    writeText(into, topic.name)
    writeTextMap(into, topic.configs)
    into.u32(topic.partitions.length)
    for (const partition of topic.partitions) writePartition(into, partition)
  }
  into.i64(state.commitCount)
  into.u32(state.groups.size)
  for (const group of state.groups.values()) writeGroup(into, group)
  into.u32(state.transactions.size)
  for (const transaction of state.transactions.values()) writeTransaction(into, transaction)
  into.u32(state.groupConfigs.size)
  for (const [groupId, configs] of state.groupConfigs) {
    writeText(into, groupId)
    writeTextMap(into, configs)
  }
  into.u32(state.generation)
  writeText(into, state.ownerId)
  into.i64(state.garbageCount)
  into.u32(state.garbage.size)
  for (const garbage of state.garbage.values()) writeGarbage(into, garbage)
  return into.written()
}

export function decodeState(bytes: Buffer): State {
  const from = new ByteReader(bytes)
  const version = from.u16()
  if (version < 1) throw new ChronikError('CHECKPOINT_DAMAGED', 'corrupt', 'a checkpoint has a state of no version')
  if (version > CHECKPOINT_VERSION) {
    const format = { found: version, known: CHECKPOINT_VERSION }
    throw writtenByNewer('CHECKPOINT_TOO_NEW', 'the state in a checkpoint', format)
  }
  const state = new State()
  state.timeMs = from.f64()
  state.clusterId = readText(from)
  state.nextProducerId = from.i64()
  state.brokerConfigs = readTextMap(from)
  state.partitions.length = from.u32()
  for (let left = from.u32(); left > 0; left--) {
    const topic = new Topic(readText(from), readText(from), readTextMap(from), state.brokerConfigs)
    state.topics.set(topic.name, topic)
    state.topicsById.set(topic.id, topic)
    const partitionCount = from.u32()
    for (let index = 0; index < partitionCount; index++) {
      const partition = readPartition(from, topic, index, version)
      topic.partitions.push(partition)
      state.partitions[partition.ordinal] = partition
      for (let i = 0; i < partition.extents.length; i++) state.holdFile(partition.extents.fileAt(i))
      for (let i = 0; i < partition.segments.length; i++) holdObject(state, partition.segments.at(i))
    }
  }
  if (version >= GROUPS_FROM) readGroupsAndTransactions(from, state)
  if (version >= SEGMENTS_FROM) readStoreState(from, state)
  assert(from.remaining === 0, 'a checkpoint is read whole')
  return state
}

function partitionsSizeBytes(state: State): number {
  let sizeBytes = 0
  for (const partition of state.partitions) {
    if (partition === undefined) continue
    sizeBytes += PARTITION_BYTES + partition.extents.rows().byteLength + partition.segments.rows().byteLength
    if (partition.producers) sizeBytes += producersSizeBytes(partition.producers)
  }
  return sizeBytes
}

/** About: of committed offsets there may be more than of anything else. */
function offsetsSizeBytes(state: State): number {
  let sizeBytes = 0
  for (const { offsets } of state.groups.values()) {
    for (const partitions of offsets.values()) sizeBytes += TOPIC_BYTES + partitions.size * OFFSET_BYTES
  }
  return sizeBytes
}

function writePartition(into: ByteWriter, partition: Partition): void {
  into.u32(partition.ordinal)
  into.i32(partition.leaderEpoch)
  into.i64(partition.nextOffset)
  into.i64(partition.logStart)
  writeNumbers(into, partition.extents.rows())
  into.u32(partition.producers?.size ?? 0)
  if (partition.producers !== null) writeProducers(into, partition.producers)
  into.u32(partition.openTransactions?.size ?? 0)
  for (const [producerId, firstOffset] of partition.openTransactions ?? []) {
    into.i64(producerId)
    into.i64(firstOffset)
  }
  writeNumbers(into, partition.aborted?.rows() ?? NO_NUMBERS)
  writeNumbers(into, partition.segments.rows())
  into.i64(partition.cleanedTo)
  into.f64(partition.cleanHorizonMs)
  into.u32(partition.laterEpochs?.length ?? 0)
  for (const { epoch, startOffset } of partition.laterEpochs ?? []) {
    into.i32(epoch)
    into.i64(startOffset)
  }
}

function readPartition(from: ByteReader, topic: Topic, index: number, version: number): Partition {
  const ordinal = asOrdinal(from.u32())
  const leaderEpoch = from.i32()
  const nextOffset = from.i64()
  const logStart = from.i64()
  const extents = new Extents(readNumbers(from))
  const producerCount = from.u32()
  const producers = producerCount > 0 ? readProducers(from, producerCount) : null
  const transactions = version >= GROUPS_FROM ? readTransactionsOf(from) : NO_TRANSACTIONS
  const segments = new Segments(version >= SEGMENTS_FROM ? readNumbers(from) : NO_NUMBERS)
  const cleanedTo = version >= SEGMENTS_FROM ? from.i64() : 0
  const cleanHorizonMs = version >= SEGMENTS_FROM ? from.f64() : -1
  const partition = new Partition(ordinal, topic, index, { segments, extents })
  const epochCount = version >= SEGMENTS_FROM ? from.u32() : 0
  if (epochCount > 0) partition.laterEpochs = []
  for (let left = epochCount; left > 0; left--) {
    partition.laterEpochs?.push({ epoch: from.i32(), startOffset: from.i64() })
  }
  const cleaned = { cleanedTo, cleanHorizonMs }
  return Object.assign(partition, { leaderEpoch, nextOffset, logStart, producers, ...cleaned, ...transactions })
}

type TransactionsOf = Pick<Partition, 'openTransactions' | 'aborted'>

const NO_TRANSACTIONS: TransactionsOf = { openTransactions: null, aborted: null }

function readTransactionsOf(from: ByteReader): TransactionsOf {
  const openCount = from.u32()
  const openTransactions = openCount > 0 ? new Map<number, number>() : null
  for (let left = openCount; left > 0; left--) openTransactions?.set(from.i64(), from.i64())
  const aborted = readNumbers(from)
  return { openTransactions, aborted: aborted.length > 0 ? new AbortedTransactions(aborted) : null }
}

function readStoreState(from: ByteReader, state: State): void {
  state.generation = from.u32()
  state.ownerId = readText(from)
  state.garbageCount = from.i64()
  for (let left = from.u32(); left > 0; left--) {
    const garbage = readGarbage(from)
    state.garbage.set(garbage.id, garbage)
  }
}

function writeGroup(into: ByteWriter, group: Group): void {
  writeText(into, group.id)
  writeGeneration(into, group.saved)
  into.f64(group.savedMs)
  writeConsumerGroup(into, group.consumer)
  writeOffsets(into, group.offsets)
  into.uvarint(group.pending.size)
  for (const [producerId, offsets] of group.pending) {
    into.i64(producerId)
    writeOffsets(into, offsets)
  }
}

function readGroupsAndTransactions(from: ByteReader, state: State): void {
  state.commitCount = from.i64()
  for (let left = from.u32(); left > 0; left--) readGroup(from, state)
  for (let left = from.u32(); left > 0; left--) {
    const transaction = readTransaction(from)
    state.transactions.set(transaction.id, transaction)
    state.transactionOfProducer.set(transaction.producerId, transaction)
    if (transaction.isOngoing) state.openTransactions.add(transaction)
  }
  for (let left = from.u32(); left > 0; left--) state.groupConfigs.set(readText(from), readTextMap(from))
}

function readGroup(from: ByteReader, state: State): void {
  const group = state.group(readText(from))
  group.saved = readGeneration(from)
  group.savedMs = from.f64()
  group.consumer = readConsumerGroup(from)
  readOffsets(from, group.offsets)
  for (let left = from.uvarint(); left > 0; left--) readOffsets(from, group.pendingOf(from.i64()))
}
