import type { Offsets } from './groups.ts'
import { rememberMarker } from './producers.ts'
import type { Partition, State } from './state.ts'
import type { TransactionalIdClaim, TransactionEnd, TransactionJoin, TransactionOffsets } from './transaction-fields.ts'
import { AbortedTransactions, LAST_EPOCH, type Marker, NO_EPOCH, Transaction } from './transactions.ts'

// What the records of transactions do to the state. Each names the producer that its proposer found; if another one has the
// transactional id by now, nothing changes and the outcome says so: that is what fences zombies, whoever coordinates.

export type TransactionOutcome =
  | 'NONE'
  | 'INVALID_PRODUCER_ID_MAPPING'
  | 'PRODUCER_FENCED'
  | 'CONCURRENT_TRANSACTIONS'
  | 'INVALID_TXN_STATE'

export function claimTransactionalId(state: State, claim: TransactionalIdClaim, timeMs: number): TransactionOutcome {
  const { transactionalId, fromProducerId, fromEpoch, producerId, epoch } = claim
  let transaction = state.transactions.get(transactionalId)
  if ((transaction?.producerId ?? -1) !== fromProducerId || (transaction?.epoch ?? NO_EPOCH) !== fromEpoch) {
    return 'PRODUCER_FENCED'
  }
  if (transaction === undefined) {
    transaction = new Transaction(transactionalId)
    state.transactions.set(transactionalId, transaction)
  }
  if (transaction.isOngoing) return 'CONCURRENT_TRANSACTIONS'
  handOver(state, transaction, producerId, epoch)
  if (!claim.isNamed) transaction.previousEpoch = NO_EPOCH
  transaction.timeoutMs = claim.timeoutMs
  transaction.phase = 'Empty'
  transaction.updatedMs = timeMs
  return 'NONE'
}

function handOver(state: State, transaction: Transaction, producerId: number, epoch: number): void {
  state.transactionOfProducer.delete(transaction.producerId)
  // Behind the last epoch nobody was: who had that is still the one before.
  if (transaction.epoch <= LAST_EPOCH) {
    transaction.previousProducerId = transaction.producerId
    transaction.previousEpoch = transaction.epoch
  }
  transaction.producerId = producerId
  transaction.epoch = epoch
  state.transactionOfProducer.set(producerId, transaction)
}

export function joinTransaction(state: State, join: TransactionJoin, timeMs: number): TransactionOutcome {
  const transaction = state.transactions.get(join.transactionalId)
  if (transaction?.producerId !== join.producerId) return 'INVALID_PRODUCER_ID_MAPPING'
  if (!transaction.isHeldBy(join.producerId, join.epoch)) return 'PRODUCER_FENCED'
  begin(state, transaction, timeMs)
  // What was deleted meanwhile takes no part.
  for (const ordinal of join.ordinals) if (state.partitions[ordinal] !== undefined) transaction.partitions.add(ordinal)
  for (const groupId of join.groupIds) transaction.groups.add(groupId)
  return 'NONE'
}

/** The first partition or group begins it. */
export function begin(state: State, transaction: Transaction, timeMs: number): void {
  if (transaction.isOngoing) return
  transaction.phase = 'Ongoing'
  transaction.startedMs = timeMs
  transaction.updatedMs = timeMs
  transaction.begunCount++
  state.openTransactions.add(transaction)
}

export function commitTransactionOffsets(state: State, commit: TransactionOffsets, timeMs: number): TransactionOutcome {
  const { producerId, groupId, topics } = commit
  const transaction = state.transactionOfProducer.get(producerId)
  if (transaction === undefined) return 'INVALID_PRODUCER_ID_MAPPING'
  if (!transaction.isHeldBy(producerId, commit.epoch)) return 'PRODUCER_FENCED'
  if (!transaction.groups.has(groupId) && !commit.joins) return 'INVALID_TXN_STATE'
  begin(state, transaction, timeMs)
  transaction.groups.add(groupId)
  const pending = state.group(groupId).pendingOf(producerId)
  pending.commitAll(topics, { committedMs: state.timeMs, order: state.commitCount++ })
  return 'NONE'
}

