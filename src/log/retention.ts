import type { Partition } from '#core/state.ts'

export interface RetentionLimits {
  /** Infinity: no limit. */
  retentionMs: number
  retentionBytes: number
}

/**
 * Where a partition's log shall start: whole extents go, oldest first, while their newest record is too old or the rest is
 * still large enough (Kafka: UnifiedLog.deleteOldSegments). The current start if nothing goes.
 */
export function retainedFrom(partition: Partition, limits: RetentionLimits, nowMs: number): number {
  const { extents } = partition
  let sizeBytes = 0
  for (let i = 0; i < extents.length; i++) sizeBytes += extents.at(i).sizeBytes
  let start = partition.logStart
  for (let i = 0; i < extents.length; i++) {
    const extent = extents.at(i)
    // Records without a timestamp age from the time they were appended.
    const newestMs = extent.maxTimestampMs >= 0 ? extent.maxTimestampMs : extent.createdMs
    const tooOld = nowMs - newestMs > limits.retentionMs
    const tooMuch = sizeBytes - extent.sizeBytes >= limits.retentionBytes
    if (!tooOld && !tooMuch) break
    sizeBytes -= extent.sizeBytes
    start = extent.nextOffset
  }
  return Math.max(start, partition.logStart)
}
