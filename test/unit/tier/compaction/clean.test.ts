import { describe, expect, it } from 'vitest'
import { CODEC_NAMES } from '#bytes/codecs.ts'
import { AbortedTransactions } from '#core/transactions.ts'
import {
  attributesOf,
  baseTimestampOf,
  computeCrc,
  hasDeleteHorizon,
  LOG_APPEND_TIME_BIT,
  maxTimestampOf,
  recordCountOf,
  setBaseOffset,
  setMaxTimestamp,
} from '#records/batch.ts'
import { buildBatch, buildEndMarker, type RecordToWrite } from '#records/build.ts'
import { recordsOf } from '#records/read.ts'
import { buildOffsetMap } from '#tier/compaction/build-offset-map.ts'
import { Cleaner, type CleaningOptions } from '#tier/compaction/clean.ts'
import { OffsetMap } from '#tier/compaction/offset-map.kernel.ts'

const nowMs = 1_700_000_000_000
const HOUR_MS = 3_600_000
const value = Buffer.from('value')

function batchOf(baseOffset: number, records: readonly RecordToWrite[], options = {}): Buffer {
  const batch = buildBatch(records, options)
  setBaseOffset(batch, 0, baseOffset)
  return batch
}

const recordOf = (key: string, some: Buffer | null = value, timestampMs = nowMs - HOUR_MS): RecordToWrite => {
  return { key: Buffer.from(key), value: some, timestampMs }
}

async function cleanerFor(batches: readonly Buffer[], changes: Partial<CleaningOptions> = {}): Promise<Cleaner> {
  const map = new OffsetMap(1 << 20, Buffer.from('sixteen of bytes'))
  const common = { map, to: 1_000_000, aborted: null, decompressLimitBytes: 1 << 24, nextTurn: async () => {} }
  const mapTo = await buildOffsetMap(batches, { ...common, ...changes, from: 0 })
  return new Cleaner({ ...common, mapTo, nowMs, deleteRetentionMs: HOUR_MS, producers: null, ...changes })
}

const keysOf = (batch: Buffer) => [...recordsOf(batch, 0, 1 << 24)].map(({ key }) => key?.toString())

