import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assignmentIn, readSubscription, subscribedNames } from '#kafka/coordinator/consumer-protocol.ts'
import { assignmentBytes } from '#test/support/group-members.ts'
import { subscriptionOf } from '#test/support/group-script-text.ts'

describe('what a member was assigned', () => {
  it('is read as its leader wrote it, whatever follows in later versions', () => {
    const bytes = assignmentBytes({ orders: [0, 2], 'späte.bestellungen': [], payments: [7] })
    const expected = [
      { topic: 'orders', partitions: [0, 2] },
      { topic: 'späte.bestellungen', partitions: [] },
      { topic: 'payments', partitions: [7] },
    ]
    expect(assignmentIn(bytes)).toEqual(expected)
    expect(assignmentIn(Buffer.concat([bytes, Buffer.from('more')]))).toEqual(expected)
  })

  it('is nothing where there are no bytes', () => {
    expect(assignmentIn(Buffer.alloc(0))).toEqual([])
  })

  it('is not known where the bytes end too early, or claim what cannot be', () => {
    const bytes = assignmentBytes({ orders: [0, 1, 2] })
    for (let length = 1; length < bytes.length - 4; length++) expect(assignmentIn(bytes.subarray(0, length))).toBeNull()
    for (const hex of ['00017fffffff', '000100000001ffff', '0001000000010001787fffffff', 'ffff00000001']) {
      expect(assignmentIn(Buffer.from(hex, 'hex'))).toBeNull()
    }
  })

  it('never does worse than not to be known', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), bytes => {
        const read = assignmentIn(Buffer.from(bytes))
        expect(read === null || Array.isArray(read)).toBe(true)
      }),
    )
  })
})

describe('what a member is subscribed to', () => {
  it('is not read beyond 10,000 names', () => {
    const names = Array.from({ length: 10_001 }, (_, i) => `t-${i}`)
    expect(readSubscription(subscriptionOf(names, new Map()))).toBeNull()
    expect(readSubscription(subscriptionOf(names.slice(1), new Map()))?.topics).toHaveLength(10_000)
  })

  it('is kept sorted, each name once, without those that are too long for a topic', () => {
    const longest = 'x'.repeat(249)
    expect(subscribedNames(['t', longest, `${longest}x`, 'a', 't'])).toEqual(['a', 't', longest])
  })
})
