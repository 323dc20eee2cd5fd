import { lastOffsetOfKept, type Producer } from '#core/producers.ts'
import {
  attributesOf,
  baseTimestampOf,
  hasDeleteHorizon,
  isControl,
  lastOffsetOf,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
} from '#records/batch.ts'
import { emptiedBatch } from '#records/compacted.ts'
import { BYTES_PER_TURN, checkedBatchEnd } from './checked-batch.ts'
import { BatchFilter, type FilterOptions } from './filter-batch.ts'
import { fetchAhead } from './records.kernel.ts'
import { type AbortedIndex, TransactionTrack } from './transactions.ts'

export interface CleaningOptions extends FilterOptions {
  /** Where the range ends that may be compacted now. */
  readonly to: number
  readonly aborted: AbortedIndex | null
  /** Those that wrote in the partition and are remembered. */
  readonly producers: ReadonlyMap<number, Producer> | null
}

/** What a pass has done so far. */
export interface CleaningTotals {
  readonly batches: number
  readonly bytes: number
  readonly records: number
  readonly keptBytes: number
  readonly keptRecords: number
  /** Batches that are gone or written anew: if there are none, nothing has to be stored. */
  readonly changedBatches: number
  /** Records that went because they had no key. */
  readonly nullKeys: number
  /** When the last of the tombstones and markers that stayed for their time only may go; -1 if there is none. */
  readonly lastHorizonMs: number
}

type Outcome = 'same' | 'gone' | Buffer

/**
 * The second half of a pass (Kafka: Cleaner.cleanInto). It is given all batches of the partition up to `mapTo`, in order, and one
 * call at a time. A record stays if it is the newest of its key; a tombstone then stays for `delete.retention.ms` from the first
 * pass that found it. Records of aborted transactions go, and when nothing is left of a transaction, after the same time, its
 * marker. Batches that lose nothing stay the same bytes.
 */
export class Cleaner {
  readonly transactions: TransactionTrack
  readonly #options: CleaningOptions
  readonly #filter: BatchFilter
  #counts = { batches: 0, bytes: 0, records: 0, keptBytes: 0, keptRecords: 0, changedBatches: 0 }
  #bytesInTurn = 0

  constructor(options: CleaningOptions) {
    this.#options = options
    this.#filter = new BatchFilter(options)
    this.transactions = new TransactionTrack(options.aborted)
  }

  get totals(): CleaningTotals {
    const { nullKeys, lastHorizonMs } = this.#filter
    return { ...this.#counts, nullKeys, lastHorizonMs }
  }

  /** What stays of the batches in `chunk`, whole ones: views of it where they stay as they are, and new bytes. */
  async clean(chunk: Buffer): Promise<Buffer[]> {
    const pieces: Buffer[] = []
    let sameFrom = 0
    let fetchedTo = 0
    for (let at = 0; at < chunk.length; ) {
      if (at >= fetchedTo) fetchedTo = fetchAhead(this.#options.map, chunk, at)
      const end = checkedBatchEnd(chunk, at)
      let outcome = this.#cleanNow(chunk, at, end)
      if (outcome === 'pending') {
        outcome = this.#outcomeOf(await this.#filter.filterLater(chunk, at), chunk, at)
        this.#bytesInTurn += this.#filter.openedBytes
      }
      this.#count(chunk, at, end, outcome)
      if (outcome !== 'same') {
        if (sameFrom < at) pieces.push(chunk.subarray(sameFrom, at))
        if (outcome !== 'gone') pieces.push(outcome)
        sameFrom = end
      }
      this.#bytesInTurn += end - at
      at = end
      if (this.#bytesInTurn < BYTES_PER_TURN) continue
      this.#bytesInTurn = 0
      await this.#options.nextTurn()
    }
    if (sameFrom < chunk.length) pieces.push(chunk.subarray(sameFrom))
    return pieces
  }

  #cleanNow(bytes: Buffer, at: number, end: number): Outcome | 'pending' {
    if (isControl(attributesOf(bytes, at))) return this.#cleanMarker(bytes, at, end)
    const isAborted = this.transactions.sawRecords(bytes, at)
    if (isAborted || recordCountOf(bytes, at) === 0) return this.#outcomeOf('emptied', bytes, at)
    const filtered = this.#filter.filterNow(bytes, at, end)
    return filtered === 'pending' ? filtered : this.#outcomeOf(filtered, bytes, at)
  }

  #cleanMarker(bytes: Buffer, at: number, end: number): Outcome {
    if (recordCountOf(bytes, at) === 0) return this.#outcomeOf('emptied', bytes, at)
    if (!this.transactions.sawMarker(bytes, at)) return 'same'
    const isOver = hasDeleteHorizon(attributesOf(bytes, at)) && baseTimestampOf(bytes, at) <= this.#options.nowMs
    return this.#outcomeOf(isOver ? 'emptied' : this.#filter.delayMarker(bytes, at, end), bytes, at)
  }

  #outcomeOf(filtered: 'same' | 'emptied' | Buffer, bytes: Buffer, at: number): Outcome {
    if (filtered !== 'emptied') return filtered
    if (!this.#isNeeded(bytes, at)) return 'gone'
    return recordCountOf(bytes, at) === 0 ? 'same' : emptiedBatch(bytes, at)
  }

  /** Its header says what nothing else says: where the pass ends, or what its producer wrote last. */
  #isNeeded(bytes: Buffer, at: number): boolean {
    const nextOffset = lastOffsetOf(bytes, at) + 1
    if (nextOffset === this.#options.to || nextOffset === this.#options.mapTo) return true
    const producer = this.#options.producers?.get(producerIdOf(bytes, at))
    if (producer === undefined) return false
    const last = producer.batches.at(-1)
    // Without a batch of its own its epoch is what a marker brought.
    if (last === undefined) return isControl(attributesOf(bytes, at)) && producerEpochOf(bytes, at) === producer.epoch
    return nextOffset === lastOffsetOfKept(last) + 1
  }

  #count(bytes: Buffer, at: number, end: number, outcome: Outcome): void {
    const counts = this.#counts
    const recordCount = recordCountOf(bytes, at)
    counts.batches++
    counts.bytes += end - at
    counts.records += recordCount
    if (outcome !== 'same') counts.changedBatches++
    if (outcome === 'gone') return
    counts.keptBytes += outcome === 'same' ? end - at : outcome.length
    counts.keptRecords += outcome === 'same' ? recordCount : recordCountOf(outcome, 0)
  }
}
