import { PackedRows } from './packed-rows.ts'

// Transactions (Kafka: TransactionMetadata). A producer with a transactional id has at most one open, which is in so many
// partitions and groups. It begins with the first of them, and ends with one record that ends it everywhere at once: there is
// nothing between open and ended, so there is no state like Kafka's Prepare*.

export type TransactionPhase = 'Empty' | 'Ongoing' | 'CompleteCommit' | 'CompleteAbort'

/** Kafka: a producer id is given up before its epoch is the largest there is: that one is left for the marker behind it. */
export const LAST_EPOCH = 32766
export const NO_EPOCH = -1

/** What a transactional id stands for: the producer that may use it now, and its transaction. */
export class Transaction {
  readonly id: string
  producerId = -1
  epoch = NO_EPOCH
  /** What a producer has that did not get the answer to its last request: it is told again instead of being fenced. */
  previousProducerId = -1
  previousEpoch = NO_EPOCH
  timeoutMs = 0
  phase: TransactionPhase = 'Empty'
  /** When the open one began, by the clock of who proposed it. */
  startedMs = -1
  /** When it last began or ended. */
  updatedMs = 0
  /** How many have begun in this process: tells one from the next. Not stored. */
  begunCount = 0
  /** Ordinals of the partitions that the open one is in. */
  readonly partitions = new Set<number>()
  /** Ids of the groups that the open one commits offsets of. */
  readonly groups = new Set<string>()

  constructor(id: string) {
    this.id = id
  }

  get isOngoing(): boolean {
    return this.phase === 'Ongoing'
  }

  /** Is this who may write? Who was fenced with the last epoch has left an epoch that nobody was given. */
  isHeldBy(producerId: number, epoch: number): boolean {
    return this.producerId === producerId && this.epoch === epoch && epoch <= LAST_EPOCH
  }
}

/** A batch that ends a transaction in a partition, as the record of the end names it. */
export interface Marker {
  readonly ordinal: number
  /** From the position of the record's payload. */
  readonly place: number
  readonly sizeBytes: number
  readonly crc: number
}

/** An aborted transaction of a partition (Kafka: AbortedTxn). */
export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
  /** Of its marker. */
  readonly lastOffset: number
  /** Of the partition, when it was aborted. */
  readonly lastStableOffset: number
}

const COLUMNS = 4
const [PRODUCER, FIRST, LAST, STABLE] = [0, 1, 2, 3]

/** In the order of their markers. */
export function packAborted(transactions: readonly AbortedTransaction[]): Float64Array {
  const packed = new AbortedTransactions()
  for (const aborted of transactions.toSorted((a, b) => a.lastOffset - b.lastOffset)) packed.add(aborted)
  return packed.rows()
}

/** The aborted transactions of a partition in the order of their markers. Packed: 32 bytes each. */
export class AbortedTransactions extends PackedRows {
  constructor(rows: Float64Array = new Float64Array(0)) {
    super(COLUMNS, rows)
  }

  add(aborted: AbortedTransaction): void {
    const row = this.addRow()
    this.values[row + PRODUCER] = aborted.producerId
    this.values[row + FIRST] = aborted.firstOffset
    this.values[row + LAST] = aborted.lastOffset
    this.values[row + STABLE] = aborted.lastStableOffset
  }

  /** Forgets those that have no records from the offset on. */
  dropBefore(offset: number): void {
    while (this.length > 0 && this.values[this.rowAt(0) + LAST]! < offset) this.dropFirst()
  }

  /** Those that have records from the offset on, null if there are none. This one stays as it is: somebody may read by it. */
  from(offset: number): AbortedTransactions | null {
    const first = this.firstReaching(LAST, offset)
    return first === this.length ? null : new AbortedTransactions(this.rows().slice(first * COLUMNS))
  }

  /** The same packed, in the order of their markers. */
  rowsBetween(from: number, to: number): Float64Array {
    return packAborted(this.between(from, to))
  }

  /** Those with records in [from, to), by their first offset. */
  between(from: number, to: number): AbortedTransaction[] {
    const found: AbortedTransaction[] = []
    for (let i = this.firstReaching(LAST, from); i < this.length; i++) {
      const row = this.rowAt(i)
      const firstOffset = this.values[row + FIRST]!
      const lastStableOffset = this.values[row + STABLE]!
      if (firstOffset < to) {
        const producerId = this.values[row + PRODUCER]!
        found.push({ producerId, firstOffset, lastOffset: this.values[row + LAST]!, lastStableOffset })
      }
      // Whatever was aborted later began behind it.
      if (lastStableOffset >= to) break
    }
    return found.sort((a, b) => a.firstOffset - b.firstOffset)
  }
}
