import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OWN_OBJECT, TAIL_REVISION } from '#core/segments.ts'
import { MAX_KEY_BYTES } from '#object-store/keys.ts'
import { parseSegmentKey, type SegmentName, segmentKey } from '#segments/segment-names.ts'

const whole = fc.oneof(fc.nat(20), fc.maxSafeNat())
const generation = fc.oneof(fc.nat(3), fc.integer({ min: 0, max: 2 ** 32 - 1 }))
const hash = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const topicName = fc
  .oneof(fc.stringMatching(/^[a-zA-Z0-9._-]{1,249}$/), fc.constantFrom('shared', '...', '-', 'a'.repeat(249)))
  .filter(name => name !== '.' && name !== '..')
const topicId = fc.oneof(fc.stringMatching(/^[a-zA-Z0-9_-]{22}$/), fc.constantFrom('g0', 'id-of-orders'))

const someOwn: fc.Arbitrary<SegmentName> = fc
  .record({
    topicName,
    topicId,
    partition: fc.nat(2 ** 31 - 1),
    from: whole,
    to: whole,
    generation,
    revision: whole,
    hash,
  })
  .map(({ from, to, ...rest }) => {
    const range = { baseOffset: Math.min(from, to), nextOffset: Math.max(from, to) }
    return { ...rest, ...range, sharedAt: OWN_OBJECT }
  })

/** Its name does not say whose it is. */
const NOBODY = { topicName: '', topicId: '', partition: -1, baseOffset: -1, nextOffset: -1 }
const someShared: fc.Arbitrary<SegmentName> = fc
  .record({
    generation,
    sharedAt: whole,
    hash,
    revision: fc.constantFrom(0, TAIL_REVISION),
  })
  .map(name => ({ ...NOBODY, ...name }))

const someName = fc.oneof(someOwn, someShared)
const sorted = (name: SegmentName): string => JSON.stringify(Object.entries(name).sort())

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
const SHARED: SegmentName = { ...NOBODY, generation: 2, revision: 0, sharedAt: 5000, hash: 0xbeef }

describe('the name of a segment', () => {
  it('says what it was made of, and fits', () => {
    fc.assert(
      fc.property(someName, name => {
        const key = segmentKey(name)
        expect(parseSegmentKey(key)).toEqual(name)
        expect(key.length).toBeLessThan(MAX_KEY_BYTES / 2)
        expect(key).toMatch(/^[\x21-\x7e]+$/)
      }),
      { numRuns: 1000 },
    )
  })

  it('looks like this', () => {
    const range = '00000000000000001200-00000000000000001300'
    expect(segmentKey(OWN)).toBe(`segments/AQIDBAUGBwgJCgsMDQ4PEA/orders/3/${range}-g2-0000cafe.log`)
    expect(segmentKey({ ...OWN, revision: 77 })).toBe(
      `segments/AQIDBAUGBwgJCgsMDQ4PEA/orders/3/${range}-g2-c77-0000cafe.log`,
    )
    expect(segmentKey(SHARED)).toBe('segments/shared/g2/00000000000000005000-0000beef.log')
    const tail = segmentKey({ ...SHARED, revision: TAIL_REVISION })
    expect(tail).toBe('tail/g2/00000000000000005000-0000beef.log')
  })

  it('is one of a kind: no two have the same, and none is the directory of another', () => {
    fc.assert(
      fc.property(someName, someName, (one, other) => {
        const [key, otherKey] = [segmentKey(one), segmentKey(other)]
        if (sorted(one) !== sorted(other)) expect(key).not.toBe(otherKey)
        expect(otherKey.startsWith(`${key}/`)).toBe(false)
      }),
      { numRuns: 1000 },
    )
  })

  it('is in a folder of its topic, even where a file system takes upper and lower case for the same', () => {
    const folderOf = (topicName: string, topicId: string) =>
      segmentKey({ ...OWN, topicName, topicId })
        .toLowerCase()
        .split('/', 2)
        .join('/')
    expect(folderOf('Orders', OWN.topicId)).not.toBe(folderOf('orders', 'BQIDBAUGBwgJCgsMDQ4PEA'))
  })

  it('is in the order of offsets and positions among those of its kind', () => {
    fc.assert(
      fc.property(whole, whole, (one, other) => {
        const shared = (sharedAt: number) => segmentKey({ ...SHARED, sharedAt })
        const own = (baseOffset: number) => segmentKey({ ...OWN, baseOffset })
        for (const at of [shared, own]) {
          const order = at(one) < at(other) ? -1 : at(one) > at(other) ? 1 : 0
          expect(order).toBe(Math.sign(one - other))
        }
      }),
    )
  })

  it('is nothing else: what was not made here is not taken for it', () => {
    fc.assert(
      fc.property(someName, fc.nat(), fc.constantFrom('', '0', '/', '.', 'a', '-', ' ', 'g'), (name, where, put) => {
        const key = segmentKey(name)
        const at = where % (key.length + 1)
        for (const changed of [key.slice(0, at) + put + key.slice(at), key.slice(0, at) + put + key.slice(at + 1)]) {
          const parsed = parseSegmentKey(changed)
          if (parsed !== null) expect(segmentKey(parsed)).toBe(changed)
        }
      }),
      { numRuns: 3000 },
    )
    const own = segmentKey(OWN)
    const foreign = [
      '',
      'segments/orders',
      `${own}.new`,
      `/${own}`,
      own.replace('orders', ''),
      own.replace('g2', 'g02'),
      own.replace('-g2', '-g2-c0'),
      own.replace('-g2', '-g2-c01'),
      own.replace('/3/', '/03/'),
      own.replace('00000000000000001300', '00009007199254740993'),
      segmentKey(SHARED).replace('beef', 'BEEF'),
      segmentKey(SHARED).replace('g2', 'g02'),
      own.replace('-0000cafe', ''),
      'owner.json',
    ]
    for (const key of foreign) expect(parseSegmentKey(key), key).toBeNull()
  })
})
