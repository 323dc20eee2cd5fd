import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PiecePool } from '#bytes/piece-pool.ts'
import type { Partition } from '#core/state.ts'
import {
  attributesOf,
  baseOffsetOf,
  batchSizeBytesOf,
  isControl,
  isTransactional,
  producerIdOf,
} from '#records/batch.ts'
import { recordsOf } from '#records/read.ts'
import { buildBatch } from '#test/support/batch-builder.ts'
import { TierLab } from '#test/support/tier-lab.ts'
import { compactSegments } from '#tier/compact-segments.ts'
import { SLOT_BYTES } from '#tier/compaction/offset-map.kernel.ts'
import { planCompaction } from '#tier/compaction/plan.ts'
import { mergeSegments } from '#tier/merge-segments.ts'
import { segmentsOf } from '#tier/rewrite.ts'

// Passes of compaction over a partition in a store, of many small segments and with too little memory for all its keys, while its start
// moves and its segments are merged: whoever reads it knows the same of every key as if nothing had been compacted.

const PRODUCER = 1
const RULES = {
  compacts: true,
  minCleanableDirtyRatio: 0,
  minCompactionLagMs: 0,
  maxCompactionLagMs: Number.POSITIVE_INFINITY,
}

interface Written {
  readonly offset: number
  readonly key: string
  readonly value: string | null
}

