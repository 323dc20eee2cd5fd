import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { CODEC_NAMES } from '#bytes/codecs.ts'
import { attributesOf, BATCH_HEADER_BYTES, batchSizeBytesOf, codecOf, computeCrc } from '#records/batch.ts'
import { buildBatch } from '#records/build.ts'
import * as facts from '#records/facts.ts'
import { recordsOf } from '#records/read.ts'
import { inspectBatch, inspectLarge } from '#records/validate.ts'

// The same batches, whole and damaged, through Kafka's validation and through ours; then Kafka reads what we would store.

const classpath = process.env.CHRONIK_KAFKA_CLASSPATH ?? ''
const BATCHES = 20_000
const SEED = 20261121
const LIMIT = 1 << 30
const nowMs = 1_800_000_000_000
const MAX_I64 = 9223372036854775807n

const NAMES: Record<number, string> = {
  [facts.NO_ERROR]: 'NONE',
  [facts.CORRUPT_MESSAGE]: 'CORRUPT_MESSAGE',
  [facts.INVALID_TIMESTAMP]: 'INVALID_TIMESTAMP',
  [facts.UNSUPPORTED_COMPRESSION_TYPE]: 'UNSUPPORTED_COMPRESSION_TYPE',
  [facts.INVALID_RECORD]: 'INVALID_RECORD',
}

// Where we refuse what Kafka stores: a batch that not every consumer can read, or not as its producer meant it.
const STRICTER = [
  /its offset does not follow/,
  /its key does not end within the record/,
  /its value does not end within the record/,
  /its headers do not end within the record/,
  /its length is not that of a record/,
  /is not a number of milliseconds below 2\^53/,
  /Producer should not set timestamp type/,
  /exactly one record batch/,
  /id beyond 2\^53/,
  /Compressed bytes cannot be read/,
]

interface Case {
  batch: Buffer
  rules: facts.BatchRules
  produceVersion: number
}

type Damage =
  | { kind: 'none' }
  | { kind: 'cut'; bytes: number }
  | { kind: 'more'; bytes: Uint8Array }
  | { kind: 'field'; field: number; value: bigint }
  | { kind: 'byte'; at: number; value: number; isUnderCrc: boolean }

// Place and size of every field but the CRC and the two that the broker writes.
const FIELDS = [[0, 8], [8, 4], [16, 1], [21, 2], [23, 4], [27, 8], [35, 8], [43, 8], [53, 4], [57, 4]] as const // biome-ignore format: a table

const someBytes = (maxLength: number) => fc.uint8Array({ maxLength })
const someField = fc.nat(FIELDS.length - 1)
const someDamage: fc.Arbitrary<Damage> = fc.oneof(
  fc.constant<Damage>({ kind: 'none' }),
  fc.record({ kind: fc.constant('cut' as const), bytes: fc.integer({ min: 1, max: 80 }) }),
  fc.record({ kind: fc.constant('more' as const), bytes: someBytes(20) }),
  fc.record({ kind: fc.constant('field' as const), field: someField, value: fc.bigInt({ min: -2n, max: 9n }) }),
  fc.record({
    kind: fc.constant('field' as const),
    field: someField,
    value: fc.bigInt({ min: -MAX_I64, max: MAX_I64 }),
  }),
  fc.record({ kind: fc.constant('byte' as const), at: fc.nat(), value: fc.nat(255), isUnderCrc: fc.constant(true) }),
  fc.record({ kind: fc.constant('byte' as const), at: fc.nat(40), value: fc.nat(255), isUnderCrc: fc.boolean() }),
)

const someRecords = fc.array(
  fc.record({
    timestampMs: fc.oneof(fc.integer({ min: nowMs - 2000, max: nowMs + 10 }), fc.constant(nowMs), fc.constant(-1)),
    key: fc.option(someBytes(10), { nil: null, freq: 8 }),
    value: fc.option(
      fc.oneof(
        someBytes(40),
        fc.nat(30_000).map(size => new Uint8Array(size)),
      ),
      { nil: null },
    ),
    headers: fc.array(fc.record({ key: fc.string({ maxLength: 4 }), value: fc.option(someBytes(9)) }), {
      maxLength: 2,
    }),
  }),
  { minLength: 1, maxLength: 5 },
)

const someCase: fc.Arbitrary<Case> = fc
  .record({
    records: someRecords,
    codec: fc.constantFrom(...CODEC_NAMES),
    producer: fc.constantFrom({}, { producerId: 4, producerEpoch: 0, baseSequence: 8 }),
    damage: someDamage,
    produceVersion: fc.constantFrom(3, 6, 7, 11, 13),
    rules: fc.record({
      maxMessageBytes: fc.constant(LIMIT),
      segmentBytes: fc.constant(LIMIT),
      timestampType: fc.constantFrom('CreateTime' as const, 'LogAppendTime' as const),
      timestampBeforeMaxMs: fc.constantFrom(1000, Number.POSITIVE_INFINITY),
      timestampAfterMaxMs: fc.constantFrom(5, 3_600_000),
      compacted: fc.boolean(),
      compression: fc.constantFrom('producer' as const, 'producer' as const, ...CODEC_NAMES),
      compressionLevel: fc.constant(undefined),
      decompressLimitBytes: fc.constant(LIMIT),
    }),
  })
  .map(({ records, codec, producer, damage, produceVersion, rules }) => {
    return { batch: damaged(buildBatch(records, { codec, ...producer }), damage), rules, produceVersion }
  })

