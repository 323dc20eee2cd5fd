import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { CODEC_NAMES, type CodecName } from '#bytes/codecs.ts'
import {
  attributesOf,
  batchSizeBytesOf,
  codecOf,
  computeCrc,
  crcOf,
  isLogAppendTime,
  maxTimestampOf,
  setBaseOffset,
  setMaxTimestamp,
} from '#records/batch.ts'
import { type BatchOptions, buildBatch, type RecordToWrite } from '#records/build.ts'
import {
  BatchFacts,
  type BatchRules,
  CORRUPT_MESSAGE,
  INVALID_RECORD,
  INVALID_TIMESTAMP,
  MESSAGE_TOO_LARGE,
  NO_ERROR,
  RECORD_LIST_TOO_LARGE,
  UNSUPPORTED_COMPRESSION_TYPE,
} from '#records/facts.ts'
import { recordsOf } from '#records/read.ts'
import { MAX_RECORD_ERRORS } from '#records/record-errors.ts'
import { inspectBatch, inspectLarge } from '#records/validate.ts'

const nowMs = 1_800_000_000_000
const HOUR_MS = 3_600_000
const defaults: BatchRules = {
  maxMessageBytes: 1_048_588,
  segmentBytes: 1 << 30,
  timestampType: 'CreateTime',
  timestampBeforeMaxMs: Number.POSITIVE_INFINITY,
  timestampAfterMaxMs: HOUR_MS,
  compacted: false,
  compression: 'producer',
  compressionLevel: undefined,
  decompressLimitBytes: 8 << 20,
}

interface Asked {
  rules?: Partial<BatchRules>
  produceVersion?: number
}

const nextTurn = () => new Promise<void>(resolve => void setImmediate(resolve))

/** The whole inspection, off thread if need be; (bytes, from, to) lies within other bytes. */
async function inspect(batch: Buffer, asked: Asked = {}): Promise<BatchFacts> {
  const bytes = Buffer.concat([Buffer.alloc(5, 0xff), batch, Buffer.alloc(5, 0xff)])
  const before = Buffer.from(bytes)
  const rules = { ...defaults, ...asked.rules }
  const context = { nowMs, produceVersion: asked.produceVersion ?? 9, nextTurn }
  const facts = new BatchFacts()
  const to = 5 + batch.length
  const done = inspectBatch(bytes, 5, to, rules, context, facts) === 'done'
  const answer = done ? facts : await inspectLarge(bytes, 5, to, rules, context, facts)
  expect(bytes).toEqual(before)
  return answer
}

const codeOf = async (batch: Buffer, asked?: Asked) => (await inspect(batch, asked)).errorCode

const records = (count = 2, timestampMs = nowMs): RecordToWrite[] =>
  Array.from({ length: count }, (_, i) => ({ timestampMs: timestampMs + i, value: Buffer.from(`v${i}`) }))

/** Changes bytes of a batch and gives it the right CRC for them. */
function changed(batch: Buffer, change: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.from(batch)
  change(bytes)
  bytes.writeUInt32BE(computeCrc(bytes, 0), 17)
  return bytes
}

