import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ChaskeySecret, chaskey } from '#bytes/chaskey.kernel.ts'

const MASK_32 = 0xffffffffn
const MASK_128 = (1n << 128n) - 1n

function hash(secret: Buffer, bytes: Uint8Array, from = 0, to = bytes.length): string {
  const into = new Int32Array(6).fill(-1)
  chaskey(new ChaskeySecret(secret), bytes, from, to, into, 1)
  expect([into[0], into[5]]).toEqual([-1, -1])
  return Array.from(into.subarray(1, 5), word => (word >>> 0).toString(16).padStart(8, '0')).join(' ')
}

/** The plain twin: whole numbers of 128 bits, least significant word first, as the paper writes it. */
function hashPlainly(secret: Buffer, message: Uint8Array): string {
  const numberOf = (bytes: Uint8Array) => bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
  const twice = (value: bigint) => ((value << 1n) & MASK_128) ^ (value >> 127n === 1n ? 0x87n : 0n)
  const rotate = (word: bigint, by: bigint) => ((word << by) | (word >> (32n - by))) & MASK_32
  const permute = (state: bigint): bigint => {
    let [a, b, c, d] = [0n, 32n, 64n, 96n].map(shift => (state >> shift) & MASK_32) as [bigint, bigint, bigint, bigint]
    for (let round = 0; round < 8; round++) {
      a = (a + b) & MASK_32
      c = (c + d) & MASK_32
      b = rotate(b, 5n) ^ a
      d = rotate(d, 8n) ^ c
      a = (rotate(a, 16n) + d) & MASK_32
      c = (c + b) & MASK_32
      d = rotate(d, 13n) ^ a
      b = rotate(b, 7n) ^ c
      c = rotate(c, 16n)
    }
    return a | (b << 32n) | (c << 64n) | (d << 96n)
  }
  const key = numberOf(secret)
  let state = key
  const blocks = Math.max(1, Math.ceil(message.length / 16))
  for (let block = 0; block < blocks - 1; block++) {
    state = permute(state ^ numberOf(message.subarray(16 * block, 16 * block + 16)))
  }
  const rest = message.subarray(16 * (blocks - 1))
  const last = rest.length === 16 ? twice(key) : twice(twice(key))
  const padded = rest.length === 16 ? numberOf(rest) : numberOf(rest) | (1n << BigInt(8 * rest.length))
  state = permute(state ^ padded ^ last) ^ last
  return [0n, 32n, 64n, 96n].map(shift => ((state >> shift) & MASK_32).toString(16).padStart(8, '0')).join(' ')
}

describe('chaskey', () => {
  // Of the authors' program: this key, and messages of the bytes 0, 1, 2, ...
  const secret = Buffer.alloc(16)
  for (const [i, word] of [0x833d3433, 0x009f389f, 0x2398e64f, 0x417acf39].entries()) secret.writeUInt32LE(word, 4 * i)

  it.each([
    [0, '792e8fe5 75ce87aa 2d1450b5 1191970b'],
    [1, '13a9307b 50e62c89 4577bd88 c0bbdc18'],
    [2, '55df8922 2c7ff577 73809ef4 4e5084c0'],
  ])('of %d bytes is what its authors say', (sizeBytes, expected) => {
    expect(
      hash(
        secret,
        Uint8Array.from({ length: sizeBytes }, (_, i) => i),
      ),
    ).toBe(expected)
  })

  it('is that of its plain twin for bytes of any length, and reads none around them', () => {
    const someSecret = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(bytes => Buffer.from(bytes))
    const around = fc.uint8Array({ minLength: 3, maxLength: 3 })
    fc.assert(
      fc.property(someSecret, fc.uint8Array({ maxLength: 70 }), around, (some, message, other) => {
        const bytes = Uint8Array.from([...other, ...message, ...other])
        expect(hash(some, bytes, 3, 3 + message.length)).toBe(hashPlainly(some, message))
      }),
      { numRuns: 500 },
    )
  })
})
