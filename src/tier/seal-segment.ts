import { ChronikError, messageOf } from '#base/errors.ts'
import { NO_NUMBERS } from '#core/packed-fields.ts'
import type { Partition } from '#core/state.ts'
import { copyBatches } from '#log/copy-batches.ts'
import type { Log } from '#log/log.ts'
import { MAX_PARTS } from '#segments/segment-format.ts'
import { storedSegment } from '#segments/segment-names.ts'
import { type SealedSegment, SegmentWriter } from '#segments/segment-writer.ts'
import { type Rewriting, type SegmentStore, segmentOf } from './rewrite.ts'
import type { SealWish } from './seal-plan.ts'

// Sealing: what partitions have in the write-ahead log, up to the first open transaction, becomes one immutable object, of one partition
// or of several small ones. Data first: the object is in the store before the record that refers to it is proposed. The same
// range gives the same object under the same name, so a retry changes nothing.

export interface SealResult {
  readonly sizeBytes: number
  /** Parts that are segments now; the others have changed meanwhile. */
  readonly parts: number
}

/** One object. */
export interface SealJob {
  readonly wishes: readonly SealWish[]
  /** About where the log stands, another number for each job; OWN_OBJECT for a single part. */
  readonly sharedAt: number
}

/** The log does not give what there is of a partition: others need not wait for it. */
export class PartitionUnreadable extends ChronikError {
  readonly partition: Partition

  constructor(partition: Partition, cause: unknown) {
    const { topic, index } = partition
    super('PARTITION_UNREADABLE', 'corrupt', `${topic.name}-${index} cannot be sealed: ${messageOf(cause)}`, { cause })
    this.partition = partition
  }
}

export async function sealSegment(
  { log, store, pieces }: Rewriting,
  { wishes, sharedAt }: SealJob,
  signal: AbortSignal,
): Promise<SealResult> {
  const { generation } = log.state
  const writer = new SegmentWriter(pieces)
  try {
    /** Of each part. */
    const partitions: Partition[] = []
    for (const wish of wishes) {
      for await (const partition of addParts(log, writer, wish)) partitions.push(partition)
    }
    if (partitions.length === 0) return { sizeBytes: 0, parts: 0 }
    const sealed = writer.end()
    const name = { generation, revision: 0, sharedAt, hash: sealed.hash }
    const parts = partitions.map(({ ordinal }, i) => ({ ordinal, segment: segmentOf(sealed.parts[i]!, name) }))
    await store.put(storedSegment(partitions[0]!, parts[0]!.segment).key, sealed.pieces, signal)
    signal.throwIfAborted()
    const outcome = await log.propose({ kind: 'segments-committed', parts })
    if (outcome === 'STALE_CONTROLLER_EPOCH') throw fenced(store)
    return resultOf(log, partitions, sealed)
  } finally {
    writer.release()
  }
}

/** Says whose it is with each part. Of what went meanwhile there is nothing to seal. */
async function* addParts(log: Log, writer: SegmentWriter, wish: SealWish): AsyncGenerator<Partition> {
  const { partition, partBytes } = wish
  let { walStart: offset } = partition
  const { firstUnstableOffset: endOffset } = partition
  let leftBytes = wish.maxBytes
  while (offset < endOffset && leftBytes > 0 && writer.partCount < MAX_PARTS && partition.extents.length > 0) {
    const maxBytes = Math.min(partBytes, leftBytes)
    const bodiesBytes = writer.sizeBytes
    offset = await addPart(log, writer, { partition, offset, endOffset, maxBytes })
    yield partition
    if (leftBytes <= partBytes) return
    leftBytes -= writer.sizeBytes - bodiesBytes
  }
}

interface SealRange {
  readonly partition: Partition
  readonly offset: number
  readonly endOffset: number
  readonly maxBytes: number
}

/** Returns where it ends. */
async function addPart(log: Log, writer: SegmentWriter, { partition, ...range }: SealRange): Promise<number> {
  const { extents, leaderEpoch, topic, index } = partition
  const { offset: baseOffset } = range
  const { createdMs } = extents.at(Math.max(0, extents.indexOf(baseOffset)))
  writer.beginPart({ topicId: topic.id, topicName: topic.name, partition: index, baseOffset, createdMs })
  const nextOffset = await copyBatches(log, partition, range, (bytes, at, batch) =>
    writer.addBatch(bytes, at, batch.sizeBytes, batch.baseOffset, leaderEpoch),
  ).catch(thrown => {
    // Its records, or its topic, have gone meanwhile.
    if (thrown instanceof ChronikError && thrown.code === 'LOG_TRIMMED') throw thrown
    throw new PartitionUnreadable(partition, thrown)
  })
  writer.endPart(nextOffset, partition.aborted?.rowsBetween(baseOffset, nextOffset) ?? NO_NUMBERS)
  return nextOffset
}

function resultOf({ state }: Log, partitions: readonly Partition[], sealed: SealedSegment): SealResult {
  const taken = partitions.filter((partition, i) => {
    const { ordinal, segments } = partition
    return state.partitions[ordinal] === partition && segments.indexOf(sealed.parts[i]!.baseOffset) >= 0
  })
  return { sizeBytes: sealed.sizeBytes, parts: taken.length }
}

function fenced({ place }: SegmentStore): ChronikError {
  return new ChronikError('OWNER_FENCED', 'conflict', `${place} belongs to another owner by now`)
}
