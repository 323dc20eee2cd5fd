import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { batchSizeBytesOf } from '#records/batch.ts'
import { PRODUCERS, START_MS, someEvent, WrittenLog } from '#test/support/compaction-log.ts'
import {
  compactPlainly,
  lastValues,
  type PlainPass,
  plainBatches,
  withoutTransactions,
} from '#test/support/compaction-model.ts'
import { buildOffsetMap } from '#tier/compaction/build-offset-map.ts'
import { Cleaner } from '#tier/compaction/clean.ts'
import { OffsetMap, SLOT_BYTES } from '#tier/compaction/offset-map.kernel.ts'

// Logs at random with transactions, tombstones and records without keys, in every codec, compacted several times while they grow:
// after each pass the bytes say what the plain rules say.

const DAY_MS = 86_400_000

const someRound = fc.record({
  events: fc.array(someEvent, { maxLength: 14 }),
  endsAll: fc.boolean(),
  passesMs: fc.constantFrom(1000, 20 * 60_000, DAY_MS, 3 * DAY_MS),
  deleteRetentionMs: fc.constantFrom(0, 3_600_000, DAY_MS),
  slots: fc.oneof(fc.constant(200), fc.integer({ min: 2, max: 9 })),
  /** Its producer state expired. */
  forgets: fc.option(fc.nat(PRODUCERS - 1), { freq: 4 }),
  batchesInChunk: fc.integer({ min: 1, max: 5 }),
  seed: fc.nat(),
})

function chunksOf(batches: readonly Buffer[], batchesInChunk: number): Buffer[] {
  const chunks: Buffer[] = []
  for (let i = 0; i < batches.length; i += batchesInChunk)
    chunks.push(Buffer.concat(batches.slice(i, i + batchesInChunk)))
  return chunks
}

async function* lazily<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
}

function splitBatches(bytes: Buffer): Buffer[] {
  const batches: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + batchSizeBytesOf(bytes, at)
    batches.push(bytes.subarray(at, end))
    at = end
  }
  return batches
}

async function compact(log: WrittenLog, pass: PlainPass & { batchesInChunk: number; slots: number; seed: number }) {
  const { from, to, batchesInChunk, slots, seed } = pass
  const secret = createHash('md5').update(`${seed}`).digest()
  const map = new OffsetMap(slots * SLOT_BYTES, secret)
  const inRange = log.bytes.filter((_, i) => log.batches[i]!.lastOffset >= from && log.batches[i]!.baseOffset < to)
  const common = { map, to, aborted: log.aborted, decompressLimitBytes: 1 << 24, nextTurn: async () => {} }
  const mapTo = await buildOffsetMap(lazily(chunksOf(inRange, batchesInChunk)), { ...common, from })
  const cleaner = new Cleaner({ ...common, ...pass, map, mapTo })
  const before = log.bytes.filter((_, i) => log.batches[i]!.baseOffset < mapTo)
  const pieces: Buffer[] = []
  for (const chunk of chunksOf(before, batchesInChunk)) pieces.push(...(await cleaner.clean(chunk)))
  return { mapTo, cleaner, bytes: [...splitBatches(Buffer.concat(pieces)), ...log.bytes.slice(before.length)] }
}

describe('compaction', () => {
  it('leaves what the plain rules leave, pass after pass', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(someRound, { minLength: 1, maxLength: 4 }), async rounds => {
        const log = new WrittenLog()
        let [from, nowMs] = [0, START_MS]
        for (const round of rounds) {
          for (const event of round.events) log.write(event)
          if (round.endsAll) log.endAll()
          if (round.forgets !== null) log.producers.delete(round.forgets)
          nowMs += round.passesMs
          // Whole batches: those that begin before the first open transaction.
          const to = Math.max(from, log.lastStableOffset)
          const capacity = Math.floor(round.slots * 0.75)
          const pass = {
            from,
            to,
            capacity,
            nowMs,
            deleteRetentionMs: round.deleteRetentionMs,
            producers: log.producers,
          }
          const expected = compactPlainly(log.batches, pass)
          const { mapTo, cleaner, bytes } = await compact(log, { ...pass, ...round })
          expect(mapTo).toBe(expected.mapTo)
          expect(plainBatches(Buffer.concat(bytes))).toEqual(withoutTransactions(expected.batches))
          expect(cleaner.totals.lastHorizonMs).toBe(expected.lastHorizonMs)
          expect(lastValues(expected.batches)).toEqual(lastValues(log.batches))
          log.bytes = bytes
          log.batches = expected.batches
          from = mapTo
        }
      }),
      { numRuns: 400 },
    )
  })
})
