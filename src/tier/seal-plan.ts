import type { Partition } from '#core/state.ts'
import type { UnsealedPartition } from '#log/log.ts'

// What is to be sealed now, and when to look again: pure. A partition is due when it has enough for a segment, when its oldest
// unsealed record has waited long enough, or when the write-ahead log is to get rid of its oldest files. Small ones do not get an
// object each: when one is due, all that have waited half as long go with it, so that a thousand trickles are few objects.

export interface SealLimits {
  /** A segment has about so many bytes at most, or the topic's segment.bytes. */
  readonly segmentBytes: number
  /** A record waits so long at most, or the topic's segment.ms. */
  readonly segmentMs: number
}

/** Smaller ones share an object. */
export const SMALL_BYTES = 1 << 20
/** Of a shared object, all parts together. */
export const SHARED_BYTES = 16 << 20
const SHARED_PARTS = 4096
/** An open transaction keeps what is behind its begin from being sealed: looked at again after so long. */
const BLOCKED_MS = 5_000

export interface SealPlan {
  /** Each is one object, of one partition or of several small ones. */
  readonly objects: readonly (readonly UnsealedPartition[])[]
  /** When the next one is due if nothing comes. */
  readonly nextDueMs: number
}

export interface SealFacts {
  readonly nowMs: number
  readonly limits: SealLimits
  /** Is being sealed already. */
  isBusy(partition: Partition): boolean
  /** Partitions with records in a WAL file that begins before it are due. */
  readonly pressedBefore: number
}

export function planSeals(waiting: Iterable<UnsealedPartition>, facts: SealFacts): SealPlan {
  const { nowMs } = facts
  const objects: UnsealedPartition[][] = []
  const small: UnsealedPartition[] = []
  let isSmallDue = false
  let nextDueMs = Number.POSITIVE_INFINITY
  for (const unsealed of waiting) {
    const { partition, sizeBytes, sinceMs } = unsealed
    if (facts.isBusy(partition)) continue
    const limits = limitsOf(partition, facts.limits)
    unsealed.tellBytes = Math.max(limits.segmentBytes, sizeBytes + 1)
    if (partition.lastStableOffset <= partition.walStart) {
      nextDueMs = Math.min(nextDueMs, nowMs + BLOCKED_MS)
      continue
    }
    const isPressed = partition.extents.fileAt(0) < facts.pressedBefore
    const isDue = isPressed || sizeBytes >= limits.segmentBytes || nowMs - sinceMs >= limits.segmentMs
    if (!isDue) nextDueMs = Math.min(nextDueMs, sinceMs + limits.segmentMs)
    if (sizeBytes < SMALL_BYTES) {
      isSmallDue ||= isDue
      if (isDue || nowMs - sinceMs >= limits.segmentMs / 2) small.push(unsealed)
    } else if (isDue) objects.push([unsealed])
  }
  if (isSmallDue) objects.push(...shared(small))
  return { objects, nextDueMs }
}

export function limitsOf({ topic }: Partition, { segmentBytes, segmentMs }: SealLimits): SealLimits {
  return { segmentBytes: Math.min(segmentBytes, topic.segmentBytes), segmentMs: Math.min(segmentMs, topic.segmentMs) }
}

/** Will all that the partition has be in a segment within so long? What is overdue is not to be relied on. */
export function isSealedWithin(
  { partition, sizeBytes, sinceMs }: UnsealedPartition,
  withinMs: number,
  facts: Pick<SealFacts, 'nowMs' | 'limits'>,
): boolean {
  if (partition.lastStableOffset < partition.nextOffset) return false
  const { segmentBytes, segmentMs } = limitsOf(partition, facts.limits)
  const dueInMs = sizeBytes >= segmentBytes ? 0 : sinceMs + segmentMs - facts.nowMs
  return dueInMs <= withinMs && dueInMs >= -withinMs
}

function shared(small: readonly UnsealedPartition[]): UnsealedPartition[][] {
  const objects: UnsealedPartition[][] = []
  let sizeBytes = Number.POSITIVE_INFINITY
  for (const unsealed of small) {
    const last = objects.at(-1)
    if (last === undefined || last.length === SHARED_PARTS || sizeBytes + unsealed.sizeBytes > SHARED_BYTES) {
      objects.push([unsealed])
      sizeBytes = unsealed.sizeBytes
    } else {
      last.push(unsealed)
      sizeBytes += unsealed.sizeBytes
    }
  }
  return objects
}
