import { expect, it } from 'vitest'
import { simulate } from '#test/simulation/simulate.ts'
import { scaled } from '#test/support/scale.ts'

const { CHRONIK_SIM_SEEDS: wanted = `${scaled(3000)}`, CHRONIK_SIM_FROM: first = '1' } = process.env
const PROGRESS_EVERY = 250

it(`keeps its promises with ${wanted} seeds from ${first} on`, { timeout: 3_600_000 }, async () => {
  const total = { accepted: 0, restarts: 0, undecided: 0, refused: 0, failures: 0 }
  const end = Number(first) + Number(wanted)
  for (let seed = Number(first); seed < end; seed++) {
    const { counts } = await simulate(seed)
    for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += counts[name]
    if (seed % PROGRESS_EVERY === 0) process.stderr.write(`seed ${seed} of ${end - 1}: ${JSON.stringify(total)}\n`)
  }
  // The faults that the runs are about have all happened.
  for (const [name, count] of Object.entries(total)) expect(count, name).toBeGreaterThan(0)
})
