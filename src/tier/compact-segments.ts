import { OWN_OBJECT } from '#core/segments.ts'
import type { Partition } from '#core/state.ts'
import { packAborted } from '#core/transactions.ts'
import { baseOffsetOf, batchSizeBytesOf } from '#records/batch.ts'
import { STORED_LIMIT_BYTES } from '#records/read.ts'
import { type StoredSegment, storedSegment } from '#segments/segment-names.ts'
import { SegmentWriter } from '#segments/segment-writer.ts'
import { buildOffsetMap } from './compaction/build-offset-map.ts'
import { Cleaner } from './compaction/clean.ts'
import { OffsetMap } from './compaction/offset-map.kernel.ts'
import { type CompactionPlan, groupSegments } from './compaction/plan.ts'
import {
  addBatches,
  beginPart,
  chunksOf,
  type Rewriting,
  replaceBy,
  revisionAfter,
  segmentOf,
  segmentsOf,
} from './rewrite.ts'

// A pass of compaction over a partition: the newest offset of each key of what is dirty, then everything up to there written anew without
// the records that a newer one has replaced. Group by group of neighbours, each of which is one segment afterwards and is in force by
// itself: a pass that ends early has done no harm.

export interface CompactionOptions {
  readonly deleteRetentionMs: number
  /** A segment has about so many bytes at most. */
  readonly segmentBytes: number
  /** For the offsets of keys. */
  readonly mapBytes: number
  /** What nobody can guess: keys are told apart with it. */
  readonly secret: Buffer
}

export interface CompactionResult {
  /** All of it was replaced; else somebody else changed the partition. */
  readonly isDone: boolean
  readonly readBytes: number
  readonly keptBytes: number
  readonly keptRecords: number
  readonly records: number
}

export async function compactSegments(
  rewriting: Rewriting,
  { partition, plan }: { partition: Partition; plan: CompactionPlan },
  options: CompactionOptions,
  signal: AbortSignal,
): Promise<CompactionResult> {
  const { log } = rewriting
  const nextTurn = (): Promise<void> => new Promise(resolve => log.clock.soon(resolve))
  const segments = segmentsOf(partition).filter(({ baseOffset }) => baseOffset < plan.to)
  const map = new OffsetMap(options.mapBytes, options.secret)
  const common = { map, aborted: partition.aborted, decompressLimitBytes: STORED_LIMIT_BYTES, nextTurn }
  const dirty = segments.filter(({ nextOffset }) => nextOffset > plan.dirtyFrom)
  const mapTo = await buildOffsetMap(chunksOf(rewriting, partition, dirty, signal), {
    ...common,
    from: plan.dirtyFrom,
    to: plan.to,
  })
  const nowMs = log.clock.nowMs()
  const cleaner = new Cleaner({
    ...common,
    mapTo,
    to: plan.to,
    nowMs,
    deleteRetentionMs: options.deleteRetentionMs,
    producers: partition.producers,
  })
  const pass = new Pass(rewriting, { partition, cleaner, mapTo, revision: revisionAfter(segments, nowMs) }, signal)
  let isDone = true
  for (const group of groupSegments(segments, mapTo, options.segmentBytes)) {
    isDone = await pass.rewrite(group)
    if (!isDone) break
  }
  const { totals } = cleaner
  return {
    isDone,
    readBytes: totals.bytes,
    keptBytes: totals.keptBytes,
    keptRecords: totals.keptRecords,
    records: totals.records,
  }
}

interface PassOptions {
  readonly partition: Partition
  readonly cleaner: Cleaner
  readonly mapTo: number
  readonly revision: number
}

class Pass {
  readonly #rewriting: Rewriting
  readonly #options: PassOptions
  readonly #signal: AbortSignal
  /** Of groups of which nothing is left: the next one takes their place, too. */
  #emptied: StoredSegment[] = []

  constructor(rewriting: Rewriting, options: PassOptions, signal: AbortSignal) {
    this.#rewriting = rewriting
    this.#options = options
    this.#signal = signal
  }

  /** False if the partition has changed meanwhile. */
  async rewrite(group: readonly StoredSegment[]): Promise<boolean> {
    const { log, store, pieces } = this.#rewriting
    const { partition, cleaner, mapTo, revision } = this.#options
    const replaced = [...this.#emptied, ...group]
    const changedBefore = cleaner.totals.changedBatches
    const writer = new SegmentWriter(pieces)
    try {
      beginPart(writer, partition, replaced[0]!)
      for await (const chunk of chunksOf(this.#rewriting, partition, group, this.#signal)) {
        const end = endBefore(chunk, mapTo)
        for (const piece of await cleaner.clean(chunk.subarray(0, end))) addBatches(writer, piece)
        addBatches(writer, chunk.subarray(end))
      }
      const retained = cleaner.transactions.takeRetained()
      if (writer.partBytes === 0) {
        this.#emptied = replaced
        return true
      }
      this.#emptied = []
      const { nextOffset } = replaced.at(-1)!
      const isLast = nextOffset >= mapTo
      // Nothing to gain, unless that it was looked at is to be recorded.
      if (replaced.length === 1 && !isLast && cleaner.totals.changedBatches === changedBefore) return true
      // What lies behind the map stays as it is.
      const behind = nextOffset > mapTo ? (partition.aborted?.between(mapTo, nextOffset) ?? []) : []
      writer.endPart(nextOffset, packAborted([...retained, ...behind]))
      const sealed = writer.end()
      const name = { generation: log.state.generation, revision, sharedAt: OWN_OBJECT, hash: sealed.hash }
      const segment = segmentOf(sealed.parts[0]!, name)
      await store.put(storedSegment(partition, segment).key, sealed.pieces, this.#signal)
      this.#signal.throwIfAborted()
      const cleaned = isLast ? { toOffset: mapTo, horizonMs: cleaner.totals.lastHorizonMs } : null
      return replaceBy(this.#rewriting, { partition, replaced, by: [segment], cleaned })
    } finally {
      writer.release()
    }
  }
}

/** Where the first batch begins that compaction does not look at in this pass. */
function endBefore(chunk: Buffer, offset: number): number {
  let at = 0
  while (at < chunk.length && baseOffsetOf(chunk, at) < offset) at += batchSizeBytesOf(chunk, at)
  return at
}