describe('a batch in order', () => {
  it('is to be stored as it came, and its facts are those of its header', async () => {
    const options = { producerId: 5, producerEpoch: 1, baseSequence: 77, transactional: true, leaderEpoch: 0 }
    const batch = buildBatch(records(), options)
    expect(await inspect(batch)).toEqual({
      errorCode: NO_ERROR,
      errorMessage: null,
      recordErrors: null,
      replacement: null,
      sizeBytes: batch.length,
      crc: crcOf(batch, 0),
      attributes: 0x10,
      recordCount: 2,
      baseTimestampMs: nowMs,
      maxTimestampMs: nowMs + 1,
      producerId: 5,
      producerEpoch: 1,
      baseSequence: 77,
      logAppendTimeMs: -1,
    })
  })

  it.each(CODEC_NAMES)('is accepted as Java wrote it with %s', async codec => {
    const batch = readFileSync(`fixtures/records/java-${codec}.bin`)
    setBaseOffset(batch, 0, 0)
    expect(await inspect(batch)).toMatchObject({ errorCode: NO_ERROR, recordCount: 104, replacement: null })
  })

  it('may have any leader epoch, unused attributes and attributes of records', async () => {
    for (const leaderEpoch of [-1, 0, 5]) expect(await codeOf(buildBatch(records(), { leaderEpoch }))).toBe(NO_ERROR)
    const odd = changed(buildBatch(records()), bytes => {
      bytes.writeInt16BE(0x7f80, 21)
      bytes[62] = 99
    })
    expect(await inspect(odd)).toMatchObject({ errorCode: NO_ERROR, replacement: null, attributes: 0x7f80 })
  })

  it('leaves nothing of the one inspected before it in the facts', () => {
    const facts = new BatchFacts()
    const bad = Buffer.concat([buildBatch(records()), Buffer.alloc(1)])
    inspectBatch(bad, 0, bad.length, defaults, { nowMs, produceVersion: 9 }, facts)
    const late = buildBatch(records(2, nowMs + 2 * HOUR_MS))
    inspectBatch(late, 0, late.length, defaults, { nowMs, produceVersion: 9 }, facts)
    expect(facts.recordErrors).toHaveLength(2)
    const wrong = buildBatch(records())
    const lat = { ...defaults, timestampType: 'LogAppendTime' as const }
    inspectBatch(wrong, 0, wrong.length, lat, { nowMs, produceVersion: 9 }, facts)
    expect(facts.replacement).not.toBe(null)
    inspectBatch(wrong, 0, wrong.length, defaults, { nowMs, produceVersion: 9 }, facts)
    const fresh = new BatchFacts()
    inspectBatch(wrong, 0, wrong.length, defaults, { nowMs, produceVersion: 9 }, fresh)
    expect(facts).toEqual(fresh)
  })
})

describe('a records field', () => {
  const batch = buildBatch(records())

  it('without a whole batch, with more than one or with an old one is an invalid record', async () => {
    const fields = [Buffer.alloc(0), batch.subarray(0, 10), batch.subarray(0, 16), batch.subarray(0, batch.length - 1)]
    fields.push(Buffer.concat([batch, batch]), Buffer.concat([batch, Buffer.alloc(1)]))
    for (const field of fields) expect(await codeOf(field), `${field.length} bytes`).toBe(INVALID_RECORD)
    expect((await inspect(Buffer.concat([batch, batch]))).errorMessage).toContain('exactly one record batch')
    for (const magic of [0, 1]) {
      const old = Buffer.from(batch)
      old[16] = magic
      expect(await codeOf(old)).toBe(INVALID_RECORD)
    }
  })

  it('that cannot be a batch is corrupt', async () => {
    const of = (change: (bytes: Buffer) => void) => {
      const bytes = Buffer.from(batch)
      change(bytes)
      return bytes
    }
    expect(await codeOf(of(bytes => bytes.writeInt32BE(13, 8)))).toBe(CORRUPT_MESSAGE)
    expect(await codeOf(of(bytes => bytes.writeInt32BE(-5, 8)))).toBe(CORRUPT_MESSAGE)
    expect(await codeOf(of(bytes => bytes.writeInt8(3, 16)))).toBe(CORRUPT_MESSAGE)
    expect(await codeOf(of(bytes => bytes.writeInt8(-1, 16)))).toBe(CORRUPT_MESSAGE)
    expect(await codeOf(of(bytes => bytes.writeInt32BE(40, 8)).subarray(0, 52))).toBe(CORRUPT_MESSAGE)
    const short = of(bytes => bytes.writeInt32BE(48, 8)).subarray(0, 60)
    short.writeUInt32BE(computeCrc(short, 0), 17)
    expect(await codeOf(short)).toBe(CORRUPT_MESSAGE)
    for (let at = 17; at < batch.length; at++) {
      expect(await codeOf(of(bytes => bytes.writeUInt8(bytes[at]! ^ 4, at))), `byte ${at}`).toBe(CORRUPT_MESSAGE)
    }
  })
})

