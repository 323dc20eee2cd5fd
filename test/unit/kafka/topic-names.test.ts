import { describe, expect, it } from 'vitest'
import { isReservedTopicName, lookalikeOf, topicNameProblem } from '#kafka/topic-names.ts'

describe('the name of a topic', () => {
  it.each(['a', 'orders', 'Orders-2.v1_x', '...', '-', '_', 'z'.repeat(249)])('may be %s', name => {
    expect(topicNameProblem(name)).toBeNull()
  })

  it.each([
    ['', 'the empty string is not allowed'],
    ['.', "'.' is not allowed"],
    ['..', "'..' is not allowed"],
    ['z'.repeat(250), 'is longer than the max allowed length 249'],
    ['a b', 'contains one or more characters other than ASCII'],
    ['a/b', 'contains one or more characters other than ASCII'],
    ['straße', 'contains one or more characters other than ASCII'],
    ['a\n', 'contains one or more characters other than ASCII'],
  ])('may not be %j', (name, problem) => {
    expect(topicNameProblem(name)).toContain(problem)
  })

  it('is reserved where Kafka keeps its own state', () => {
    expect(isReservedTopicName('__consumer_offsets')).toBe(true)
    expect(isReservedTopicName('__transaction_state')).toBe(true)
    expect(isReservedTopicName('__mine')).toBe(false)
  })
})

describe('names that look alike', () => {
  it('differ by nothing but dots and underscores in the same places', () => {
    expect(lookalikeOf('a.b')).toBe(lookalikeOf('a_b'))
    expect(lookalikeOf('a.b_c')).toBe(lookalikeOf('a_b.c'))
    const others = ['a-b', 'ab', 'a.bc', 'a_c', 'a__b']
    for (const other of others) expect(lookalikeOf(other)).not.toBe(lookalikeOf('a.b'))
  })
})
