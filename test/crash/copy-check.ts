// The proof: the output as it is, batch by batch, against the input and against what the copiers were told.

import { errorName } from '#kafka/protocol/protocol.ts'
import { type ReadBatch, readBatches, recordsOf } from '#test/support/batch-reader.ts'
import type { ResponseBody } from '#test/support/wire-messages.ts'
import {
  type CopyHistory,
  INPUT_PARTITIONS,
  inputValue,
  OUTPUT,
  OUTPUT_PARTITIONS,
  outputOf,
  type TransactionHistory,
} from './copy-history.ts'
import { BrokenPromise } from './history.ts'
import { type Line, Stopped } from './line.ts'

const FETCH_BYTES = 1 << 18
const LONG_POLL_MS = 100
const TRANSACTIONAL = 16
const CONTROL = 32
const [ABORT, COMMIT] = [0, 1]
const COORDINATOR_EPOCH = 0

function demand(condition: boolean, message: string): asserts condition {
  if (!condition) throw new BrokenPromise(message)
}

export interface OutputRecord {
  readonly offset: number
  readonly value: string
}

/** What a consumer that reads committed gets of each partition of the output. */
export type CommittedOutput = ReadonlyMap<number, readonly OutputRecord[]>

export async function checkOutput(line: Line, history: CopyHistory): Promise<CommittedOutput> {
  const committed = new Map<number, readonly OutputRecord[]>()
  for (let partition = 0; partition < OUTPUT_PARTITIONS; partition++) {
    const runs = transactionsIn(partition, await readAll(line, partition))
    checkAcknowledged(partition, runs, history.transactions)
    const records = await new Follower(line, partition).toTheEnd()
    const kept = runs.filter(({ end }) => end === 'commit').flatMap(({ batches }) => batches.flatMap(textsOf))
    kept.sort((a, b) => a.offset - b.offset)
    demand(
      JSON.stringify(records) === JSON.stringify(kept),
      `output-${partition}: the markers and the list of the aborted say different things`,
    )
    committed.set(partition, records)
  }
  checkCopies(committed, history)
  return committed
}

/** Whoever followed saw the same, then as now. */
export function checkFollowers(followers: readonly Follower[], committed: CommittedOutput): void {
  for (const [partition, { records }] of followers.entries()) {
    const expected = committed.get(partition)!.slice(0, records.length)
    demand(
      JSON.stringify(records) === JSON.stringify(expected),
      `a consumer saw other records of output-${partition} than are committed`,
    )
  }
}

// ---- exactly once, in order

function checkCopies(committed: CommittedOutput, { written }: CopyHistory): void {
  for (let partition = 0; partition < INPUT_PARTITIONS; partition++) {
    const next = new Map<number, number>()
    for (let offset = 0; offset < written[partition]!; offset++) {
      const output = outputOf(partition, offset)
      const copies = committed.get(output)!
      const from = next.get(output) ?? 0
      const value = inputValue(partition, offset)
      let at = from
      while (at < copies.length && copies[at]!.value !== value) at++
      demand(at < copies.length, `${value} is not in output-${output}, or before what was written before it`)
      next.set(output, at + 1)
    }
  }
  const copyCount = [...committed.values()].reduce((sum, copies) => sum + copies.length, 0)
  const writtenCount = written.reduce((sum, count) => sum + count, 0)
  demand(copyCount === writtenCount, `${copyCount} copies were committed of ${writtenCount} records`)
}

// ---- transactions of one partition, as their batches and markers tell them

interface Run {
  readonly producerId: number
  readonly epoch: number
  readonly batches: ReadBatch[]
  end: 'commit' | 'abort' | null
  markerEpoch: number
}

function transactionsIn(partition: number, batches: readonly ReadBatch[]): Run[] {
  const open = new Map<number, Run>()
  const runs: Run[] = []
  const newestEpochs = new Map<number, number>()
  let nextOffset = 0
  for (const batch of batches) {
    const where = `output-${partition} at ${batch.baseOffset}`
    const { producerId, producerEpoch, attributes } = batch
    demand(batch.baseOffset === nextOffset && batch.isCrcRight, `${where}: a gap, or bytes that changed`)
    nextOffset += batch.lastOffsetDelta + 1
    demand((attributes & TRANSACTIONAL) !== 0, `${where}: not of a transaction`)
    demand(producerEpoch >= (newestEpochs.get(producerId) ?? 0), `${where}: of a producer that was fenced before`)
    newestEpochs.set(producerId, producerEpoch)
    const run = open.get(producerId)
    if ((attributes & CONTROL) !== 0) {
      const end = endOf(batch, where)
      // One that was in the transaction and got nothing.
      if (run === undefined) continue
      const isNext = producerEpoch === run.epoch || producerEpoch === run.epoch + 1
      demand(isNext, `${where}: a marker of epoch ${producerEpoch} ends epoch ${run.epoch}`)
      Object.assign(run, { end, markerEpoch: producerEpoch })
      open.delete(producerId)
    } else if (run === undefined) {
      const began: Run = { producerId, epoch: producerEpoch, batches: [batch], end: null, markerEpoch: -1 }
      open.set(producerId, began)
      runs.push(began)
    } else {
      demand(run.epoch === producerEpoch, `${where}: epochs are mixed in a transaction`)
      run.batches.push(batch)
    }
  }
  demand(open.size === 0, `output-${partition}: transactions that never ended`)
  return runs
}

