import { encodeState } from '#core/checkpoint.ts'
import type { Partition } from '#core/state.ts'
import { type Log, type LogOptions, openLog, WITHOUT_COPY } from '#log/log.ts'
import { readLog, release } from '#log/read-log.ts'
import type { RangeSource } from '#object-store/range-source.ts'
import {
  attributesOf,
  baseOffsetOf,
  baseSequenceOf,
  batchSizeBytesOf,
  computeCrc,
  crcOf,
  isControl,
  isTransactional,
  lastOffsetDeltaOf,
  producerEpochOf,
  producerIdOf,
} from '#records/batch.ts'
import type { SentBatch } from '#test/simulation/batches.ts'
import { Violation } from '#test/simulation/history.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import type { SimDisk } from '#test/support/sim/sim-disk.ts'
import type { SimBucket } from '#test/support/sim/sim-object-store.ts'
import type { EntryKind } from './chronicle.ts'

// A log as a copy of its disk and the bucket have it, read as consumers read it. No time passes meanwhile.

export interface FoundBatch {
  readonly kind: EntryKind
  readonly baseOffset: number
  readonly nextOffset: number
  readonly crc: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly sequence: number
  readonly isTransactional: boolean
}

export interface FoundPartition {
  readonly topicId: string
  readonly index: number
  readonly logStart: number
  readonly nextOffset: number
  readonly walStart: number
  readonly batches: readonly FoundBatch[]
}

export interface FoundLog {
  readonly position: number
  readonly generation: number
  readonly timeMs: number
  readonly state: Buffer
  readonly openTransactions: readonly string[]
  readonly partitions: ReadonlyMap<string, FoundPartition>
}

export const DATA = '/data'
const READ_BYTES = 1 << 20
/** In the key of a control record, behind its version. */
const ABORT = 0
const CONTROL_KEY_AT = 61 + 7

/** Objects as they are, at once. */
export function peeking(bucket: SimBucket): RangeSource {
  return {
    readRange: async (key, from, length) => {
      if (!bucket.has(key)) throw new Violation(`the object ${key} is gone, and a segment is in it`)
      return { bytes: Buffer.from(bucket.peek(key).subarray(from, from + length)), release() {} }
    },
    forget: async () => {},
  }
}

export const QUIET: Pick<LogOptions, 'metrics' | 'report' | 'failed' | 'afterCommit'> = {
  metrics: { flushed() {}, applied() {}, stored() {} },
  report() {},
  failed() {},
  afterCommit() {},
}

/** What there can be. */
export interface Expected {
  /** All batches that were ever sent, by checksum. */
  readonly sent: ReadonlyMap<number, SentBatch>
  /** A partition may have lost its end, and with it what a transaction ended with. */
  readonly mayMissEnds: boolean
}

export async function findLog(disk: SimDisk, bucket: SimBucket, { sent, mayMissEnds }: Expected): Promise<FoundLog> {
  const clock = new SimClock()
  const opening = openLog({
    ...QUIET,
    ...WITHOUT_COPY,
    disk: disk.copyAtRest(),
    clock,
    dataDir: DATA,
    walFileBytes: 65_536,
    cacheBytes: 0,
    gather: { batches: 1, delayMs: 0, whenIdle: false },
    sync: 'always',
    walLimitBytes: Number.POSITIVE_INFINITY,
    segments: peeking(bucket),
  })
  const log = await clock.run(opening)
  const { state } = log
  const partitions = new Map<string, FoundPartition>()
  for (const partition of state.partitions) {
    if (partition === undefined) continue
    const { topic, index, logStart, nextOffset, walStart } = partition
    const batches = await clock.run(readAll(log, partition, sent))
    demandSegments(partition)
    demandProducers(partition, batches)
    demandCommitted(partition, batches, mayMissEnds)
    partitions.set(`${topic.id}:${index}`, { topicId: topic.id, index, logStart, nextOffset, walStart, batches })
  }
  const { generation, timeMs, openTransactions } = state
  const open = [...openTransactions].map(({ id }) => id)
  const { position } = log.commits
  return { position, generation, timeMs, state: encodeState(state), openTransactions: open, partitions }
}

