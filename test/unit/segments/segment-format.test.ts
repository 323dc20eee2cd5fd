import { crc32c } from '@node-rs/crc32'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ChronikError } from '#base/errors.ts'
import { DIRECTORY_ENTRY_BYTES, readDirectory, readTrailer, TRAILER_BYTES } from '#segments/segment-format.ts'
import { readPartIndex } from '#segments/segment-index.ts'
import { bodyOf, maxTimestampOf, type PlainPart, plainSegment, someParts } from '#test/support/plain-segment.ts'
import { readWholeSegment } from '#test/support/segment-reading.ts'

const KEY = 'segments/orders/AQIDBAUGBwgJCgsMDQ4PEA/3/some.log'

/** What a reader must say of an object that is not as it was written. */
function damageFound(bytes: Buffer, sizeBytes = bytes.length): { place: number; message: string } {
  try {
    readWholeSegment(bytes, KEY, sizeBytes)
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(ChronikError)
    expect(thrown).toMatchObject({ code: 'SEGMENT_DAMAGED', kind: 'corrupt' })
    const { message } = thrown as ChronikError
    const [, place] = new RegExp(`^the segment ${KEY} is damaged at byte (\\d+): `).exec(message) ?? []
    return { place: Number(place ?? Number.NaN), message }
  }
  throw new Error('no damage was found')
}

/** Two parts in 1,200 bytes. */
const SMALL: PlainPart[] = [3, 4].map(partition => ({
  topicId: 'AQIDBAUGBwgJCgsMDQ4PEA',
  topicName: 'orders',
  partition,
  baseOffset: 100,
  createdMs: 5,
  aborted: Float64Array.of(7, 100, 102, 100),
  batches: [100, 103].map(baseOffset => ({
    baseOffset,
    leaderEpoch: 0,
    lastOffsetDelta: 1,
    recordCount: 2,
    maxTimestampMs: 1_800_000_000_000,
    producerId: 7,
    producerEpoch: 0,
    baseSequence: baseOffset,
    isMarker: false,
    sizeBytes: 80,
  })),
  nextOffset: 105,
}))
const WHOLE = plainSegment(SMALL)
const INDEX_CRC_AT = 4
const TRAILER_CRC_AT = WHOLE.length - TRAILER_BYTES + 4

/** Makes the checksum of the directory right again. */
function signDirectory(bytes: Buffer, directoryPlace: number): void {
  const trailerAt = bytes.length - TRAILER_BYTES
  const checked = Buffer.concat([bytes.subarray(directoryPlace, trailerAt), bytes.subarray(trailerAt + 8)])
  bytes.writeUInt32BE(crc32c(checked), trailerAt + 4)
}

describe('an object that is whole', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(someParts, parts => {
        const read = readWholeSegment(plainSegment(parts), KEY)
        expect(read).toHaveLength(parts.length)
        for (const [i, { index, body, batches }] of read.entries()) {
          const { topicId, topicName, partition, baseOffset, nextOffset, createdMs } = parts[i]!
          const about = { topicId, topicName, partition, baseOffset, nextOffset, createdMs }
          expect(index).toMatchObject({ ...about, maxTimestampMs: maxTimestampOf(parts[i]!.batches) })
          expect(body.equals(bodyOf(parts[i]!))).toBe(true)
          const offsets = parts[i]!.batches.map(batch => [batch.baseOffset, batch.baseOffset + batch.lastOffsetDelta])
          expect(batches.map(batch => batch.slice(2, 4))).toEqual(offsets)
        }
      }),
      { numRuns: 40 },
    )
  })

  it('says in its last bytes what else to read', () => {
    const object = { key: KEY, sizeBytes: WHOLE.length }
    const trailer = readTrailer(WHOLE.subarray(-TRAILER_BYTES), object)
    expect(trailer).toEqual(readTrailer(WHOLE, object))
    const { directoryPlace, directoryBytes } = trailer
    expect(directoryPlace + directoryBytes).toBe(WHOLE.length)
    const directory = readDirectory(WHOLE.subarray(directoryPlace), object)
    expect(directory).toEqual(readDirectory(WHOLE, object))
    expect(directory).toMatchObject({ fencePlace: 320, parts: [{ place: 0 }, { place: 160, sizeBytes: 160 }] })
  })
})

