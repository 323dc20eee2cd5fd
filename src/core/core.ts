import { assert, unreachable } from '#base/assert.ts'
import { asOrdinal } from '#base/numbers.ts'
import type { ByteReader } from '#bytes/cursor.ts'
import { isTransactional } from '#records/batch.ts'
import { applyGroupChange } from './apply-groups.ts'
import { commitSegments, replaceSegments, type SegmentOutcome } from './apply-segments.ts'
import {
  begin,
  claimTransactionalId,
  commitTransactionOffsets,
  endTransaction,
  joinTransaction,
  removeTransactionalId,
  type TransactionOutcome,
} from './apply-transactions.ts'
import { type Change, decodeChange, PRODUCE_RECORD, RECORD_VERSION } from './change-records.ts'
import { bury } from './garbage.ts'
import { endOfLeaderBefore } from './leader-epochs.ts'
import {
  type BatchEntry,
  JOINS_TRANSACTION_BIT,
  newBatchEntry,
  type ProduceRecordHeader,
  readProduceEntry,
  readProduceHeader,
} from './produce-record.kernel.ts'
import {
  checkSequence,
  type KeptBatch,
  mayFollowLost,
  NO_PRODUCER,
  type Producer,
  type ProducerCheck,
  rememberBatch,
  sequenceAfter,
} from './producers.ts'
import { Partition, type State, Topic } from './state.ts'
import type { TransactionEnd } from './transaction-fields.ts'
import type { Marker, Transaction } from './transactions.ts'

// `apply` is the state machine: (state, record) -> state and effects. No clock, no random, no I/O, no waiting. It assigns
// offsets and turns away duplicates and zombies, the same way when a record has just been committed and when it is read back
// after a restart: `restore(checkpoint, rest of the log)` is the live state byte for byte.

/** What became of one produced batch. */
export const ACCEPTED = 0
export const DUPLICATE = 1
export const NO_PARTITION = 2
export const FENCED = 3
export const OUT_OF_ORDER = 4
/** Transactional, and its producer id stands for no transactional id (any more). */
export const NO_TRANSACTIONAL_ID = 5
/** Transactional, and its transaction is not in this partition. */
export const NOT_IN_TRANSACTION = 6
/** Not transactional, and its producer has a transaction open in this partition. */
export const IN_TRANSACTION = 7

/** What became of a change; names are Kafka's. */
export type Outcome =
  | 'NONE'
  | 'TOPIC_ALREADY_EXISTS'
  | 'UNKNOWN_TOPIC_ID'
  | 'INVALID_PARTITIONS'
  | 'UNKNOWN_TOPIC_OR_PARTITION'
  | TransactionOutcome
  | SegmentOutcome

/** Told of everything `apply` does, in order. */
export interface Effects {
  /** `partition` is undefined for NO_PARTITION; `baseOffset` is the first time's for a DUPLICATE, -1 if turned away. */
  batch(verdict: number, partition: Partition | undefined, baseOffset: number, entry: BatchEntry): void
  /** A batch of the broker's own: it ends a transaction in the partition. */
  marked(partition: Partition, baseOffset: number, marker: StoredMarker): void
  change(change: Change, outcome: Outcome): void
}

/** For who wants the state alone. */
export const NO_EFFECTS: Effects = { batch() {}, marked() {}, change() {} }

/** A marker, and where it is in the log. */
export interface StoredMarker extends Marker {
  readonly position: number
  readonly maxTimestampMs: number
}

const header: ProduceRecordHeader = { timeMs: 0, file: 0, payloadPosition: 0, entryCount: 0 }
const entry = newBatchEntry()

/** A record of the commit log: the reader stands at its body. */
export interface Appliable {
  readonly type: number
  readonly version: number
  readonly body: ByteReader
}

