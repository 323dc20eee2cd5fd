import { describe, expect, it } from 'vitest'
import { simulateRecovery } from './recovery/simulate-recovery.ts'

// A sample; test/long/simulation runs thousands. CHRONIK_SIM_SEED runs one seed alone, and `node test/simulation/run.ts --of recovery
// --seed N --trace` shows what happens in it.

const SAMPLE = [1, 19]
/** They found something once. */
const FOUND = [2, 11, 105, 517, 682]

const { CHRONIK_SIM_SEED: only } = process.env

describe('machines that share a bucket', () => {
  it.each(only === undefined ? SAMPLE : [Number(only)])(
    'keep their promises with seed %i, twice in the same way',
    async seed => {
      const { traceHash } = await simulateRecovery(seed)
      expect((await simulateRecovery(seed)).traceHash).toBe(traceHash)
    },
  )

  it.each(only === undefined ? FOUND : [])('keep their promises with seed %i', async seed => {
    expect((await simulateRecovery(seed)).counts.starts).toBeGreaterThan(1)
  })
})
