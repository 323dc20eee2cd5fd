import type { ByteReader, ByteWriter } from '#bytes/cursor.ts'
import { readText, writeText } from './fields.ts'
import type { Garbage } from './garbage.ts'
import { readNumbers, writeNumbers } from './packed-fields.ts'
import { type Segment, Segments } from './segments.ts'

// Segments as bytes: in records of the commit log, and in checkpoints.

/** Ranges of partitions were sealed, and the objects are in the store. */
export interface SegmentsCommitted {
  readonly kind: 'segments-committed'
  readonly parts: readonly { readonly ordinal: number; readonly segment: Segment }[]
}

/** What tells a segment from the one that takes its place. */
export interface SegmentName {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly revision: number
}

/** Segments of a partition were written anew: compacted, or several as one. */
export interface SegmentsReplaced {
  readonly kind: 'segments-replaced'
  readonly ordinal: number
  /** If they are not there any more, all of them and one behind the other, nothing is replaced. */
  readonly replaced: readonly SegmentName[]
  /** These cover the same offsets. */
  readonly by: readonly Segment[]
  /** How far compaction has been through the partition by now; null: that is as it was. */
  readonly cleaned: CleanedPart | null
}

export interface CleanedPart {
  readonly toOffset: number
  /** When the last of what it left for its time only may go, -1 if there is nothing. */
  readonly horizonMs: number
}

export function writeSegment(into: ByteWriter, segment: Segment): void {
  into.i64(segment.baseOffset)
  into.i64(segment.nextOffset)
  into.i64(segment.sizeBytes)
  into.f64(segment.maxTimestampMs)
  into.f64(segment.createdMs)
  into.i64(segment.place)
  into.i64(segment.indexPlace)
  into.u32(segment.indexBytes)
  into.u32(segment.generation)
  into.f64(segment.revision)
  into.i64(segment.sharedAt)
  into.u32(segment.hash)
}

export function readSegment(from: ByteReader): Segment {
  return {
    baseOffset: from.i64(),
    nextOffset: from.i64(),
    sizeBytes: from.i64(),
    maxTimestampMs: from.f64(),
    createdMs: from.f64(),
    place: from.i64(),
    indexPlace: from.i64(),
    indexBytes: from.u32(),
    generation: from.u32(),
    revision: from.f64(),
    sharedAt: from.i64(),
    hash: from.u32(),
  }
}

export function writeSegmentsCommitted(into: ByteWriter, { parts }: Omit<SegmentsCommitted, 'kind'>): void {
  into.uvarint(parts.length)
  for (const { ordinal, segment } of parts) {
    into.u32(ordinal)
    writeSegment(into, segment)
  }
}

export function readSegmentsCommitted(from: ByteReader): Omit<SegmentsCommitted, 'kind'> {
  const parts: { ordinal: number; segment: Segment }[] = []
  for (let left = from.uvarint(); left > 0; left--) parts.push({ ordinal: from.u32(), segment: readSegment(from) })
  return { parts }
}

export function writeSegmentsReplaced(into: ByteWriter, change: Omit<SegmentsReplaced, 'kind'>): void {
  into.u32(change.ordinal)
  into.uvarint(change.replaced.length)
  for (const { baseOffset, nextOffset, revision } of change.replaced) {
    into.i64(baseOffset)
    into.i64(nextOffset)
    into.f64(revision)
  }
  into.uvarint(change.by.length)
  for (const segment of change.by) writeSegment(into, segment)
  into.u8(change.cleaned === null ? 0 : 1)
  if (change.cleaned === null) return
  into.i64(change.cleaned.toOffset)
  into.f64(change.cleaned.horizonMs)
}

export function readSegmentsReplaced(from: ByteReader): Omit<SegmentsReplaced, 'kind'> {
  const ordinal = from.u32()
  const replaced: SegmentName[] = []
  for (let left = from.uvarint(); left > 0; left--) {
    replaced.push({ baseOffset: from.i64(), nextOffset: from.i64(), revision: from.f64() })
  }
  const by: Segment[] = []
  for (let left = from.uvarint(); left > 0; left--) by.push(readSegment(from))
  const cleaned = from.u8() === 0 ? null : { toOffset: from.i64(), horizonMs: from.f64() }
  return { ordinal, replaced, by, cleaned }
}

export function writeGarbage(into: ByteWriter, garbage: Garbage): void {
  into.i64(garbage.id)
  into.f64(garbage.sinceMs)
  writeText(into, garbage.topicId)
  writeText(into, garbage.topicName)
  into.u32(garbage.partition)
  writeNumbers(into, garbage.segments.rows())
}

export function readGarbage(from: ByteReader): Garbage {
  return {
    id: from.i64(),
    sinceMs: from.f64(),
    topicId: readText(from),
    topicName: readText(from),
    partition: from.u32(),
    segments: new Segments(readNumbers(from)),
  }
}
