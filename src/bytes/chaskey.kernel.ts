import { assert } from '#base/assert.ts'

// Kernel: Chaskey (Mouha and others, SAC 2014; 8 rounds), 128 bits of any bytes that nobody can foretell who does not know the
// secret. It is made for words of 32 bits, and so is JavaScript: docs/decisions/compaction.md has what others cost. Budget: 45 ns
// for 16 bytes, 25 ns for each 16 more (bench/kernel/compaction.bench.ts).

export const SECRET_BYTES = 16
const ROUNDS = 8
const BLOCK_BYTES = 16

/** The secret, and the two that Chaskey makes of it: for what ends with a whole block, and for the rest. */
export class ChaskeySecret {
  readonly words = new Int32Array(4)
  readonly forWhole = new Int32Array(4)
  readonly forPadded = new Int32Array(4)

  /** SECRET_BYTES that nobody can guess. */
  constructor(secret: Buffer) {
    assert(secret.length === SECRET_BYTES, 'a secret has its size')
    for (let i = 0; i < 4; i++) this.words[i] = secret.readInt32LE(4 * i)
    double(this.words, this.forWhole)
    double(this.forWhole, this.forPadded)
  }
}

/** Times two in the field of 2^128 elements. */
function double(from: Int32Array, into: Int32Array): void {
  into[3] = (from[3]! << 1) | (from[2]! >>> 31)
  into[2] = (from[2]! << 1) | (from[1]! >>> 31)
  into[1] = (from[1]! << 1) | (from[0]! >>> 31)
  into[0] = (from[0]! << 1) ^ (from[3]! < 0 ? 0x87 : 0)
}

/** Writes four words of 32 bits to `into[place]`. */
export function chaskey(
  secret: ChaskeySecret,
  bytes: Uint8Array,
  from: number,
  to: number,
  into: Int32Array,
  place: number,
): void {
  let v0 = secret.words[0]!
  let v1 = secret.words[1]!
  let v2 = secret.words[2]!
  let v3 = secret.words[3]!
  for (let at = from; ; at += BLOCK_BYTES) {
    const left = to - at
    if (left >= BLOCK_BYTES) {
      v0 ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
      v1 ^= bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 24)
      v2 ^= bytes[at + 8]! | (bytes[at + 9]! << 8) | (bytes[at + 10]! << 16) | (bytes[at + 11]! << 24)
      v3 ^= bytes[at + 12]! | (bytes[at + 13]! << 8) | (bytes[at + 14]! << 16) | (bytes[at + 15]! << 24)
    } else {
      // A byte 1 behind the last one, then zeros.
      for (let i = 0; i <= left; i++) {
        const moved = (i === left ? 1 : bytes[at + i]!) << ((i & 3) << 3)
        if (i < 4) v0 ^= moved
        else if (i < 8) v1 ^= moved
        else if (i < 12) v2 ^= moved
        else v3 ^= moved
      }
    }
    const isLast = left <= BLOCK_BYTES
    const last = left === BLOCK_BYTES ? secret.forWhole : secret.forPadded
    if (isLast) {
      v0 ^= last[0]!
      v1 ^= last[1]!
      v2 ^= last[2]!
      v3 ^= last[3]!
    }
    for (let round = 0; round < ROUNDS; round++) {
      v0 = (v0 + v1) | 0
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
      v0 = (v0 + v3) | 0
      v3 = ((v3 << 13) | (v3 >>> 19)) ^ v0
      v2 = (v2 + v1) | 0
      v1 = ((v1 << 7) | (v1 >>> 25)) ^ v2
      v2 = (v2 << 16) | (v2 >>> 16)
    }
    if (!isLast) continue
    into[place] = v0 ^ last[0]!
    into[place + 1] = v1 ^ last[1]!
    into[place + 2] = v2 ^ last[2]!
    into[place + 3] = v3 ^ last[3]!
    return
  }
}
