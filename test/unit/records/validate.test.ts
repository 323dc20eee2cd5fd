import { describe, expect, it } from 'vitest'
import { setMaxTimestamp } from '#records/batch.ts'
import { buildBatch } from '#records/build.ts'
import { BatchFacts, type BatchRules, CORRUPT_MESSAGE, INVALID_RECORD, NO_ERROR } from '#records/facts.ts'
import { inspectBatch } from '#records/validate.ts'

const nowMs = 1_800_000_000_000
const rules: BatchRules = {
  maxMessageBytes: 1048588,
  segmentBytes: 1 << 30,
  timestampType: 'CreateTime',
  timestampBeforeMaxMs: Number.POSITIVE_INFINITY,
  timestampAfterMaxMs: 3_600_000,
  compacted: false,
  compression: 'producer',
  compressionLevel: undefined,
  decompressLimitBytes: 1 << 20,
}

function inspect(bytes: Buffer): BatchFacts {
  const facts = new BatchFacts()
  inspectBatch(bytes, 0, bytes.length, rules, { nowMs, produceVersion: 9 }, facts)
  return facts
}

const twoRecords = () =>
  buildBatch([
    { timestampMs: nowMs, value: Buffer.from('v0') },
    { timestampMs: nowMs + 1, value: Buffer.from('v1') },
  ])

describe('inspectBatch', () => {
  it('accepts a batch as it came', () => {
    const facts = inspect(twoRecords())
    expect(facts.errorMessage).toBe(null)
    expect(facts).toMatchObject({ errorCode: NO_ERROR, recordCount: 2, maxTimestampMs: nowMs + 1, replacement: null })
  })

  it('refuses a batch with a byte changed on its way', () => {
    const bytes = twoRecords()
    bytes[65]! ^= 1
    expect(inspect(bytes).errorCode).toBe(CORRUPT_MESSAGE)
  })

  it('refuses garbage under a valid CRC', () => {
    const bytes = twoRecords()
    bytes[61 + 3] = 4
    setMaxTimestamp(bytes, 0, nowMs + 1, 0)
    expect(inspect(bytes).errorCode).toBe(INVALID_RECORD)
  })
})
