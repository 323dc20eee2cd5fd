import { assert } from '#base/assert.ts'
import { ChronikError, messageOf } from '#base/errors.ts'
import { PiecePool } from '#bytes/piece-pool.ts'
import { holdObject } from '#core/garbage.ts'
import { NO_NUMBERS } from '#core/packed-fields.ts'
import type { Segment } from '#core/segments.ts'
import type { Partition } from '#core/state.ts'
import type { ObjectReader, ObjectStore } from '#object-store/object-store.ts'
import { baseOffsetOf, batchSizeBytesOf, computeCrc, crcOf, lastOffsetDeltaOf, leaderEpochOf } from '#records/batch.ts'
import { buildEndMarker } from '#records/build.ts'
import { readPartIndex } from '#segments/segment-index.ts'
import { segmentKey } from '#segments/segment-names.ts'
import { SegmentWriter } from '#segments/segment-writer.ts'
import { isWhole, type Taken } from './coverage.ts'
import type { ArchiveReader } from './read-archive.ts'
import type { RestoredPartition, RestorePlan } from './restore.ts'
import { isLoss } from './tail-objects.ts'

// Puts the records that were in no segment where the restored state has them: copies that are taken as they are become segments
// where they are; what is cut out of others, and the markers of aborted transactions, is written into shared objects of the new
// owner. Reads of the store are as many as there are cuts; memory is one object.

const OBJECT_BYTES = 16 << 20
const OBJECT_PARTS = 4096
const KEPT_PIECES_BYTES = 32 << 20
const HEADER_BYTES = 61

/** A batch on its way into a new object. */
interface Batch {
  readonly bytes: Buffer
  readonly at: number
  readonly sizeBytes: number
  readonly baseOffset: number
  readonly leaderEpoch: number
}

/** What one part of a new object is made of. */
interface MadePart {
  readonly partition: Partition
  readonly from: number
  readonly to: number
  readonly createdMs: number
  batches(): Promise<Batch[]>
}

/** A copy of records does not give what its name and its index say. */
export class CopyUnreadable extends ChronikError {
  readonly key: string

  constructor(key: string, cause: unknown) {
    super('COPY_UNREADABLE', 'corrupt', `${key} cannot be read: ${messageOf(cause)}`, { cause })
    this.key = key
  }
}

/** Reads what would have to be cut out. */
export async function checkRestorable(
  { store, signal }: { store: ObjectReader; signal: AbortSignal },
  plan: RestorePlan,
): Promise<void> {
  for (const { partition, taken } of plan.partitions) {
    for (const one of taken) if (!isWhole(one)) await cutOut(store, signal, { partition, taken: one }).batches()
  }
}

export async function placeRestored(
  {
    store,
    signal,
    generation,
    progress,
  }: Pick<ArchiveReader, 'signal' | 'progress'> & { store: ObjectStore; generation: number },
  plan: RestorePlan,
): Promise<void> {
  progress.step = 'objects'
  const cuts = plan.partitions.flatMap(({ taken }) => taken.filter(one => !isWhole(one)))
  progress.expect(cuts.length, 0)
  const maker = new ObjectMaker(store, signal, { generation, sharedAt: plan.position })
  const rows: (() => { partition: Partition; segment: Segment })[] = []
  for (const restored of plan.partitions) {
    const { partition, taken, markers } = restored
    for (const one of taken) {
      if (isWhole(one)) rows.push(() => ({ partition, segment: one.copy.segment }))
      else {
        rows.push(await maker.add(cutOut(store, signal, { partition, taken: one })))
        progress.did(0)
      }
    }
    if (markers.length > 0) rows.push(await maker.add(closing(restored, plan.stateTimeMs)))
  }
  await maker.end()
  for (const row of rows) {
    const { partition, segment } = row()
    partition.segments.add(segment)
    holdObject(plan.state, segment)
  }
  for (const { partition } of plan.partitions) {
    assert(
      partition.segments.endOffset(partition.nextOffset) === partition.nextOffset,
      'all that is left is in segments',
    )
  }
}

class ObjectMaker {
  readonly #store: ObjectStore
  readonly #signal: AbortSignal
  readonly #name: { readonly generation: number; readonly sharedAt: number }
  readonly #pool = new PiecePool(KEPT_PIECES_BYTES)
  #writer = new SegmentWriter(this.#pool)
  #parts: { segment: Segment | null }[] = []

  constructor(store: ObjectStore, signal: AbortSignal, name: { generation: number; sharedAt: number }) {
    this.#store = store
    this.#signal = signal
    this.#name = name
  }

