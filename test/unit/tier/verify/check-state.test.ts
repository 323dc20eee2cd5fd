import { expect, it } from 'vitest'
import { decodeState, encodeState } from '#core/checkpoint.ts'
import { Segments } from '#core/segments.ts'
import type { Partition } from '#core/state.ts'
import { TierLab } from '#test/support/tier-lab.ts'
import { checkState } from '#tier/verify/check-state.ts'

/** Offsets 0 to 20: two segments of five, and what is in the write-ahead log. */
async function partition(): Promise<{ partition: Partition; said: () => string[] }> {
  const tier = await TierLab.open()
  await tier.lab.topic('topic')
  for (let i = 0; i < 4; i++) {
    await tier.appendMany(tier.partition(), 5)
    if (i < 2) await tier.seal([tier.partition()])
  }
  const state = decodeState(encodeState(tier.log.state))
  const said = () => [...checkState(state)].map(({ message }) => message)
  return { partition: state.topics.get('topic')!.partitions[0]!, said }
}

it('a partition has a place for each of its offsets', async () => {
  const { partition: whole, said } = await partition()
  expect(said()).toEqual([])
  whole.logStart = 3
  expect(said()).toEqual([])
  whole.nextOffset++
  expect(said()).toEqual([expect.stringContaining('topic-0: what begins at offset 21 does not follow what ends at 20')])
})

it('a segment that is missing is a gap, wherever it is', async () => {
  const { partition: first, said } = await partition()
  const { segments } = first
  const dropped = segments.takeBefore(5)
  expect(dropped.length).toBe(1)
  expect(said()).toEqual([expect.stringContaining('begins at offset 5 does not follow what ends at 0')])
  first.logStart = 5
  expect(said()).toEqual([])
  segments.takeBefore(10)
  expect(said()).toEqual([expect.stringContaining('begins at offset 10 does not follow what ends at 5')])
})

it('segments and the write-ahead log follow each other', async () => {
  const { partition: torn, said } = await partition()
  const only = new Segments()
  only.add(torn.segments.at(0))
  Object.assign(torn, { segments: only })
  expect(said()).toEqual([expect.stringContaining('begins at offset 10 does not follow what ends at 5')])
})
