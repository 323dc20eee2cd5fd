import { parseArgs } from 'node:util'
import { simulateCache } from './cache/simulate-cache.ts'
import { coordinate } from './coordination/coordinate.ts'
import type { Mutant } from './mutants.ts'
import { simulateRecovery } from './recovery/simulate-recovery.ts'
import { simulate, simulateTiers } from './simulate.ts'

// node test/simulation/run.ts --seed 7 --trace      one run, line by line
// node test/simulation/run.ts --from 1 --count 500  many runs; ends with 1 at the first that fails
// node test/simulation/run.ts --of tiers ...            the log with segments in a store
// node test/simulation/run.ts --of coordination ...     groups and transactions, through the whole broker, instead of the log
// node test/simulation/run.ts --of cache ...            the cache of the object store
// node test/simulation/run.ts --of recovery ...         machines that share a bucket, and lose it, and take it over

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    from: { type: 'string', default: '1' },
    count: { type: 'string', default: '100' },
    of: { type: 'string', default: 'log' },
    trace: { type: 'boolean', default: false },
  },
})

const print = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

const simulations = {
  coordination: coordinate,
  tiers: simulateTiers,
  log: simulate,
  cache: simulateCache,
  recovery: simulateRecovery,
}
const run = simulations[values.of as NonNullable<Mutant['of']>]
const first = Number(values.seed ?? values.from)
const count = values.seed === undefined ? Number(values.count) : 1
for (let seed = first; seed < first + count; seed++) {
  try {
    const { traceHash, counts } = await run(seed, values.trace ? print : null)
    print(`seed ${seed}: ${traceHash.toString(16)} ${JSON.stringify(counts)}`)
  } catch (thrown) {
    print(thrown instanceof Error ? thrown.message : String(thrown))
    process.exit(1)
  }
}