/** Applies a record and leaves its reader behind it. */
export function apply(state: State, record: Appliable, effects: Effects): void {
  const { type, version, body } = record
  if (type === PRODUCE_RECORD && version === RECORD_VERSION) {
    applyProduced(state, body, effects)
    return
  }
  const { timeMs, change } = decodeChange(type, version, body)
  if (timeMs > state.timeMs) state.timeMs = timeMs
  const outcome =
    change.kind === 'transaction-ended' ? applyEnd(state, change, timeMs, effects) : applyChange(state, change, timeMs)
  effects.change(change, outcome)
}

function applyEnd(state: State, end: TransactionEnd, timeMs: number, effects: Effects): Outcome {
  return endTransaction(state, end, timeMs, (partition, baseOffset, marker) => {
    const position = end.payloadPosition + marker.place
    effects.marked(partition, baseOffset, { ...marker, position, maxTimestampMs: timeMs })
  })
}

function applyProduced(state: State, body: ByteReader, effects: Effects): void {
  readProduceHeader(body, header)
  if (header.timeMs > state.timeMs) state.timeMs = header.timeMs
  for (let left = header.entryCount; left > 0; left--) {
    readProduceEntry(body, entry)
    entry.position = header.payloadPosition + entry.place
    const partition = state.partitions[entry.ordinal]
    if (partition === undefined) effects.batch(NO_PARTITION, undefined, -1, entry)
    else applyBatch(state, partition, effects)
  }
}

function applyBatch(state: State, partition: Partition, effects: Effects): void {
  const { recordCount, producerId } = entry
  assert(recordCount > 0, 'a batch has records')
  const isInTransaction = isTransactional(entry.attributes)
  const refused = isInTransaction ? checkTransaction(state, partition) : checkNoTransaction(partition)
  if (refused !== ACCEPTED) {
    effects.batch(refused, partition, -1, entry)
    return
  }
  if (producerId !== NO_PRODUCER) {
    const producer = partition.producers?.get(producerId)
    const check = checkSequence(producer, entry.producerEpoch, entry.baseSequence, recordCount)
    if (check.kind === 'duplicate') {
      entry.appendTimeMs = check.batch.timestampMs
      effects.batch(DUPLICATE, partition, check.batch.baseOffset, entry)
      return
    }
    // KIP-890: what a transaction begins with in a partition is the first that the producer sends with its epoch.
    const isLate = producer === undefined && joins(entry.attributes) && entry.baseSequence !== 0
    if ((check.kind !== 'accept' && !followsLost(partition, producer, check)) || isLate) {
      effects.batch(check.kind === 'fenced' ? FENCED : OUT_OF_ORDER, partition, -1, entry)
      return
    }
    rememberProduced(state, partition)
    if (isInTransaction) openInPartition(state, partition)
  }
  const baseOffset = partition.nextOffset
  partition.nextOffset = baseOffset + recordCount
  const began = partition.extents.add({
    file: header.file,
    baseOffset,
    nextOffset: partition.nextOffset,
    sizeBytes: entry.sizeBytes,
    maxTimestampMs: entry.maxTimestampMs,
    timeMs: state.timeMs,
    segmentBytes: partition.topic.segmentBytes,
    segmentMs: partition.topic.segmentMs,
  })
  if (began) state.holdFile(header.file)
  effects.batch(ACCEPTED, partition, baseOffset, entry)
}

/** What was lost with a disk is not sent again: its producer goes on behind it. Transactional ones begin anew (mend-state.ts). */
function followsLost(partition: Partition, producer: Producer | undefined, { kind }: ProducerCheck): boolean {
  if (kind !== 'out-of-order' || producer === undefined || isTransactional(entry.attributes)) return false
  return mayFollowLost(producer, entry.producerEpoch, entry.baseSequence, endOfLeaderBefore(partition))
}

