import { claimTransactionalId, endTransaction } from '#core/apply-transactions.ts'
import { beginEpoch, epochOf } from '#core/leader-epochs.ts'
import type { Partition, State } from '#core/state.ts'
import { type AbortedTransaction, AbortedTransactions, LAST_EPOCH, type Transaction } from '#core/transactions.ts'

// Makes a state that was put together from the store one that can go on: pure. What the last owner did in its last moments may be
// lost: records that were acknowledged, ends of transactions, ids that were given out. So nobody may go on as if it were there:
//
//   a partition without its last records   ends where they begin, and its producers stand there
//   idempotent producers                   may go on behind what they were answered and is lost (core/producers.ts)
//   consumers                              learn by a new leader epoch that what they have read last may be gone
//   open transactions                      are aborted, with a marker in each partition: perhaps they were ended
//   transactional producers                are told to begin anew: perhaps a transaction was open. Each end of one has raised the
//                                          epoch, and nobody knows how many are lost: only another producer id is surely new
//   producer ids                           go on far behind those that may have been given out

/** More than anybody can give out between two pieces of the archive. */
const SKIPPED_PRODUCER_IDS = 10_000_000

/** A marker that is to be written, at the end of its partition. */
export interface ClosingMarker {
  readonly offset: number
  readonly producerId: number
  readonly producerEpoch: number
}

export interface Mended {
  readonly markers: ReadonlyMap<Partition, ClosingMarker[]>
  readonly abortedTransactions: number
  readonly lostRecords: number
  readonly cutPartitions: readonly Partition[]
}

export interface MendFacts {
  /** Nothing that was ever answered can be missing, but for what a partition is cut by. */
  readonly isComplete: boolean
  /** Nobody can have read more than that either. */
  readonly isAllRead: boolean
  /** Of who goes on with it. */
  readonly generation: number
  /** By partition, where the records that are there end; the others are whole. */
  readonly ends: ReadonlyMap<Partition, number>
  /** Size of a marker in the log. */
  readonly markerBytes: number
}

export function mendState(state: State, { isComplete, isAllRead, generation, ends, markerBytes }: MendFacts): Mended {
  const markers = new Map<Partition, ClosingMarker[]>()
  const cutPartitions: Partition[] = []
  let lostRecords = 0
  const torn = new Set<Transaction>()
  for (const partition of livePartitions(state)) {
    const end = ends.get(partition) ?? partition.nextOffset
    const isCut = end < partition.nextOffset
    partition.extents.dropBefore(partition.nextOffset, state.releaseFile)
    if (isCut) {
      cutPartitions.push(partition)
      lostRecords += partition.nextOffset - end
      for (const transaction of transactionsIn(state, partition)) torn.add(transaction)
      const lost = cut(partition, end)
      if (lost.length > 0) markers.set(partition, lost)
      partition.nextOffset = end + lost.length
    }
    if (isCut || !isAllRead) beginEpoch(partition, end, epochOf(generation))
  }
  if (!isComplete) state.nextProducerId += SKIPPED_PRODUCER_IDS
  const open = [...state.openTransactions].filter(transaction => !isComplete || torn.has(transaction))
  for (const transaction of open) abort(state, transaction, { markerBytes, markers })
  if (!isComplete) {
    for (const transaction of state.transactions.values()) if (!open.includes(transaction)) fence(state, transaction)
  }
  return { markers, abortedTransactions: open.length, lostRecords, cutPartitions }
}

function livePartitions({ partitions }: State): Partition[] {
  return partitions.filter(partition => partition !== undefined)
}

function transactionsIn(state: State, { ordinal }: Partition): Transaction[] {
  return [...state.openTransactions].filter(({ partitions }) => partitions.has(ordinal))
}

/** Takes away what is behind the end. Returns markers of transactions that were aborted there, with records before it. */
function cut(partition: Partition, end: number): ClosingMarker[] {
  const { producers, openTransactions } = partition
  for (const [producerId, firstOffset] of openTransactions ?? []) {
    if (firstOffset >= end) openTransactions?.delete(producerId)
  }
  const markers = cutAborted(partition, end)
  for (const [producerId, producer] of producers ?? []) {
    const kept = producer.batches.filter(({ baseOffset }) => baseOffset < end)
    if (kept.length === 0 && producer.batches.length > 0) producers?.delete(producerId)
    producer.batches = kept
  }
  return markers
}

function cutAborted(partition: Partition, end: number): ClosingMarker[] {
  const { aborted, producers, openTransactions } = partition
  if (aborted === null) return []
  const before = aborted.between(0, Number.POSITIVE_INFINITY).filter(({ firstOffset }) => firstOffset < end)
  const [kept, torn] = [new AbortedTransactions(), [] as AbortedTransaction[]]
  for (const transaction of before.sort((a, b) => a.lastOffset - b.lastOffset)) {
    if (transaction.lastOffset < end) kept.add(transaction)
    else torn.push(transaction)
  }
  // At the end they are all open still: whatever is aborted behind one of them may have begun with the first.
  const firstOffsets = [...torn.map(({ firstOffset }) => firstOffset), ...(openTransactions?.values() ?? [])]
  const lastStableOffset = Math.min(...firstOffsets)
  const markers: ClosingMarker[] = []
  for (const { producerId, firstOffset } of torn) {
    const offset = end + markers.length
    kept.add({ producerId, firstOffset, lastOffset: offset, lastStableOffset })
    markers.push({ offset, producerId, producerEpoch: producers?.get(producerId)?.epoch ?? 0 })
  }
  partition.aborted = kept.length > 0 ? kept : null
  return markers
}

/** As its coordinator does it, but that the markers are not in the write-ahead log. */
function abort(
  state: State,
  transaction: Transaction,
  into: { markerBytes: number; markers: Map<Partition, ClosingMarker[]> },
): void {
  const { id: transactionalId, producerId, epoch } = transaction
  const next = { markerEpoch: epoch + 1, nextProducerId: state.nextProducerId++, nextEpoch: 0 }
  const markers = [...transaction.partitions].map(ordinal => ({
    ordinal,
    place: 0,
    sizeBytes: into.markerBytes,
    crc: 0,
  }))
  const how = { isCommit: false, fences: true, file: 0, payloadPosition: 0, markers }
  const end = { kind: 'transaction-ended', transactionalId, producerId, epoch, ...next, ...how } as const
  endTransaction(state, end, state.timeMs, (partition, offset) => {
    partition.extents.dropBefore(partition.nextOffset, state.releaseFile)
    const known = into.markers.get(partition)
    const marker = { offset, producerId, producerEpoch: next.markerEpoch }
    if (known === undefined) into.markers.set(partition, [marker])
    else known.push(marker)
  })
}

/** Its producer goes on with another id, as behind the last epoch. */
function fence(state: State, transaction: Transaction): void {
  const { id: transactionalId, producerId, epoch, timeoutMs } = transaction
  if (epoch > LAST_EPOCH) return
  const from = { fromProducerId: producerId, fromEpoch: epoch }
  const claim = { kind: 'transactional-id-claimed', transactionalId, timeoutMs, ...from } as const
  claimTransactionalId(state, { ...claim, producerId: state.nextProducerId++, epoch: 0, isNamed: true }, state.timeMs)
}
