import { describe, expect, it } from 'vitest'
import { newBatchEntry } from '#core/produce-record.kernel.ts'
import type { Partition } from '#core/state.ts'
import { offsetForTimestamp, offsetOfMaxTimestamp, type TimedOffset } from '#log/find-by-timestamp.ts'
import { crcOf } from '#records/batch.ts'
import { buildBatch } from '#test/support/batch-builder.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { TierLab } from '#test/support/tier-lab.ts'

/** Index entries of a segment are 64 KiB apart. */
const STEP_BYTES = 65_536

async function labWithTopic(walFileBytes = 1 << 22): Promise<{ lab: TierLab; partition: Partition }> {
  const lab = await TierLab.open({ walFileBytes })
  await lab.lab.topic('topic')
  return { lab, partition: lab.partition() }
}

async function append(lab: TierLab, times: readonly number[], valueBytes = 0): Promise<void> {
  const value = Buffer.alloc(valueBytes)
  const records = times.map((timestampMs, i) => ({ timestampMs, value: i === 0 ? value : '' }))
  const bytes = buildBatch(records, { maxTimestampMs: Math.max(...times) })
  const { ordinal } = lab.partition()
  const entry = { ...newBatchEntry(), ordinal, crc: crcOf(bytes, 0), recordCount: times.length }
  const ofProducer = { producerId: -1, producerEpoch: -1, baseSequence: -1, attributes: 0 }
  const sent = { id: 0, ordinal, bytes, entry: { ...entry, maxTimestampMs: Math.max(...times), ...ofProducer } }
  await lab.clock.run(lab.lab.send(sent))
}

const find = (lab: TierLab, timestampMs: number) =>
  lab.clock.run(offsetForTimestamp(lab.log, lab.partition(), timestampMs))
const findNewest = (lab: TierLab) => lab.clock.run(offsetOfMaxTimestamp(lab.log, lab.partition()))

describe('the first record from a time on', () => {
  it('is found in a segment, in its batch', async () => {
    const { lab, partition } = await labWithTopic()
    await append(lab, [10, 20, 30])
    await append(lab, [40], STEP_BYTES)
    await append(lab, [50, 60])
    await lab.sealAll(partition)
    expect(await find(lab, 20)).toEqual({ offset: 1, timestampMs: 20 })
    expect(await find(lab, 55)).toEqual({ offset: 5, timestampMs: 60 })
    expect(await find(lab, 61)).toBeNull()
  })

  it('is behind a segment whose newest record is before the log start', async () => {
    const { lab, partition } = await labWithTopic()
    await append(lab, [900], STEP_BYTES)
    await append(lab, [10, 20], STEP_BYTES)
    await append(lab, [30, 40], STEP_BYTES)
    await lab.sealAll(partition)
    await append(lab, [100])
    await lab.lab.propose({ kind: 'log-start-moved', ordinal: partition.ordinal, offset: 2 })
    expect(await find(lab, 50)).toEqual({ offset: 5, timestampMs: 100 })
    expect(await find(lab, 500)).toBeNull()
  })

  it('is behind an extent that was cut', async () => {
    const { lab, partition } = await labWithTopic()
    await append(lab, [900])
    await append(lab, [10])
    await append(lab, [20])
    await lab.seal([partition], { maxBytes: 1 })
    expect(partition.extents.at(0)).toMatchObject({ baseOffset: 1, maxTimestampMs: 900 })
    await lab.lab.propose({ kind: 'log-start-moved', ordinal: partition.ordinal, offset: 1 })
    expect(await find(lab, 15)).toEqual({ offset: 2, timestampMs: 20 })
    expect(await find(lab, 500)).toBeNull()
    expect(await findNewest(lab)).toEqual({ offset: 2, timestampMs: 20 })
  })

  it('is found while what it is in is sealed', async () => {
    const first = await labWithTopic(4096)
    for (let i = 0; i < 60; i++) await append(first.lab, [i, 1000 + i], 100)
    let lab = first.lab
    for (let restarts = 0; restarts < 3; restarts++) lab = await lab.closeAndOpen()
    for (let delayMs = 0; delayMs < 4; delayMs += 0.1) {
      const copy = await lab.copy()
      const later = new Promise<void>(resolve => copy.clock.after(delayMs, resolve))
      const searching = later.then(() => offsetForTimestamp(copy.log, copy.partition(), 1059))
      const [found] = await copy.clock.run(Promise.all([searching, copy.sealing([copy.partition()])]))
      expect(found).toEqual({ offset: 119, timestampMs: 1059 })
    }
  })
})

describe('searches of random logs over segments', () => {
  it.each([1, 2, 3])('agree with a look at every record (seed %i)', async seed => {
    const prng = new Prng(seed)
    const { lab, partition } = await labWithTopic(1 << 18)
    const all: TimedOffset[] = []
    for (let batches = 0; batches < 60; batches++) {
      const times = Array.from({ length: prng.between(1, 6) }, () => prng.between(0, 300))
      for (const timestampMs of times) all.push({ offset: all.length, timestampMs })
      await append(lab, times, prng.pick([0, 1000, STEP_BYTES]))
      if (prng.chance(0.1)) await lab.seal([partition], { maxBytes: prng.pick([1, 100_000, 1 << 20]) })
    }
    expect(partition.segments.length).toBeGreaterThan(1)
    expect(partition.extents.length).toBeGreaterThan(0)
    for (let i = 0; i < 60; i++) {
      const left = all.filter(({ offset }) => offset >= partition.logStart)
      const timestampMs = prng.between(0, 310)
      expect(await find(lab, timestampMs)).toEqual(left.find(one => one.timestampMs >= timestampMs) ?? null)
      const newestMs = Math.max(...left.map(one => one.timestampMs))
      expect(await findNewest(lab)).toEqual(left.find(one => one.timestampMs === newestMs))
      const offset = partition.logStart + prng.between(0, 4)
      await lab.lab.propose({ kind: 'log-start-moved', ordinal: partition.ordinal, offset })
    }
  })
})
