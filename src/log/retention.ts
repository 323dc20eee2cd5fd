import type { Extent } from '#core/extents.ts'
import type { Segment } from '#core/segments.ts'
import type { Partition } from '#core/state.ts'

export interface RetentionLimits {
  /** Infinity: no limit. */
  retentionMs: number
  retentionBytes: number
}

/**
 * Where a partition's log shall start: whole segments go, then whole extents, oldest first, while their newest record is too old or
 * the rest is still large enough (Kafka: UnifiedLog.deleteOldSegments). The current start if nothing goes.
 */
export function retainedFrom(partition: Partition, limits: RetentionLimits, nowMs: number): number {
  let sizeBytes = partition.segments.sizeBytes() + partition.extents.sizeBytes()
  let start = partition.logStart
  for (const range of rangesOf(partition)) {
    // Records without a timestamp age from the time they were appended.
    const newestMs = range.maxTimestampMs >= 0 ? range.maxTimestampMs : range.createdMs
    const tooOld = nowMs - newestMs > limits.retentionMs
    const tooMuch = sizeBytes - range.sizeBytes >= limits.retentionBytes
    if (!tooOld && !tooMuch) break
    sizeBytes -= range.sizeBytes
    start = range.nextOffset
  }
  return Math.max(start, partition.logStart)
}

/** What a partition has, in the order of offsets. */
export function* rangesOf({ segments, extents }: Partition): Generator<Segment | Extent> {
  for (let i = 0; i < segments.length; i++) yield segments.at(i)
  for (let i = 0; i < extents.length; i++) yield extents.at(i)
}