function checkTransaction(state: State, partition: Partition): number {
  const transaction = state.transactionOfProducer.get(entry.producerId)
  if (transaction === undefined) return NO_TRANSACTIONAL_ID
  if (!transaction.isHeldBy(entry.producerId, entry.producerEpoch)) return FENCED
  return transaction.partitions.has(partition.ordinal) || joins(entry.attributes) ? ACCEPTED : NOT_IN_TRANSACTION
}

function checkNoTransaction({ openTransactions }: Partition): number {
  return openTransactions?.has(entry.producerId) ? IN_TRANSACTION : ACCEPTED
}

function joins(attributes: number): boolean {
  return (attributes & JOINS_TRANSACTION_BIT) !== 0
}

function openInPartition(state: State, partition: Partition): void {
  const transaction = state.transactionOfProducer.get(entry.producerId)
  assert(transaction !== undefined, 'a transactional batch was checked')
  begin(state, transaction, header.timeMs)
  transaction.partitions.add(partition.ordinal)
  partition.openTransactions ??= new Map()
  const { openTransactions, nextOffset } = partition
  if (!openTransactions.has(transaction.producerId)) openTransactions.set(transaction.producerId, nextOffset)
}

function rememberProduced(state: State, partition: Partition): void {
  partition.producers ??= new Map()
  let producer = partition.producers.get(entry.producerId)
  if (producer === undefined) {
    producer = { epoch: entry.producerEpoch, lastAppendMs: state.timeMs, batches: [] }
    partition.producers.set(entry.producerId, producer)
  }
  const batch: KeptBatch = {
    firstSequence: entry.baseSequence,
    lastSequence: sequenceAfter(entry.baseSequence, entry.recordCount - 1),
    baseOffset: partition.nextOffset,
    timestampMs: entry.maxTimestampMs,
  }
  rememberBatch(producer, entry.producerEpoch, batch, state.timeMs)
}

function applyChange(state: State, change: Exclude<Change, TransactionEnd>, timeMs: number): Outcome {
  switch (change.kind) {
    case 'cluster-created':
      if (state.clusterId === '') state.clusterId = change.clusterId
      return 'NONE'
    case 'topic-created':
      return createTopic(state, change)
    case 'topic-deleted':
      return deleteTopic(state, change.id)
    case 'partitions-added':
      return addPartitions(state, change)
    case 'topic-configs-set': {
      const topic = state.topicsById.get(change.id)
      topic?.setConfigs(change.configs, state.brokerConfigs)
      return topic === undefined ? 'UNKNOWN_TOPIC_ID' : 'NONE'
    }
    case 'broker-configs-set':
      state.brokerConfigs = change.configs
      for (const topic of state.topics.values()) topic.setConfigs(topic.configs, change.configs)
      return 'NONE'
    case 'log-start-moved':
      return moveLogStart(state, change)
    case 'producer-ids-allocated':
      state.nextProducerId += change.count
      return 'NONE'
    case 'producers-expired':
      expireProducers(state, change.lastAppendBeforeMs)
      return 'NONE'
    case 'group-saved':
    case 'group-removed':
    case 'consumer-group-changed':
    case 'group-configs-set':
    case 'offsets-committed':
    case 'offsets-removed':
    case 'offsets-expired':
      applyGroupChange(state, change)
      return 'NONE'
    case 'transactional-id-claimed':
      return claimTransactionalId(state, change, timeMs)
    case 'transaction-joined':
      return joinTransaction(state, change, timeMs)
    case 'transaction-offsets-committed':
      return commitTransactionOffsets(state, change, timeMs)
    case 'transactional-id-removed':
      return removeTransactionalId(state, change)
    case 'segments-committed':
      return commitSegments(state, change)
    case 'segments-replaced':
      return replaceSegments(state, change)
    case 'garbage-removed':
      for (const id of change.ids) state.garbage.delete(id)
      return 'NONE'
    case 'generation-begun':
      return beginGeneration(state, change)
    default:
      return unreachable(change)
  }
}

