import { describe, expect, it } from 'vitest'
import { asOrdinal } from '#base/numbers.ts'
import { OWN_OBJECT, type Segment } from '#core/segments.ts'
import { Partition, Topic } from '#core/state.ts'
import { type MergePlan, planMerge, sharedMerges } from '#tier/merge-plan.ts'

const KIB = 1 << 10
const MIB = 1 << 20
const MAX_BYTES = 64 * MIB

function segment(baseOffset: number, nextOffset: number, sizeBytes: number): Segment {
  const times = { maxTimestampMs: -1, createdMs: 1 }
  const place = { place: 0, indexPlace: sizeBytes, indexBytes: 1 }
  return {
    baseOffset,
    nextOffset,
    sizeBytes,
    ...times,
    ...place,
    generation: 1,
    revision: 0,
    sharedAt: OWN_OBJECT,
    hash: 0,
  }
}

/** A segment of one offset for each size. */
function partitionOf(...sizes: number[]): Partition {
  const partition = new Partition(asOrdinal(0), new Topic('id', 'topic', new Map(), new Map()), 0)
  for (const [i, sizeBytes] of sizes.entries()) partition.segments.add(segment(i, i + 1, sizeBytes))
  partition.nextOffset = sizes.length
  return partition
}

const times = (count: number, sizeBytes: number): number[] => new Array(count).fill(sizeBytes)
const rangeOf = (plan: MergePlan | null) => plan && [plan.baseOffset, plan.nextOffset, plan.sizeBytes]

describe('small segments', () => {
  it('are merged when eight neighbours together are larger than what they are small by', () => {
    expect(planMerge(partitionOf(...times(7, 1000)), MAX_BYTES)).toBeNull()
    expect(rangeOf(planMerge(partitionOf(...times(8, 1000)), MAX_BYTES))).toEqual([0, 8, 8000])
    expect(planMerge(partitionOf(...times(8, 100)), MAX_BYTES)).toBeNull()
    expect(rangeOf(planMerge(partitionOf(...times(11, 100)), MAX_BYTES))).toEqual([0, 11, 1100])
  })

  it('leave a large one between them where it is, and do not count it', () => {
    const partition = partitionOf(20 * MIB, ...times(8, 1000), 20 * MIB, ...times(3, 1000))
    expect(rangeOf(planMerge(partition, MAX_BYTES))).toEqual([1, 9, 8000])
  })

  it('of what is compacted and of what is not stay apart', () => {
    const partition = partitionOf(...times(16, 1000))
    partition.cleanedTo = 9
    expect(rangeOf(planMerge(partition, MAX_BYTES))).toEqual([0, 9, 9000])
    partition.cleanedTo = 5
    expect(rangeOf(planMerge(partition, MAX_BYTES))).toEqual([5, 16, 11_000])
  })

  it('become none that spans more than segment.ms, and are merged, however small, when they span that', () => {
    const partition = partitionOf()
    partition.topic.segmentMs = 10_000
    const add = (count: number) => {
      const { length } = partition.segments
      const added = times(count, 100).map((sizeBytes, i) => segment(length + i, length + i + 1, sizeBytes))
      for (const one of added) partition.segments.add({ ...one, createdMs: 1000 * one.baseOffset })
    }
    add(10)
    expect(planMerge(partition, MAX_BYTES)).toBeNull()
    add(20)
    expect(rangeOf(planMerge(partition, MAX_BYTES))).toEqual([0, 10, 1000])
    partition.topic.segmentMs = 20_000
    expect(rangeOf(planMerge(partition, MAX_BYTES))).toEqual([0, 20, 2000])
  })

  it('become no larger one than that has room', () => {
    expect(rangeOf(planMerge(partitionOf(...times(30, 4 * MIB)), MAX_BYTES))).toEqual([0, 16, 64 * MIB])
  })

  it('are copied a few times each, and stay few, however many come one after the other', () => {
    for (const [sizeBytes, count] of [
      [70, 3000],
      [1000, 3000],
      [20 * KIB, 2000],
    ] as const) {
      const partition = partitionOf()
      const { segments } = partition
      let copiedBytes = 0
      for (let i = 0; i < count; i++) {
        segments.add(segment(i, i + 1, sizeBytes))
        for (let plan = planMerge(partition, MAX_BYTES); plan !== null; plan = planMerge(partition, MAX_BYTES)) {
          const from = segments.indexOf(plan.baseOffset)
          const length = segments.indexOf(plan.nextOffset - 1) + 1 - from
          segments.replace(from, length, [segment(plan.baseOffset, plan.nextOffset, plan.sizeBytes)])
          copiedBytes += plan.sizeBytes
        }
      }
      expect(copiedBytes / (sizeBytes * count)).toBeLessThan(5)
      expect(segments.length).toBeLessThan(50)
    }
  })
})

it('merged segments share an object while they are small, up to its size', () => {
  const runs = [0.5, 2, 0.9, 0.9].map(mib => planMerge(partitionOf(...times(8, (mib * MIB) / 8)), MAX_BYTES)!)
  expect(sharedMerges(runs).map(object => object.map(({ sizeBytes }) => sizeBytes / MIB))).toEqual([
    [2],
    [0.5, expect.closeTo(0.9), expect.closeTo(0.9)],
  ])
  const many = new Array(40).fill(runs[0]!)
  expect(sharedMerges(many).map(object => object.length)).toEqual([32, 8])
  const tiny = new Array(2000).fill(planMerge(partitionOf(...times(11, 100)), MAX_BYTES)!)
  expect(sharedMerges(tiny).map(object => object.length)).toEqual([1024, 976])
})