describe('an object that is damaged', () => {
  it('is found to be, whichever bit is not what it was', () => {
    for (let at = 0; at < WHOLE.length; at++) {
      for (const bit of [1, 2, 4, 8, 16, 32, 64, 128]) {
        const bytes = Buffer.from(WHOLE)
        bytes[at]! ^= bit
        const { place } = damageFound(bytes)
        expect(place).toBeLessThan(WHOLE.length)
      }
    }
  })

  it('is found to be, wherever it ends', () => {
    for (let length = 0; length < WHOLE.length; length++) {
      damageFound(WHOLE.subarray(0, length))
      // The store may say what the object was, and then not have it.
      damageFound(WHOLE.subarray(0, length), WHOLE.length)
    }
    damageFound(Buffer.concat([WHOLE, Buffer.alloc(1)]))
  })

  it('is found to be, however large it is', () => {
    fc.assert(
      fc.property(
        someParts,
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.nat(7),
        (parts, where, bit) => {
          const bytes = plainSegment(parts)
          const at = Math.floor(where * bytes.length)
          damageFound(bytes.subarray(0, at))
          bytes[at]! ^= 1 << bit
          const { place } = damageFound(bytes)
          // What is damaged is named by where its checksum begins to count.
          if (at < bytes.length - TRAILER_BYTES) expect(place).toBeLessThanOrEqual(at)
        },
      ),
      { numRuns: 100 },
    )
  })

  it('names what is damaged', () => {
    const flipped = (at: number) => {
      const bytes = Buffer.from(WHOLE)
      bytes[at]! ^= 1
      return damageFound(bytes)
    }
    const { parts } = readDirectory(WHOLE, { key: KEY, sizeBytes: WHOLE.length })
    const directoryPlace = parts[1]!.indexPlace + parts[1]!.indexBytes
    expect(flipped(200)).toMatchObject({ place: 160, message: expect.stringContaining('block') })
    expect(flipped(330)).toMatchObject({ place: 320, message: expect.stringContaining('fence') })
    expect(flipped(parts[1]!.indexPlace + 30)).toMatchObject({
      place: parts[1]!.indexPlace,
      message: expect.stringContaining('checksum of an index'),
    })
    expect(flipped(directoryPlace + 3)).toMatchObject({
      place: directoryPlace,
      message: expect.stringContaining('checksum of the directory'),
    })
    expect(flipped(WHOLE.length - 1)).toMatchObject({ place: WHOLE.length - TRAILER_BYTES })
  })

  it('is known from its trailer if that does not fit the object', () => {
    const trailerAt = WHOLE.length - TRAILER_BYTES
    const object = { key: KEY, sizeBytes: WHOLE.length }
    for (const at of [trailerAt, trailerAt + 8, trailerAt + 15, trailerAt + 19, trailerAt + 31]) {
      const bytes = Buffer.from(WHOLE)
      bytes[at]! ^= 1
      expect(() => readTrailer(bytes, object)).toThrow(`is damaged at byte ${trailerAt}: `)
    }
    const { directoryBytes } = readTrailer(WHOLE, object)
    const short = WHOLE.subarray(1 - directoryBytes)
    expect(() => readDirectory(short, object)).toThrow(/ 1 bytes of the directory are missing/)
  })

  it('is refused if its directory does not add up, whoever signed it', () => {
    const object = { key: KEY, sizeBytes: WHOLE.length }
    const { directoryPlace } = readTrailer(WHOLE, object)
    const refused = (change: (bytes: Buffer) => void, what: RegExp) => {
      const bytes = Buffer.from(WHOLE)
      change(bytes.subarray(directoryPlace + DIRECTORY_ENTRY_BYTES))
      signDirectory(bytes, directoryPlace)
      expect(() => readDirectory(bytes, object)).toThrow(what)
    }
    refused(entry => entry.writeUInt8(0x20, 3), /a topic id has bytes/)
    refused(entry => entry.fill(0, 0, 24), /a topic id has bytes/)
    refused(entry => entry.writeBigInt64BE(-1n, 28), /offsets or a size/)
    refused(entry => entry.writeBigInt64BE(99n, 36), /offsets or a size/)
    refused(entry => entry.writeBigInt64BE(2n ** 60n, 36), /larger than 2\^53/)
    refused(entry => entry.writeBigInt64BE(161n, 44), /a body is not where/)
    refused(entry => entry.writeUInt32BE(0xffffffff, 52), /offsets or a size/)
    refused(entry => entry.writeUInt32BE(161, 52), /an index is not where/)
    refused(entry => entry.writeUInt8(1, 60), /an index is not where/)
    refused(entry => entry.writeUInt32BE(2 ** 28 + 1, 64), /an index is not where/)
    refused(entry => entry.writeUInt8(1, 66), /the directory is not where/)
    refused(entry => entry.writeDoubleBE(Number.NaN, 68), /times that it cannot have/)
    refused(entry => entry.writeDoubleBE(Number.POSITIVE_INFINITY, 76), /times that it cannot have/)
  })

  it('is refused if it was made to look right', () => {
    // Nobody does this but who writes to the store himself. It may pass for another segment, but not do harm.
    const { directoryPlace } = readTrailer(WHOLE, { key: KEY, sizeBytes: WHOLE.length })
    const { parts } = readDirectory(WHOLE, { key: KEY, sizeBytes: WHOLE.length })
    const someChange = fc.record({ at: fc.nat(), bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }) })
    let refused = 0
    fc.assert(
      fc.property(fc.array(someChange, { minLength: 1, maxLength: 3 }), fc.boolean(), (changes, inDirectory) => {
        const bytes = Buffer.from(WHOLE)
        const { indexPlace, indexBytes } = parts[1]!
        const [from, to] = inDirectory ? [directoryPlace, WHOLE.length] : [indexPlace + 8, indexPlace + indexBytes]
        for (const change of changes)
          bytes.set(change.bytes.subarray(0, to - from), from + (change.at % (to - from - 8)))
        const sum = crc32c(bytes.subarray(indexPlace + 8, indexPlace + indexBytes))
        bytes.writeUInt32BE(sum, indexPlace + INDEX_CRC_AT)
        signDirectory(bytes, directoryPlace)
        try {
          readWholeSegment(bytes, KEY)
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(ChronikError)
          expect(['SEGMENT_DAMAGED', 'SEGMENT_TOO_NEW']).toContain((thrown as ChronikError).code)
          refused++
        }
      }),
      { numRuns: 3000 },
    )
    expect(refused).toBeGreaterThan(1000)
  })
})

