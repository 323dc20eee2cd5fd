import { describe, expect, it } from 'vitest'
import { asOrdinal } from '#base/numbers.ts'
import { beginEpoch, endOfEpoch, epochAt, epochOf } from '#core/leader-epochs.ts'
import { Partition, Topic } from '#core/state.ts'

/** A partition whose leaders began at these offsets, one after the other, and which has 40 records. */
function led(...begins: number[]): Partition {
  const partition = new Partition(asOrdinal(0), new Topic('id', 't', new Map(), new Map()), 0)
  for (const [i, offset] of begins.entries()) beginEpoch(partition, offset, i + 1)
  partition.nextOffset = 40
  return partition
}

describe('the epoch of an offset', () => {
  it('is that of the leader who wrote it, or is to write it', () => {
    const partition = led(10, 20)
    expect([0, 9, 10, 19, 20, 40].map(offset => epochAt(partition, offset))).toEqual([0, 0, 1, 1, 2, 2])
    expect(epochAt(led(), 40)).toBe(0)
  })

  it('is never that of a leader who wrote nothing that is left', () => {
    const partition = led(10, 20, 20, 5)
    expect(partition.leaderEpoch).toBe(4)
    expect([4, 5, 10, 20].map(offset => epochAt(partition, offset))).toEqual([0, 4, 4, 4])
  })
})

describe('the end of an epoch', () => {
  it('is where the next one begins, and of the last one the end of the log', () => {
    const partition = led(10, 20)
    expect(endOfEpoch(partition, 0)).toEqual({ epoch: 0, endOffset: 10 })
    expect(endOfEpoch(partition, 1)).toEqual({ epoch: 1, endOffset: 20 })
    expect(endOfEpoch(partition, 2)).toEqual({ epoch: 2, endOffset: 40 })
    expect(endOfEpoch(partition, 3)).toBeNull()
    expect(endOfEpoch(partition, -1)).toBeNull()
  })

  it('of one that has no records is that of the last one before it that has any', () => {
    const partition = led(10, 20, 20)
    expect(endOfEpoch(partition, 2)).toEqual({ epoch: 1, endOffset: 20 })
  })

  it('of one whose records are deleted is where the log starts', () => {
    const partition = led(10, 20, 20)
    partition.logStart = 25
    expect(endOfEpoch(partition, 0)).toEqual({ epoch: 0, endOffset: 25 })
    expect(endOfEpoch(partition, 1)).toEqual({ epoch: 1, endOffset: 25 })
    // Kafka: an epoch before all that are known is answered as it was asked for.
    expect(endOfEpoch(partition, 2)).toEqual({ epoch: 2, endOffset: 25 })
    partition.logStart = 15
    expect(endOfEpoch(partition, 0)).toEqual({ epoch: 0, endOffset: 15 })
    expect(endOfEpoch(partition, 2)).toEqual({ epoch: 1, endOffset: 20 })
  })
})

it('nobody begins to lead while records of another leader are in the write-ahead log', () => {
  const partition = led()
  const range = { baseOffset: 0, nextOffset: 40, sizeBytes: 100, maxTimestampMs: 0, timeMs: 0 }
  partition.extents.add({ ...range, file: 0, segmentBytes: 1000, segmentMs: 1000 })
  expect(() => beginEpoch(partition, 40, 1)).toThrow('no records of the leader before')
})

it('an epoch is never that of another generation, though both began with the same', () => {
  expect([1, 2, 3].map(epochOf)).toEqual([0, 1, 2])
})
