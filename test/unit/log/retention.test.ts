import { describe, expect, it } from 'vitest'
import { asOrdinal } from '#base/numbers.ts'
import { OWN_OBJECT } from '#core/segments.ts'
import { Partition, Topic } from '#core/state.ts'
import { retainedFrom } from '#log/retention.ts'

const FOREVER = Number.POSITIVE_INFINITY
const DAY_MS = 86_400_000
const NOW_MS = 100 * DAY_MS
const SEGMENT = {
  ...{ sizeBytes: 100, place: 0, indexPlace: 100, indexBytes: 10 },
  ...{ generation: 1, revision: 0, sharedAt: OWN_OBJECT, hash: 1 },
}

/** A partition with 10 records and 100 bytes for each newest timestamp: so many segments, and extents behind them. */
function partitionWith(segments: number, newestMs: readonly number[]): Partition {
  const topic = new Topic('id', 'topic', new Map(), new Map())
  const partition = new Partition(asOrdinal(0), topic, 0)
  for (const [i, maxTimestampMs] of newestMs.entries()) {
    const offsets = { baseOffset: i * 10, nextOffset: i * 10 + 10 }
    const sizes = { sizeBytes: 100, segmentBytes: 1000, segmentMs: 1000 }
    const timeMs = NOW_MS - DAY_MS
    if (i < segments) partition.segments.add({ ...SEGMENT, ...offsets, maxTimestampMs, createdMs: timeMs })
    else partition.extents.add({ file: i * 4096, ...offsets, ...sizes, maxTimestampMs, timeMs })
    partition.nextOffset = offsets.nextOffset
  }
  return partition
}

describe.each([
  ['in the write-ahead log', 0],
  ['in segments', 4],
  ['in a segment and the write-ahead log', 1],
])('what retention leaves of a partition %s', (_, segments) => {
  const partitionOf = (...newestMs: number[]) => partitionWith(segments, newestMs)

  it('is all of it without a limit', () => {
    expect(retainedFrom(partitionOf(0, 0), { retentionMs: FOREVER, retentionBytes: FOREVER }, NOW_MS)).toBe(0)
  })

  it('begins behind what is old, one after the other: what is new shields what follows it', () => {
    const limits = { retentionMs: 7 * DAY_MS, retentionBytes: FOREVER }
    const [old, fresh] = [NOW_MS - 8 * DAY_MS, NOW_MS - 6 * DAY_MS]
    expect(retainedFrom(partitionOf(old, old, fresh, old), limits, NOW_MS)).toBe(20)
    expect(retainedFrom(partitionOf(fresh, old), limits, NOW_MS)).toBe(0)
    expect(retainedFrom(partitionOf(old, old), limits, NOW_MS)).toBe(20)
  })

  it('goes by the time of the append for records without a timestamp', () => {
    const limits = (days: number) => ({ retentionMs: days * DAY_MS, retentionBytes: FOREVER })
    expect(retainedFrom(partitionOf(-1), limits(2), NOW_MS)).toBe(0)
    expect(retainedFrom(partitionOf(-1), limits(0.5), NOW_MS)).toBe(10)
  })

  it('is at least so many bytes: something goes only if the rest is enough', () => {
    const partition = partitionOf(NOW_MS, NOW_MS, NOW_MS, NOW_MS)
    const from = (retentionBytes: number) => retainedFrom(partition, { retentionMs: FOREVER, retentionBytes }, NOW_MS)
    expect([400, 301, 300, 299, 100, 99, 0].map(from)).toEqual([0, 0, 10, 10, 30, 30, 40])
  })

  it('never begins before the start that was given', () => {
    const partition = partitionOf(NOW_MS, NOW_MS)
    partition.logStart = 13
    expect(retainedFrom(partition, { retentionMs: FOREVER, retentionBytes: FOREVER }, NOW_MS)).toBe(13)
    expect(retainedFrom(partition, { retentionMs: FOREVER, retentionBytes: 100 }, NOW_MS)).toBe(13)
    expect(retainedFrom(partition, { retentionMs: FOREVER, retentionBytes: 0 }, NOW_MS)).toBe(20)
  })
})