describe('an object of a later version', () => {
  const tooNew = expect.objectContaining({
    code: 'SEGMENT_TOO_NEW',
    kind: 'invalid',
    message: `the segment ${KEY} has version 2 of the format, of which this program knows 1: upgrade it`,
  })

  it('is refused by who reads its directory', () => {
    const bytes = Buffer.from(WHOLE)
    bytes.writeUInt16BE(2, WHOLE.length - TRAILER_BYTES + 20)
    const read = () => readDirectory(bytes, { key: KEY, sizeBytes: bytes.length })
    expect(read).toThrow(/checksum of the directory/)
    signDirectory(bytes, readTrailer(bytes, { key: KEY, sizeBytes: bytes.length }).directoryPlace)
    expect(bytes.readUInt32BE(TRAILER_CRC_AT)).not.toBe(WHOLE.readUInt32BE(TRAILER_CRC_AT))
    expect(read).toThrow(tooNew)
  })

  it('is refused by who reads an index', () => {
    const [part] = readDirectory(WHOLE, { key: KEY, sizeBytes: WHOLE.length }).parts
    const { indexPlace, indexBytes } = part!
    const bytes = Buffer.from(WHOLE.subarray(indexPlace, indexPlace + indexBytes))
    bytes.writeUInt16BE(2, 8)
    expect(() => readPartIndex(bytes, KEY, part!)).toThrow(/checksum of an index/)
    bytes.writeUInt32BE(crc32c(bytes.subarray(8)), INDEX_CRC_AT)
    expect(() => readPartIndex(bytes, KEY, part!)).toThrow(tooNew)
  })
})
