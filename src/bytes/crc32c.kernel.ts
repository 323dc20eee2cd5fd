import { createRequire } from 'node:module'

// Kernel: CRC-32C (Castagnoli), which guards every record batch and every frame of the log. Always a number from 0 to 2^32-1.
// Short ranges are summed here, eight bytes a step; longer ones in native code, whose call costs as much as NATIVE_FROM_BYTES
// bytes here. Budget: 1 GB/s here, 6 GB/s in native code from 16 KiB on (bench/kernel/crc32c.bench.ts). Without a native
// module for this machine everything is summed here.

const POLYNOMIAL = 0x82f63b78
export const NATIVE_FROM_BYTES = 160

// ROW[k][b]: what byte b does to the sum when k more bytes follow it in the same step.
const [ROW0, ROW1, ROW2, ROW3, ROW4, ROW5, ROW6, ROW7] = makeRows() as [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
]

function makeRows(): Int32Array[] {
  const first = new Int32Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let sum = byte
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ POLYNOMIAL : sum >>> 1
    first[byte] = sum
  }
  const rows = [first]
  for (let k = 1; k < 8; k++) rows.push(rows[k - 1]!.map(sum => (sum >>> 8) ^ first[sum & 255]!))
  return rows
}

type NativeSum = (bytes: Uint8Array, previous: number) => number

const nativeSum = loadNative()

function loadNative(): NativeSum | null {
  try {
    return (createRequire(import.meta.url)('@node-rs/crc32') as { crc32c: NativeSum }).crc32c
  } catch {
    return null
  }
}

/** The sum of `bytes[from, to)`, or of everything summed into `previous` and then these bytes. */
export function crc32c(bytes: Uint8Array, from: number, to: number, previous = 0): number {
  if (to - from < NATIVE_FROM_BYTES || nativeSum === null) return crc32cHere(bytes, from, to, previous)
  return nativeSum(bytes.subarray(from, to), previous) >>> 0
}

/** The same without native code. */
export function crc32cHere(bytes: Uint8Array, from: number, to: number, previous = 0): number {
  let sum = ~previous
  let at = from
  for (const last = to - 8; at <= last; at += 8) {
    sum ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    sum =
      ROW7[sum & 255]! ^
      ROW6[(sum >>> 8) & 255]! ^
      ROW5[(sum >>> 16) & 255]! ^
      ROW4[sum >>> 24]! ^
      ROW3[bytes[at + 4]!]! ^
      ROW2[bytes[at + 5]!]! ^
      ROW1[bytes[at + 6]!]! ^
      ROW0[bytes[at + 7]!]!
  }
  for (; at < to; at++) sum = ROW0[(sum ^ bytes[at]!) & 255]! ^ (sum >>> 8)
  return ~sum >>> 0
}