async function readAll(log: Log, partition: Partition, known: ReadonlyMap<number, SentBatch>): Promise<FoundBatch[]> {
  const { logStart, nextOffset, topic, index } = partition
  const batches: FoundBatch[] = []
  for (let offset = logStart; offset < nextOffset; ) {
    const range = { offset, endOffset: nextOffset, maxBytes: READ_BYTES, atLeastOne: true }
    const read = await readLog(log, partition, range)
    const bytes = Buffer.concat(read.slices)
    release(log, read)
    if (bytes.length === 0) throw new Violation(`${topic.name}-${index} has nothing at ${offset} of ${nextOffset}`)
    for (let at = 0; at < bytes.length; at += batchSizeBytesOf(bytes, at)) batches.push(batchOf(bytes, at, known))
    const last = batches.at(-1)!
    if (last.nextOffset <= offset) throw new Violation(`${topic.name}-${index} does not go on behind ${offset}`)
    offset = last.nextOffset
  }
  for (const [i, { baseOffset }] of batches.entries()) {
    const expected = batches[i - 1]?.nextOffset ?? Math.min(baseOffset, logStart)
    if (baseOffset !== expected)
      throw new Violation(`${topic.name}-${index} has a hole from ${expected} to ${baseOffset}`)
  }
  return batches
}

function batchOf(bytes: Buffer, at: number, known: ReadonlyMap<number, SentBatch>): FoundBatch {
  const [baseOffset, crc] = [baseOffsetOf(bytes, at), crcOf(bytes, at)]
  if (computeCrc(bytes, at) !== crc) throw new Violation(`the batch at ${baseOffset} is damaged`)
  const attributes = attributesOf(bytes, at)
  if (!isControl(attributes) && !known.has(crc)) throw new Violation(`nobody ever sent the batch at ${baseOffset}`)
  const markerKind = bytes.readInt16BE(at + CONTROL_KEY_AT) === ABORT ? 'abort' : 'commit'
  return {
    kind: isControl(attributes) ? markerKind : 'batch',
    baseOffset,
    nextOffset: baseOffset + lastOffsetDeltaOf(bytes, at) + 1,
    crc,
    producerId: producerIdOf(bytes, at),
    producerEpoch: producerEpochOf(bytes, at),
    sequence: baseSequenceOf(bytes, at),
    isTransactional: isTransactional(attributes),
  }
}

/** Segments are one behind the other, and their objects are there. */
function demandSegments({ segments, topic, index, walStart, logStart }: Partition): void {
  for (let i = 0; i < segments.length; i++) {
    const next = i + 1 < segments.length ? segments.at(i + 1).baseOffset : walStart
    const { baseOffset, nextOffset } = segments.at(i)
    if (nextOffset !== next)
      throw new Violation(`nothing follows the segment at ${baseOffset} of ${topic.name}-${index}`)
  }
  if (segments.length > 0 && segments.at(0).baseOffset > logStart) {
    throw new Violation(`${topic.name}-${index} begins with ${logStart}, its segments do not`)
  }
}

/** What is known of producers is what they have written. */
function demandProducers({ producers, logStart, topic, index }: Partition, batches: readonly FoundBatch[]): void {
  for (const [producerId, producer] of producers ?? []) {
    for (const { baseOffset, firstSequence } of producer.batches) {
      if (baseOffset < logStart) continue
      const batch = batches.find(one => one.baseOffset === baseOffset)
      if (batch?.producerId === producerId && batch.sequence === firstSequence) continue
      throw new Violation(`producer ${producerId} is known to have written at ${baseOffset} of ${topic.name}-${index}`)
    }
  }
}

/** Who reads what is committed gets exactly the transactions behind which there is such a marker. */
function demandCommitted(partition: Partition, batches: readonly FoundBatch[], mayMissEnds: boolean): void {
  const { aborted, lastStableOffset, logStart, nextOffset, topic, index } = partition
  const runs = aborted?.between(logStart, nextOffset) ?? []
  for (const [i, batch] of batches.entries()) {
    const { kind, baseOffset, producerId } = batch
    if (kind !== 'batch' || !batch.isTransactional) continue
    const behind = batches.slice(i + 1).find(other => other.kind !== 'batch' && other.producerId === producerId)
    // With each end the epoch is another one.
    const end = behind !== undefined && behind.producerEpoch > batch.producerEpoch + 1 ? undefined : behind
    const isHidden = runs.some(
      run => run.producerId === producerId && run.firstOffset <= baseOffset && baseOffset < run.lastOffset,
    )
    const where = `the batch at ${baseOffset} of ${topic.name}-${index}`
    if (end === undefined && baseOffset < lastStableOffset && !mayMissEnds) {
      throw new Violation(`${where} is stable, and has no end`)
    }
    if (end !== undefined && isHidden !== (end.kind === 'abort')) {
      throw new Violation(`${where} is ${isHidden ? 'hidden' : 'seen'}, and behind it there is: ${end.kind}`)
    }
  }
}
