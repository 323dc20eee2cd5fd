import { describe, expect, it } from 'vitest'
import { OWN_OBJECT, type Segment } from '#core/segments.ts'
import { TierLab } from '#test/support/tier-lab.ts'

const SEGMENT: Segment = {
  ...{ baseOffset: 0, nextOffset: 1, sizeBytes: 100, maxTimestampMs: 0, createdMs: 0 },
  ...{ place: 0, indexPlace: 100, indexBytes: 10, generation: 0, revision: 0, sharedAt: OWN_OBJECT, hash: 1 },
}

/** Is woken so often. */
class Counter {
  count = 0
  wake(): void {
    this.count++
  }
}

async function labWithTopic(partitionCount = 1): Promise<TierLab> {
  const lab = await TierLab.open({ walFileBytes: 1 << 16 })
  await lab.lab.topic('topic', partitionCount)
  return lab
}

const waitingOf = (lab: TierLab) =>
  [...lab.log.unsealed.all].map(({ partition, sizeBytes, sinceMs }) => ({ index: partition.index, sizeBytes, sinceMs }))

describe('what is not sealed yet', () => {
  it('is known by partition, with its bytes and since when, oldest first', async () => {
    const lab = await labWithTopic(3)
    await lab.lab.append(lab.partition('topic', 2), { sizeBytes: 100 })
    await lab.clock.runFor(1000)
    await lab.lab.append(lab.partition('topic', 0), { sizeBytes: 200 })
    await lab.lab.append(lab.partition('topic', 2), { sizeBytes: 300 })
    const [first, second] = waitingOf(lab)
    expect([first, second]).toMatchObject([
      { index: 2, sizeBytes: 400 },
      { index: 0, sizeBytes: 200 },
    ])
    expect(second!.sinceMs - first!.sinceMs).toBeGreaterThanOrEqual(1000)
    expect(lab.log.unsealed.sizeBytes).toBe(600)
  })

  it('waits since before the log start was moved', async () => {
    const lab = await labWithTopic(2)
    const partition = lab.partition()
    await lab.lab.append(partition, { sizeBytes: 100 })
    await lab.lab.append(partition, { sizeBytes: 150 })
    await lab.lab.append(lab.partition('topic', 1))
    const { sinceMs } = waitingOf(lab)[0]!
    await lab.clock.runFor(1000)
    await lab.lab.propose({ kind: 'log-start-moved', ordinal: partition.ordinal, offset: 1 })
    expect(waitingOf(lab)[0]).toEqual({ index: 0, sizeBytes: 250, sinceMs })
  })

  it('is what is behind the segments, as if it had come just now', async () => {
    const lab = await labWithTopic(2)
    const partition = lab.partition()
    await lab.lab.append(partition, { sizeBytes: 100 })
    await lab.lab.append(partition, { sizeBytes: 150 })
    await lab.lab.append(lab.partition('topic', 1))
    await lab.clock.runFor(1000)
    await lab.seal([partition], { maxBytes: 1 })
    const [other, left] = waitingOf(lab)
    expect([other!.index, left!.index, left!.sizeBytes]).toEqual([1, 0, 150])
    expect(left!.sinceMs - other!.sinceMs).toBeGreaterThanOrEqual(1000)
    await lab.seal([partition, lab.partition('topic', 1)])
    expect([waitingOf(lab), lab.log.unsealed.sizeBytes]).toEqual([[], 0])
  })

  it('waits since it came, though a segment was made of it that was not taken', async () => {
    const lab = await labWithTopic()
    const partition = lab.partition()
    await lab.lab.append(partition, { sizeBytes: 100 })
    const before = waitingOf(lab)
    await lab.clock.runFor(1000)
    const late = { ...SEGMENT, baseOffset: 5, nextOffset: 6 }
    const parts = [{ ordinal: partition.ordinal, segment: late }]
    expect(await lab.lab.propose({ kind: 'segments-committed', parts })).toBe('INVALID_UPDATE_VERSION')
    expect(waitingOf(lab)).toEqual(before)
  })

  it('is nothing of a topic that is deleted, or of what retention took', async () => {
    const lab = await labWithTopic()
    await lab.lab.append((await lab.lab.topic('other')).partitions[0]!)
    await lab.lab.append(lab.partition())
    await lab.lab.propose({ kind: 'topic-deleted', id: 'id-of-other' })
    expect(waitingOf(lab)).toMatchObject([{ index: 0, sizeBytes: 100 }])
    await lab.lab.propose({ kind: 'log-start-moved', ordinal: lab.partition().ordinal, offset: 1 })
    expect([waitingOf(lab), lab.log.unsealed.sizeBytes]).toEqual([[], 0])
  })

  it('is known again after a restart', async () => {
    const lab = await labWithTopic(2)
    await lab.lab.append(lab.partition(), { sizeBytes: 100 })
    await lab.lab.append(lab.partition('topic', 1), { sizeBytes: 200 })
    await lab.seal([lab.partition()])
    const again = await lab.crash()
    expect(waitingOf(again)).toMatchObject([{ index: 1, sizeBytes: 200 }])
  })

  it('is told of when it begins, when it is as much as was asked for, and when a file has ended', async () => {
    const lab = await labWithTopic()
    const counter = new Counter()
    lab.log.unsealed.watch(counter)
    await lab.lab.append(lab.partition(), { sizeBytes: 100 })
    expect(counter.count).toBe(1)
    const waiting = lab.log.unsealed.find(lab.partition().ordinal)!
    waiting.tellBytes = 1000
    await lab.appendMany(lab.partition(), 8, { sizeBytes: 100 })
    expect(counter.count).toBe(1)
    await lab.appendMany(lab.partition(), 4, { sizeBytes: 100 })
    expect(counter.count).toBe(2)
    await lab.appendMany(lab.partition(), 2, { sizeBytes: 50_000 })
    expect(counter.count).toBe(3)
  })
})
