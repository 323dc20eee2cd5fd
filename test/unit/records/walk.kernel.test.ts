import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BATCH_HEADER_BYTES, baseTimestampOf } from '#records/batch.ts'
import { buildBatch } from '#records/build.ts'
import {
  beginWalk,
  FAULT_HEADERS,
  FAULT_KEY,
  FAULT_LENGTH,
  FAULT_NONE,
  FAULT_OFFSET,
  FAULT_REST_OF_BATCH,
  FAULT_REST_OF_RECORD,
  FAULT_TIMESTAMP,
  FAULT_VALUE,
  Walk,
  walkOn,
  walkRecords,
} from '#records/walk.kernel.ts'

const baseMs = 1_700_000_000_000

interface Seen {
  isWhole: boolean
  max: bigint
  min: bigint | null
  firstNullKey: number
}

/** The plain twin: slices and numbers without limits, one step after the other; throws at the first fault. */
function walkPlainly(body: Buffer, count: number, base: bigint): Seen {
  const seen: Seen = { isWhole: false, max: -1n, min: null, firstNullKey: -1 }
  let rest = body
  const take = (length: number): Buffer => {
    if (length < 0 || length > rest.length) throw new Error('too short')
    const taken = rest.subarray(0, length)
    rest = rest.subarray(length)
    return taken
  }
  const number = (bits: bigint): bigint => {
    let raw = 0n
    for (let shift = 0n; shift < bits + 6n; shift += 7n) {
      const byte = take(1)[0]!
      raw |= BigInt(byte & 127) << shift
      if (byte > 127) continue
      if (raw >= 1n << bits) break
      return raw % 2n === 0n ? raw / 2n : -(raw + 1n) / 2n
    }
    throw new Error('too long')
  }
  const size = () => Number(number(32n))
  const optional = (): boolean => {
    if (rest[0] === 1) return take(1) === undefined
    take(size())
    return true
  }
  for (let index = 0; index < count; index++) {
    const record = take(size())
    const next = rest
    rest = record
    take(1)
    const delta = number(64n)
    if (delta >= 1n << 52n || delta < -(1n << 52n)) throw new Error('beyond all times')
    const timestamp = base + delta
    if (timestamp > seen.max) seen.max = timestamp
    if (timestamp !== -1n && (seen.min === null || timestamp < seen.min)) seen.min = timestamp
    if (number(32n) !== BigInt(index)) throw new Error('gap')
    if (!optional() && seen.firstNullKey < 0) seen.firstNullKey = index
    optional()
    const headers = size()
    if (headers < 0) throw new Error('fewer than none')
    for (let i = 0; i < headers; i++) {
      take(size())
      optional()
    }
    if (rest.length > 0) throw new Error('left over')
    rest = next
  }
  if (rest.length > 0) throw new Error('left over')
  seen.isWhole = true
  return seen
}

function compare(body: Buffer, count: number, base: number): void {
  const walk = new Walk()
  // Other bytes on both sides, so that a step outside is seen.
  const around = Buffer.concat([Buffer.alloc(3, 1), body, Buffer.alloc(9, 1)])
  walkRecords(around, 3, 3 + body.length, count, base, walk)
  const inPieces = new Walk()
  beginWalk(inPieces, 3)
  while (!walkOn(around, 3 + body.length, count, base, inPieces, Math.min(count, inPieces.index + 2)));
  expect(inPieces).toEqual(walk)
  let expected: Seen | null = null
  try {
    expected = walkPlainly(body, count, BigInt(base))
  } catch {
    expected = null
  }
  if (expected === null) {
    expect(walk.fault).not.toBe(FAULT_NONE)
    return
  }
  expect(walk).toMatchObject({
    fault: FAULT_NONE,
    faultIndex: -1,
    maxTimestampMs: Number(expected.max),
    minTimestampMs: expected.min === null ? Number.POSITIVE_INFINITY : Number(expected.min),
    firstNullKey: expected.firstNullKey,
  })
}

const someBytes = (maxLength: number) => fc.uint8Array({ maxLength })
const someRecord = fc.record({
  timestampMs: fc.oneof(fc.integer({ min: baseMs - 100_000, max: baseMs + 100_000 }), fc.constant(-1), fc.nat()),
  key: fc.option(fc.oneof(someBytes(3), someBytes(200)), { nil: null }),
  value: fc.option(
    fc.oneof(
      someBytes(3),
      fc.nat(20_000).map(length => new Uint8Array(length)),
    ),
  ),
  headers: fc.array(fc.record({ key: fc.string({ maxLength: 5 }), value: fc.option(someBytes(70)) }), { maxLength: 3 }),
})

