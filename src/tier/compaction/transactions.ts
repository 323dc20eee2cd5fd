import type { AbortedTransaction } from '#core/transactions.ts'
import { attributesOf, baseOffsetOf, isTransactional, lastOffsetOf, producerIdOf } from '#records/batch.ts'
import { recordsOf } from '#records/read.ts'

// What compaction must know of transactions (Kafka: CleanedTransactionMetadata). Records of aborted ones go; the marker of a
// transaction stays until a pass has seen none of its batches any more.

/** Knows the aborted transactions of a partition (core: AbortedTransactions). */
export interface AbortedIndex {
  /** Those with records in [from, to). */
  between(from: number, to: number): readonly AbortedTransaction[]
}

// The index is asked for so many offsets at once.
const LOOK_AHEAD_OFFSETS = 65_536

/** Asked batch after batch, in the order of their offsets. */
export class AbortedLookup {
  readonly #index: AbortedIndex | null
  #until = -1
  readonly #ofProducer = new Map<number, AbortedTransaction[]>()

  constructor(index: AbortedIndex | null) {
    this.#index = index
  }

  /** The aborted transaction that the batch at (bytes, at) belongs to. */
  find(bytes: Buffer, at: number): AbortedTransaction | undefined {
    if (this.#index === null || !isTransactional(attributesOf(bytes, at))) return undefined
    const baseOffset = baseOffsetOf(bytes, at)
    const lastOffset = lastOffsetOf(bytes, at)
    if (lastOffset >= this.#until) this.#look(this.#index, baseOffset, lastOffset + LOOK_AHEAD_OFFSETS)
    const transactions = this.#ofProducer.get(producerIdOf(bytes, at))
    return transactions?.find(aborted => aborted.firstOffset <= lastOffset && baseOffset < aborted.lastOffset)
  }

  #look(index: AbortedIndex, from: number, to: number): void {
    this.#until = to
    this.#ofProducer.clear()
    for (const aborted of index.between(from, to)) {
      const transactions = this.#ofProducer.get(aborted.producerId)
      if (transactions === undefined) this.#ofProducer.set(aborted.producerId, [aborted])
      else transactions.push(aborted)
    }
  }
}

const MARKER_TYPE_AT = 2
const ABORT = 0
const COMMIT = 1

/** Is told of every batch of a pass, from the first of the partition on. */
export class TransactionTrack {
  readonly #lookup: AbortedLookup
  /** Of which batches were seen and the marker not yet, by producer. */
  readonly #committed = new Set<number>()
  readonly #aborted = new Map<number, AbortedTransaction>()
  #retained: AbortedTransaction[] = []

  constructor(index: AbortedIndex | null) {
    this.#lookup = new AbortedLookup(index)
  }

  /** A batch of records: true if its transaction was aborted. */
  sawRecords(bytes: Buffer, at: number): boolean {
    if (!isTransactional(attributesOf(bytes, at))) return false
    const aborted = this.#lookup.find(bytes, at)
    if (aborted === undefined) this.#committed.add(producerIdOf(bytes, at))
    else this.#aborted.set(aborted.producerId, aborted)
    return aborted !== undefined
  }

  /** A control batch that has its record: true if nothing is left of what it ended. */
  sawMarker(bytes: Buffer, at: number): boolean {
    const producerId = producerIdOf(bytes, at)
    const type = markerTypeOf(bytes, at)
    if (type === COMMIT) return !this.#committed.delete(producerId)
    // Kafka keeps what it does not know.
    if (type !== ABORT) return false
    const aborted = this.#aborted.get(producerId)
    if (aborted === undefined) return true
    this.#aborted.delete(producerId)
    this.#retained.push(aborted)
    return false
  }

  /** The aborted transactions whose markers were kept since the last call: what an index of the compacted log has of them. */
  takeRetained(): AbortedTransaction[] {
    const retained = this.#retained
    this.#retained = []
    return retained
  }
}

// A marker is a few bytes: it is not compressed by us, and could be by others.
const MAX_MARKER_BYTES = 1024

function markerTypeOf(bytes: Buffer, at: number): number {
  for (const { key } of recordsOf(bytes, at, MAX_MARKER_BYTES)) {
    return key !== null && key.length >= MARKER_TYPE_AT + 2 ? key.readInt16BE(MARKER_TYPE_AT) : -1
  }
  return -1
}
