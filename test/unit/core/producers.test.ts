import { describe, expect, it } from 'vitest'
import {
  checkSequence,
  KEPT_BATCHES,
  mayFollowLost,
  type Producer,
  rememberBatch,
  sequenceAfter,
} from '#core/producers.ts'

const LAST = 2147483647

/** A producer in epoch 3 that sent batches of so many records each, from a sequence on. */
function producerAfter(first: number, ...counts: number[]): Producer {
  const producer: Producer = { epoch: 3, lastAppendMs: 0, batches: [] }
  let firstSequence = first
  let baseOffset = 1000
  for (const count of counts) {
    const lastSequence = sequenceAfter(firstSequence, count - 1)
    rememberBatch(producer, 3, { firstSequence, lastSequence, baseOffset, timestampMs: 0 }, 0)
    firstSequence = sequenceAfter(lastSequence, 1)
    baseOffset += count
  }
  return producer
}

describe('the sequence of a producer', () => {
  it('goes on at 0 behind the largest number', () => {
    expect(sequenceAfter(LAST, 1)).toBe(0)
    expect(sequenceAfter(LAST - 2, 5)).toBe(2)
    expect(sequenceAfter(5, 0)).toBe(5)
    expect(sequenceAfter(0, LAST)).toBe(LAST)
  })

  it('begins anywhere if nothing is known of the producer', () => {
    expect(checkSequence(undefined, 0, 77, 3).kind).toBe('accept')
  })

  it('goes on behind the last batch, and nowhere else', () => {
    const producer = producerAfter(0, 10, 5)
    expect(checkSequence(producer, 3, 15, 1).kind).toBe('accept')
    expect(checkSequence(producer, 3, 16, 1).kind).toBe('out-of-order')
    expect(checkSequence(producer, 3, 14, 1).kind).toBe('out-of-order')
  })

  it('goes on over the wrap, and knows a retry of the batch that wraps', () => {
    const producer = producerAfter(LAST - 4, 3, 6)
    expect(producer.batches.at(-1)).toMatchObject({ firstSequence: LAST - 1, lastSequence: 3 })
    expect(checkSequence(producer, 3, 4, 1).kind).toBe('accept')
    expect(checkSequence(producer, 3, LAST - 1, 6)).toMatchObject({ kind: 'duplicate', batch: { baseOffset: 1003 } })
    expect(checkSequence(producer, 3, LAST - 1, 5).kind).toBe('out-of-order')
  })

  it('takes a retry of any of the last five batches for what it is, with its first offset', () => {
    const producer = producerAfter(0, 1, 2, 3, 4, 5, 6)
    expect(producer.batches).toHaveLength(KEPT_BATCHES)
    const offsets = [1, 3, 6, 10, 15].map((first, i) => {
      const check = checkSequence(producer, 3, first, i + 2)
      return check.kind === 'duplicate' ? check.batch.baseOffset : check.kind
    })
    expect(offsets).toEqual([1001, 1003, 1006, 1010, 1015])
    // The sixth is forgotten.
    expect(checkSequence(producer, 3, 0, 1).kind).toBe('out-of-order')
  })

  it('goes forward over what was lost with the leader before, until something is behind it, and never back', () => {
    const producer = producerAfter(LAST - 9, 5, 5)
    expect(mayFollowLost(producer, 3, 7, 1010)).toBe(true)
    expect(mayFollowLost(producer, 4, 7, 1010)).toBe(true)
    expect(mayFollowLost(producer, 2, 7, 1010)).toBe(false)
    expect(mayFollowLost(producer, 3, LAST - 12, 1010)).toBe(false)
    expect(mayFollowLost(producer, 3, 7, 1009)).toBe(false)
    expect(mayFollowLost(producerAfter(0), 3, 7, 1010)).toBe(false)
  })

  it('takes no batch for a retry that only overlaps one', () => {
    const producer = producerAfter(0, 10)
    expect(checkSequence(producer, 3, 0, 9).kind).toBe('out-of-order')
    expect(checkSequence(producer, 3, 0, 11).kind).toBe('out-of-order')
    expect(checkSequence(producer, 3, 1, 9).kind).toBe('out-of-order')
  })

  it('fences older epochs, and lets a newer one begin only at 0', () => {
    const producer = producerAfter(0, 10)
    expect(checkSequence(producer, 2, 10, 1).kind).toBe('fenced')
    expect(checkSequence(producer, 4, 10, 1).kind).toBe('out-of-order')
    expect(checkSequence(producer, 4, 0, 1).kind).toBe('accept')
  })

  it('forgets the batches of the old epoch with the first batch of a new one', () => {
    const producer = producerAfter(0, 10, 10)
    rememberBatch(producer, 4, { firstSequence: 0, lastSequence: 9, baseOffset: 1020, timestampMs: 0 }, 55)
    expect(producer).toEqual({
      epoch: 4,
      lastAppendMs: 55,
      batches: [{ firstSequence: 0, lastSequence: 9, baseOffset: 1020, timestampMs: 0 }],
    })
    expect(checkSequence(producer, 4, 0, 10)).toMatchObject({ kind: 'duplicate', batch: { baseOffset: 1020 } })
  })
})
