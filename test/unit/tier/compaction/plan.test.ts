import { describe, expect, it } from 'vitest'
import {
  byUrgency,
  type CompactablePartition,
  type CompactionPlan,
  type CompactionRules,
  groupSegments,
  planCompaction,
} from '#tier/compaction/plan.ts'

const nowMs = 1_700_000_000_000
const HOUR_MS = 3_600_000

/** Segments of ten records, a hundred bytes and an hour each, the last one an hour old. */
function segmentsOf(count: number, changes: Record<number, object> = {}) {
  return Array.from({ length: count }, (_, i) => {
    const createdMs = nowMs - (count - i) * HOUR_MS
    const times = { createdMs, maxTimestampMs: createdMs }
    return { baseOffset: 10 * i, nextOffset: 10 * i + 10, sizeBytes: 100, ...times, ...changes[i] }
  })
}

const rules: CompactionRules = {
  compacts: true,
  minCleanableDirtyRatio: 0.5,
  minCompactionLagMs: 0,
  maxCompactionLagMs: Number.POSITIVE_INFINITY,
}

function plan(partition: Partial<CompactablePartition>, changes: Partial<CompactionRules> = {}): CompactionPlan | null {
  const whole = { segments: segmentsOf(4), cleanedTo: 0, lastStableOffset: 1000, lastHorizonMs: -1 }
  return planCompaction({ ...whole, ...partition }, { ...rules, ...changes }, nowMs)
}

describe('planCompaction', () => {
  it('is due once the share of what is new is above the ratio', () => {
    expect(plan({ cleanedTo: 20 })).toBeNull()
    expect(plan({ cleanedTo: 20 }, { minCleanableDirtyRatio: 0.49 })).toEqual({
      reason: 'dirty',
      ...{ dirtyFrom: 20, to: 40, cleanBytes: 200, dirtyBytes: 200, dirtyRatio: 0.5, overdueMs: 0 },
    })
    expect(plan({ cleanedTo: 10 })).toMatchObject({ reason: 'dirty', dirtyFrom: 10, dirtyRatio: 0.75 })
    expect(plan({}, { minCleanableDirtyRatio: 0.99 })).toMatchObject({ dirtyRatio: 1 })
  })

  it('is never due without compact in the policy, without segments, or without anything new', () => {
    expect(plan({}, { compacts: false })).toBeNull()
    expect(plan({ segments: [] })).toBeNull()
    expect(plan({ cleanedTo: 40 }, { minCleanableDirtyRatio: 0, maxCompactionLagMs: 1 })).toBeNull()
    expect(plan({ segments: segmentsOf(1, { 0: { sizeBytes: 0 } }) }, { minCleanableDirtyRatio: 0 })).toBeNull()
  })

  it('begins anew at the start of the log where that has moved past what was compacted', () => {
    expect(plan({ segments: segmentsOf(4).slice(2), cleanedTo: 10 })).toMatchObject({ dirtyFrom: 20, dirtyRatio: 1 })
  })

  it('takes whole segments that end at or before the last stable offset', () => {
    expect(plan({ lastStableOffset: 29 })).toMatchObject({ to: 20, dirtyBytes: 200 })
    expect(plan({ lastStableOffset: 30 })).toMatchObject({ to: 30 })
    expect(plan({ lastStableOffset: 5 })).toBeNull()
  })

  it('leaves what is too young, and all behind it', () => {
    expect(plan({}, { minCompactionLagMs: 2 * HOUR_MS + 1 })).toMatchObject({ to: 20 })
    expect(plan({}, { minCompactionLagMs: 2 * HOUR_MS })).toMatchObject({ to: 30 })
    const future = segmentsOf(4, { 1: { maxTimestampMs: nowMs + HOUR_MS } })
    expect(plan({ segments: future }, { minCompactionLagMs: 1 })).toMatchObject({ to: 10 })
    expect(plan({ segments: future })).toMatchObject({ to: 40 })
  })

  it('asks the segment behind it how young one without times is', () => {
    const timeless = segmentsOf(4, { 1: { maxTimestampMs: -1 }, 3: { maxTimestampMs: -1 } })
    expect(plan({ segments: timeless }, { minCompactionLagMs: 2 * HOUR_MS + 1 })).toMatchObject({ to: 10 })
    expect(plan({ segments: timeless }, { minCompactionLagMs: 1 })).toMatchObject({ to: 30 })
  })

  it('is overdue when the first new record was appended longer ago than allowed, if something can be done about it', () => {
    const clean = { cleanedTo: 30, segments: segmentsOf(4) }
    expect(plan(clean, { maxCompactionLagMs: HOUR_MS })).toBeNull()
    expect(plan(clean, { maxCompactionLagMs: HOUR_MS - 5 })).toMatchObject({ reason: 'overdue', overdueMs: 5, to: 40 })
    expect(plan({ ...clean, lastStableOffset: 35 }, { maxCompactionLagMs: 1 })).toBeNull()
    const outOfOrder = segmentsOf(4, { 2: { createdMs: nowMs - 9 * HOUR_MS } })
    expect(plan({ segments: outOfOrder, cleanedTo: 20 }, { maxCompactionLagMs: 8 * HOUR_MS })).toMatchObject({
      overdueMs: HOUR_MS,
    })
  })

  it('is due for the tombstones that the last pass left, once all of them may go', () => {
    expect(plan({ cleanedTo: 40, lastHorizonMs: nowMs + 1 })).toBeNull()
    const due = { reason: 'expired', dirtyFrom: 40, to: 40, dirtyBytes: 0, dirtyRatio: 0 }
    expect(plan({ cleanedTo: 40, lastHorizonMs: nowMs })).toMatchObject(due)
    expect(plan({ cleanedTo: 30, lastHorizonMs: nowMs })).toMatchObject({ reason: 'expired', dirtyFrom: 30, to: 40 })
    expect(plan({ cleanedTo: 10, lastHorizonMs: nowMs })).toMatchObject({ reason: 'dirty' })
  })

  it('goes on within the segment in which the keys of one batch were too many', () => {
    expect(plan({ cleanedTo: 15 })).toMatchObject({ dirtyFrom: 15, cleanBytes: 200, dirtyBytes: 300, dirtyRatio: 0.6 })
  })
})

