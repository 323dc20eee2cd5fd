import { describe, expect, it } from 'vitest'
import { coordinate } from './coordination/coordinate.ts'

// A sample; test/long/simulation runs thousands. `node test/simulation/run.ts --of coordination --seed N --trace` shows one of them.

const SAMPLE = 12
/** They found something once. */
const FOUND = [32, 92, 274, 449, 501, 2113]

describe('groups and transactions on a simulated machine', () => {
  it.each([...FOUND, ...Array.from({ length: SAMPLE }, (_, i) => i + 1)])(
    'keep their promises with seed %i',
    async seed => {
      const { counts } = await coordinate(seed)
      expect(counts.restarts).toBeGreaterThan(0)
    },
  )

  it('go the same way with the same seed', async () => {
    expect(await coordinate(5)).toEqual(await coordinate(5))
  })
})