describe('Cleaner', () => {
  it('hands on what loses nothing as the same bytes, neighbours together', async () => {
    const same = [batchOf(0, [recordOf('a')]), batchOf(1, [recordOf('b')]), batchOf(4, [recordOf('d'), recordOf('e')])]
    const loses = batchOf(2, [recordOf('c'), recordOf('d')])
    const chunk = Buffer.concat([same[0]!, same[1]!, loses, same[2]!])
    const cleaner = await cleanerFor([chunk])
    const pieces = await cleaner.clean(chunk)
    expect(pieces).toHaveLength(3)
    expect([pieces[0]!.buffer, pieces[2]!.buffer]).toEqual([chunk.buffer, chunk.buffer])
    expect(pieces[0]!.byteOffset).toBe(chunk.byteOffset)
    expect(pieces[0]!.equals(Buffer.concat(same.slice(0, 2)))).toBe(true)
    expect(pieces[2]!.equals(same[2]!)).toBe(true)
    expect(keysOf(pieces[1]!)).toEqual(['c'])
    const keptBytes = pieces.reduce((sum, { length }) => sum + length, 0)
    expect(cleaner.totals).toEqual({
      ...{ batches: 4, bytes: chunk.length, records: 6, keptBytes, keptRecords: 5 },
      ...{ changedBatches: 1, nullKeys: 0, lastHorizonMs: -1 },
    })
  })

  it('counts records without a key, and drops them', async () => {
    const batch = batchOf(0, [recordOf('a'), { value, timestampMs: nowMs }])
    const cleaner = await cleanerFor([batch])
    const [piece] = await cleaner.clean(batch)
    expect([keysOf(piece!), cleaner.totals.nullKeys]).toEqual([['a'], 1])
  })

  it.each(CODEC_NAMES)('filters batches of many records in turns, %s', async codec => {
    let turns = 0
    const nextTurn = async () => {
      turns++
    }
    const batch = batchOf(
      0,
      Array.from({ length: 30_000 }, (_, i) => recordOf(`${i % 20_000}`)),
      { codec },
    )
    const cleaner = await cleanerFor([batch], { nextTurn })
    turns = 0
    const [piece] = await cleaner.clean(batch)
    expect(turns).toBeGreaterThan(2)
    expect(keysOf(piece!)).toEqual(Array.from({ length: 20_000 }, (_, i) => `${(10_000 + i) % 20_000}`))
  })

  it('never lets tombstones go where they shall stay for ever', async () => {
    const batch = batchOf(0, [recordOf('a', null)])
    for (const deleteRetentionMs of [Number.POSITIVE_INFINITY, 2 ** 53]) {
      const cleaner = await cleanerFor([batch], { deleteRetentionMs })
      expect((await cleaner.clean(batch))[0]!.equals(batch)).toBe(true)
      expect(cleaner.totals.lastHorizonMs).toBe(-1)
    }
  })

  it('leaves times that cannot be told from a horizon as they are', async () => {
    const ancientMs = nowMs - 2 ** 52
    const ancient = batchOf(0, [recordOf('a', null, ancientMs), recordOf('b', null, ancientMs + 5), recordOf('a')])
    const cleaner = await cleanerFor([ancient])
    const [piece] = await cleaner.clean(ancient)
    expect(hasDeleteHorizon(attributesOf(piece!, 0))).toBe(false)
    const kept = [...recordsOf(piece!, 0, 1000)].map(({ timestampMs }) => timestampMs)
    expect(kept).toEqual([ancientMs + 5, nowMs - HOUR_MS])
  })

  it.each([
    ['horizon', null, nowMs + HOUR_MS],
    ['time of its appending', value, nowMs - 7],
  ])('tells times of records from the %s where all have that of their appending', async (_, last, baseTimestampMs) => {
    const records = [recordOf('a'), recordOf('b', last, nowMs + 9), recordOf('a', value, nowMs + 99)]
    const batch = batchOf(0, records, { logAppendTimeMs: nowMs - 7 })
    const [piece] = await (await cleanerFor([batch])).clean(batch)
    expect([baseTimestampOf(piece!, 0), maxTimestampOf(piece!, 0)]).toEqual([baseTimestampMs, nowMs - 7])
    setMaxTimestamp(piece!, 0, nowMs - 7, attributesOf(piece!, 0) & ~LOG_APPEND_TIME_BIT)
    const times = [...recordsOf(piece!, 0, 1000)].map(({ timestampMs }) => timestampMs)
    expect(times).toEqual([nowMs - 7, nowMs - 7])
  })

  it('reports the aborted transactions whose markers stay, once', async () => {
    const transactional = { producerId: 5, producerEpoch: 0, baseSequence: 0, transactional: true }
    const batch = batchOf(70_000, [recordOf('a')], transactional)
    const far = batchOf(200_000, [recordOf('b')], { ...transactional, baseSequence: 1 })
    const marker = buildEndMarker('abort', { producerId: 5, producerEpoch: 0, coordinatorEpoch: 0, timestampMs: nowMs })
    setBaseOffset(marker, 0, 300_000)
    const aborted = new AbortedTransactions()
    aborted.add({ producerId: 5, firstOffset: 1, lastOffset: 2, lastStableOffset: 3 })
    aborted.add({ producerId: 5, firstOffset: 70_000, lastOffset: 300_000, lastStableOffset: 300_001 })
    const chunk = Buffer.concat([batch, far, marker])
    const cleaner = await cleanerFor([chunk], { aborted })
    const pieces = await cleaner.clean(chunk)
    expect(Buffer.concat(pieces).equals(marker)).toBe(true)
    const retained = cleaner.transactions.takeRetained()
    expect(retained.map(({ firstOffset }) => firstOffset)).toEqual([70_000])
    expect(cleaner.transactions.takeRetained()).toEqual([])
  })

  it('knows an aborted transaction that begins beyond where it looked first', async () => {
    const of = (producerId: number) => ({ producerId, producerEpoch: 0, baseSequence: 0, transactional: true })
    const committed = batchOf(0, [recordOf('a')], of(1))
    const gone = batchOf(100_000, [recordOf('a')], of(2))
    const aborted = new AbortedTransactions()
    aborted.add({ producerId: 2, firstOffset: 100_000, lastOffset: 100_001, lastStableOffset: 100_002 })
    const chunk = Buffer.concat([committed, gone])
    const pieces = await (await cleanerFor([chunk], { aborted })).clean(chunk)
    expect(Buffer.concat(pieces).equals(committed)).toBe(true)
  })

  it('keeps markers of a kind that it does not know', async () => {
    const key = Buffer.from([0, 0, 0, 9])
    const marker = batchOf(0, [{ key, value, timestampMs: nowMs }], { control: true, producerId: 5, producerEpoch: 0 })
    const pieces = await (await cleanerFor([marker])).clean(marker)
    expect(Buffer.concat(pieces).equals(marker)).toBe(true)
  })

  it('keeps the header of what a producer wrote last, also where its sequence numbers wrapped', async () => {
    const wraps = { producerId: 5, producerEpoch: 0, baseSequence: 2147483647 }
    const chunk = Buffer.concat([
      batchOf(0, [recordOf('a'), recordOf('b')], wraps),
      batchOf(2, [recordOf('a'), recordOf('b')]),
    ])
    const kept = { firstSequence: 2147483647, lastSequence: 0, baseOffset: 0, timestampMs: 0 }
    const producers = new Map([[5, { epoch: 0, lastAppendMs: 0, batches: [kept] }]])
    const [piece] = await (await cleanerFor([chunk], { producers })).clean(chunk)
    expect([piece!.length, recordCountOf(piece!, 0)]).toEqual([61, 0])
    const again = await (await cleanerFor([piece!], { producers })).clean(piece!)
    expect(again).toEqual([piece])
  })

  it('refuses what is damaged instead of making it right', async () => {
    const batch = batchOf(0, [recordOf('a'), recordOf('b')])
    const cleaner = await cleanerFor([batch])
    const flipped = Buffer.from(batch)
    flipped[80]! ^= 4
    await expect(cleaner.clean(flipped)).rejects.toMatchObject({ code: 'SEGMENT_DAMAGED', kind: 'corrupt' })
    for (const count of [1, 3, 100, -1]) {
      const wrong = Buffer.from(batch)
      wrong.writeInt32BE(count, 57)
      wrong.writeUInt32BE(computeCrc(wrong, 0), 17)
      await expect(cleaner.clean(wrong), `${count}`).rejects.toMatchObject({ code: 'SEGMENT_DAMAGED' })
    }
  })
})
