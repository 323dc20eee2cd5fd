import { Violation } from '#test/simulation/history.ts'
import { SimulationFailed } from '#test/simulation/simulate.ts'
import { Trace } from '#test/simulation/trace.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { Acts } from './acts.ts'
import { auditAll } from './audits.ts'
import { Keeper } from './keeper.ts'
import { recoveryPlanOf } from './recovery-plan.ts'
import { RecoveryWorld } from './recovery-world.ts'
import { Transactor } from './transactor.ts'
import { Writer } from './writer.ts'

// One run: machines with simulated disks and clocks share a bucket, and clients write to whichever answers, while machines die, lose
// their disks or the bucket, come back, and are restored. Everything follows from the seed.

export interface RecoveryResult {
  readonly traceHash: number
  readonly counts: Readonly<Record<string, number>>
}

const DRAIN_MS = 400_000

export async function simulateRecovery(
  seed: number,
  print: ((line: string) => void) | null = null,
): Promise<RecoveryResult> {
  const trace = new Trace(print)
  const world = new RecoveryWorld(recoveryPlanOf(seed), new Prng(seed + 0.375 * 2 ** 32), trace)
  const unhandled = (thrown: unknown): void => {
    world.violation ??= thrown
  }
  process.on('unhandledRejection', unhandled)
  try {
    await run(world)
    if (world.violation !== null) throw world.violation
  } catch (thrown) {
    const what = thrown instanceof Violation ? thrown.message : thrown instanceof Error ? thrown.stack : String(thrown)
    throw new SimulationFailed(`seed ${seed}: ${what}\n  ${trace.last(30).join('\n  ')}`, { cause: thrown })
  } finally {
    process.off('unhandledRejection', unhandled)
  }
  return { traceHash: trace.hash, counts: world.counts }
}

async function run(world: RecoveryWorld): Promise<void> {
  const { plan, prng } = world
  for (const host of world.hosts) await host.wipe()
  const acts = new Acts(world)
  await acts.begin()
  const writers = Array.from({ length: plan.writers }, () => new Writer(world))
  const transactors = Array.from({ length: plan.transactors }, (_, i) => new Transactor(world, `writer-${i}`))
  const keeper = new Keeper(world)
  for (const writer of writers) writer.run()
  for (const transactor of transactors) void transactor.run()
  void keeper.run()
  world.faults(true)
  for (const act of plan.acts) {
    await world.live(prng.chance(0.2) ? prng.between(5000, 20_000) : prng.between(100, 4000))
    await acts.perform(act)
    await auditAll(world)
  }
  world.faults(false)
  await world.live(500)
  while (!world.hosts.some(host => host.isUp)) await acts.mend()
  const clients = [...writers, ...transactors]
  for (const client of [...clients, keeper]) client.isEnding = true
  const isDrained = (): boolean => clients.every(({ isIdle }) => isIdle)
  if (!(await world.drive(isDrained, DRAIN_MS))) {
    const waiting = clients.filter(({ isIdle }) => !isIdle).map(String)
    throw new Violation(`what was asked for is not answered: ${waiting}`)
  }
  await world.live(2000)
  await auditAll(world)
  await acts.perform('stopped')
  await auditAll(world)
}