function createTopic(state: State, change: Extract<Change, { kind: 'topic-created' }>): Outcome {
  if (state.topics.has(change.name) || state.topicsById.has(change.id)) return 'TOPIC_ALREADY_EXISTS'
  if (change.partitionCount < 1) return 'INVALID_PARTITIONS'
  const topic = new Topic(change.id, change.name, change.configs, state.brokerConfigs)
  state.topics.set(topic.name, topic)
  state.topicsById.set(topic.id, topic)
  state.topicsEpoch++
  growTopic(state, topic, change.partitionCount)
  return 'NONE'
}

function addPartitions(state: State, change: Extract<Change, { kind: 'partitions-added' }>): Outcome {
  const topic = state.topicsById.get(change.id)
  if (topic === undefined) return 'UNKNOWN_TOPIC_ID'
  if (change.partitionCount <= topic.partitions.length) return 'INVALID_PARTITIONS'
  growTopic(state, topic, change.partitionCount)
  state.topicsEpoch++
  return 'NONE'
}

function growTopic(state: State, topic: Topic, partitionCount: number): void {
  while (topic.partitions.length < partitionCount) {
    const partition = new Partition(asOrdinal(state.partitions.length), topic, topic.partitions.length)
    state.partitions.push(partition)
    topic.partitions.push(partition)
  }
}

function deleteTopic(state: State, id: string): Outcome {
  const topic = state.topicsById.get(id)
  if (topic === undefined) return 'UNKNOWN_TOPIC_ID'
  state.topics.delete(topic.name)
  state.topicsById.delete(id)
  state.topicsEpoch++
  for (const group of state.groups.values()) group.offsets.delete(id)
  for (const transaction of state.openTransactions) leaveTopic(state, transaction, topic)
  for (const partition of topic.partitions) {
    partition.extents.dropBefore(partition.nextOffset, state.releaseFile)
    bury(state, partition, partition.segments.takeBefore(partition.nextOffset))
    assert(partition.extents.length + partition.segments.length === 0, 'a deleted partition holds nothing')
    state.partitions[partition.ordinal] = undefined
  }
  return 'NONE'
}

/** Many transactions are in few partitions, and a topic may have many, or the other way round: the fewer are walked. */
function leaveTopic(state: State, { partitions }: Transaction, topic: Topic): void {
  if (partitions.size > topic.partitions.length) {
    for (const { ordinal } of topic.partitions) partitions.delete(ordinal)
    return
  }
  for (const ordinal of partitions) if (state.partitions[ordinal]?.topic === topic) partitions.delete(ordinal)
}

function moveLogStart(state: State, change: Extract<Change, { kind: 'log-start-moved' }>): Outcome {
  const partition = state.partitions[change.ordinal]
  if (partition === undefined) return 'UNKNOWN_TOPIC_OR_PARTITION'
  // Never back, and never beyond what there is.
  const offset = Math.min(change.offset, partition.nextOffset)
  if (offset > partition.logStart) {
    partition.logStart = offset
    partition.extents.dropBefore(offset, state.releaseFile)
    bury(state, partition, partition.segments.takeBefore(offset))
    partition.aborted?.dropBefore(offset)
  }
  return 'NONE'
}

function beginGeneration(state: State, begun: Extract<Change, { kind: 'generation-begun' }>): Outcome {
  if (begun.generation <= state.generation) return 'STALE_CONTROLLER_EPOCH'
  state.generation = begun.generation
  state.ownerId = begun.ownerId
  return 'NONE'
}

function expireProducers(state: State, lastAppendBeforeMs: number): void {
  for (const partition of state.partitions) {
    if (!partition?.producers) continue
    for (const [id, producer] of partition.producers) {
      const isSilent = producer.lastAppendMs < lastAppendBeforeMs && !partition.openTransactions?.has(id)
      if (isSilent) partition.producers.delete(id)
    }
    if (partition.producers.size === 0) partition.producers = null
  }
}
