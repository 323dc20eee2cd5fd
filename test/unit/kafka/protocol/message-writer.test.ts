import { describe, expect, it } from 'vitest'
import { ByteReader } from '#bytes/cursor.ts'
import { FetchResponse } from '#kafka/protocol/apis/01-fetch.ts'
import {
  decodeResponse,
  type Exchange,
  encodeResponse,
  encodeResponseChunks,
  MessageWriter,
} from '#kafka/protocol/protocol.ts'
import type { RecordSlices } from '#kafka/protocol/schema.ts'

const KIB = 1024

function slicesOf(...sizes: number[]): RecordSlices {
  const slices = sizes.map((size, i) => Buffer.alloc(size, i + 1))
  return { byteLength: sizes.reduce((sum, size) => sum + size, 0), slices }
}

function exchange(apiVersion: number, correlationId = 1): Exchange {
  return { apiVersion, correlationId }
}

function fetched(...records: (Buffer | RecordSlices | null)[]): FetchResponse {
  const partitions = records.map((records, partitionIndex) => {
    return { partitionIndex, errorCode: 0, highWatermark: 9, abortedTransactions: null, records }
  })
  return { errorCode: 0, responses: [{ topic: 't', topicId: '', partitions }] }
}

describe.each([4, 12])('the records of a Fetch response v%i', version => {
  it('are spliced from 32 KiB on and copied below', () => {
    const large = slicesOf(100, 32 * KIB, 32 * KIB - 1, 40 * KIB, 32 * KIB)
    const chunks = encodeResponseChunks(FetchResponse, exchange(version), fetched(large, Buffer.alloc(64 * KIB), null))
    expect(chunks.filter(chunk => chunk.length >= 32 * KIB && chunk.every(byte => byte === chunk[0]))).toHaveLength(4)
    expect(chunks.every(chunk => chunk.length > 0)).toBe(true)
    expect(chunks).toContain(large.slices[1])
    expect(chunks).toContain(large.slices[3])
    expect(chunks).toHaveLength(8)
  })

  it('are read in order, within a frame of the right size', () => {
    const parts = [slicesOf(10, 50 * KIB, 50 * KIB, 7), null, slicesOf(), Buffer.from('abc'), slicesOf(33 * KIB)]
    const frame = Buffer.concat(encodeResponseChunks(FetchResponse, exchange(version), fetched(...parts)))
    expect(frame.readInt32BE(0)).toBe(frame.length - 4)
    const { value } = decodeResponse(FetchResponse, version, new ByteReader(frame, 4))
    const whole = parts.map(part => (part === null || Buffer.isBuffer(part) ? part : Buffer.concat(part.slices)))
    expect(value.responses[0]?.partitions.map(partition => partition.records)).toEqual(whole)
  })

  it('must be as long as announced', () => {
    const lie = { byteLength: 5, slices: [Buffer.alloc(4)] }
    expect(() => encodeResponseChunks(FetchResponse, exchange(version), fetched(lie))).toThrow('as long as announced')
  })
})

describe('a message writer', () => {
  it('takes frame after frame, each with its own size', () => {
    const writer = new MessageWriter()
    const parts = [slicesOf(40 * KIB), Buffer.from('abc'), slicesOf(32 * KIB, 1)]
    for (const [i, part] of parts.entries()) encodeResponse(FetchResponse, exchange(4, i), fetched(part), writer)
    const total = writer.byteLength
    const bytes = Buffer.concat(writer.takeChunks())
    expect(bytes.length).toBe(total)
    let at = 0
    for (const i of parts.keys()) {
      const end = at + 4 + bytes.readInt32BE(at)
      expect(decodeResponse(FetchResponse, 4, new ByteReader(bytes, at + 4, end)).correlationId).toBe(i)
      at = end
    }
    expect(at).toBe(bytes.length)
  })

  it('is empty after its chunks were taken, and leaves them alone', () => {
    const writer = new MessageWriter()
    encodeResponse(FetchResponse, exchange(4, 1), fetched(slicesOf(33 * KIB)), writer)
    const chunks = writer.takeChunks()
    const before = Buffer.concat(chunks)
    expect(writer.byteLength).toBe(0)
    expect(writer.takeChunks()).toEqual([])
    encodeResponse(FetchResponse, exchange(4, 2), fetched(slicesOf(50 * KIB)), writer)
    expect(Buffer.concat(chunks)).toEqual(before)
  })
})
