import { expect, it } from 'vitest'
import { simulateCache } from '#test/simulation/cache/simulate-cache.ts'
import { scaled } from '#test/support/scale.ts'

const { CHRONIK_SIM_SEEDS: wanted = `${scaled(5000)}`, CHRONIK_SIM_FROM: first = '1' } = process.env
const PROGRESS_EVERY = 500

it(`the cache keeps its promises with ${wanted} seeds from ${first} on`, { timeout: 3_600_000 }, async () => {
  const total: Record<string, number> = {}
  const end = Number(first) + Number(wanted)
  for (let seed = Number(first); seed < end; seed++) {
    const { counts } = await simulateCache(seed)
    for (const [name, count] of Object.entries(counts)) total[name] = (total[name] ?? 0) + count
    if (seed % PROGRESS_EVERY === 0) process.stderr.write(`seed ${seed} of ${end - 1}: ${JSON.stringify(total)}\n`)
  }
  // What the runs are about has all happened.
  for (const [name, count] of Object.entries(total)) expect(count, name).toBeGreaterThan(0)
})