function endOf(batch: ReadBatch, where: string): 'commit' | 'abort' {
  const { attributes, recordCount } = batch
  demand((attributes & TRANSACTIONAL) !== 0 && recordCount === 1, `${where}: a marker is one transactional record`)
  const [marker] = recordsOf(batch)
  const { key, value } = marker!
  const type = key.readInt16BE(2)
  demand(key.length === 4 && key.readInt16BE(0) === 0, `${where}: the key of a marker`)
  demand(value.length === 6 && value.readInt16BE(0) === 0, `${where}: the value of a marker`)
  demand(value.readInt32BE(2) === COORDINATOR_EPOCH, `${where}: the coordinator of a marker`)
  demand(type === ABORT || type === COMMIT, `${where}: a marker of type ${type}`)
  return type === COMMIT ? 'commit' : 'abort'
}

/** What was acknowledged is there, at the offset that was told, and ended as was told, by the right marker. */
function checkAcknowledged(partition: number, runs: readonly Run[], transactions: readonly TransactionHistory[]): void {
  const runAt = new Map(runs.flatMap(run => run.batches.map(batch => [batch.baseOffset, { run, batch }] as const)))
  for (const transaction of transactions) {
    const { producerId, epoch, end, generation } = transaction
    for (const { baseOffset, values } of transaction.batches.filter(copied => copied.partition === partition)) {
      const where = `output-${partition} at ${baseOffset}`
      const found = runAt.get(baseOffset)
      demand(found !== undefined, `${where}: what was acknowledged to ${producerId}/${epoch} is gone`)
      const { run, batch } = found
      demand(run.producerId === producerId && run.epoch === epoch, `${where}: of another producer`)
      const is = textsOf(batch).map(({ value }) => value)
      demand(JSON.stringify(is) === JSON.stringify(values), `${where}: not what was sent`)
      if (end === null) continue
      demand(run.end === end, `${where}: a ${end} was acknowledged, and it is a ${run.end}`)
      const markerEpoch = generation.adds ? epoch : epoch + 1
      demand(run.markerEpoch === markerEpoch, `${where}: the marker has epoch ${run.markerEpoch}, not ${markerEpoch}`)
    }
  }
}

// ---- reading

type FetchAnswer = ResponseBody<'Fetch'>['responses'][number]['partitions'][number]

async function fetchAt(line: Line, partition: number, offset: number, how: { isolation: 0 | 1; maxWaitMs: number }) {
  const { responses } = await line.ask('Fetch', 12, {
    maxWaitMs: how.maxWaitMs,
    minBytes: 1,
    maxBytes: FETCH_BYTES,
    isolationLevel: how.isolation,
    topics: [{ topic: OUTPUT, partitions: [{ partition, fetchOffset: offset, partitionMaxBytes: FETCH_BYTES }] }],
  })
  const answer = responses[0]!.partitions[0]!
  demand(answer.errorCode === 0, `output-${partition} cannot be read at ${offset}: ${errorName(answer.errorCode)}`)
  return answer
}

/** Whatever became of it. */
async function readAll(line: Line, partition: number): Promise<ReadBatch[]> {
  const all: ReadBatch[] = []
  for (let offset = 0; ; ) {
    const { records, highWatermark, lastStableOffset } = await fetchAt(line, partition, offset, NOW)
    const batches = readBatches(records)
    all.push(...batches)
    const last = batches.at(-1)
    if (last === undefined) {
      demand(offset === highWatermark, `output-${partition} cannot be read beyond ${offset}`)
      demand(lastStableOffset === highWatermark, `output-${partition} ends with an open transaction`)
      return all
    }
    offset = last.baseOffset + last.lastOffsetDelta + 1
  }
}

const NOW = { isolation: 0, maxWaitMs: 0 } as const

/** A consumer of one partition that reads what is committed, as it comes. */
export class Follower {
  readonly #line: Line
  readonly #partition: number
  readonly records: OutputRecord[] = []
  #offset = 0

  constructor(line: Line, partition: number) {
    this.#line = line
    this.#partition = partition
  }

  /** Until its line is stopped. */
  async follow(): Promise<void> {
    try {
      for (;;) await this.#read(LONG_POLL_MS)
    } catch (thrown) {
      if (!(thrown instanceof Stopped)) throw thrown
    }
  }

  async toTheEnd(): Promise<OutputRecord[]> {
    while ((await this.#read(0)) > 0);
    return this.records
  }

  async #read(maxWaitMs: number): Promise<number> {
    const answer = await fetchAt(this.#line, this.#partition, this.#offset, { isolation: 1, maxWaitMs })
    const batches = readBatches(answer.records)
    this.records.push(...consumed(batches, answer.abortedTransactions ?? []))
    const last = batches.at(-1)
    if (last !== undefined) this.#offset = last.baseOffset + last.lastOffsetDelta + 1
    demand(this.#offset <= answer.lastStableOffset, `output-${this.#partition} shows what is not stable`)
    return batches.length
  }
}

/** The list says which producers' records are skipped, from where on, until their next marker. */
function consumed(
  batches: readonly ReadBatch[],
  aborted: NonNullable<FetchAnswer['abortedTransactions']>,
): OutputRecord[] {
  const waiting = [...aborted]
  const skipped = new Set<number>()
  const records: OutputRecord[] = []
  for (const batch of batches) {
    const { producerId, baseOffset, lastOffsetDelta } = batch
    while (waiting.length > 0 && waiting[0]!.firstOffset <= baseOffset + lastOffsetDelta) {
      skipped.add(waiting.shift()!.producerId)
    }
    if ((batch.attributes & CONTROL) !== 0) {
      if (endOf(batch, `a marker at ${baseOffset}`) === 'abort') skipped.delete(producerId)
    } else if (!skipped.has(producerId)) records.push(...textsOf(batch))
  }
  return records
}

function textsOf(batch: ReadBatch): OutputRecord[] {
  return recordsOf(batch).map(({ offset, value }) => ({ offset, value: `${value}` }))
}
