import { ChronikError } from '#base/errors.ts'
import type { Partition } from '#core/state.ts'
import {
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  batchSizeBytesOf,
  lastOffsetDeltaOf,
  maxTimestampOf,
} from '#records/batch.ts'
import { type StoredSegment, storedSegment } from '#segments/segment-names.ts'
import type { Log } from './log.ts'
import type { LogSlices, ReadRange } from './read-log.ts'
import type { SegmentSpan } from './segment-blocks.ts'

// Reading what is sealed. A segment is read from the batch that holds an offset on; compaction may have left gaps, then that is the
// next one there is.

/** From the index's place to the batch that is looked for lie so many bytes at most, and the batch. */
const INDEX_STEP_BYTES = 65536
/** Read at once, unless a single batch is larger. */
const SPAN_BYTES = 8 << 20
/** Who has waited so long for the store gets what came until then. Each request may take ten seconds, and clients wait for thirty. */
const ENOUGH_MS = 5_000
/** And who has got nothing until then is told to try again: what came meanwhile is in memory. */
const TOO_LONG_MS = 15_000
/** So much before the end of a segment the next one is asked for. */
const NEAR_BYTES = 3 << 20

/** A batch of a segment, by its header. */
export interface SegmentBatch {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly place: number
  readonly sizeBytes: number
  readonly maxTimestampMs: number
}

/** Adds the batches from `read.nextOffset` on that are in segments, as many as fit. True: no more may be added. */
export async function fillFromSegments(
  log: Log,
  partition: Partition,
  read: LogSlices,
  range: ReadRange,
): Promise<boolean> {
  const endOffset = Math.min(range.endOffset, partition.segments.endOffset(0))
  const timed = { ...range, beganMs: log.clock.monotonicMs() }
  while (read.nextOffset < endOffset) {
    const segment = segmentAt(partition, read.nextOffset)
    const isFull = await fillFrom(log, segment, read, timed)
    // By then another one may have taken its place: that it is asked for too early costs nothing.
    if (isFull && isNearEnd(segment, read)) expectAt(log, partition, segment.nextOffset)
    if (isFull) return true
  }
  return false
}

/** Not much of it is left for the next read, by its offsets. */
function isNearEnd({ baseOffset, nextOffset, sizeBytes }: StoredSegment, read: LogSlices): boolean {
  const leftBytes = ((nextOffset - read.nextOffset) / (nextOffset - baseOffset)) * sizeBytes
  return leftBytes <= NEAR_BYTES
}

/** Who reads on comes to the segment that holds the offset soon, if there is one. */
function expectAt(log: Log, partition: Partition, offset: number): void {
  if (offset < partition.segments.endOffset(0)) log.segments.expect(segmentAt(partition, offset))
}

interface TimedRange extends ReadRange {
  readonly beganMs: number
}

/** Before the store is asked for more: has it taken so long that what there is must do? */
function isTime(log: Log, { key }: StoredSegment, { sizeBytes }: LogSlices, { beganMs }: TimedRange): boolean {
  const tookMs = log.clock.monotonicMs() - beganMs
  if (sizeBytes > 0 || tookMs < TOO_LONG_MS) return sizeBytes > 0 && tookMs >= ENOUGH_MS
  const message = `the object store is slow: after ${Math.round(tookMs / 1000)} s more is needed of ${key}`
  throw new ChronikError('STORE_UNAVAILABLE', 'unavailable', message)
}

export function segmentAt(partition: Partition, offset: number): StoredSegment {
  const { segments, topic, index } = partition
  const at = segments.indexOf(offset)
  if (at >= 0) return storedSegment(partition, segments.at(at))
  throw new ChronikError('LOG_TRIMMED', 'retry', `offset ${offset} of ${topic.name}-${index} is gone`)
}

/** True: there is no room for more, or nothing more is wanted. */
async function fillFrom(log: Log, segment: StoredSegment, read: LogSlices, range: TimedRange): Promise<boolean> {
  if (isTime(log, segment, read, range)) return true
  const index = await log.segments.index(segment)
  let place = index.placeOf(read.nextOffset)
  let neededBytes = BATCH_HEADER_BYTES
  while (place < segment.sizeBytes) {
    if (isTime(log, segment, read, range)) return true
    const wantedBytes = INDEX_STEP_BYTES + Math.max(0, range.maxBytes - read.sizeBytes)
    const spanBytes = Math.max(neededBytes, Math.min(wantedBytes, SPAN_BYTES))
    const span = await log.segments.span(segment, place, place + spanBytes)
    const taken = takeBatches(span, place, read, range)
    span.release()
    if (taken.isFull) return true
    place = taken.place
    neededBytes = taken.neededBytes
  }
  read.nextOffset = segment.nextOffset
  return false
}

/** Takes what is whole in the span and fits; tells where it stopped, and how many bytes it needs to go on there. */
function takeBatches(
  span: SegmentSpan,
  begin: number,
  read: LogSlices,
  { maxBytes, atLeastOne, endOffset }: ReadRange,
): { place: number; isFull: boolean; neededBytes: number } {
  let from = begin
  let place = begin
  let isFull = false
  let neededBytes = BATCH_HEADER_BYTES
  for (let batch = batchAt(span, place); batch !== null; batch = batchAt(span, place)) {
    if (batch.nextOffset <= read.nextOffset) {
      place += batch.sizeBytes
      from = place
      continue
    }
    const withItBytes = read.sizeBytes + place - from + batch.sizeBytes
    const isFirst = withItBytes === batch.sizeBytes
    isFull = batch.baseOffset >= endOffset || (withItBytes > maxBytes && !(isFirst && atLeastOne))
    neededBytes = batch.sizeBytes
    if (isFull || place + batch.sizeBytes > span.to) break
    place += batch.sizeBytes
    neededBytes = BATCH_HEADER_BYTES
    read.nextOffset = batch.nextOffset
  }
  if (place > from) span.addTo(read, from, place)
  return { place, isFull, neededBytes }
}

/** Null if its header is not all in the span. */
function batchAt(span: SegmentSpan, place: number): SegmentBatch | null {
  if (place + BATCH_HEADER_BYTES > span.to) return null
  const { bytes, at } = span.find(place, BATCH_HEADER_BYTES)
  const baseOffset = baseOffsetOf(bytes, at)
  return {
    baseOffset,
    nextOffset: baseOffset + lastOffsetDeltaOf(bytes, at) + 1,
    place,
    sizeBytes: batchSizeBytesOf(bytes, at),
    maxTimestampMs: maxTimestampOf(bytes, at),
  }
}

/** Some batches of a segment from the one that holds an offset on, those before it left out that are surely older than a time. */
export async function segmentBatches(
  log: Log,
  segment: StoredSegment,
  from: { offset: number; timestampMs: number },
): Promise<SegmentBatch[]> {
  const index = await log.segments.index(segment)
  const batches: SegmentBatch[] = []
  let place = index.firstNotBefore(from.timestampMs, index.placeOf(from.offset))
  if (place < 0) return batches
  while (place < segment.sizeBytes && batches.length === 0) {
    const span = await log.segments.span(segment, place, place + INDEX_STEP_BYTES)
    const began = place
    for (let batch = batchAt(span, place); batch !== null && place - began < INDEX_STEP_BYTES; ) {
      place += batch.sizeBytes
      if (batch.nextOffset > from.offset) batches.push(batch)
      batch = batchAt(span, place)
    }
    span.release()
  }
  return batches
}
