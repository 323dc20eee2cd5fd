import { assert } from '#base/assert.ts'
import type { Partition } from '#core/state.ts'
import { findByTimestamp, readRecords } from '#records/read.ts'
import type { IndexedBatch } from './index-file.ts'
import type { Log } from './log.ts'
import { batchesFrom, readLog, release } from './read-log.ts'

// Which record is the first of its time (Kafka: UnifiedLog.fetchOffsetByTimestamp). Timestamps come in any order, so nothing is
// searched by halves: extents whose newest record is too old are skipped whole, then batches are, and only a batch that is new
// enough is read. Records go and topics are deleted meanwhile: what is gone is not found.

export interface TimedOffset {
  readonly offset: number
  readonly timestampMs: number
}

const NO_TIMESTAMP = -1
/** What is stored was held against the limit when it came, and the setting may have been lowered since. */
const DECOMPRESS_LIMIT_BYTES = 2 ** 31 - 1

/** The first record whose time is not before that time; null if there is none. */
export async function offsetForTimestamp(
  log: Log,
  partition: Partition,
  timestampMs: number,
): Promise<TimedOffset | null> {
  for await (const batch of batchesNotBefore(log, partition, timestampMs)) {
    const found = await inBatchAt(log, partition, batch.baseOffset, bytes =>
      findByTimestamp(bytes, 0, { timestampMs, minOffset: partition.logStart }, DECOMPRESS_LIMIT_BYTES),
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

async function newestTimestamp(log: Log, partition: Partition): Promise<number> {
  const { extents, logStart } = partition
  let newestMs = NO_TIMESTAMP
  for (let i = 1; i < extents.length; i++) newestMs = Math.max(newestMs, extents.at(i).maxTimestampMs)
  if (extents.length === 0) return newestMs
  const first = extents.at(0)
  if (first.baseOffset === logStart) return Math.max(newestMs, first.maxTimestampMs)
  // The newest record of the first extent may be one of those that are gone already.
  for await (const batch of batchesNotBefore(log, partition, newestMs + 1)) {
    if (batch.baseOffset >= first.nextOffset) break
    newestMs = Math.max(newestMs, await newestLeftIn(log, partition, batch))
  }
  return newestMs
}

async function newestLeftIn(log: Log, partition: Partition, batch: IndexedBatch): Promise<number> {
  if (batch.baseOffset >= partition.logStart) return batch.maxTimestampMs
  const newestMs = await inBatchAt(log, partition, batch.baseOffset, async bytes => {
    let newest = NO_TIMESTAMP
    for (const { offset, timestampMs } of await readRecords(bytes, 0, DECOMPRESS_LIMIT_BYTES)) {
      if (offset >= partition.logStart) newest = Math.max(newest, timestampMs)
    }
    return newest
  })
  return newestMs ?? NO_TIMESTAMP
}

/** Batches that hold a record whose time is not before that time, in the order of offsets. */
async function* batchesNotBefore(log: Log, partition: Partition, timestampMs: number): AsyncGenerator<IndexedBatch> {
  let from = 0
  let lastSeen = -1
  for (;;) {
    from = Math.max(from, partition.logStart)
    const extent = extentNotBefore(partition, from, timestampMs)
    if (extent === null) return
    from = Math.max(from, extent.baseOffset)
    const at = from
    const batches = await unlessGone(log, partition, at, () => batchesFrom(log, partition, at))
    const fresh = (batches ?? []).filter(batch => batch.baseOffset > lastSeen)
    for (const batch of fresh) if (batch.maxTimestampMs >= timestampMs) yield batch
    lastSeen = fresh.at(-1)?.baseOffset ?? lastSeen
    from = fresh.length === 0 ? extent.nextOffset : lastSeen + 1
    await new Promise<void>(resolve => log.clock.soon(resolve))
  }
}

function extentNotBefore({ extents }: Partition, offset: number, timestampMs: number) {
  for (let i = Math.max(0, extents.indexOf(offset)); i < extents.length; i++) {
    const extent = extents.at(i)
    if (extent.maxTimestampMs >= timestampMs && extent.nextOffset > offset) return extent
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
  const [bytes] = read.slices
  assert(bytes !== undefined, 'a batch is read where there is one')
  try {
    return await look(bytes)
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
