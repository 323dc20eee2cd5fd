import { describe, expect, it } from 'vitest'
import { simulate, simulateTiers } from './simulate.ts'

// A sample; test/long/simulation runs thousands. CHRONIK_SIM_SEED runs one seed alone, and `node test/simulation/run.ts --seed N
// --trace` shows what happens in it.

const SAMPLE = 16
/** They found something once. */
const FOUND = [23, 72, 87, 176, 253, 428, 11883]

const { CHRONIK_SIM_SEED: only } = process.env
const seeds = only === undefined ? [...Array.from({ length: SAMPLE }, (_, i) => 1000 + i), ...FOUND] : [Number(only)]

describe('the log on a simulated machine', () => {
  it.each(seeds)('keeps its promises with seed %i, twice in the same way', async seed => {
    const { traceHash, counts } = await simulate(seed)
    expect(counts.restarts).toBeGreaterThan(1)
    expect((await simulate(seed)).traceHash).toBe(traceHash)
  })
})

const TIER_SAMPLE = 8
const tierSeeds = only === undefined ? Array.from({ length: TIER_SAMPLE }, (_, i) => 2000 + i) : [Number(only)]

describe('the log with segments on a simulated machine', () => {
  it.each(tierSeeds)('keeps its promises with seed %i, twice in the same way', async seed => {
    const { traceHash } = await simulateTiers(seed)
    expect((await simulateTiers(seed)).traceHash).toBe(traceHash)
  })
})
