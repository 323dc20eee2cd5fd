import { assert } from '#base/assert.ts'
import type { Partition } from '#core/state.ts'
import { batchSizeBytesOf, computeCrc, crcOf, lastOffsetDeltaOf } from '#records/batch.ts'
import type { IndexedBatch } from './index-file.ts'
import type { Log } from './log.ts'
import { batchesFrom, damagedError, runsOf } from './read-log.ts'

// Handing the batches of the write-ahead log to whoever makes something else of them: a segment, or a copy in the store. In turns
// that leave the thread to others.

/** A batch as it was sent; the memory is used again when the call returns. */
export type TakeBatch = (bytes: Buffer, at: number, batch: IndexedBatch) => void

/**
 * Gives the batches of a partition from an offset in its write-ahead log on, up to an offset at which one begins, or so many bytes
 * (at least one batch). Returns where it stopped. Rejects if they go meanwhile.
 */
export async function copyBatches(
  log: Log,
  partition: Partition,
  range: { offset: number; endOffset: number; maxBytes: number },
  take: TakeBatch,
): Promise<number> {
  let { offset } = range
  let leftBytes = range.maxBytes
  while (offset < range.endOffset) {
    const wanted: IndexedBatch[] = []
    const found = await batchesFrom(log, partition, offset)
    for (const batch of found) {
      const isFirst = offset === range.offset && wanted.length === 0
      if (batch.baseOffset >= range.endOffset || (batch.sizeBytes > leftBytes && !isFirst)) break
      wanted.push(batch)
      leftBytes -= batch.sizeBytes
    }
    for (const run of runsOf(log, wanted)) offset = await copyRun(log, run, take)
    if (wanted.length < found.length) return offset
    assert(wanted.length > 0, 'there is a batch before the end')
  }
  return offset
}

/** Returns the offset behind the last batch of the run. */
async function copyRun(log: Log, run: readonly IndexedBatch[], take: TakeBatch): Promise<number> {
  const from = run[0]!.position
  const last = run.at(-1)!
  const length = last.position + last.sizeBytes - from
  const chunk = log.commits.image.find(from)
  if (chunk !== null && from + length <= chunk.position + chunk.usedBytes) {
    const nextOffset = takeRun(log, run, { bytes: chunk.bytes, at: from - chunk.position, isTrusted: true }, take)
    await new Promise<void>(resolve => log.clock.soon(resolve))
    return nextOffset
  }
  const bytes = log.readBuffers.take(length)
  try {
    await log.commits.files.read(from, length, bytes, 0)
    return takeRun(log, run, { bytes, at: 0, isTrusted: false }, take)
  } finally {
    log.readBuffers.give(bytes)
  }
}

interface ReadBytes {
  readonly bytes: Buffer
  readonly at: number
  /** They were never on a disk. */
  readonly isTrusted: boolean
}

/** What becomes of a damaged batch would be taken for right, and the log that could be mended is gone then. */
function takeRun(log: Log, run: readonly IndexedBatch[], read: ReadBytes, take: TakeBatch): number {
  const { bytes, at, isTrusted } = read
  const from = run[0]!.position
  let nextOffset = -1
  for (const batch of run) {
    const batchAt = at + batch.position - from
    const isIntact =
      batchSizeBytesOf(bytes, batchAt) === batch.sizeBytes &&
      (isTrusted || computeCrc(bytes, batchAt) === crcOf(bytes, batchAt))
    if (!isIntact) throw damagedError(log, batch.position)
    take(bytes, batchAt, batch)
    nextOffset = batch.baseOffset + lastOffsetDeltaOf(bytes, batchAt) + 1
  }
  return nextOffset
}
