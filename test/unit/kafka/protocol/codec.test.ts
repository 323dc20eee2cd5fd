import { describe, expect, expectTypeOf, it } from 'vitest'
import { ByteReader, MalformedBytes } from '#bytes/cursor.ts'
import { decodeMessage, encodeMessage } from '#kafka/protocol/codec.ts'
import {
  apis,
  type Decoded,
  type Encodable,
  LONG_MAX,
  LONG_MIN,
  type Message,
  MessageWriter,
} from '#kafka/protocol/protocol.ts'
import {
  array,
  bool,
  bytes,
  type Fields,
  int8,
  int32,
  int64,
  records,
  request,
  string,
  struct,
  uuid,
} from '#kafka/protocol/schema.ts'
import { checkRoundTrips } from './round-trip.ts'

// Versions 0-1 are not flexible, 2-4 are.
function message<F extends Fields>(fields: F): Message<F> {
  return request({ key: 99, name: 'Sample', versions: '0-4', flexibleFrom: 2 }, fields)
}

function encode<M extends Message>(of: M, version: number, value: Encodable<M>): string {
  const writer = new MessageWriter()
  encodeMessage(of, version, value, writer)
  return Buffer.concat(writer.takeChunks()).toString('hex')
}

function decode<M extends Message>(of: M, version: number, hex: string): Decoded<M> {
  return decodeMessage(of, version, new ByteReader(Buffer.from(hex, 'hex')))
}

const big = (value: bigint) => BigInt.asUintN(64, value).toString(16).padStart(16, '0')

describe.each([...apis.values()].flatMap(api => [api.request, api.response]))('$name', of => {
  it('is read as it was written, in every version', () => {
    for (let version = of.versions.min; version <= of.versions.max; version++) {
      checkRoundTrips(of, version, { seed: 20261121, runs: 4 })
    }
  })
})

describe('a field', () => {
  const versioned = message({ always: int8(), added: int32('1+').default(7), removed: string('0-1').ignorable() })

  it('is on the wire only in its versions, and has its default elsewhere', () => {
    expect(encode(versioned, 0, { always: 1, removed: 'a' })).toBe('01000161')
    expect(encode(versioned, 1, { always: 1, added: 2, removed: 'a' })).toBe('0100000002000161')
    expect(decode(versioned, 0, '01000161')).toEqual({ always: 1, added: 7, removed: 'a' })
    expect(decode(versioned, 2, '010000000200')).toEqual({ always: 1, added: 2, removed: '' })
  })

  it('that its version lacks is dropped if ignorable, refused if not', () => {
    expect(encode(versioned, 2, { always: 1, added: 2, removed: 'a' })).toBe('010000000200')
    expect(encode(versioned, 0, { always: 1, added: 7, removed: '' })).toBe('010000')
    const refused = () => encode(versioned, 0, { always: 1, added: 2, removed: '' })
    expect(refused).toThrow(expect.objectContaining({ code: 'NOT_IN_VERSION' }))
  })

  it('has the type that its schema says', () => {
    const typed = message({
      name: string().nullable('2+'),
      rack: string('1+').nullable().default(null),
      parts: array({ ids: array(int32()), data: records() }).nullable(),
      extra: struct('2+', { flag: bool().default(false) }).tag(0),
    })
    expectTypeOf<Decoded<typeof typed>>().toEqualTypeOf<{
      readonly name: string | null
      readonly rack: string | null
      readonly parts: readonly { readonly ids: readonly number[]; readonly data: Buffer | null }[] | null
      readonly extra: { readonly flag: boolean }
    }>()
    const least: Encodable<typeof typed> = { name: 'n', parts: null }
    expect(encode(typed, 2, least)).toBe('026e000000')
    // @ts-expect-error: the name is neither optional nor a number
    const wrong: Encodable<typeof typed>[] = [{ parts: null }, { name: 1, parts: null }]
    expect(wrong).toHaveLength(2)
  })

  it('may be null only in the versions that say so', () => {
    const nullable = message({
      text: string().nullable('1+'),
      blob: bytes().nullable('1+'),
      list: array(int8()).nullable('1+'),
    })
    const nulls = { text: null, blob: null, list: null }
    expect(encode(nullable, 1, nulls)).toBe('ffffffffffffffffffff')
    expect(encode(nullable, 2, nulls)).toBe('00000000')
    expect(decode(nullable, 1, 'ffffffffffffffffffff')).toEqual(nulls)
    expect(decode(nullable, 2, '00000000')).toEqual(nulls)
    expect(() => encode(nullable, 0, nulls)).toThrow(expect.objectContaining({ code: 'NOT_IN_VERSION' }))
    expect(() => decode(nullable, 0, 'ffffffffffffffffffff')).toThrow(MalformedBytes)
  })
})

describe('a nullable struct', () => {
  const holder = message({ cursor: struct({ at: int8() }).nullable().default(null) })

  it('has a prefix of -1 or 1', () => {
    expect(encode(holder, 2, { cursor: null })).toBe('ff00')
    expect(encode(holder, 2, { cursor: { at: 5 } })).toBe('01050000')
    expect(decode(holder, 2, 'ff00')).toEqual({ cursor: null })
    expect(decode(holder, 2, '01050000')).toEqual({ cursor: { at: 5 } })
  })
})

