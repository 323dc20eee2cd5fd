import { CODEC_NAMES } from '#bytes/codecs.ts'
import { buildBatch } from '#records/build.ts'
import { BatchFacts, type BatchRules } from '#records/facts.ts'
import { inspectBatch } from '#records/validate.ts'
import { measure } from './kernel-bench.ts'

// What it costs to look at a batch before it is stored, an item being a record.

const nowMs = 1_800_000_000_000
const rules: BatchRules = {
  maxMessageBytes: 1_048_588,
  segmentBytes: 1 << 30,
  timestampType: 'CreateTime',
  timestampBeforeMaxMs: Number.POSITIVE_INFINITY,
  timestampAfterMaxMs: 3_600_000,
  compacted: false,
  compression: 'producer',
  compressionLevel: undefined,
  decompressLimitBytes: 16 << 20,
}
const context = { nowMs, produceVersion: 9 }
const facts = new BatchFacts()

for (const codec of CODEC_NAMES) {
  for (const [count, sizeBytes] of [
    [1, 256],
    [160, 100],
    [1000, 100],
    [1000, 1000],
  ] as const) {
    // biome-ignore format: a table
    const value = (i: number) => Buffer.from(`value ${i} `.repeat(sizeBytes).slice(0, sizeBytes))
    const records = Array.from({ length: count }, (_, i) => ({ timestampMs: nowMs + (i >> 6), value: value(i) }))
    const batch = buildBatch(records, { codec })
    if (inspectBatch(batch, 0, batch.length, rules, context, facts) === 'pending') continue
    measure(`${codec}, ${count} records of ${sizeBytes} B`, { items: count, bytes: count * sizeBytes }, () => {
      inspectBatch(batch, 0, batch.length, rules, context, facts)
    })
    if (facts.errorCode !== 0) throw new Error(facts.errorMessage ?? '')
  }
}
