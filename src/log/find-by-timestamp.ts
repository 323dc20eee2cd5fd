import { assert } from '#base/assert.ts'
import type { Extent } from '#core/extents.ts'
import type { Segment } from '#core/segments.ts'
import type { Partition } from '#core/state.ts'
import { findByTimestamp, readRecords, STORED_LIMIT_BYTES } from '#records/read.ts'
import type { Log } from './log.ts'
import { batchesFrom, readLog, release } from './read-log.ts'
import { segmentAt, segmentBatches } from './read-segments.ts'

// Which record is the first of its time (Kafka: UnifiedLog.fetchOffsetByTimestamp). Timestamps come in any order, so nothing is
// searched by halves: segments and extents whose newest record is too old are skipped whole, then batches are, and only a batch
// that is new enough is read. Records go and topics are deleted meanwhile: what is gone is not found.

export interface TimedOffset {
  readonly offset: number
  readonly timestampMs: number
}

const NO_TIMESTAMP = -1

/** The first record whose time is not before that time; null if there is none. */
export async function offsetForTimestamp(
  log: Log,
  partition: Partition,
  timestampMs: number,
): Promise<TimedOffset | null> {
  for await (const batch of batchesNotBefore(log, partition, { offset: 0, timestampMs })) {
    const found = await inBatchAt(log, partition, batch.baseOffset, bytes =>
      findByTimestamp(bytes, 0, { timestampMs, minOffset: partition.logStart }, STORED_LIMIT_BYTES),
    )
    if (found !== null) return found
  }
  return null
}

/** The first of the newest records; null if no record has a timestamp. */
export async function offsetOfMaxTimestamp(log: Log, partition: Partition): Promise<TimedOffset | null> {
  const newestMs = await newestTimestamp(log, partition)
  return newestMs === NO_TIMESTAMP ? null : offsetForTimestamp(log, partition, newestMs)
}

type Range = Segment | Extent

async function newestTimestamp(log: Log, partition: Partition): Promise<number> {
  const { segments, extents, logStart } = partition
  let newestMs = NO_TIMESTAMP
  const unsure: Range[] = []
  for (let i = 0; i < segments.length + extents.length; i++) {
    const range: Range = i < segments.length ? segments.at(i) : extents.at(i - segments.length)
    // The newest record of the first one may be gone already, that of the first extent may have been sealed.
    if (range.baseOffset < logStart || i === segments.length) unsure.push(range)
    else newestMs = Math.max(newestMs, range.maxTimestampMs)
  }
  for (const range of unsure) {
    if (range.maxTimestampMs <= newestMs) continue
    const from = { offset: range.baseOffset, timestampMs: newestMs + 1 }
    for await (const batch of batchesNotBefore(log, partition, from)) {
      if (batch.baseOffset >= range.nextOffset) break
      newestMs = Math.max(newestMs, await newestLeftIn(log, partition, batch))
    }
  }
  return newestMs
}

async function newestLeftIn(log: Log, partition: Partition, batch: TimedBatch): Promise<number> {
  if (batch.baseOffset >= partition.logStart) return batch.maxTimestampMs
  const newestMs = await inBatchAt(log, partition, batch.baseOffset, async bytes => {
    let newest = NO_TIMESTAMP
    for (const { offset, timestampMs } of await readRecords(bytes, 0, STORED_LIMIT_BYTES)) {
      if (offset >= partition.logStart) newest = Math.max(newest, timestampMs)
    }
    return newest
  })
  return newestMs ?? NO_TIMESTAMP
}

interface TimedBatch {
  readonly baseOffset: number
  readonly maxTimestampMs: number
}

/** Batches that hold a record whose time is not before that time, in the order of offsets. */
async function* batchesNotBefore(
  log: Log,
  partition: Partition,
  begin: { offset: number; timestampMs: number },
): AsyncGenerator<TimedBatch> {
  const at = { ...begin, lastSeen: -1 }
  for (;;) {
    at.offset = Math.max(at.offset, partition.logStart)
    const range = rangeNotBefore(partition, at.offset, at.timestampMs)
    if (range === null) return
    at.offset = Math.max(at.offset, range.baseOffset)
    const found = await unlessGone(log, partition, at.offset, () => nextBatches(log, partition, at))
    const last = found?.batches.at(-1)
    for (const batch of found?.batches ?? []) if (batch.maxTimestampMs >= at.timestampMs) yield batch
    at.lastSeen = last?.baseOffset ?? at.lastSeen
    at.offset = last === undefined ? range.nextOffset : (found?.nextOffset ?? range.nextOffset)
    await new Promise<void>(resolve => log.clock.soon(resolve))
  }
}

/** Some batches from an offset on, behind the last one that was seen; where to go on. */
async function nextBatches(
  log: Log,
  partition: Partition,
  at: { offset: number; timestampMs: number; lastSeen: number },
): Promise<{ batches: TimedBatch[]; nextOffset: number }> {
  if (at.offset < partition.walStart) {
    const batches = await segmentBatches(log, segmentAt(partition, at.offset), at)
    return { batches, nextOffset: batches.at(-1)?.nextOffset ?? -1 }
  }
  try {
    const batches = (await batchesFrom(log, partition, at.offset)).filter(batch => batch.baseOffset > at.lastSeen)
    return { batches, nextOffset: (batches.at(-1)?.baseOffset ?? -1) + 1 }
  } catch (thrown) {
    // Sealed meanwhile, and its file may be gone.
    if (at.offset < partition.walStart) return nextBatches(log, partition, at)
    throw thrown
  }
}

function rangeNotBefore({ segments, extents }: Partition, offset: number, timestampMs: number): Range | null {
  const count = segments.length + extents.length
  const first = extents.indexOf(offset) >= 0 ? segments.length + extents.indexOf(offset) : segments.indexOf(offset)
  for (let i = Math.max(0, first); i < count; i++) {
    const range: Range = i < segments.length ? segments.at(i) : extents.at(i - segments.length)
    if (range.maxTimestampMs >= timestampMs && range.nextOffset > offset) return range
  }
  return null
}

/** Reads what is left of the batch at an offset, or the one at the log start if that has passed it; null if all is gone. */
async function inBatchAt<T>(
  log: Log,
  partition: Partition,
  baseOffset: number,
  look: (bytes: Buffer) => Promise<T>,
): Promise<T | null> {
  const offset = Math.max(baseOffset, partition.logStart)
  if (offset === partition.nextOffset) return null
  const read = await unlessGone(log, partition, offset, () =>
    readLog(log, partition, { offset, endOffset: partition.nextOffset, maxBytes: 0, atLeastOne: true }),
  )
  if (read === null) return null
  assert(read.slices.length > 0, 'a batch is read where there is one')
  try {
    // One that begins in a block of its segment and ends in the next comes in pieces.
    return await look(read.slices.length === 1 ? read.slices[0]! : Buffer.concat(read.slices))
  } finally {
    release(log, read)
  }
}

/** Null if the records at the offset are gone, before or while they are read. */
async function unlessGone<T>(
  log: Log,
  partition: Partition,
  offset: number,
  read: () => T | Promise<T>,
): Promise<T | null> {
  const isGone = () => log.state.partitions[partition.ordinal] !== partition || offset < partition.logStart
  if (isGone()) return null
  try {
    return await read()
  } catch (thrown) {
    if (isGone()) return null
    throw thrown
  }
}
