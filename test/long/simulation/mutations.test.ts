import { describe, expect, it } from 'vitest'
import { CACHE_MUTANTS } from '#test/simulation/cache/cache-mutants.ts'
import { COORDINATION_MUTANTS } from '#test/simulation/coordination/coordination-mutants.ts'
import { MUTANTS } from '#test/simulation/mutants.ts'
import { runMutant } from '#test/simulation/mutation.ts'
import { RECOVERY_MUTANTS } from '#test/simulation/recovery/recovery-mutants.ts'
import { TIER_MUTANTS } from '#test/simulation/tier-mutants.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'

describe('the simulation finds a broker in which', () => {
  it.each([...CACHE_MUTANTS, ...RECOVERY_MUTANTS, ...COORDINATION_MUTANTS, ...TIER_MUTANTS, ...MUTANTS])(
    '$name, within $seeds seeds',
    { timeout: 900_000 },
    async mutant => {
      const { foundBy, output } = await runMutant(mutant, await temporaryDirectory())
      expect(foundBy, output).toBeGreaterThan(0)
      process.stderr.write(`${mutant.name}: found by seed ${foundBy}\n`)
    },
  )
})
