import { describe, expect, it } from 'vitest'
import { simulateCache } from './cache/simulate-cache.ts'

// A sample; test/long/simulation runs thousands. `node test/simulation/run.ts --of cache --seed N --trace` shows one of them.

const SAMPLE = 40
/** They found something once. */
const FOUND = [13, 123, 322, 1361]

describe('the cache of an object store on a simulated machine', () => {
  it('gives no wrong bytes, passes no limit and asks for nothing twice, whatever happens', async () => {
    for (const seed of [...FOUND, ...Array.from({ length: SAMPLE }, (_, i) => i + 1)]) await simulateCache(seed)
  })

  it('goes the same way with the same seed', async () => {
    expect(await simulateCache(16)).toEqual(await simulateCache(16))
  })
})
