// When a partition is compacted, and what of it (Kafka: LogCleanerManager.cleanableOffsets, grabFilthiestCompactedLog, LogToClean,
// Cleaner.groupSegmentsBySize). Pure: who asks reads the state and the clock, decides with this, and acts.

/** A part of a partition that was sealed (core: Segment). */
export interface SealedSegment {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly sizeBytes: number
  /** Largest record timestamp, -1 if no record has one. */
  readonly maxTimestampMs: number
  /** When its first batch was appended. */
  readonly createdMs: number
}

/** What a topic's configs say about it, by their names. Infinity for Kafka's largest number. */
export interface CompactionRules {
  /** `cleanup.policy` holds `compact` */
  readonly compacts: boolean
  readonly minCleanableDirtyRatio: number
  readonly minCompactionLagMs: number
  readonly maxCompactionLagMs: number
}

export interface CompactablePartition<S extends SealedSegment = SealedSegment> {
  /** In order, dense. */
  readonly segments: readonly S[]
  /** Where the last pass ended (Kafka: cleaner-offset-checkpoint): all before it was compacted. 0 before the first. */
  readonly cleanedTo: number
  readonly lastStableOffset: number
  /** What the last pass left that stays for its time only may go then; -1 if there is nothing. */
  readonly lastHorizonMs: number
}

export interface CompactionPlan {
  /**
   * - `overdue`: something waits longer than `max.compaction.lag.ms`
   * - `dirty`: the share of what is new is above `min.cleanable.dirty.ratio`
   * - `expired`: all tombstones and markers that the last pass left may go. Kafka leaves them until something is new.
   */
  readonly reason: 'overdue' | 'dirty' | 'expired'
  /** Everything up to `to` is rewritten; the keys of [dirtyFrom, to) decide. Both are bounds of segments, or `cleanedTo`. */
  readonly dirtyFrom: number
  readonly to: number
  readonly cleanBytes: number
  readonly dirtyBytes: number
  readonly dirtyRatio: number
  /** By how much `max.compaction.lag.ms` is exceeded; 0 if it is not. */
  readonly overdueMs: number
}

/** What a pass over the partition would do now, null if none is due. */
export function planCompaction(
  partition: CompactablePartition,
  rules: CompactionRules,
  nowMs: number,
): CompactionPlan | null {
  const { segments } = partition
  const first = segments[0]
  if (!rules.compacts || first === undefined) return null
  const dirtyFrom = Math.max(partition.cleanedTo, first.baseOffset)
  const to = cleanableEnd(partition, dirtyFrom, rules.minCompactionLagMs, nowMs)
  let cleanBytes = 0
  let dirtyBytes = 0
  for (const { baseOffset, nextOffset, sizeBytes } of segments) {
    if (baseOffset < dirtyFrom) cleanBytes += sizeBytes
    if (nextOffset > dirtyFrom && nextOffset <= to) dirtyBytes += sizeBytes
  }
  const totalBytes = cleanBytes + dirtyBytes
  if (totalBytes === 0) return null
  const dirtyRatio = dirtyBytes / totalBytes
  const overdueMs = dirtyBytes > 0 ? overdueOf(segments, dirtyFrom, rules.maxCompactionLagMs, nowMs) : 0
  const reason = reasonFor(partition, { overdueMs, isDirty: dirtyRatio > rules.minCleanableDirtyRatio }, nowMs)
  return reason === null ? null : { reason, dirtyFrom, to, cleanBytes, dirtyBytes, dirtyRatio, overdueMs }
}

function reasonFor(
  { lastHorizonMs }: CompactablePartition,
  { overdueMs, isDirty }: { overdueMs: number; isDirty: boolean },
  nowMs: number,
): CompactionPlan['reason'] | null {
  if (overdueMs > 0) return 'overdue'
  if (isDirty) return 'dirty'
  return lastHorizonMs >= 0 && lastHorizonMs <= nowMs ? 'expired' : null
}

/** Where the whole segments end that may be compacted: not beyond the LSO, and nothing that is too young. */
function cleanableEnd(partition: CompactablePartition, dirtyFrom: number, minLagMs: number, nowMs: number): number {
  const { segments, lastStableOffset } = partition
  let end = dirtyFrom
  for (const [i, segment] of segments.entries()) {
    if (segment.nextOffset <= dirtyFrom) continue
    if (segment.nextOffset > lastStableOffset) break
    if (minLagMs > 0 && newestMs(segment, segments[i + 1]) > nowMs - minLagMs) break
    end = segment.nextOffset
  }
  return end
}

/** Records without a timestamp were appended before what comes behind them, and that is all that is known. */
function newestMs(segment: SealedSegment, behind: SealedSegment | undefined): number {
  if (segment.maxTimestampMs >= 0) return segment.maxTimestampMs
  return behind?.createdMs ?? Number.POSITIVE_INFINITY
}

/** Kafka asks the first batch for its largest timestamp, which a producer sets; when it was appended is what a user means. */
function overdueOf(segments: readonly SealedSegment[], dirtyFrom: number, maxLagMs: number, nowMs: number): number {
  let oldestMs = Number.POSITIVE_INFINITY
  for (const { nextOffset, createdMs } of segments) {
    if (nextOffset > dirtyFrom && createdMs > 0) oldestMs = Math.min(oldestMs, createdMs)
  }
  return Math.max(0, nowMs - maxLagMs - oldestMs)
}

const URGENCY = { overdue: 0, dirty: 1, expired: 2 } as const

/**
 * Sorts by what is compacted first. Kafka goes by the dirty ratio alone, so that what is overdue waits as long as others are
 * dirtier; here a limit that was promised comes first.
 */
export function byUrgency(a: CompactionPlan, b: CompactionPlan): number {
  return URGENCY[a.reason] - URGENCY[b.reason] || b.dirtyRatio - a.dirtyRatio || b.overdueMs - a.overdueMs
}

const MAX_I32 = 2147483647

/**
 * The segments up to `to`, in groups each of which becomes one: as many neighbours as `segment.bytes` allows, so that segments do
 * not become ever smaller.
 */
export function groupSegments<S extends SealedSegment>(
  segments: readonly S[],
  to: number,
  segmentBytes: number,
): S[][] {
  const groups: S[][] = []
  let group: S[] = []
  let sizeBytes = 0
  for (const segment of segments) {
    if (segment.baseOffset >= to) break
    const first = group[0]
    // Kafka's tools know an offset by how far it is from the segment's first.
    const goesOn =
      first !== undefined &&
      sizeBytes + segment.sizeBytes <= segmentBytes &&
      segment.nextOffset - 1 - first.baseOffset <= MAX_I32
    if (!goesOn) {
      group = []
      groups.push(group)
      sizeBytes = 0
    }
    group.push(segment)
    sizeBytes += segment.sizeBytes
  }
  return groups
}
