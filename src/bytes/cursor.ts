import { ChronikError } from '#base/errors.ts'

// Reading and writing of big-endian fields, as Kafka's protocol and our stored formats have them. The default way to touch
// bytes; only a `*.kernel.ts` with a bench reads by hand. Whole numbers of 64 bits are `number`s, checked, never rounded.

const TWO_32 = 4294967296

export class MalformedBytes extends ChronikError {
  constructor(message: string) {
    super('MALFORMED_BYTES', 'invalid', message)
  }
}

export class ByteReader {
  readonly bytes: Buffer
  offset: number
  readonly endOffset: number

  constructor(bytes: Buffer, offset = 0, endOffset = bytes.length) {
    this.bytes = bytes
    this.offset = offset
    this.endOffset = endOffset
  }

  get remaining(): number {
    return this.endOffset - this.offset
  }

  /** Moves over `count` bytes and returns where they begin. */
  take(count: number): number {
    const start = this.offset
    if (count < 0 || count > this.endOffset - start) {
      throw new MalformedBytes(`${count} bytes wanted where ${this.endOffset - start} are left`)
    }
    this.offset = start + count
    return start
  }

  u8(): number {
    return this.bytes[this.take(1)]!
  }

  i8(): number {
    return (this.u8() << 24) >> 24
  }

  u16(): number {
    return this.bytes.readUInt16BE(this.take(2))
  }

  i16(): number {
    return this.bytes.readInt16BE(this.take(2))
  }

  u32(): number {
    return this.bytes.readUInt32BE(this.take(4))
  }

  i32(): number {
    return this.bytes.readInt32BE(this.take(4))
  }

  /** A whole number of 64 bits; outside of +-2^53 it is malformed. */
  i64(): number {
    const value = this.i32() * TWO_32 + this.u32()
    if (!Number.isSafeInteger(value)) throw new MalformedBytes('a 64-bit number is larger than 2^53')
    return value
  }

  i64Big(): bigint {
    return this.bytes.readBigInt64BE(this.take(8))
  }

  f64(): number {
    return this.bytes.readDoubleBE(this.take(8))
  }

  /** Unsigned LEB128 of at most 32 bits. */
  uvarint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.u8()
      value += (byte & 127) * 2 ** shift
      if (byte < 128) {
        if (value >= TWO_32) break
        return value
      }
    }
    throw new MalformedBytes('a variable-length number is longer than 32 bits')
  }

  utf8(byteLength: number): string {
    const start = this.take(byteLength)
    return this.bytes.toString('utf8', start, start + byteLength)
  }

  /** A view, not a copy. */
  view(byteLength: number): Buffer {
    const start = this.take(byteLength)
    return this.bytes.subarray(start, start + byteLength)
  }
}

export class ByteWriter {
  bytes: Buffer
  offset = 0

  constructor(capacityBytes = 256) {
    this.bytes = Buffer.allocUnsafe(capacityBytes)
  }

  /** Makes room for `count` more bytes, moves over them and returns where they begin. */
  reserve(count: number): number {
    const start = this.offset
    const end = start + count
    if (end > this.bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(end, this.bytes.length * 2))
      this.bytes.copy(grown, 0, 0, start)
      this.bytes = grown
    }
    this.offset = end
    return start
  }

  u8(value: number): void {
    const at = this.reserve(1)
    this.bytes[at] = value
  }

  i8(value: number): void {
    this.u8(value & 255)
  }

  u16(value: number): void {
    const at = this.reserve(2)
    this.bytes.writeUInt16BE(value, at)
  }

  i16(value: number): void {
    const at = this.reserve(2)
    this.bytes.writeInt16BE(value, at)
  }

  u32(value: number): void {
    const at = this.reserve(4)
    this.bytes.writeUInt32BE(value, at)
  }

  i32(value: number): void {
    const at = this.reserve(4)
    this.bytes.writeInt32BE(value, at)
  }

  i64(value: number): void {
    const at = this.reserve(8)
    this.bytes.writeInt32BE(Math.floor(value / TWO_32), at)
    this.bytes.writeUInt32BE(value - Math.floor(value / TWO_32) * TWO_32, at + 4)
  }

  i64Big(value: bigint): void {
    const at = this.reserve(8)
    this.bytes.writeBigInt64BE(value, at)
  }

  f64(value: number): void {
    const at = this.reserve(8)
    this.bytes.writeDoubleBE(value, at)
  }

  uvarint(value: number): void {
    let rest = value
    while (rest > 127) {
      this.u8((rest % 128) | 128)
      rest = Math.floor(rest / 128)
    }
    this.u8(rest)
  }

  utf8(text: string): void {
    const byteLength = Buffer.byteLength(text)
    const at = this.reserve(byteLength)
    this.bytes.write(text, at, byteLength, 'utf8')
  }

  raw(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length)
    this.bytes.set(bytes, at)
  }

  /** What was written: a view that later writes may change. */
  written(): Buffer {
    return this.bytes.subarray(0, this.offset)
  }
}