describe('a header', () => {
  const batch = buildBatch(records())
  const refused = (change: (bytes: Buffer) => void) => codeOf(changed(batch, change))

  it('that contradicts itself or claims what is the broker’s is refused', async () => {
    expect(await codeOf(buildBatch(records(), { baseOffset: 1 }))).toBe(INVALID_RECORD)
    expect(await refused(bytes => bytes.writeInt32BE(-1, 23))).toBe(INVALID_RECORD)
    expect(await refused(bytes => bytes.writeInt32BE(2, 23))).toBe(INVALID_RECORD)
    expect(await refused(bytes => bytes.writeInt32BE(0, 57))).toBe(INVALID_RECORD)
    expect(await refused(bytes => bytes.writeInt32BE(-2147483648, 57))).toBe(INVALID_RECORD)
    expect(await codeOf(buildBatch(records(), { control: true }))).toBe(INVALID_RECORD)
    expect(await codeOf(buildBatch(records(), { producerId: 0, producerEpoch: 0 }))).toBe(INVALID_RECORD)
  })

  it('that claims the time of its appending is taken at its word, without the claim', async () => {
    const claiming = buildBatch(records(), { logAppendTimeMs: nowMs + 5 })
    const facts = await inspect(claiming)
    expect(facts).toMatchObject({ errorCode: NO_ERROR, maxTimestampMs: nowMs + 5 })
    expect(isLogAppendTime(facts.attributes)).toBe(false)
    expect(facts.replacement).not.toBeNull()
    const without = changed(claiming, bytes => bytes.writeBigInt64BE(-1n, 35))
    expect(await inspect(without)).toMatchObject({ errorCode: INVALID_TIMESTAMP, recordErrors: [{ index: 0 }] })
  })

  it('with numbers that cannot be held exactly is refused', async () => {
    expect(await refused(bytes => bytes.writeBigInt64BE(2n ** 62n + 1n, 27))).toBe(INVALID_TIMESTAMP)
    expect(await refused(bytes => bytes.writeBigInt64BE(-(2n ** 63n), 27))).toBe(INVALID_TIMESTAMP)
    expect(await refused(bytes => bytes.writeBigInt64BE(2n ** 53n, 43) && bytes.writeInt32BE(0, 53))).toBe(
      INVALID_RECORD,
    )
  })

  it('is judged in the order in which Kafka does', async () => {
    const big = { rules: { maxMessageBytes: 50 } }
    const wrongCrc = Buffer.from(batch)
    wrongCrc[20]! ^= 1
    expect(await codeOf(wrongCrc, big)).toBe(MESSAGE_TOO_LARGE)
    setBaseOffset(wrongCrc, 0, 1)
    expect(await codeOf(wrongCrc, big)).toBe(INVALID_RECORD)
    const badRecord = changed(buildBatch(records(), { control: true }), bytes => bytes.writeInt8(0, 64))
    expect((await inspect(badRecord)).errorMessage).toBe('Clients are not allowed to write control records')
  })
})

describe('the size of a batch', () => {
  const batch = buildBatch(records())

  it('may be all that is allowed and not a byte more', async () => {
    expect(await codeOf(batch, { rules: { maxMessageBytes: batch.length } })).toBe(NO_ERROR)
    expect(await codeOf(batch, { rules: { maxMessageBytes: batch.length - 1 } })).toBe(MESSAGE_TOO_LARGE)
    expect(await codeOf(batch, { rules: { segmentBytes: batch.length } })).toBe(NO_ERROR)
    expect(await codeOf(batch, { rules: { segmentBytes: batch.length - 1 } })).toBe(RECORD_LIST_TOO_LARGE)
  })

  it('counts as it is stored', async () => {
    const packed = buildBatch([{ timestampMs: nowMs, value: Buffer.alloc(5000) }], { codec: 'zstd' })
    const rules = { maxMessageBytes: 1000, compression: 'uncompressed' } as const
    expect(await codeOf(packed, { rules: { maxMessageBytes: 1000 } })).toBe(NO_ERROR)
    expect(await codeOf(packed, { rules })).toBe(MESSAGE_TOO_LARGE)
  })
})

