import { expect, it } from 'vitest'
import { TierLab } from '#test/support/tier-lab.ts'
import { copyWishOf } from '#tier/seal-plan.ts'

const LIMITS = { segmentBytes: 64 << 20, segmentMs: 60_000, tailMs: 1000 }

it('what is being sealed is not copied, unless it takes long or much more has gathered behind it', async () => {
  const lab = await TierLab.open()
  const partition = (await lab.lab.topic('topic')).partitions[0]!
  await lab.appendMany(partition, 5)
  const unsealed = lab.log.unsealed.find(partition.ordinal)!
  const from = (sizeBytes: number, sealingBytes: number, forMs: number) => {
    Object.assign(unsealed, { sizeBytes, sealingBytes, sealingSinceMs: 10_000 - forMs })
    return copyWishOf(unsealed, { nowMs: 10_000, limits: LIMITS }).from
  }
  expect(from(2 << 20, 1 << 20, 100)).toBe(5)
  expect(from(2 << 20, 1 << 20, 6000)).toBe(0)
  expect(from(4 << 20, 1 << 20, 100)).toBe(0)
})
