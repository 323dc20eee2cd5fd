import { errorName } from '#kafka/protocol/protocol.ts'
import { Violation } from '#test/simulation/history.ts'
import { type ReadBatch, readBatches } from '#test/support/batch-reader.ts'
import type { ResponseBody } from '#test/support/wire-messages.ts'
import { Over, SLACK_MS } from './agreements.ts'
import type { LedgerPartition } from './ledger.ts'
import type { Machine } from './machine.ts'
import { SimLine } from './sim-line.ts'

// A consumer that reads what is committed, anywhere, and waits for more: it must be told of all that is committed and stable, and of
// nothing else, and be woken when there is more.

const CONTROL = 32
const MOST_WAIT_MS = 3 * SLACK_MS

type FetchedPartition = ResponseBody<'Fetch'>['responses'][number]['partitions'][number]

export class Consumer {
  readonly #machine: Machine
  readonly #line: SimLine

  constructor(machine: Machine, name: string) {
    this.#machine = machine
    this.#line = new SimLine(machine, name)
  }

  async run(): Promise<void> {
    const { prng, ledger } = this.#machine
    try {
      for (;;) {
        const partitions = ledger.partitions.filter(partition => partition !== undefined)
        if (partitions.length > 0 && prng.chance(0.7)) await this.#fetch(prng.pick(partitions))
        else if (partitions.length > 0) await this.#list(prng.pick(partitions))
        await this.#machine.sleep(prng.between(0, 60))
      }
    } catch (thrown) {
      if (!(thrown instanceof Over)) throw thrown
    }
  }

  #nameOf({ topicId }: LedgerPartition): string {
    return this.#machine.ledger.topics.get(topicId)?.name ?? 'gone'
  }

  async #list(partition: LedgerPartition): Promise<void> {
    const name = this.#nameOf(partition)
    const track =
      () =>
      ({ topics }: ResponseBody<'ListOffsets'>) => {
        const { errorCode, offset } = topics[0]!.partitions[0]!
        if (this.#isThere(partition) && errorCode === 0 && offset !== partition.stableOffset) {
          throw new Violation(
            `partition ${partition.ordinal} is said to end at ${offset}, not ${partition.stableOffset}`,
          )
        }
      }
    const partitions = [{ partitionIndex: partition.index, timestamp: -1 }]
    const body = { replicaId: -1, isolationLevel: 1, topics: [{ name, partitions }] }
    await this.#line.ask('ListOffsets', 6, body, { track, manner: 'once' })
  }

  #isThere(partition: LedgerPartition): boolean {
    return this.#machine.ledger.partitions[partition.ordinal] === partition
  }

  async #fetch(partition: LedgerPartition): Promise<void> {
    const { prng, clock, watchers } = this.#machine
    const { ordinal, index, logStart, stableOffset } = partition
    const isWaiting = prng.chance(0.4)
    const fetchOffset = isWaiting ? stableOffset : prng.between(logStart, stableOffset)
    const isolationLevel = prng.chance(0.85) ? 1 : 0
    const partitionMaxBytes = prng.pick([1, 300, 2000, 100_000])
    const track = () => {
      // Since when there is something to be told.
      let sinceMs = Number.POSITIVE_INFINITY
      const look = (): void => {
        const endOffset = isolationLevel === 1 ? partition.stableOffset : partition.nextOffset
        if (this.#isThere(partition) && endOffset > fetchOffset) sinceMs = Math.min(sinceMs, clock.monotonicMs())
      }
      look()
      watchers.add(look)
      return ({ responses }: ResponseBody<'Fetch'>) => {
        watchers.delete(look)
        const lateMs = clock.monotonicMs() - sinceMs
        if (lateMs > SLACK_MS) throw new Violation(`a consumer of ${ordinal} is told after ${lateMs} ms what there is`)
        const answer = responses[0]!.partitions[0]!
        if (this.#isThere(partition)) this.#check(partition, fetchOffset, isolationLevel, answer)
      }
    }
    const partitions = [{ partition: index, fetchOffset, partitionMaxBytes }]
    const topics = [{ topic: this.#nameOf(partition), partitions }]
    const maxWaitMs = isWaiting ? MOST_WAIT_MS : 0
    const body = { maxWaitMs, minBytes: 1, maxBytes: 1 << 20, isolationLevel, topics }
    await this.#line.ask('Fetch', 12, body, { track, manner: 'once' })
    this.#machine.count('fetches')
  }

  #check(partition: LedgerPartition, from: number, isolationLevel: number, answer: FetchedPartition): void {
    const { ordinal, logStart } = partition
    const where = `partition ${ordinal} from ${from}`
    const { errorCode, records, lastStableOffset, abortedTransactions } = answer
    if (errorCode !== 0) {
      if (from < logStart && errorName(errorCode) === 'OFFSET_OUT_OF_RANGE') return
      throw new Violation(`${where} cannot be read: ${errorName(errorCode)}`)
    }
    if (lastStableOffset > partition.stableOffset) throw new Violation(`${where} is said to be stable too far`)
    const batches = readBatches(records)
    let offset = batches[0]?.baseOffset ?? from
    for (const { baseOffset, lastOffsetDelta, isCrcRight } of batches) {
      if (baseOffset !== offset || !isCrcRight) throw new Violation(`${where}: a gap at ${offset}, or other bytes`)
      offset = baseOffset + lastOffsetDelta + 1
    }
    if (isolationLevel === 0) return
    if (offset > Math.max(from, lastStableOffset)) throw new Violation(`${where}: shows what is not stable`)
    const skipped = skippedBy(batches, abortedTransactions ?? [])
    for (const batch of batches) {
      const kept = partition.at(batch.baseOffset)
      const isControl = (batch.attributes & CONTROL) !== 0
      if (kept?.baseOffset !== batch.baseOffset)
        throw new Violation(`${where}: nobody wrote what is at ${batch.baseOffset}`)
      if (isControl !== (kept.fate === 'marker')) throw new Violation(`${where}: ${batch.baseOffset} is ${kept.fate}`)
      const isShown = !isControl && !skipped.has(batch)
      if (isControl || isShown === (kept.fate === 'committed' || kept.fate === 'plain')) continue
      throw new Violation(`${where}: what is ${kept.fate} at ${batch.baseOffset} is ${isShown ? 'shown' : 'skipped'}`)
    }
  }
}

/** Kafka: CompletedFetch. What the list of aborted transactions says is skipped, up to their markers. */
function skippedBy(
  batches: readonly ReadBatch[],
  aborted: NonNullable<FetchedPartition['abortedTransactions']>,
): ReadonlySet<ReadBatch> {
  const waiting = [...aborted]
  const producers = new Set<number>()
  const skipped = new Set<ReadBatch>()
  for (const batch of batches) {
    while (waiting.length > 0 && waiting[0]!.firstOffset <= batch.baseOffset + batch.lastOffsetDelta) {
      producers.add(waiting.shift()!.producerId)
    }
    const isAbort = (batch.attributes & CONTROL) !== 0 && batch.records.readInt16BE(7) === 0
    if (isAbort) producers.delete(batch.producerId)
    else if (producers.has(batch.producerId)) skipped.add(batch)
  }
  return skipped
}