describe('timestamps', () => {
  const wrongMax = (batch: Buffer) => {
    const bytes = Buffer.from(batch)
    setMaxTimestamp(bytes, 0, 77, attributesOf(bytes, 0))
    return bytes
  }

  it.each(CODEC_NAMES)('have their true maximum in the header that is stored (%s)', async codec => {
    const batch = buildBatch([{ timestampMs: 50 }, { timestampMs: 90 }, { timestampMs: 40 }], { codec })
    const facts = await inspect(wrongMax(batch))
    expect(facts).toMatchObject({
      errorCode: NO_ERROR,
      maxTimestampMs: 90,
      crc: crcOf(batch, 0),
      sizeBytes: batch.length,
    })
    expect(facts.replacement).toEqual(batch)
  })

  it('below none count as none, as in Kafka', async () => {
    expect(await inspect(buildBatch(records(2, -50)))).toMatchObject({ errorCode: NO_ERROR, maxTimestampMs: -1 })
  })

  it.each(CODEC_NAMES)('are that of the append where the topic has that (%s)', async codec => {
    const batch = buildBatch(records(3, 5), { codec })
    const facts = await inspect(batch, { rules: { timestampType: 'LogAppendTime', timestampBeforeMaxMs: 1 } })
    const stored = facts.replacement!
    expect(facts).toMatchObject({ errorCode: NO_ERROR, maxTimestampMs: nowMs, logAppendTimeMs: nowMs })
    expect(isLogAppendTime(facts.attributes)).toBe(true)
    expect([attributesOf(stored, 0), maxTimestampOf(stored, 0)]).toEqual([facts.attributes, nowMs])
    expect(crcOf(stored, 0)).toBe(computeCrc(stored, 0))
    expect(facts.crc).toBe(crcOf(stored, 0))
    expect(stored.subarray(43)).toEqual(batch.subarray(43))
  })

  it('out of range are refused record by record, in Kafka’s words', async () => {
    const rules = { timestampBeforeMaxMs: 1000, timestampAfterMaxMs: HOUR_MS }
    const times = [nowMs - 1001, nowMs - 1000, -1, nowMs + HOUR_MS, nowMs + HOUR_MS + 1]
    const batch = buildBatch(times.map(timestampMs => ({ timestampMs })))
    const range = `The timestamp should be within [${nowMs - 1000}, ${nowMs + HOUR_MS}]`
    expect(await inspect(batch, { rules })).toMatchObject({
      errorCode: INVALID_TIMESTAMP,
      errorMessage: 'One or more records have been rejected due to invalid timestamp',
      recordErrors: [
        { index: 0, message: `Timestamp ${nowMs - 1001} of message with offset 0 is out of range. ${range}` },
        { index: 4, message: `Timestamp ${nowMs + HOUR_MS + 1} of message with offset 4 is out of range. ${range}` },
      ],
    })
  })

  it('may be at both ends of the range', async () => {
    const rules = { timestampBeforeMaxMs: 1000, timestampAfterMaxMs: HOUR_MS }
    const ends = [nowMs - 1000, -1, nowMs + HOUR_MS].map(timestampMs => ({ timestampMs }))
    expect(await codeOf(buildBatch(ends), { rules })).toBe(NO_ERROR)
  })

  it('have a range without beginning by default', async () => {
    const facts = await inspect(buildBatch(records(1, nowMs + HOUR_MS + 1)))
    expect(facts.recordErrors![0]!.message).toContain('within [-9223370236854775807, 1800003600000]')
    expect(await codeOf(buildBatch(records(1, 0)))).toBe(NO_ERROR)
  })
})

describe('a compacted topic', () => {
  const rules = { compacted: true }

  it.each(CODEC_NAMES)('takes no record without a key (%s)', async codec => {
    const key = Buffer.from('k')
    const batch = buildBatch([{ key, timestampMs: nowMs }, { timestampMs: nowMs }, { key: Buffer.alloc(0), timestampMs: nowMs }], { codec }) // biome-ignore format: one line
    const message = 'Compacted topic cannot accept message without key'
    const facts = await inspect(batch, { rules })
    expect(facts).toMatchObject({ errorCode: INVALID_RECORD, recordErrors: [{ index: 1, message }] })
    expect(await codeOf(batch)).toBe(NO_ERROR)
  })

  it('calls it a timestamp error if there is one of these too', async () => {
    const batch = buildBatch([{ timestampMs: nowMs }, { key: Buffer.from('k'), timestampMs: nowMs + 2 * HOUR_MS }])
    const facts = await inspect(batch, { rules })
    expect(facts.errorCode).toBe(INVALID_TIMESTAMP)
    expect(facts.recordErrors!.map(error => error.index)).toEqual([0, 1])
  })

  it('names at most so many records in one answer', async () => {
    const facts = await inspect(buildBatch(records(MAX_RECORD_ERRORS + 5)), { rules })
    expect(facts.recordErrors).toHaveLength(MAX_RECORD_ERRORS)
    expect(facts.errorMessage).toContain(`${MAX_RECORD_ERRORS + 5} record errors in total`)
  })
})

