import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OWN_OBJECT } from '#core/segments.ts'
import { MAX_KEY_BYTES } from '#object-store/keys.ts'
import { parseSegmentKey, type SegmentName, segmentKey } from '#segments/segment-names.ts'

const whole = fc.oneof(fc.nat(20), fc.maxSafeNat())
const generation = fc.oneof(fc.nat(3), fc.integer({ min: 0, max: 2 ** 32 - 1 }))
const topicName = fc.oneof(fc.stringMatching(/^[a-zA-Z0-9_-]{1,249}$/), fc.constantFrom('shared', '...', 'a.b'))
const hash = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const topicId = fc.oneof(fc.stringMatching(/^[a-zA-Z0-9_-]{22}$/), fc.constant('id-of-orders'))

const OWN: SegmentName = {
  topicName: 'orders',
  topicId: 'AQIDBAUGBwgJCgsMDQ4PEA',
  partition: 3,
  baseOffset: 1200,
  nextOffset: 1300,
  generation: 2,
  revision: 0,
  sharedAt: OWN_OBJECT,
  hash: 0xcafe,
}
const SHARED: SegmentName = {
  topicName: '',
  topicId: '',
  partition: -1,
  baseOffset: -1,
  nextOffset: -1,
  generation: 2,
  revision: 0,
  sharedAt: 5000,
  hash: 0xbeef,
}

const someName: fc.Arbitrary<SegmentName> = fc.oneof(
  fc
    .record({
      topicName,
      topicId,
      partition: fc.nat(2 ** 31 - 1),
      baseOffset: whole,
      nextOffset: whole,
      generation,
      revision: whole,
      hash,
    })
    .map(own => ({ ...OWN, ...own })),
  fc.record({ generation, sharedAt: whole, hash }).map(shared => ({ ...SHARED, ...shared })),
)

describe('the name of a segment in the store', () => {
  it('says what it was made of, and fits', () => {
    fc.assert(
      fc.property(someName, name => {
        const key = segmentKey(name)
        expect(parseSegmentKey(key)).toEqual(name)
        expect(key.length).toBeLessThan(MAX_KEY_BYTES / 2)
        expect(key).toMatch(/^[\x21-\x7e]+$/)
      }),
    )
  })

  it('looks like this', () => {
    const range = 'segments/orders/AQIDBAUGBwgJCgsMDQ4PEA/3/00000000000000001200-00000000000000001300'
    expect(segmentKey(OWN)).toBe(`${range}-g2-0000cafe.log`)
    expect(segmentKey({ ...OWN, revision: 77 })).toBe(`${range}-g2-c77-0000cafe.log`)
    expect(segmentKey(SHARED)).toBe('segments/shared/g2/00000000000000005000-0000beef.log')
  })

  it('is no name if it could not be made', () => {
    for (const key of [
      'owner.json',
      'segments/orders/3/1-2-g1.log',
      `${segmentKey(OWN)}.new`,
      segmentKey(OWN).replace('/3/', '/03/'),
      segmentKey(OWN).replace('-g2', '-g02'),
      segmentKey(OWN).replace('-g2', '-g2-c0'),
      segmentKey(SHARED).replace('beef', 'BEEF'),
    ]) {
      expect(parseSegmentKey(key), key).toBeNull()
    }
  })
})
