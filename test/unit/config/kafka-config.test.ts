import { describe, expect, it } from 'vitest'
import { type ConfigRule, checkValue, synonymsIn, validValuesOf, valueIn } from '#config/kafka-config.ts'

function check(rule: ConfigRule, text: string): string {
  const checked = checkValue('x', rule, text)
  return checked.ok ? `stored as ${checked.value}` : checked.message
}

describe('a config value', () => {
  it('is stored in one spelling', () => {
    expect(check({ type: 'BOOLEAN' }, ' TRUE ')).toBe('stored as true')
    expect(check({ type: 'LONG' }, ' +5 ')).toBe('stored as 5')
    expect(check({ type: 'LONG' }, '007')).toBe('stored as 7')
    expect(check({ type: 'DOUBLE', min: 0, max: 1 }, '1')).toBe('stored as 1.0')
    expect(check({ type: 'DOUBLE', min: 0, max: 1 }, '5e-1f')).toBe('stored as 0.5')
    expect(check({ type: 'LIST', oneOf: ['a', 'b'] }, ' b, a ,b')).toBe('stored as b,a')
    expect(check({ type: 'LIST', oneOf: ['a', 'b'] }, ' ')).toBe('stored as ')
  })

  it('of 16, 32 and 64 bits ends where those end', () => {
    expect(check({ type: 'SHORT' }, '32768')).toBe(
      'Invalid value 32768 for configuration x: Not a number of type SHORT',
    )
    expect(check({ type: 'INT' }, '-2147483648')).toBe('stored as -2147483648')
    expect(check({ type: 'INT' }, '2147483648')).toBe(
      'Invalid value 2147483648 for configuration x: Not a number of type INT',
    )
    expect(check({ type: 'LONG' }, '9223372036854775807')).toBe('stored as 9223372036854775807')
    expect(check({ type: 'LONG' }, '9223372036854775808')).toContain('Not a number of type LONG')
    expect(check({ type: 'LONG' }, '-9223372036854775809')).toContain('Not a number of type LONG')
  })

  it('that is no number is none of Java either', () => {
    for (const text of ['', ' ', 'abc', '1.5', '0x10', '+-5', '--5', '1_000', '1e3', '9'.repeat(40)]) {
      expect(check({ type: 'LONG' }, text)).toBe(`Invalid value ${text} for configuration x: Not a number of type LONG`)
    }
    for (const text of ['', 'abc', 'NaN', '.', '0x1']) {
      expect(check({ type: 'DOUBLE' }, text)).toContain('Not a number of type DOUBLE')
    }
  })
})

it('what a rule admits is written as in Kafka’s documentation', () => {
  expect(validValuesOf({ type: 'INT', min: 1, max: 9, orEqual: -1 })).toBe('[1,...,9] or -1')
  expect(validValuesOf({ type: 'INT', min: 0 })).toBe('[0,...]')
  expect(validValuesOf({ type: 'BOOLEAN' })).toBe('')
})

describe('layers', () => {
  const layers = [
    { source: 2, values: new Map([['a', '1']]) },
    {
      source: 5,
      values: new Map([
        ['a', '2'],
        ['b', '3'],
      ]),
    },
  ] as const

  it('give the first value they have', () => {
    expect(valueIn(layers, 'a')).toBe('1')
    expect(valueIn(layers, 'b')).toBe('3')
    expect(valueIn(layers, 'c')).toBe(null)
  })

  it('list the values behind a name, but none that only a lesser name has', () => {
    expect(synonymsIn(layers, ['a', 'b'])).toEqual([
      { name: 'a', value: '1', source: 2 },
      { name: 'a', value: '2', source: 5 },
      { name: 'b', value: '3', source: 5 },
    ])
    expect(synonymsIn(layers, ['c', 'b'])).toEqual([])
  })
})
