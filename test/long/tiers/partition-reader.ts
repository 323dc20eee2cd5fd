// A consumer that reads committed, of one partition, on the wire: it checks what it gets as it gets it.

import { errorName, type KafkaErrorName } from '#kafka/protocol/protocol.ts'
import { BrokenPromise } from '#test/crash/history.ts'
import type { Line } from '#test/crash/line.ts'
import { type ReadBatch, type ReadRecord, readBatches, recordsOf } from '#test/support/batch-reader.ts'
import type { ResponseBody } from '#test/support/wire-messages.ts'
import { nameOf, type Place } from './ledger.ts'
import { pause } from './pause.ts'

const FETCH_BYTES = 4 << 20
const CONTROL = 32
const AGAIN_MS = 100
const READ_COMMITTED = 1
/** What a fetch may say while the way to the store is bad. */
const PASSING: ReadonlySet<KafkaErrorName> = new Set(['KAFKA_STORAGE_ERROR'])

export class PartitionReader {
  readonly #line: Line
  readonly #place: Place
  /** Compaction leaves gaps. */
  readonly #isDense: boolean
  #offset = 0
  #highWatermark = 0
  /** How often it had to try again. */
  storageErrors = 0

  constructor(line: Line, place: Place, isDense: boolean) {
    this.#line = line
    this.#place = place
    this.#isDense = isDense
  }

  get offset(): number {
    return this.#offset
  }

  /** Has all that there was when it looked last. */
  get isAtEnd(): boolean {
    return this.#offset >= this.#highWatermark
  }

  /** What comes next; nothing at the end, or while the store does not give it. */
  async read(maxWaitMs: number): Promise<ReadRecord[]> {
    const answer = await this.#fetch(maxWaitMs)
    const error = errorName(answer.errorCode)
    if (PASSING.has(error)) {
      this.storageErrors++
      await pause(AGAIN_MS)
      return []
    }
    this.#demand(error === 'NONE', `cannot be read: ${error}`)
    this.#highWatermark = answer.highWatermark
    const batches = readBatches(answer.records)
    for (const batch of batches) this.#check(batch, answer.lastStableOffset)
    return consumed(batches, answer.abortedTransactions ?? [])
  }

  /** The whole of it, within so long. */
  async readAll(deadlineMs: number): Promise<ReadRecord[]> {
    const giveUpAt = performance.now() + deadlineMs
    const records: ReadRecord[] = []
    do {
      // Not by spreading: there may be more than a call takes arguments.
      for (const record of await this.read(0)) records.push(record)
      this.#demand(performance.now() < giveUpAt, `cannot be read up to ${this.#highWatermark} within ${deadlineMs} ms`)
    } while (!this.isAtEnd)
    return records
  }

  #check({ baseOffset, lastOffsetDelta, isCrcRight, recordCount }: ReadBatch, lastStableOffset: number): void {
    const nextOffset = baseOffset + lastOffsetDelta + 1
    this.#demand(isCrcRight, `the checksum of the batch at ${baseOffset} is wrong`)
    const isNext = this.#isDense ? baseOffset === this.#offset : nextOffset > this.#offset
    this.#demand(isNext, `a gap or an overlap: the batch at ${baseOffset}`)
    this.#demand(
      !this.#isDense || recordCount === lastOffsetDelta + 1,
      `records of the batch at ${baseOffset} are missing`,
    )
    this.#demand(nextOffset <= lastStableOffset, `shows ${baseOffset}, and is stable up to ${lastStableOffset} only`)
    this.#offset = nextOffset
  }

  async #fetch(maxWaitMs: number): Promise<ResponseBody<'Fetch'>['responses'][number]['partitions'][number]> {
    const { topic, partition } = this.#place
    const partitions = [{ partition, fetchOffset: this.#offset, partitionMaxBytes: FETCH_BYTES }]
    const { responses } = await this.#line.ask('Fetch', 12, {
      ...{ maxWaitMs, minBytes: 1, maxBytes: FETCH_BYTES, isolationLevel: READ_COMMITTED },
      topics: [{ topic, partitions }],
    })
    return responses[0]!.partitions[0]!
  }

  #demand(condition: boolean, message: string): asserts condition {
    if (!condition) throw new BrokenPromise(`${nameOf(this.#place)} at ${this.#offset}: ${message}`)
  }
}

/** The list says which producers' records are skipped, from where on, until their next marker. */
function consumed(
  batches: readonly ReadBatch[],
  aborted: readonly { readonly producerId: number; readonly firstOffset: number }[],
): ReadRecord[] {
  const waiting = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset)
  const skipped = new Set<number>()
  const records: ReadRecord[] = []
  for (const batch of batches) {
    const { producerId, baseOffset, lastOffsetDelta, attributes } = batch
    while (waiting.length > 0 && waiting[0]!.firstOffset <= baseOffset + lastOffsetDelta) {
      skipped.add(waiting.shift()!.producerId)
    }
    if ((attributes & CONTROL) !== 0) skipped.delete(producerId)
    else if (!skipped.has(producerId)) records.push(...recordsOf(batch))
  }
  return records
}
