import { expect, it } from 'vitest'
import { simulateRecovery } from '#test/simulation/recovery/simulate-recovery.ts'
import { scaled } from '#test/support/scale.ts'

const { CHRONIK_SIM_SEEDS: wanted = `${scaled(1000)}`, CHRONIK_SIM_FROM: first = '1' } = process.env
const PROGRESS_EVERY = 50

it(`a bucket gives back what was acknowledged with ${wanted} seeds from ${first} on`, {
  timeout: 3_600_000,
}, async () => {
  const total = { acked: 0, sealed: 0, takeovers: 0, fenced: 0, refusedOld: 0, moments: 0, commits: 0, undecided: 0 }
  const end = Number(first) + Number(wanted)
  for (let seed = Number(first); seed < end; seed++) {
    const { counts } = await simulateRecovery(seed)
    for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += counts[name] ?? 0
    if (seed % PROGRESS_EVERY === 0) process.stderr.write(`seed ${seed} of ${end - 1}: ${JSON.stringify(total)}\n`)
  }
  // What the runs are about has all happened.
  for (const [name, count] of Object.entries(total)) expect(count, name).toBeGreaterThan(0)
})
