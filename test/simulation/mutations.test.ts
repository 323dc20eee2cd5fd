import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from '#test/support/temporary.ts'
import { MUTANTS } from './mutants.ts'
import { runMutant } from './mutation.ts'

// Those that are found at once; all of them are in test/long/simulation.
const QUICK = ['answers come before the sync', 'the state of producers is not restored', 'a torn tail is not cut']

describe('the simulation finds a log in which', () => {
  it.each(MUTANTS.filter(({ name }) => QUICK.includes(name)))('$name', async mutant => {
    const { foundBy, output } = await runMutant(mutant, await temporaryDirectory())
    expect(foundBy, output).toBeGreaterThan(0)
  })
})