  /** What is returned says where it came to lie, after the end. */
  async add(part: MadePart): Promise<() => { partition: Partition; segment: Segment }> {
    if (this.#parts.length === OBJECT_PARTS || this.#writer.sizeBytes >= OBJECT_BYTES) await this.end()
    const { partition, from, to, createdMs } = part
    const { topic, index } = partition
    const about = { topicId: topic.id, topicName: topic.name, partition: index, baseOffset: from, createdMs }
    const batches = await part.batches()
    this.#writer.beginPart(about)
    for (const { bytes, at, sizeBytes, baseOffset, leaderEpoch } of batches) {
      this.#writer.addBatch(bytes, at, sizeBytes, baseOffset, leaderEpoch)
    }
    this.#writer.endPart(to, partition.aborted?.rowsBetween(from, to) ?? NO_NUMBERS)
    const made: { segment: Segment | null } = { segment: null }
    this.#parts.push(made)
    return () => {
      assert(made.segment !== null, 'the objects are in the store')
      return { partition, segment: made.segment }
    }
  }

  async end(): Promise<void> {
    if (this.#parts.length === 0) return
    try {
      const sealed = this.#writer.end()
      const name = { ...this.#name, revision: 0, hash: sealed.hash }
      const key = segmentKey({ ...name, baseOffset: 0, nextOffset: 0, topicName: '', topicId: '', partition: 0 })
      await this.#store.put(key, sealed.pieces, this.#signal)
      for (const [i, made] of this.#parts.entries()) {
        const { topicId: _, partition: __, ...part } = sealed.parts[i]!
        made.segment = { ...part, ...name }
      }
    } finally {
      this.#writer.release()
    }
    this.#writer = new SegmentWriter(this.#pool)
    this.#parts = []
  }
}

/** The batches of a copy that are wanted: a batch begins, and one ends, where the range does. */
function cutOut(
  store: ObjectReader,
  signal: AbortSignal,
  { partition, taken }: { partition: Partition; taken: Taken },
): MadePart {
  const { copy, from, to } = taken
  const { createdMs } = copy.segment
  const batches = async (): Promise<Batch[]> => {
    try {
      return await batchesOf(store, signal, { partition, taken })
    } catch (thrown) {
      throw isLoss(thrown) ? new CopyUnreadable(copy.key, thrown) : thrown
    }
  }
  return { partition, from, to, createdMs, batches }
}

async function batchesOf(
  store: ObjectReader,
  signal: AbortSignal,
  { partition, taken: { copy, from, to } }: { partition: Partition; taken: Taken },
): Promise<Batch[]> {
  const { key, segment } = copy
  const { indexPlace, indexBytes, place } = segment
  const of = { topicId: partition.topic.id, partition: partition.index }
  const index = readPartIndex(await store.getRange(key, indexPlace, indexBytes, signal), key, { ...segment, ...of })
  const begin = index.placeOf(from)
  const end = to === segment.nextOffset ? segment.sizeBytes : index.placeBehind(index.placeOf(to))
  const bytes = await store.getRange(key, place + begin, end - begin, signal)
  const found = [...wholeBatches(bytes)].filter(batch => batch.baseOffset >= from && batch.baseOffset < to)
  const last = found.at(-1)
  const isRange = found[0]?.baseOffset === from && last !== undefined && nextOffsetOf(last) === to
  if (!isRange) throw unfit(key, from, to)
  return found
}

function nextOffsetOf({ bytes, at, baseOffset }: Batch): number {
  return baseOffset + lastOffsetDeltaOf(bytes, at) + 1
}

function* wholeBatches(bytes: Buffer): Generator<Batch> {
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const sizeBytes = batchSizeBytesOf(bytes, at)
    if (sizeBytes < HEADER_BYTES || at + sizeBytes > bytes.length || computeCrc(bytes, at) !== crcOf(bytes, at)) return
    yield { bytes, at, sizeBytes, baseOffset: baseOffsetOf(bytes, at), leaderEpoch: leaderEpochOf(bytes, at) }
    at += sizeBytes
  }
}

function unfit(key: string, from: number, to: number): ChronikError {
  const message = `${key} does not have the batches of offsets ${from} to ${to}: put it back from a copy of the store`
  return new ChronikError('SEGMENT_DAMAGED', 'corrupt', message)
}

function closing({ partition, markers }: RestoredPartition, timeMs: number): MadePart {
  const from = markers[0]!.offset
  const { leaderEpoch } = partition
  const batches = markers.map(({ offset, producerId, producerEpoch }) => {
    const about = { producerId, producerEpoch, coordinatorEpoch: 0, timestampMs: timeMs }
    const bytes = buildEndMarker('abort', about)
    return { bytes, at: 0, sizeBytes: bytes.length, baseOffset: offset, leaderEpoch }
  })
  return { partition, from, to: from + markers.length, createdMs: timeMs, batches: async () => batches }
}