describe('compression', () => {
  const body = (bytes: Buffer, at = 0) => Array.from(recordsOf(bytes, at, 8 << 20))
  const compressed = CODEC_NAMES.filter(codec => codec !== 'uncompressed')
  const many = (codec: CodecName, options: BatchOptions = {}) => {
    const values = Array.from({ length: 20_000 }, (_, i) => ({
      timestampMs: nowMs,
      value: Buffer.from(`value ${i * 7919}`),
    }))
    return buildBatch(values, { ...options, codec })
  }

  it('that does not exist, or not in that version, is refused', async () => {
    for (const codec of [5, 6, 7]) {
      const batch = changed(buildBatch(records()), bytes => bytes.writeInt16BE(codec, 21))
      expect(await codeOf(batch)).toBe(UNSUPPORTED_COMPRESSION_TYPE)
    }
    const zstd = buildBatch(records(), { codec: 'zstd' })
    expect(await codeOf(zstd, { produceVersion: 6 })).toBe(UNSUPPORTED_COMPRESSION_TYPE)
    expect(await codeOf(zstd, { produceVersion: 7 })).toBe(NO_ERROR)
    expect(await codeOf(buildBatch(records(), { codec: 'lz4' }), { produceVersion: 3 })).toBe(NO_ERROR)
  })

  it.each(compressed)('of garbage, or of less or more than the records, is refused (%s)', async codec => {
    const batch = buildBatch(records(), { codec })
    const garbage = changed(batch, bytes => bytes.fill(0x5a, 61))
    expect(await codeOf(garbage)).toBe(INVALID_RECORD)
    const counts = changed(batch, bytes => {
      bytes.writeInt32BE(0, 23)
      bytes.writeInt32BE(1, 57)
    })
    expect(await codeOf(counts)).toBe(INVALID_RECORD)
  })

  it.each(compressed)('of a large batch is undone off the calling thread (%s)', async codec => {
    const batch = many(codec)
    const facts = new BatchFacts()
    let turns = 0
    const context = { nowMs, produceVersion: 9, nextTurn: () => nextTurn().then(() => void turns++) }
    expect(inspectBatch(batch, 0, batch.length, defaults, context, facts)).toBe('pending')
    const pending = inspectLarge(batch, 0, batch.length, defaults, context, facts)
    // The caller may go on with both at once.
    Object.assign(facts, new BatchFacts())
    Object.assign(context, { nowMs: 0, produceVersion: 0 })
    expect(await pending).toMatchObject({
      errorCode: NO_ERROR,
      recordCount: 20_000,
      replacement: null,
      crc: crcOf(batch, 0),
    })
    expect(turns).toBe(1)
    expect(await codeOf(batch, { rules: { compacted: true } })).toBe(INVALID_RECORD)
    expect(await codeOf(changed(batch, bytes => bytes.fill(1, 2000)))).toBe(INVALID_RECORD)
  })

  it.each(compressed)('beyond what may come out of it is refused as too large (%s)', async codec => {
    for (const sizeBytes of [50_000, 400_000]) {
      const batch = buildBatch([{ timestampMs: nowMs, value: Buffer.alloc(sizeBytes) }], { codec })
      expect(await codeOf(batch, { rules: { decompressLimitBytes: sizeBytes } })).toBe(MESSAGE_TOO_LARGE)
      expect(await codeOf(batch, { rules: { decompressLimitBytes: sizeBytes + 100 } })).toBe(NO_ERROR)
    }
  })

  const pairs = CODEC_NAMES.flatMap(from => CODEC_NAMES.map(to => [from, to] as const))
  it.each(pairs)('is what the topic wants: %s to %s', async (from, to) => {
    for (const batch of [buildBatch(records(5), { codec: from, producerId: 3, baseSequence: 0 }), many(from)]) {
      const facts = await inspect(batch, { rules: { compression: to } })
      expect(facts.errorCode).toBe(NO_ERROR)
      if (from === to) {
        expect(facts.replacement).toBe(null)
        continue
      }
      const stored = facts.replacement!
      expect(codecOf(attributesOf(stored, 0))).toBe(CODEC_NAMES.indexOf(to))
      expect([batchSizeBytesOf(stored, 0), facts.sizeBytes]).toEqual([stored.length, stored.length])
      expect([crcOf(stored, 0), facts.crc]).toEqual([computeCrc(stored, 0), crcOf(stored, 0)])
      expect(stored.subarray(23, 61)).toEqual(batch.subarray(23, 61))
      expect(body(stored)).toEqual(body(batch))
    }
  })

  it('has the level of the topic', async () => {
    const at = async (compressionLevel: number) =>
      (await inspect(many('uncompressed'), { rules: { compression: 'zstd', compressionLevel } })).sizeBytes
    expect(await at(15)).toBeLessThan(await at(1))
  })
})
