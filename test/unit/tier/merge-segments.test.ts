import { describe, expect, it } from 'vitest'
import { PiecePool } from '#bytes/piece-pool.ts'
import { OWN_OBJECT } from '#core/segments.ts'
import type { Partition } from '#core/state.ts'
import { storedSegment } from '#segments/segment-names.ts'
import { TierLab } from '#test/support/tier-lab.ts'
import { compactSegments } from '#tier/compact-segments.ts'
import { planCompaction } from '#tier/compaction/plan.ts'
import { type MergePlan, planMerge } from '#tier/merge-plan.ts'
import { mergeSegments } from '#tier/merge-segments.ts'
import { segmentsOf } from '#tier/rewrite.ts'

const MAX_BYTES = 64 << 20

/** A partition with so many segments of a record each. */
async function sealed(lab: TierLab, topic: string, count: number): Promise<Partition> {
  const partition = (await lab.lab.topic(topic)).partitions[0]!
  for (let i = 0; i < count; i++) {
    await lab.lab.append(partition, { sizeBytes: 300 })
    await lab.seal([partition])
  }
  return partition
}

function merge(lab: TierLab, runs: readonly MergePlan[]): Promise<number> {
  const { log, store, clock } = lab
  const sharedAt = runs.length === 1 ? OWN_OBJECT : log.commits.position
  const rewriting = { log, store, pieces: new PiecePool(0) }
  return clock.run(mergeSegments(rewriting, { runs, sharedAt }, new AbortController().signal))
}

const planOf = (partition: Partition) => planMerge(partition, MAX_BYTES)!

/** Segments with an aborted transaction each, all of them compacted but their markers. */
async function compactedAborts(lab: TierLab, count: number): Promise<Partition> {
  const partition = (await lab.lab.topic('topic')).partitions[0]!
  const from = { fromProducerId: -1, fromEpoch: -1, isNamed: false }
  const claim = { transactionalId: 'copier', timeoutMs: 600_000, ...from, producerId: 1, epoch: 0 }
  await lab.lab.propose({ kind: 'transactional-id-claimed', ...claim })
  for (let sequence = 0; sequence < count; sequence++) {
    await lab.lab.append(partition, { producer: { id: 1, epoch: 0, sequence, isTransactional: true } })
    await lab.lab.endTransaction('copier', false)
    await lab.seal([partition])
  }
  const { log, store, clock } = lab
  const { cleanedTo, lastStableOffset, cleanHorizonMs: lastHorizonMs } = partition
  const compactable = { segments: segmentsOf(partition), cleanedTo, lastStableOffset, lastHorizonMs }
  const rules = { compacts: true, minCleanableDirtyRatio: 0, minCompactionLagMs: 0, maxCompactionLagMs: Infinity }
  const plan = planCompaction(compactable, rules, clock.nowMs())!
  const options = { deleteRetentionMs: 60_000, segmentBytes: 1, mapBytes: 1 << 20, secret: Buffer.alloc(16) }
  const rewriting = { log, store, pieces: new PiecePool(0) }
  await clock.run(compactSegments(rewriting, { partition, plan }, options, new AbortController().signal))
  return partition
}

/** The producers and the markers of those that the indexes of the segments know of. */
async function abortedIn(lab: TierLab, partition: Partition): Promise<number[][]> {
  const found: number[][] = []
  for (let i = 0; i < partition.segments.length; i++) {
    const index = await lab.clock.run(lab.log.segments.index(storedSegment(partition, partition.segments.at(i))))
    const rows = index.aborted().between(0, partition.nextOffset)
    found.push(...rows.map(({ producerId, lastOffset }) => [producerId, lastOffset]))
  }
  return found
}

async function objects(lab: TierLab): Promise<string[]> {
  const keys: string[] = []
  const list = async () => {
    for await (const { key } of lab.store.list('segments/', '', new AbortController().signal)) keys.push(key)
  }
  await lab.clock.run(list())
  return keys
}

describe('segments that are merged', () => {
  it('are one, of several partitions in one object, and every batch is what it was', async () => {
    const lab = await TierLab.open()
    const partitions = [await sealed(lab, 'first', 9), await sealed(lab, 'second', 12)]
    const before = [await lab.readAll(partitions[0]!), await lab.readAll(partitions[1]!)]
    expect(await merge(lab, partitions.map(planOf))).toBe(2)
    expect(partitions.map(({ segments }) => segments.length)).toEqual([1, 1])
    expect([await lab.readAll(partitions[0]!), await lab.readAll(partitions[1]!)]).toEqual(before)
    expect([...lab.log.state.sharedSegments.values()]).toEqual([2])
  })

  it('have the aborted transactions of those that were compacted, which the state has forgotten', async () => {
    const lab = await TierLab.open()
    const partition = await compactedAborts(lab, 9)
    const before = await abortedIn(lab, partition)
    expect([partition.aborted, partition.segments.length, before.length]).toEqual([null, 9, 9])
    const run = {
      partition,
      baseOffset: 0,
      nextOffset: partition.nextOffset,
      sizeBytes: partition.segments.sizeBytes(),
    }
    expect(await merge(lab, [run])).toBe(1)
    expect(partition.segments.length).toBe(1)
    expect(await abortedIn(lab, partition)).toEqual(before)
  })

  it('are those that were planned, or none: retention may have taken some meanwhile', async () => {
    const lab = await TierLab.open()
    const partition = await sealed(lab, 'topic', 12)
    const plan = planOf(partition)
    await lab.lab.propose({ kind: 'log-start-moved', ordinal: partition.ordinal, offset: 4 })
    const before = await objects(lab)
    expect(await merge(lab, [plan])).toBe(0)
    expect(partition.segments.length).toBe(8)
    expect(await objects(lab)).toEqual(before)
    expect(await merge(lab, [planOf(partition)])).toBe(1)
  })

  it('are none of a topic that was deleted meanwhile, and those of others are merged', async () => {
    const lab = await TierLab.open()
    const partitions = [await sealed(lab, 'gone', 9), await sealed(lab, 'kept', 9)]
    const plans = partitions.map(planOf)
    await lab.lab.propose({ kind: 'topic-deleted', id: partitions[0]!.topic.id })
    expect(await merge(lab, plans)).toBe(1)
    expect(partitions[1]!.segments.length).toBe(1)
  })
})
