import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteWriter, MalformedBytes } from '#bytes/cursor.ts'
import {
  decodeFileHeader,
  decodeGroupHeader,
  eachRecord,
  encodeFileHeader,
  FILE_HEADER_BYTES,
  GROUP_HEADER_BYTES,
  groupBytes,
  saltOf,
  sealGroupHeader,
  writeRecord,
} from '#commit/wal-format.ts'

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const whole = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const sequences = fc.integer({ min: 1, max: 10 ** 15 })

function fileHeader(sequence: number, position = 12_345, previousChecksum = 7): Buffer {
  const bytes = Buffer.alloc(FILE_HEADER_BYTES + 5, 0xaa)
  encodeFileHeader(bytes, 5, { sequence, position, previousChecksum })
  return bytes.subarray(5)
}

function group(sequence: number, payload: Buffer, records: Buffer, syncedPosition = 99): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(GROUP_HEADER_BYTES), payload, records])
  sealGroupHeader(bytes, 0, sequence, {
    previousChecksum: 1,
    payloadBytes: payload.length,
    recordsBytes: records.length,
    position: 500,
    syncedPosition,
  })
  return bytes
}

function eachFlippedBit(bytes: Buffer, sizeBytes: number, look: (flipped: Buffer) => void): void {
  for (let bit = 0; bit < sizeBytes * 8; bit++) {
    const flipped = Buffer.from(bytes)
    flipped[bit >> 3]! ^= 1 << (bit & 7)
    look(flipped)
  }
}

const decode = (bytes: Buffer, sequence: number) => decodeFileHeader(bytes, sequence, 'a file')

describe('the header of a WAL file', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(sequences, whole, u32, (sequence, position, previousChecksum) => {
        const header = { sequence, position, previousChecksum }
        expect(decode(fileHeader(sequence, position, previousChecksum), sequence)).toEqual(header)
      }),
    )
  })

  it('is none with any bit wrong, or cut short', () => {
    const bytes = fileHeader(3)
    eachFlippedBit(bytes, FILE_HEADER_BYTES, flipped => expect(decode(flipped, 3)).toBeNull())
    for (let length = 0; length < FILE_HEADER_BYTES; length++) {
      expect(decode(bytes.subarray(0, length), 3)).toBeNull()
    }
  })

  it('is none for a file with another number, even one that starts checksums in the same way', () => {
    expect(decode(fileHeader(3), 4)).toBeNull()
    expect(saltOf(3)).toBe(saltOf(3 + 2 ** 32))
    expect(decode(fileHeader(3), 3 + 2 ** 32)).toBeNull()
  })
})

describe('the header of a flush group', () => {
  const records = Buffer.from('records')
  const payload = Buffer.from('some payload')

  it('is read as it was written, and knows how long the group is', () => {
    fc.assert(
      fc.property(sequences, u32, whole, whole, (sequence, previousChecksum, position, syncedPosition) => {
        const bytes = Buffer.concat([Buffer.alloc(GROUP_HEADER_BYTES), payload, records])
        const sizes = { payloadBytes: payload.length, recordsBytes: records.length }
        const given = { previousChecksum, position, syncedPosition, ...sizes }
        const checksum = sealGroupHeader(bytes, 0, sequence, given)
        const header = decodeGroupHeader(bytes, 0, sequence)
        expect(header).toMatchObject({ ...given, checksum })
        expect(groupBytes(header!)).toBe(bytes.length)
      }),
    )
  })

  it('is none with any bit of it wrong, or cut short', () => {
    const bytes = group(9, payload, records)
    eachFlippedBit(bytes, GROUP_HEADER_BYTES, flipped => expect(decodeGroupHeader(flipped, 0, 9)).toBeNull())
    for (let length = 0; length < GROUP_HEADER_BYTES; length++) {
      expect(decodeGroupHeader(bytes.subarray(0, length), 0, 9)).toBeNull()
    }
  })

  it('is none for a file with another number: leftovers of an earlier life do not pass', () => {
    expect(decodeGroupHeader(group(9, payload, records), 0, 10)).toBeNull()
  })

  it('covers the records', () => {
    const sums = ['records', 'recorts'].map(text => decodeGroupHeader(group(9, payload, Buffer.from(text)), 0, 9))
    expect(sums[0]!.recordsChecksum).not.toBe(sums[1]!.recordsChecksum)
    expect(sums[0]!.checksum).not.toBe(sums[1]!.checksum)
  })
})

describe('the records of a group', () => {
  const recordsOf = (...bodies: string[]): Buffer => {
    const into = new ByteWriter()
    for (const [i, body] of bodies.entries()) writeRecord(into, i + 1, 1, Buffer.from(body))
    return Buffer.from(into.written())
  }

  it('are told one by one, each bounded by its own end', () => {
    const bytes = recordsOf('first', '', 'third')
    const seen: unknown[] = []
    eachRecord(Buffer.concat([Buffer.from('xx'), bytes, Buffer.from('yy')]), 2, 2 + bytes.length, record => {
      seen.push([record.type, record.version, record.body.utf8(record.body.remaining)])
    })
    expect(seen).toEqual([
      [1, 1, 'first'],
      [2, 1, ''],
      [3, 1, 'third'],
    ])
  })

  it('are malformed if one is longer than what is left, and a bug if one is not read whole', () => {
    const bytes = recordsOf('first')
    const skip = () => {}
    expect(() => eachRecord(bytes, 0, bytes.length - 1, skip)).toThrow(MalformedBytes)
    expect(() => eachRecord(bytes, 0, bytes.length, skip)).toThrow('a commit record is read whole')
  })
})
