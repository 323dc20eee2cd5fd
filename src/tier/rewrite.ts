import { ChronikError, messageOf } from '#base/errors.ts'
import type { PiecePool } from '#bytes/piece-pool.ts'
import type { CleanedPart } from '#core/segment-fields.ts'
import type { Segment } from '#core/segments.ts'
import type { Partition } from '#core/state.ts'
import type { Log } from '#log/log.ts'
import type { ObjectStore } from '#object-store/object-store.ts'
import { baseOffsetOf, batchSizeBytesOf, leaderEpochOf } from '#records/batch.ts'
import type { SegmentPart } from '#segments/segment-format.ts'
import { type StoredSegment, storedSegment } from '#segments/segment-names.ts'
import type { SegmentWriter } from '#segments/segment-writer.ts'

// Segments that are written anew, compacted or several as one: what both have in common. As with sealing the object is in the store before the
// record that puts it in the place of the old ones.

/** What is needed of the object store to write segments. */
export type SegmentStore = Pick<ObjectStore, 'place' | 'put'>

export interface Rewriting {
  readonly log: Log
  readonly store: SegmentStore
  readonly pieces: PiecePool
}

/** Segments of a partition cannot be read: others need not wait for it. */
export class PartitionDamaged extends ChronikError {
  readonly partition: Partition

  constructor(partition: Partition, cause: ChronikError) {
    const { topic, index } = partition
    super('PARTITION_DAMAGED', 'corrupt', `${topic.name}-${index} cannot be written anew: ${cause.message}`, { cause })
    this.partition = partition
  }
}

/** Work on the segments of a partition; that they are damaged is said of it. */
export async function onPartition<T>(partition: Partition, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (thrown) {
    const isDamaged = thrown instanceof ChronikError && thrown.kind === 'corrupt'
    throw isDamaged ? new PartitionDamaged(partition, thrown) : thrown
  }
}

/** The batches of segments, one behind the other. That one is gone says nothing if the partition has let go of it meanwhile. */
export async function* chunksOf(
  { log }: Rewriting,
  partition: Partition,
  segments: readonly StoredSegment[],
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  for (const segment of segments) {
    try {
      for await (const chunk of log.segments.chunks(segment)) {
        signal.throwIfAborted()
        yield chunk
      }
    } catch (thrown) {
      const isLost = thrown instanceof ChronikError && thrown.code === 'OBJECT_MISSING' && isIn(log, partition, segment)
      throw isLost ? new ChronikError('SEGMENT_MISSING', 'corrupt', messageOf(thrown), { cause: thrown }) : thrown
    }
  }
}

function isIn({ state }: Log, partition: Partition, { baseOffset, key }: StoredSegment): boolean {
  const at = partition.segments.indexOf(baseOffset)
  if (at < 0 || state.partitions[partition.ordinal] !== partition) return false
  return storedSegment(partition, partition.segments.at(at)).key === key
}

export type ObjectName = Pick<Segment, 'generation' | 'revision' | 'sharedAt' | 'hash'>

export function segmentOf(part: SegmentPart, name: ObjectName): Segment {
  const { baseOffset, nextOffset, sizeBytes, maxTimestampMs, createdMs, place, indexPlace, indexBytes } = part
  return { baseOffset, nextOffset, sizeBytes, maxTimestampMs, createdMs, place, indexPlace, indexBytes, ...name }
}

/** Adds whole batches that carry their offsets and epochs already. */
export function addBatches(writer: SegmentWriter, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) {
    const sizeBytes = batchSizeBytesOf(bytes, at)
    writer.addBatch(bytes, at, sizeBytes, baseOffsetOf(bytes, at), leaderEpochOf(bytes, at))
    at += sizeBytes
  }
}

/** Begins a part in the place of segments of a partition. */
export function beginPart(writer: SegmentWriter, { topic, index }: Partition, first: Segment): void {
  const { baseOffset, createdMs } = first
  writer.beginPart({ topicId: topic.id, topicName: topic.name, partition: index, baseOffset, createdMs })
}

/** Larger than that of everything that is replaced: the names differ. */
export function revisionAfter(segments: readonly Segment[], nowMs: number): number {
  return segments.reduce((revision, segment) => Math.max(revision, segment.revision + 1), Math.floor(nowMs))
}

/** The segments of a partition from one index to another, with their places. */
export function segmentsOf(partition: Partition, from = 0, to = partition.segments.length): StoredSegment[] {
  const stored: StoredSegment[] = []
  for (let i = from; i < to; i++) stored.push(storedSegment(partition, partition.segments.at(i)))
  return stored
}

/** Puts a segment in the place of others; false if those are not there any more, or another owner has the store. */
export async function replaceBy(
  { log }: Rewriting,
  { partition, replaced, by, cleaned }: Replacement,
): Promise<boolean> {
  const names = replaced.map(({ baseOffset, nextOffset, revision }) => ({ baseOffset, nextOffset, revision }))
  const change = { kind: 'segments-replaced', ordinal: partition.ordinal, replaced: names, by, cleaned } as const
  return (await log.propose(change)) === 'NONE'
}

export interface Replacement {
  readonly partition: Partition
  readonly replaced: readonly Segment[]
  readonly by: readonly Segment[]
  readonly cleaned: CleanedPart | null
}
