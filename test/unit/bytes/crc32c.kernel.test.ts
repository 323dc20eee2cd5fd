import { describe, expect, it } from 'vitest'
import { crc32c, crc32cHere } from '#bytes/crc32c.kernel.ts'

/** One bit at a time, as the definition says. */
function crcBitByBit(bytes: Uint8Array): number {
  let sum = 0xffffffff
  for (const byte of bytes) {
    sum ^= byte
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0x82f63b78 : sum >>> 1
  }
  return ~sum >>> 0
}

const noise = Buffer.from(Array.from({ length: 700 }, (_, i) => (Math.imul(i + 1, 2654435761) >>> 13) & 255))

describe('crc32c', () => {
  it('gives the check value of the polynomial and those of RFC 3720', () => {
    expect(crc32c(Buffer.from('123456789'), 0, 9)).toBe(0xe3069283)
    expect(crc32c(Buffer.alloc(32), 0, 32)).toBe(0x8a9136aa)
    expect(crc32c(Buffer.alloc(32, 0xff), 0, 32)).toBe(0x62a8ab43)
    expect(crc32c(Buffer.alloc(0), 0, 0)).toBe(0)
  })

  it('agrees with the definition at every length, with and without native code', () => {
    for (let length = 0; length <= 600; length++) {
      const from = length % 9
      const expected = crcBitByBit(noise.subarray(from, from + length))
      expect(crc32c(noise, from, from + length)).toBe(expected)
      expect(crc32cHere(noise, from, from + length)).toBe(expected)
    }
  })

  it('continues from the sum of what came before', () => {
    const whole = crc32c(noise, 0, 700)
    for (const cut of [0, 1, 7, 8, 100, 500, 699, 700]) {
      expect(crc32c(noise, cut, 700, crc32c(noise, 0, cut))).toBe(whole)
      expect(crc32cHere(noise, cut, 700, crc32cHere(noise, 0, cut))).toBe(whole)
    }
  })
})
