import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PRODUCERS, START_MS, someEvent, WrittenLog } from '#test/support/compaction-log.ts'
import { compactPlainly, lastValues, plainBatches, withoutTransactions } from '#test/support/compaction-model.ts'
import { compactLog } from '#test/support/compaction-pass.ts'

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
          const { mapTo, cleaner, bytes } = await compactLog(log, { ...pass, ...round })
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