describe('byUrgency', () => {
  it('takes what is overdue first, then the dirtiest', () => {
    const of = (reason: CompactionPlan['reason'], dirtyRatio: number, overdueMs = 0): CompactionPlan => {
      return { reason, dirtyRatio, overdueMs, dirtyFrom: 0, to: 10, cleanBytes: 1, dirtyBytes: 1 }
    }
    const sorted = [
      of('overdue', 0.6, 1),
      of('overdue', 0.1, 9),
      of('overdue', 0.1, 5),
      of('dirty', 0.9),
      of('dirty', 0.51),
      of('expired', 0.2),
    ]
    expect(sorted.toReversed().sort(byUrgency)).toEqual(sorted)
  })
})

describe('groupSegments', () => {
  const groups = (segments: ReturnType<typeof segmentsOf>, to: number, segmentBytes: number) =>
    groupSegments(segments, to, segmentBytes).map(group => group.map(({ baseOffset }) => baseOffset))

  it('puts as many neighbours together as one segment may hold', () => {
    expect(groups(segmentsOf(5), 50, 250)).toEqual([[0, 10], [20, 30], [40]])
    expect(groups(segmentsOf(5), 50, 100)).toEqual([[0], [10], [20], [30], [40]])
    expect(groups(segmentsOf(5), 50, 99)).toEqual([[0], [10], [20], [30], [40]])
    expect(groups(segmentsOf(5, { 1: { sizeBytes: 900 } }), 50, 500)).toEqual([[0], [10], [20, 30, 40]])
  })

  it('leaves out what begins at or behind the end', () => {
    expect(groups(segmentsOf(5), 20, 1000)).toEqual([[0, 10]])
    expect(groups(segmentsOf(5), 21, 1000)).toEqual([[0, 10, 20]])
    expect(groups([], 21, 1000)).toEqual([])
  })

  it('does not span more offsets than 32 bits count', () => {
    const far = segmentsOf(3, { 1: { nextOffset: 2 ** 31 }, 2: { baseOffset: 2 ** 31, nextOffset: 2 ** 31 + 10 } })
    expect(groups(far, 2 ** 32, 1000)).toEqual([[0, 10], [2 ** 31]])
  })
})