const someRecord = fc.record({
  key: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g'),
  value: fc.option(fc.string({ maxLength: 30 }), { freq: 4, nil: null }),
})
const someStep = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      records: fc.array(someRecord, { minLength: 1, maxLength: 4 }),
      isTransactional: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('end' as const), isCommit: fc.boolean() }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('seal' as const) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('compact' as const),
      slots: fc.constantFrom(2, 4, 8, 100),
      segmentBytes: fc.constantFrom(100, 400, 100_000),
      deleteRetentionMs: fc.constantFrom(0, 60_000),
      /** The start of the partition moves meanwhile, so far through it. */
      movesTo: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { freq: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('delete' as const), to: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('merge' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
)
type Step = typeof someStep extends fc.Arbitrary<infer S> ? S : never

class Run {
  lab!: TierLab
  passes = 0
  readonly #committed: Written[] = []
  #open: Written[] = []
  #isOpen = false
  #sequence = 0

  async begin(): Promise<void> {
    this.lab = await TierLab.open({ walFileBytes: 1 << 20 })
    await this.lab.lab.topic('topic')
    const from = { fromProducerId: -1, fromEpoch: -1, isNamed: false }
    const claim = { transactionalId: 'copier', timeoutMs: 600_000, ...from, producerId: PRODUCER, epoch: 0 }
    await this.lab.lab.propose({ kind: 'transactional-id-claimed', ...claim })
  }

  get partition(): Partition {
    return this.lab.partition()
  }

  async do(step: Step): Promise<void> {
    const { lab, partition } = this
    if (step.kind === 'append') await this.#append(step)
    else if (step.kind === 'end') await this.#end(step.isCommit)
    else if (step.kind === 'seal') {
      if (partition.walStart < partition.lastStableOffset) await lab.seal([partition])
    } else if (step.kind === 'compact') await this.#compact(step)
    else if (step.kind === 'delete') await this.#move(step.to)
    else if (step.kind === 'merge') await this.#merge()
    else if (step.kind === 'wait') await lab.clock.runFor(60_000)
    else this.lab = await lab.closeAndOpen()
  }

  async #append({ records, isTransactional }: Extract<Step, { kind: 'append' }>): Promise<void> {
    const { lab } = this.lab
    const sequence = this.#sequence
    const producer = isTransactional ? { id: PRODUCER, epoch: 0, sequence, isTransactional } : undefined
    const sent = lab.batch(this.partition, {
      recordCount: records.length,
      timestampMs: 1000,
      ...(producer && { producer }),
    })
    const about = isTransactional
      ? { isTransactional, producerId: PRODUCER, producerEpoch: 0, baseSequence: sequence }
      : {}
    const bytes = buildBatch(records, { ...about, baseTimestampMs: 1000 })
    const entry = { ...sent.entry, sizeBytes: bytes.length, crc: bytes.readUInt32BE(17) }
    const { baseOffset } = await lab.clock.run(lab.send({ ...sent, bytes, entry }))
    if (isTransactional) {
      this.#sequence += records.length
      this.#isOpen = true
    }
    const into = isTransactional ? this.#open : this.#committed
    into.push(...records.map((record, i) => ({ ...record, offset: baseOffset + i })))
  }

  async #end(isCommit: boolean): Promise<void> {
    if (!this.#isOpen) return
    await this.lab.lab.endTransaction('copier', isCommit)
    if (isCommit) this.#committed.push(...this.#open)
    this.#open = []
    this.#isOpen = false
  }

  #offsetAt(share: number): number {
    const { logStart, nextOffset } = this.partition
    return logStart + Math.floor((nextOffset - logStart) * share * 0.5)
  }

  #move(share: number): Promise<unknown> {
    const { ordinal } = this.partition
    return this.lab.lab.propose({ kind: 'log-start-moved', ordinal, offset: this.#offsetAt(share) })
  }

  async #compact(step: Extract<Step, { kind: 'compact' }>): Promise<void> {
    const { lab, partition } = this
    const { cleanedTo, cleanHorizonMs: lastHorizonMs, lastStableOffset } = partition
    const compactable = { segments: segmentsOf(partition), cleanedTo, lastStableOffset, lastHorizonMs }
    const plan = planCompaction(compactable, RULES, lab.clock.nowMs())
    if (plan === null) return
    this.passes++
    const { log, store, clock } = lab
    const options = {
      deleteRetentionMs: step.deleteRetentionMs,
      segmentBytes: step.segmentBytes,
      mapBytes: step.slots * SLOT_BYTES,
      secret: Buffer.alloc(16, 7),
    }
    const rewriting = { log, store, pieces: new PiecePool(0) }
    const pass = compactSegments(rewriting, { partition, plan }, options, new AbortController().signal)
    const { ordinal } = partition
    const moved =
      step.movesTo === null
        ? null
        : log.propose({ kind: 'log-start-moved', ordinal, offset: this.#offsetAt(step.movesTo) })
    const [result] = await clock.run(Promise.all([pass, moved]))
    if (step.movesTo === null) {
      expect(result.isDone).toBe(true)
      expect(partition.cleanedTo).toBeGreaterThanOrEqual(Math.min(plan.to, cleanedTo + 1))
    }
  }

  async #merge(): Promise<void> {
    const { log, store, clock } = this.lab
    const { partition } = this
    const { segments } = partition
    if (segments.length < 2) return
    const [first, last] = [segments.at(0), segments.at(Math.min(3, segments.length - 1))]
    const run = {
      partition,
      baseOffset: first.baseOffset,
      nextOffset: last.nextOffset,
      sizeBytes: segments.sizeBytes(),
    }
    const rewriting = { log, store, pieces: new PiecePool(0) }
    const merging = mergeSegments(rewriting, { runs: [run], sharedAt: -1 }, new AbortController().signal)
    expect(await clock.run(merging)).toBe(1)
  }

  /** What a reader of committed records gets. */
  async read(): Promise<Written[]> {
    const { partition } = this
    const bytes = await this.lab.readAll(partition)
    const read: Written[] = []
    for (let at = 0; at < bytes.length; at += batchSizeBytesOf(bytes, at)) {
      if (isControl(attributesOf(bytes, at)) || this.#isHidden(bytes, at)) continue
      for (const { offset, key, value } of recordsOf(bytes, at, 1 << 20)) {
        if (offset >= partition.logStart && offset < partition.lastStableOffset) {
          read.push({ offset, key: String(key), value: value === null ? null : String(value) })
        }
      }
    }
    return read
  }

  /** Where transactions were aborted, after compaction came, of which the index of the segment knows nothing. */
  async unindexed(): Promise<number[]> {
    const { lab, partition } = this
    const { cleanedTo, aborted } = partition
    const missing: number[] = []
    for (const segment of segmentsOf(partition).filter(({ nextOffset }) => nextOffset > cleanedTo)) {
      const { baseOffset, nextOffset } = segment
      const wanted = aborted?.between(Math.max(baseOffset, cleanedTo), nextOffset) ?? []
      const known = (await lab.clock.run(lab.log.segments.index(segment))).aborted().between(baseOffset, nextOffset)
      const markers = new Set(known.map(({ lastOffset }) => lastOffset))
      missing.push(...wanted.map(({ lastOffset }) => lastOffset).filter(marker => !markers.has(marker)))
    }
    return missing
  }

  #isHidden(bytes: Buffer, at: number): boolean {
    if (!isTransactional(attributesOf(bytes, at))) return false
    const offset = baseOffsetOf(bytes, at)
    const aborted = this.partition.aborted?.between(offset, offset + 1) ?? []
    return aborted.some(({ producerId }) => producerId === producerIdOf(bytes, at))
  }

  expected(): Map<string, string> {
    const { logStart, lastStableOffset } = this.partition
    const there = this.#committed.filter(({ offset }) => offset >= logStart && offset < lastStableOffset)
    return lastValues(there.sort((a, b) => a.offset - b.offset))
  }
}

function lastValues(records: readonly Written[]): Map<string, string> {
  const values = new Map<string, string>()
  for (const { key, value } of records) {
    if (value === null) values.delete(key)
    else values.set(key, value)
  }
  return values
}

describe('compaction of segments', () => {
  it('leaves what is known of every key, whatever else happens to them', async () => {
    let passes = 0
    await fc.assert(
      fc.asyncProperty(fc.array(someStep, { minLength: 20, maxLength: 60, size: 'max' }), async steps => {
        const run = new Run()
        await run.begin()
        for (const step of steps) {
          await run.do(step)
          if (step.kind === 'append' || step.kind === 'seal') continue
          const read = await run.read()
          expect(lastValues(read)).toEqual(run.expected())
          const offsets = read.map(({ offset }) => offset)
          expect(offsets).toEqual(offsets.toSorted((a, b) => a - b))
          const cleanKeys = read.filter(({ offset }) => offset < run.partition.cleanedTo).map(({ key }) => key)
          expect(cleanKeys).toEqual([...new Set(cleanKeys)])
          expect(await run.unindexed()).toEqual([])
        }
        passes += run.passes
      }),
      { numRuns: 20, endOnFailure: true },
    )
    expect(passes).toBeGreaterThan(20)
  }, 120_000)
})
