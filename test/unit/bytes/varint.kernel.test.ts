import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  readVarint,
  readVarlong,
  varintEnd,
  varlongSizeBytes,
  writeVarint,
  writeVarlong,
} from '#bytes/varint.kernel.ts'

/** Zigzag by the book, in numbers without limits. */
function encode(value: bigint): Buffer {
  let raw = value < 0n ? -2n * value - 1n : 2n * value
  const bytes: number[] = []
  for (; raw > 127n; raw >>= 7n) bytes.push(Number(raw & 127n) | 128)
  bytes.push(Number(raw))
  return Buffer.from(bytes)
}

const written = (write: typeof writeVarint, value: number) => {
  const bytes = Buffer.alloc(12, 0xee)
  return bytes.subarray(1, write(bytes, 1, value))
}

const edges32 = [0, -1, 1, 63, 64, -64, -65, 8191, 8192, 2147483647, -2147483648]
const edges52 = [...edges32, 2 ** 32, -(2 ** 32), 2 ** 47, 2 ** 48, 2 ** 52 - 1, -(2 ** 52) + 1, -(2 ** 52)]

describe('a varint of 32 bits', () => {
  it('is written and read as the book says', () => {
    const check = (value: number) => {
      const bytes = encode(BigInt(value))
      expect(written(writeVarint, value)).toEqual(bytes)
      expect(readVarint(bytes, 0, bytes.length)).toBe(value)
      expect(varintEnd).toBe(bytes.length)
    }
    edges32.forEach(check)
    fc.assert(fc.property(fc.integer(), check))
  })

  it('is refused if it has more than 32 bits, more than five bytes, or ends with the bytes', () => {
    for (const hex of ['ffffffff1f', 'ffffffffff01', '808080808000', '80', '', 'ffff']) {
      const bytes = Buffer.from(hex, 'hex')
      readVarint(bytes, 0, bytes.length)
      expect(varintEnd, hex).toBe(-1)
    }
    readVarint(Buffer.from('ffff01', 'hex'), 0, 2)
    expect(varintEnd).toBe(-1)
  })
})

describe('a varlong of 64 bits', () => {
  it('is written and read as the book says up to 52 bits', () => {
    const check = (value: number) => {
      const bytes = encode(BigInt(value))
      expect(written(writeVarlong, value)).toEqual(bytes)
      expect(varlongSizeBytes(value)).toBe(bytes.length)
      expect(readVarlong(bytes, 0, bytes.length)).toBe(value)
      expect(varintEnd).toBe(bytes.length)
    }
    edges52.forEach(check)
    fc.assert(fc.property(fc.integer({ min: -(2 ** 52) + 1, max: 2 ** 52 - 1 }), check))
  })

  it('is never rounded: beyond that it is right or not a number', () => {
    const limit = 2n ** 63n
    const check = (value: bigint) => {
      const bytes = encode(value)
      const read = readVarlong(bytes, 0, bytes.length)
      expect(varintEnd).toBe(bytes.length)
      if (!Number.isNaN(read)) expect(BigInt(read)).toBe(value)
      else expect(value < 0n ? -value : value).toBeGreaterThanOrEqual(2n ** 52n)
    }
    for (const value of [2n ** 47n, 2n ** 48n, 2n ** 52n, 2n ** 53n + 1n, limit - 1n, -limit]) check(value)
    fc.assert(fc.property(fc.bigInt({ min: -limit, max: limit - 1n }), check))
  })

  it('is refused if it has more than 64 bits, more than ten bytes, or ends with the bytes', () => {
    for (const hex of ['ffffffffffffffffff02', 'ffffffffffffffffffff01', '8080808080808080808000', '80', '']) {
      const bytes = Buffer.from(hex, 'hex')
      readVarlong(bytes, 0, bytes.length)
      expect(varintEnd, hex).toBe(-1)
    }
  })
})
