import type { Partition } from '#core/state.ts'
import { type AbortedTransaction, type AbortedTransactions, packAborted } from '#core/transactions.ts'
import type { Log } from '#log/log.ts'
import { type StoredSegment, storedSegment } from '#segments/segment-names.ts'
import { SegmentWriter } from '#segments/segment-writer.ts'
import type { MergePlan } from './merge-plan.ts'
import {
  addBatches,
  beginPart,
  chunksOf,
  onPartition,
  type Rewriting,
  replaceBy,
  revisionAfter,
  segmentOf,
  segmentsOf,
} from './rewrite.ts'

// Small segments that lie one behind the other become one. Records stay byte for byte; several partitions share the new object, too, as
// long as their parts are small.

/** One object of these runs. Returns how many runs were replaced: the others have changed meanwhile. */
export async function mergeSegments(
  rewriting: Rewriting,
  { runs, sharedAt }: { runs: readonly MergePlan[]; sharedAt: number },
  signal: AbortSignal,
): Promise<number> {
  const { log, store, pieces } = rewriting
  const { generation } = log.state
  const parts = runs
    .map(run => ({ partition: run.partition, replaced: segmentsIn(run) }))
    .filter(({ replaced }) => replaced.length > 0)
  if (parts.length === 0) return 0
  const writer = new SegmentWriter(pieces)
  try {
    for (const { partition, replaced } of parts) {
      beginPart(writer, partition, replaced[0]!)
      await onPartition(partition, copy(writer, chunksOf(rewriting, partition, replaced, signal)))
      writer.endPart(replaced.at(-1)!.nextOffset, await onPartition(partition, abortedIn(log, partition, replaced)))
    }
    const sealed = writer.end()
    const revision = revisionAfter(
      parts.flatMap(({ replaced }) => replaced),
      log.clock.nowMs(),
    )
    const name = { generation, revision, sharedAt, hash: sealed.hash }
    const replacements = parts.map((part, i) => ({ ...part, by: [segmentOf(sealed.parts[i]!, name)], cleaned: null }))
    const [first] = replacements
    await store.put(storedSegment(first!.partition, first!.by[0]!).key, sealed.pieces, signal)
    signal.throwIfAborted()
    const outcomes = await Promise.all(replacements.map(replacement => replaceBy(rewriting, replacement)))
    return outcomes.filter(isReplaced => isReplaced).length
  } finally {
    writer.release()
  }
}

async function copy(writer: SegmentWriter, chunks: AsyncIterable<Buffer>): Promise<void> {
  for await (const chunk of chunks) addBatches(writer, chunk)
}

/**
 * Rows of the aborted transactions with records in the segments. The state has forgotten those of what was compacted, the indexes
 * have them.
 */
async function abortedIn(log: Log, partition: Partition, segments: readonly StoredSegment[]): Promise<Float64Array> {
  const [from, to] = [segments[0]!.baseOffset, segments.at(-1)!.nextOffset]
  const byMarker = new Map<number, AbortedTransaction>()
  const note = (known: AbortedTransactions | null): void => {
    for (const aborted of known?.between(from, to) ?? []) byMarker.set(aborted.lastOffset, aborted)
  }
  for (const segment of segments) note((await log.segments.index(segment)).aborted())
  note(partition.aborted)
  return packAborted([...byMarker.values()])
}

/** Empty if they are not what was planned any more: retention took some, or compaction made one of them and others. */
function segmentsIn({ partition, baseOffset, nextOffset }: MergePlan): StoredSegment[] {
  const { segments } = partition
  const from = Math.max(0, segments.indexOf(baseOffset))
  const there = segmentsOf(partition, from, segments.indexOf(nextOffset - 1) + 1)
  const isRange = there[0]?.baseOffset === baseOffset && there.at(-1)?.nextOffset === nextOffset
  return isRange ? there : []
}