describe('tagged fields', () => {
  const tagged = message({
    second: string('2+').tag(2).default('x'),
    first: struct('2+', { a: int8().default(-1) }).tag(1),
    list: array('3+', int8()).tag(0),
  })

  it('are written by ascending tag, and only if they are not at their default', () => {
    expect(encode(tagged, 2, { second: 'y', first: { a: 3 } })).toBe('02' + '01020300' + '02020279')
    expect(encode(tagged, 3, { list: [9], second: 'x', first: { a: -1 } })).toBe('01' + '00020209')
    expect(encode(tagged, 3, { list: [], first: {} })).toBe('00')
    expect(encode(tagged, 1, {})).toBe('')
  })

  it('have their default when they are not there', () => {
    expect(decode(tagged, 2, '00')).toEqual({ second: 'x', first: { a: -1 }, list: [] })
    expect(decode(tagged, 1, '')).toEqual({ second: 'x', first: { a: -1 }, list: [] })
  })

  it('are skipped when they are unknown', () => {
    expect(decode(tagged, 2, '03' + '0003aabbcc' + '02020279' + '870100')).toMatchObject({ second: 'y' })
  })

  it('have the size that they say', () => {
    expect(() => decode(tagged, 2, '01' + '02030279ff')).toThrow('the tagged field second has a wrong size')
    expect(() => decode(tagged, 2, '01' + '02010279')).toThrow(MalformedBytes)
  })
})

describe('an int64', () => {
  const holder = message({ value: int64() })

  it('is exact up to 2^53 - 1, and saturates beyond', () => {
    for (const value of [0, 1, -1, 4294967295, 4294967296, -4294967297, LONG_MAX - 1, LONG_MIN + 1]) {
      expect(encode(holder, 0, { value })).toBe(big(BigInt(value)))
      expect(decode(holder, 0, big(BigInt(value)))).toEqual({ value })
    }
    for (const wire of [2n ** 53n - 1n, 2n ** 53n, 2n ** 62n + 1n, 2n ** 63n - 1n]) {
      expect(decode(holder, 0, big(wire))).toEqual({ value: LONG_MAX })
      expect(decode(holder, 0, big(-wire))).toEqual({ value: LONG_MIN })
    }
  })

  it('means Long.MAX_VALUE and Long.MIN_VALUE by its bounds', () => {
    expect(encode(holder, 0, { value: LONG_MAX })).toBe('7fffffffffffffff')
    expect(encode(holder, 0, { value: LONG_MIN })).toBe('8000000000000000')
  })

  it('must be a whole number', () => {
    expect(() => encode(holder, 0, { value: 0.5 })).toThrow('an int64 is a whole number')
    expect(() => encode(holder, 0, { value: 2 ** 53 })).toThrow('an int64 is a whole number')
  })
})

describe('a uuid', () => {
  const holder = message({ id: uuid() })

  it('is the text that Kafka prints, and empty when it is zero', () => {
    expect(decode(holder, 0, '00112233445566778899aabbccddeeff')).toEqual({ id: 'ABEiM0RVZneImaq7zN3u_w' })
    expect(encode(holder, 0, { id: 'ABEiM0RVZneImaq7zN3u_w' })).toBe('00112233445566778899aabbccddeeff')
    expect(decode(holder, 0, '0'.repeat(32))).toEqual({ id: '' })
    expect(encode(holder, 0, { id: '' })).toBe('0'.repeat(32))
    expect(decode(holder, 0, `${'0'.repeat(31)}1`)).toEqual({ id: 'AAAAAAAAAAAAAAAAAAAAAQ' })
  })

  it('of another length is our mistake', () => {
    expect(() => encode(holder, 0, { id: 'short' })).toThrow('22 characters')
    expect(() => encode(holder, 0, { id: 'ABEiM0RVZneImaq7zN3u_wAA' })).toThrow('22 characters')
  })
})

describe('a message', () => {
  const holder = message({ name: string(), data: bytes() })

  it('is decoded into views of the frame', () => {
    const frame = Buffer.from('000161' + '00000002abcd', 'hex')
    const { data } = decodeMessage(holder, 0, new ByteReader(frame))
    frame[7] = 0x11
    expect(data).toEqual(Buffer.from('11cd', 'hex'))
  })

  it('leaves bytes behind it alone, as Kafka does, and misses none', () => {
    expect(decode(holder, 0, '000161' + '00000000' + '00')).toEqual(decode(holder, 0, '000161' + '00000000'))
    expect(() => decode(holder, 0, '000161' + '000000')).toThrow('SampleRequest v0: 4 bytes wanted where 3 are left')
  })

  it('has the versions of its api and no others', () => {
    const unsupported = expect.objectContaining({ code: 'UNSUPPORTED_VERSION' })
    expect(() => decode(holder, 5, '')).toThrow(unsupported)
    expect(() => encode(holder, -1, { name: '', data: Buffer.alloc(0) })).toThrow(unsupported)
  })

  it('holds strings of at most 32767 bytes', () => {
    const name = 'a'.repeat(32767)
    const data = Buffer.alloc(0)
    expect(decode(holder, 2, encode(holder, 2, { name, data }))).toEqual({ name, data })
    for (const version of [0, 2]) {
      const tooLong = () => encode(holder, version, { name: `${name}a`, data })
      expect(tooLong).toThrow(expect.objectContaining({ code: 'STRING_TOO_LONG' }))
    }
    expect(() => decode(holder, 2, `818002${'61'.repeat(32768)}0100`)).toThrow('a string of 32768 bytes')
  })
})