describe('walkRecords', () => {
  it('agrees with its plain twin on whole batches', () => {
    fc.assert(
      fc.property(fc.array(someRecord, { minLength: 1, maxLength: 90 }), records => {
        const batch = buildBatch(records)
        compare(batch.subarray(BATCH_HEADER_BYTES), records.length, baseTimestampOf(batch, 0))
      }),
      { numRuns: 60 },
    )
  })

  it('agrees with its plain twin on damaged batches', () => {
    const change = fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 2, 127, 128, 255)))
    const damage = fc.record({
      changes: fc.array(change, { maxLength: 3 }),
      cut: fc.nat(3),
      count: fc.integer({ min: -1, max: 1 }),
    })
    const small = someRecord.filter(record => (record.value?.length ?? 0) < 300)
    fc.assert(
      fc.property(fc.array(small, { minLength: 1, maxLength: 4 }), damage, (records, { changes, cut, count }) => {
        const body = Buffer.from(buildBatch(records).subarray(BATCH_HEADER_BYTES))
        for (const [at, value] of changes) body[at % body.length] = value
        compare(body.subarray(0, body.length - cut), records.length + count, baseMs)
      }),
      { numRuns: 5000 },
    )
  })

  it('agrees with its plain twin where the offset delta gets another byte', () => {
    for (const count of [64, 65, 8192, 8193]) {
      const batch = buildBatch(Array.from({ length: count }, () => ({ timestampMs: baseMs })))
      compare(batch.subarray(BATCH_HEADER_BYTES), count, baseMs)
    }
  })

  it('names the first record at fault and what is wrong with it', () => {
    const good = [16, 0, 0, 0, 2, 97, 2, 98, 0]
    const bodies: [number, number[]][] = [
      [FAULT_LENGTH, [17, 0, 0, 2, 2, 97, 2, 98, 0]],
      [FAULT_LENGTH, [18, 0, 0, 2, 2, 97, 2, 98, 0]],
      [FAULT_LENGTH, [10, 0, 0, 2, 2, 97, 2, 98, 0]],
      [FAULT_LENGTH, [255, 255, 255, 255, 31, 97, 2, 98, 0]],
      [FAULT_TIMESTAMP, [16, 0, 255, 255, 255, 255, 255, 255, 255]],
      [FAULT_TIMESTAMP, [34, 0, 254, 255, 255, 255, 255, 255, 255, 255, 255, 1, 2, 2, 97, 2, 98, 0]],
      [FAULT_OFFSET, [16, 0, 0, 4, 2, 97, 2, 98, 0]],
      [FAULT_OFFSET, [16, 0, 0, 0, 2, 97, 2, 98, 0]],
      [FAULT_KEY, [16, 0, 0, 2, 3, 97, 2, 98, 0]],
      [FAULT_KEY, [16, 0, 0, 2, 8, 97, 2, 98, 0]],
      [FAULT_KEY, [14, 0, 0, 2, 131, 128, 0, 0]],
      [FAULT_VALUE, [16, 0, 0, 2, 2, 97, 3, 98, 0]],
      [FAULT_VALUE, [16, 0, 0, 2, 2, 97, 4, 98, 0]],
      [FAULT_HEADERS, [16, 0, 0, 2, 2, 97, 2, 98, 1]],
      [FAULT_HEADERS, [16, 0, 0, 2, 2, 97, 2, 98, 2]],
      [FAULT_HEADERS, [20, 0, 0, 2, 2, 97, 2, 98, 2, 1, 1]],
      [FAULT_REST_OF_RECORD, [18, 0, 0, 2, 2, 97, 2, 98, 0, 0]],
      [FAULT_REST_OF_BATCH, [16, 0, 0, 2, 2, 97, 2, 98, 0, 0]],
    ]
    const walk = new Walk()
    for (const [fault, second] of bodies) {
      const body = Buffer.from([...good, ...second])
      walkRecords(body, 0, body.length, 2, baseMs, walk)
      expect({ fault: walk.fault, at: walk.faultIndex }, second.join(' ')).toEqual({ fault, at: 1 })
    }
  })
})
