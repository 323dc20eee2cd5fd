import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from '#test/support/temporary.ts'
import { CACHE_MUTANTS } from './cache/cache-mutants.ts'
import { COORDINATION_MUTANTS } from './coordination/coordination-mutants.ts'
import { MUTANTS } from './mutants.ts'
import { mutate, runMutant } from './mutation.ts'
import { RECOVERY_MUTANTS } from './recovery/recovery-mutants.ts'
import { TIER_MUTANTS } from './tier-mutants.ts'

// Those that are found at once; all of them are in test/long/simulation.
const QUICK = [
  'answers come before the sync',
  'the state of producers is not restored',
  'a torn tail is not cut',
  'files go before it is committed that they are sealed',
  'a segment is committed before its object is in the store',
  'records are sealed twice',
  'what is left of an extent that is sealed in part begins where it began',
  'at the border the segment before it is read',
  'a late follower misses what is sealed',
  'a marker is written without a look at the epoch',
  'offsets of an aborted transaction count',
  'the last stable offset passes an open transaction',
  'a commit of an old generation is accepted',
  'blocks are not verified',
  'who leaves waits for the store',
  'an old owner goes on acknowledging',
]

const ALL = [...MUTANTS, ...TIER_MUTANTS, ...COORDINATION_MUTANTS, ...CACHE_MUTANTS, ...RECOVERY_MUTANTS]

describe('every bug', () => {
  it.each(ALL)('$name: is a change of the source as it stands', async mutant => {
    expect((await mutate(mutant)).size).toBeGreaterThan(0)
  })
})

describe('the simulation finds a broker in which', () => {
  it.each(ALL.filter(({ name }) => QUICK.includes(name)))('$name', async mutant => {
    const { foundBy, output } = await runMutant(mutant, await temporaryDirectory())
    expect(foundBy, output).toBeGreaterThan(0)
  })
})
