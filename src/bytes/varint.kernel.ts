// Kernel: the variable-length numbers inside record batches: zigzag, seven bits a byte, lowest first. A reader returns the
// value and leaves the place behind it in `varintEnd`: nothing is allocated. Budget: 3 ns for one of up to two bytes
// (bench/kernel/walk.bench.ts reads little else).

/** The place behind the number that was read last, or -1 if it was longer than its kind allows or than the bytes were. */
export let varintEnd = 0

/** Of at most 32 bits. */
export function readVarint(bytes: Uint8Array, at: number, to: number): number {
  let raw = 0
  for (let shift = 0; shift < 35; shift += 7) {
    if (at >= to) break
    const byte = bytes[at++]!
    raw |= (byte & 127) << shift
    if (byte < 128) {
      if (shift === 28 && byte > 15) break
      varintEnd = at
      return (raw >>> 1) ^ -(raw & 1)
    }
  }
  varintEnd = -1
  return 0
}

const TWO_53 = 2 ** 53

/** Of at most 64 bits. NaN, and not rounded, from 2^52 on, either way: no timestamp and no delta of two is that large. */
export function readVarlong(bytes: Uint8Array, at: number, to: number): number {
  let raw = 0
  let scale = 1
  for (let length = 1; length <= 10; length++) {
    if (at >= to) break
    const byte = bytes[at++]!
    raw += (byte & 127) * scale
    scale *= 128
    if (byte < 128) {
      if (length === 10 && byte > 1) break
      varintEnd = at
      if (raw >= TWO_53) return Number.NaN
      return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2
    }
  }
  varintEnd = -1
  return 0
}

/** Writes a number of at most 32 bits and returns the place behind it. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let raw = ((value << 1) ^ (value >> 31)) >>> 0
  while (raw > 127) {
    bytes[at++] = (raw & 127) | 128
    raw >>>= 7
  }
  bytes[at++] = raw
  return at
}

/** Writes a number between -2^52 and 2^52 and returns the place behind it. */
export function writeVarlong(bytes: Uint8Array, at: number, value: number): number {
  if (value === (value | 0)) return writeVarint(bytes, at, value)
  let raw = value < 0 ? -2 * value - 1 : 2 * value
  while (raw > 127) {
    bytes[at++] = (raw % 128) | 128
    raw = Math.floor(raw / 128)
  }
  bytes[at++] = raw
  return at
}

export function varintSizeBytes(value: number): number {
  return varlongSizeBytes(value)
}

export function varlongSizeBytes(value: number): number {
  let raw = value < 0 ? -2 * value - 1 : 2 * value
  if (raw < 128) return 1
  let size = 1
  while (raw > 127) {
    raw = Math.floor(raw / 128)
    size++
  }
  return size
}