function damaged(batch: Buffer, damage: Damage): Buffer {
  if (damage.kind === 'none') return batch
  if (damage.kind === 'cut') return batch.subarray(0, Math.max(0, batch.length - damage.bytes))
  if (damage.kind === 'more') return Buffer.concat([batch, damage.bytes])
  const bytes = Buffer.from(batch)
  if (damage.kind === 'field') {
    const [at, size] = FIELDS[damage.field]!
    const value = Buffer.alloc(8)
    value.writeBigInt64BE(damage.value)
    value.copy(bytes, at, 8 - size)
  } else bytes[BATCH_HEADER_BYTES + (damage.at % (bytes.length - BATCH_HEADER_BYTES))] = damage.value
  const isUnderCrc = damage.kind === 'field' || damage.isUnderCrc
  if (isUnderCrc && batchSizeBytesOf(bytes, 0) === bytes.length) bytes.writeUInt32BE(computeCrc(bytes, 0), 17)
  return bytes
}

async function inspect({ batch, rules, produceVersion }: Case): Promise<facts.BatchFacts> {
  const found = new facts.BatchFacts()
  const nextTurn = () => new Promise<void>(resolve => void setImmediate(resolve))
  const context = { nowMs, produceVersion, nextTurn }
  const state = inspectBatch(batch, 0, batch.length, rules, context, found)
  return state === 'done' ? found : inspectLarge(batch, 0, batch.length, rules, context, found)
}

/** Lines of "ERROR_NAME|message" or "NONE|max timestamp|stored bytes|records". */
function askKafka(cases: readonly Case[]): string[][] {
  const ms = (limit: number) => (limit === Number.POSITIVE_INFINITY ? MAX_I64 : limit)
  const lines = cases.map(({ batch, rules, produceVersion }) =>
    [
      produceVersion,
      rules.timestampType === 'LogAppendTime' ? 1 : 0,
      ms(rules.timestampBeforeMaxMs),
      ms(rules.timestampAfterMaxMs),
      rules.compacted ? 1 : 0,
      rules.compression,
      nowMs,
      batch.toString('hex'),
      '.',
    ].join(' '),
  )
  const program = new URL('./KafkaRecords.java', import.meta.url).pathname
  const java = spawnSync('java', ['-cp', classpath, program, 'validate'], {
    input: `${lines.join('\n')}\n`,
    encoding: 'utf8',
    maxBuffer: LIMIT,
  })
  const answers = java.stdout.trimEnd().split('\n')
  expect(answers, java.stderr.slice(0, 500)).toHaveLength(cases.length)
  return answers.map(answer => answer.split('|'))
}

/** As KafkaRecords.java describes them. */
function describeRecords(batch: Buffer): string {
  const hex = (bytes: Buffer | null) => bytes?.toString('hex') ?? 'null'
  let text = ''
  for (const { offset, timestampMs, key, value, headers } of recordsOf(batch, 0, LIMIT)) {
    const pairs = headers.map(header => `,${Buffer.from(header.key).toString('hex')}=${hex(header.value)}`)
    text += `${offset},${timestampMs},${hex(key)},${hex(value)}${pairs.join('')};`
  }
  return text
}

it.skipIf(classpath === '')('batches are judged as Kafka judges them (CHRONIK_KAFKA_CLASSPATH: its jars)', async () => {
  const cases = fc.sample(someCase, { seed: SEED, numRuns: BATCHES })
  const answers = askKafka(cases)
  const stored: Case[] = []
  let sameErrors = 0
  const expectedRecords: string[] = []
  for (const [i, asked] of cases.entries()) {
    const found = await inspect(asked)
    const [kafka, ...rest] = answers[i]!
    const ours = NAMES[found.errorCode]!
    const about = `${i}: Kafka ${kafka} ${rest[0]}, ours ${ours} ${found.errorMessage}; ${asked.batch.toString('hex', 0, 200)}`
    if (kafka === ours) {
      if (kafka !== 'NONE') {
        sameErrors++
        continue
      }
      const bytes = found.replacement ?? asked.batch
      expect(found.maxTimestampMs, about).toBe(Number(rest[0]))
      // Bytes are the same unless they are compressed anew: compressors and their wrappers differ.
      const isOfKafka = asked.rules.compression === 'producer' && (attributesOf(asked.batch, 0) & 0xff80) === 0
      if (isOfKafka) expect(withLeaderEpochOfKafka(bytes), about).toBe(rest[1])
      expect(codecOf(attributesOf(bytes, 0)), about).toBe(codecOf(attributesOf(Buffer.from(rest[1]!, 'hex'), 0)))
      stored.push({
        ...asked,
        batch: bytes,
        rules: { ...asked.rules, compression: 'producer', timestampType: 'CreateTime' },
      })
      expectedRecords.push(describeRecords(bytes))
    } else if (kafka === 'UNKNOWN_SERVER_ERROR') {
      // Kafka fails over bytes that it cannot read; they are the producer's fault. Times before 1970 and odd
      // producer ids it stores as we do, but cannot compress anew.
      if (!/Invalid negative/.test(rest[0]!)) expect(ours, about).not.toBe('NONE')
    } else {
      expect(
        STRICTER.some(reason => reason.test(found.errorMessage ?? '')),
        about,
      ).toBe(true)
    }
  }
  expect(Math.min(sameErrors, stored.length)).toBeGreaterThan(BATCHES / 5)
  for (const [i, [error, , , records]] of askKafka(stored).entries()) {
    // A batch with LogAppendTime cannot be produced again, but it can be read: its records are described all the same.
    if (error !== 'NONE') continue
    expect(records).toBe(expectedRecords[i])
  }
})

/** Kafka was told to write leader epoch 0. */
function withLeaderEpochOfKafka(bytes: Buffer): string {
  const copy = Buffer.from(bytes)
  copy.writeInt32BE(0, 12)
  return copy.toString('hex')
}