/** `marked` is told of each partition's marker and the offset that it takes, before the transaction ends there. */
export function endTransaction(
  state: State,
  end: TransactionEnd,
  timeMs: number,
  marked: (partition: Partition, baseOffset: number, marker: Marker) => void,
): TransactionOutcome {
  const transaction = state.transactions.get(end.transactionalId)
  if (transaction?.producerId !== end.producerId) return 'INVALID_PRODUCER_ID_MAPPING'
  if (transaction.epoch !== end.epoch) return 'PRODUCER_FENCED'
  // Its producer was faster: it must not be fenced for what it has ended in time.
  if (end.fences && !transaction.isOngoing) return 'INVALID_TXN_STATE'
  if (!isInExactly(transaction, end.markers)) return 'CONCURRENT_TRANSACTIONS'
  for (const marker of end.markers) {
    const partition = state.partitions[marker.ordinal]!
    const offset = storeMarker(state, partition, { file: end.file, sizeBytes: marker.sizeBytes, timeMs })
    marked(partition, offset, marker)
    endInPartition(partition, end, offset)
  }
  for (const groupId of transaction.groups) endInGroup(state, groupId, end)
  transaction.partitions.clear()
  transaction.groups.clear()
  transaction.phase = end.isCommit ? 'CompleteCommit' : 'CompleteAbort'
  transaction.updatedMs = timeMs
  state.openTransactions.delete(transaction)
  if (end.nextProducerId !== end.producerId || end.nextEpoch !== end.epoch) {
    handOver(state, transaction, end.nextProducerId, end.nextEpoch)
  }
  return 'NONE'
}

/** A partition that came to it, or was deleted, since the end was proposed would be left behind. */
function isInExactly({ partitions }: Transaction, markers: readonly Marker[]): boolean {
  return markers.length === partitions.size && markers.every(({ ordinal }) => partitions.has(ordinal))
}

/** The marker is stored like any batch. Returns its offset. */
function storeMarker(
  state: State,
  partition: Partition,
  marker: { file: number; sizeBytes: number; timeMs: number },
): number {
  const { file, sizeBytes, timeMs } = marker
  const { segmentBytes, segmentMs } = partition.topic
  const baseOffset = partition.nextOffset
  const nextOffset = baseOffset + 1
  partition.nextOffset = nextOffset
  const place = { file, baseOffset, nextOffset, sizeBytes, segmentBytes, segmentMs }
  const began = partition.extents.add({ ...place, maxTimestampMs: timeMs, timeMs: state.timeMs })
  if (began) state.holdFile(file)
  return baseOffset
}

function endInPartition(partition: Partition, end: TransactionEnd, markerOffset: number): void {
  const { producerId, markerEpoch, isCommit } = end
  const producer = partition.producers?.get(producerId)
  if (producer !== undefined) rememberMarker(producer, markerEpoch)
  const firstOffset = partition.openTransactions?.get(producerId)
  partition.openTransactions?.delete(producerId)
  if (firstOffset === undefined || isCommit) return
  partition.aborted ??= new AbortedTransactions()
  const { lastStableOffset } = partition
  partition.aborted.add({ producerId, firstOffset, lastOffset: markerOffset, lastStableOffset })
}

function endInGroup(state: State, groupId: string, { producerId, isCommit }: TransactionEnd): void {
  // It may have been deleted, with all that it would have got.
  const group = state.groups.get(groupId)
  const pending = group?.pending.get(producerId)
  if (group === undefined || pending === undefined) return
  group.pending.delete(producerId)
  if (isCommit) takeOver(state, group.offsets, pending)
}

/** Unless a later commit was there before. */
function takeOver(state: State, offsets: Offsets, pending: Offsets): void {
  for (const [topicId, partitions] of pending) {
    if (!state.topicsById.has(topicId)) continue
    for (const [partition, committed] of partitions) {
      const known = offsets.get(topicId)?.get(partition)
      if (known === undefined || known.order < committed.order) offsets.commit(topicId, partition, committed)
    }
  }
}

export function removeTransactionalId(
  state: State,
  removed: { transactionalId: string; producerId: number; epoch: number },
): TransactionOutcome {
  const transaction = state.transactions.get(removed.transactionalId)
  if (transaction?.producerId !== removed.producerId) return 'INVALID_PRODUCER_ID_MAPPING'
  // It was taken again meanwhile.
  if (transaction.epoch !== removed.epoch) return 'PRODUCER_FENCED'
  if (transaction.isOngoing) return 'CONCURRENT_TRANSACTIONS'
  state.transactions.delete(transaction.id)
  state.transactionOfProducer.delete(transaction.producerId)
  return 'NONE'
}
