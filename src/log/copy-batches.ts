import { assert } from '#base/assert.ts'
import type { Chunk } from '#commit/wal-image.ts'
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
    if (wanted.length > 0) offset = await new RunCopy(log, [...runsOf(log, wanted)], take).copy()
    if (wanted.length < found.length) return offset
    assert(wanted.length > 0, 'there is a batch before the end')
  }
  return offset
}

/** Many small reads, one after the other, would each wake a thread and wait for it. */
const READS_AT_ONCE = 8
const READ_AHEAD_BYTES = 1 << 20

interface Reading {
  readonly bytes: Buffer
  readonly done: Promise<void>
}

/** Runs that are copied in their order while the next ones are read. */
class RunCopy {
  readonly #log: Log
  readonly #runs: readonly IndexedBatch[][]
  readonly #take: TakeBatch
  /** Of runs that were not in memory when it was their turn to be read. */
  readonly #readings = new Map<number, Reading>()
  #begun = 0

  constructor(log: Log, runs: readonly IndexedBatch[][], take: TakeBatch) {
    this.#log = log
    this.#runs = runs
    this.#take = take
  }

  /** Returns the offset behind the last batch. */
  async copy(): Promise<number> {
    let nextOffset = -1
    try {
      for (let i = 0; i < this.#runs.length; i++) nextOffset = await this.#copyRun(i)
    } finally {
      for (const { bytes, done } of this.#readings.values()) {
        await done.catch(() => {})
        this.#log.readBuffers.give(bytes)
      }
    }
    return nextOffset
  }

  async #copyRun(i: number): Promise<number> {
    const log = this.#log
    const run = this.#runs[i]!
    this.#readAhead(i)
    const reading = this.#readings.get(i)
    if (reading === undefined) {
      const { bytes, position } = chunkOf(log, run)!
      const nextOffset = takeRun(log, run, { bytes, at: run[0]!.position - position, isTrusted: true }, this.#take)
      await new Promise<void>(resolve => log.clock.soon(resolve))
      return nextOffset
    }
    await reading.done
    const nextOffset = takeRun(log, run, { bytes: reading.bytes, at: 0, isTrusted: false }, this.#take)
    this.#readings.delete(i)
    log.readBuffers.give(reading.bytes)
    return nextOffset
  }

  /** Afterwards this run is in memory, or is being read. */
  #readAhead(i: number): void {
    let aheadBytes = 0
    for (const { bytes } of this.#readings.values()) aheadBytes += bytes.length
    this.#begun = Math.max(this.#begun, i)
    while (this.#begun < this.#runs.length && this.#readings.size < READS_AT_ONCE && aheadBytes < READ_AHEAD_BYTES) {
      const run = this.#runs[this.#begun]!
      // What is behind it in the log is in memory, too.
      if (chunkOf(this.#log, run) !== null) return
      this.#read(this.#begun++, run)
      aheadBytes += bytesOf(run)
    }
  }

  #read(i: number, run: readonly IndexedBatch[]): void {
    const bytes = this.#log.readBuffers.take(bytesOf(run))
    const done = this.#log.commits.files.read(run[0]!.position, bytesOf(run), bytes, 0)
    // If another one failed before nobody waits for it.
    done.catch(() => {})
    this.#readings.set(i, { bytes, done })
  }
}

function bytesOf(run: readonly IndexedBatch[]): number {
  const last = run.at(-1)!
  return last.position + last.sizeBytes - run[0]!.position
}

/** The chunk of the newest log that has all of a run, if there is one. */
function chunkOf(log: Log, run: readonly IndexedBatch[]): Chunk | null {
  const from = run[0]!.position
  const chunk = log.commits.image.find(from)
  return chunk !== null && from + bytesOf(run) <= chunk.position + chunk.usedBytes ? chunk : null
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
