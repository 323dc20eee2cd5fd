import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  attributesOf,
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  baseSequenceOf,
  baseTimestampOf,
  batchLengthOf,
  batchSizeBytesOf,
  codecOf,
  computeCrc,
  crcOf,
  hasDeleteHorizon,
  isControl,
  isLogAppendTime,
  isTransactional,
  LOG_APPEND_TIME_BIT,
  lastOffsetDeltaOf,
  lastOffsetOf,
  leaderEpochOf,
  magicOf,
  maxTimestampOf,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
  setBaseOffset,
  setLeaderEpoch,
  setMaxTimestamp,
} from '#records/batch.ts'

const timeMs = 1_700_000_000_000

/** A batch that Java wrote, behind a few other bytes. */
function javaBatch(name: string): { bytes: Buffer; at: number; sizeBytes: number } {
  const batch = readFileSync(`fixtures/records/java-${name}.bin`)
  return { bytes: Buffer.concat([Buffer.alloc(7, 0xff), batch]), at: 7, sizeBytes: batch.length }
}

describe('a batch header', () => {
  it('holds what Java wrote into it', () => {
    const { bytes, at, sizeBytes } = javaBatch('zstd')
    expect(batchSizeBytesOf(bytes, at)).toBe(sizeBytes)
    expect(batchLengthOf(bytes, at)).toBe(sizeBytes - 12)
    expect(magicOf(bytes, at)).toBe(2)
    expect(crcOf(bytes, at)).toBe(computeCrc(bytes, at))
    expect(baseOffsetOf(bytes, at)).toBe(100)
    expect(lastOffsetDeltaOf(bytes, at)).toBe(103)
    expect(lastOffsetOf(bytes, at)).toBe(203)
    expect(leaderEpochOf(bytes, at)).toBe(5)
    expect(baseTimestampOf(bytes, at)).toBe(timeMs)
    expect(maxTimestampOf(bytes, at)).toBe(timeMs + 5000)
    expect(producerIdOf(bytes, at)).toBe(7)
    expect(producerEpochOf(bytes, at)).toBe(3)
    expect(baseSequenceOf(bytes, at)).toBe(11)
    expect(recordCountOf(bytes, at)).toBe(104)
    expect(codecOf(attributesOf(bytes, at))).toBe(4)
  })

  it('says what kind of batch it is', () => {
    const { bytes, at } = javaBatch('commit-marker')
    const attributes = attributesOf(bytes, at)
    expect([isControl(attributes), isTransactional(attributes)]).toEqual([true, true])
    expect([isLogAppendTime(attributes), hasDeleteHorizon(attributes)]).toEqual([false, false])
    expect(baseSequenceOf(bytes, at)).toBe(-1)
    expect(leaderEpochOf(bytes, at)).toBe(-1)
  })

  it('takes a base offset and a leader epoch without a new CRC', () => {
    const { bytes, at } = javaBatch('gzip')
    const records = Buffer.from(bytes.subarray(at + BATCH_HEADER_BYTES))
    for (const offset of [0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]) {
      setBaseOffset(bytes, at, offset)
      expect(bytes.readBigInt64BE(at)).toBe(BigInt(offset))
      expect(baseOffsetOf(bytes, at)).toBe(offset)
    }
    setLeaderEpoch(bytes, at, 2147483647)
    expect(leaderEpochOf(bytes, at)).toBe(2147483647)
    expect(crcOf(bytes, at)).toBe(computeCrc(bytes, at))
    expect(bytes.subarray(at + BATCH_HEADER_BYTES)).toEqual(records)
  })

  it('gets a new CRC with a new max timestamp', () => {
    const { bytes, at } = javaBatch('gzip')
    for (const maxTimestampMs of [-1, 0, -5_000_000_000, timeMs]) {
      const before = crcOf(bytes, at)
      setMaxTimestamp(bytes, at, maxTimestampMs, attributesOf(bytes, at) | LOG_APPEND_TIME_BIT)
      expect(bytes.readBigInt64BE(at + 35)).toBe(BigInt(maxTimestampMs))
      expect(maxTimestampOf(bytes, at)).toBe(maxTimestampMs)
      expect(isLogAppendTime(attributesOf(bytes, at))).toBe(true)
      expect(crcOf(bytes, at)).not.toBe(before)
      expect(crcOf(bytes, at)).toBe(computeCrc(bytes, at))
    }
  })
})
