import { describe, expect, it } from 'vitest'
import { CODEC_NAMES } from '#bytes/codecs.ts'
import * as header from '#records/batch.ts'
import { buildBatch } from '#records/build.ts'
import { compactedBatch, emptiedBatch } from '#records/compacted.ts'
import { recordsOf } from '#records/read.ts'

const timeMs = 1_700_000_000_000

function someBatch(options = {}): Buffer {
  const records = Array.from({ length: 3 }, (_, i) => ({
    timestampMs: timeMs + i,
    key: Buffer.from(`${i}`),
    value: null,
  }))
  const producer = { producerId: 7, producerEpoch: 2, baseSequence: 2147483646, transactional: true, leaderEpoch: 9 }
  const batch = buildBatch(records, { baseOffset: 100, ...producer, ...options })
  // In front of it something else, which no place may be taken from.
  return Buffer.concat([Buffer.alloc(5, 1), batch])
}

/** Everything but what compaction changes. */
function identity(bytes: Buffer, at: number) {
  return {
    base: header.baseOffsetOf(bytes, at),
    last: header.lastOffsetOf(bytes, at),
    leaderEpoch: header.leaderEpochOf(bytes, at),
    magic: header.magicOf(bytes, at),
    producer: [header.producerIdOf(bytes, at), header.producerEpochOf(bytes, at), header.baseSequenceOf(bytes, at)],
    isCrcRight: header.crcOf(bytes, at) === header.computeCrc(bytes, at),
    isTransactional: header.isTransactional(header.attributesOf(bytes, at)),
  }
}

describe('compactedBatch', () => {
  it('keeps offsets, sequence numbers and epochs of the batch', () => {
    const batch = someBatch()
    const body = buildBatch([{ timestampMs: timeMs, key: Buffer.from('k') }]).subarray(header.BATCH_HEADER_BYTES)
    const kept = { recordCount: 1, baseTimestampMs: timeMs, maxTimestampMs: timeMs, hasDeleteHorizon: false }
    const compacted = compactedBatch(batch, 5, kept, body)
    expect(identity(compacted, 0)).toEqual(identity(batch, 5))
    expect([...recordsOf(compacted, 0, 1000)].map(record => record.key?.toString())).toEqual(['k'])
    expect(header.batchSizeBytesOf(compacted, 0)).toBe(compacted.length)
  })

  it('has a delete horizon if it is told so, and else none', () => {
    const kept = { recordCount: 3, baseTimestampMs: timeMs, maxTimestampMs: timeMs + 2, hasDeleteHorizon: true }
    const [batch, body] = [someBatch(), someBatch().subarray(5 + header.BATCH_HEADER_BYTES)]
    const waiting = compactedBatch(batch, 5, kept, body)
    const over = compactedBatch(waiting, 0, { ...kept, hasDeleteHorizon: false }, body)
    const hasHorizon = [batch.subarray(5), waiting, over].map(some =>
      header.hasDeleteHorizon(header.attributesOf(some, 0)),
    )
    expect(hasHorizon).toEqual([false, true, false])
    expect([header.baseTimestampOf(waiting, 0), header.maxTimestampOf(waiting, 0)]).toEqual([timeMs, timeMs + 2])
  })
})

describe('emptiedBatch', () => {
  it.each(CODEC_NAMES)('is a header of 61 bytes with what the batch was, %s', codec => {
    const batch = someBatch({ codec, logAppendTimeMs: timeMs + 77 })
    const empty = emptiedBatch(batch, 5)
    expect(empty.length).toBe(61)
    expect(identity(empty, 0)).toEqual(identity(batch, 5))
    expect(header.recordCountOf(empty, 0)).toBe(0)
    expect(header.codecOf(header.attributesOf(empty, 0))).toBe(0)
    expect(header.isLogAppendTime(header.attributesOf(empty, 0))).toBe(true)
    expect([header.baseTimestampOf(empty, 0), header.maxTimestampOf(empty, 0)]).toEqual([-1, timeMs + 77])
  })
})
