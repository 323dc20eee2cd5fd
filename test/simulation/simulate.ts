import { readLog, release } from '#log/read-log.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { audit } from './audit.ts'
import { Violation } from './history.ts'
import { inspect } from './inspect.ts'
import { type Ending, planOf } from './plan.ts'
import { rangeFrom } from './range.ts'
import { checkRead } from './reader.ts'
import { tierPlanOf } from './tier-plan.ts'
import type { Tiers } from './tiers.ts'
import { Trace } from './trace.ts'
import { verified } from './verified.ts'
import { DATA, type Plans, World } from './world.ts'

// One run: the real log on a simulated disk and clock, with clients, through several lives. Everything follows from the seed.

export interface RunResult {
  readonly traceHash: number
  readonly counts: World['counts'] & Partial<Tiers['counts']>
}

/** Thrown by a run that broke a promise; says which, and how to see it again. */
export class SimulationFailed extends Error {}

const DRAIN_MS = 60_000
/** What is written is seen after so long, whatever goes wrong. */
const UNSEEN_MS = 2_000
/** After so long even what nobody knows of has been found in the store, and found again. */
const LONG_MS = 8 * 3_600_000

type Print = (line: string) => void

/** The log alone: nothing is sealed. */
export function simulate(seed: number, print: Print | null = null): Promise<RunResult> {
  return simulateOf({ plan: planOf(seed), tierPlan: null }, seed, print)
}

/** The same with segments in a store, and files that go when all of them is sealed. */
export function simulateTiers(seed: number, print: Print | null = null): Promise<RunResult> {
  const plan = planOf(seed)
  return simulateOf({ plan, tierPlan: tierPlanOf(seed, plan) }, seed, print)
}

async function simulateOf(plans: Plans, seed: number, print: Print | null): Promise<RunResult> {
  const trace = new Trace(print)
  const world = new World(plans, new Prng(seed + 0.5 * 2 ** 32), trace)
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
  return { traceHash: trace.hash, counts: { ...world.counts, ...world.tiers?.counts } }
}

async function run(world: World): Promise<void> {
  await world.clock.run(world.disk.makeDirectory(DATA).then(() => world.disk.syncDirectory('')))
  for (const life of world.plan.lives) {
    await inspect(world)
    await verified(world)
    world.useDisk(world.disk, life.diesAtCall, true)
    let ending: Ending = life.ending
    if (await world.open()) {
      await checkEverything(world)
      await world.live(life.lengthMs, life.batches, false)
      const isWell = !world.disk.isDead && !world.hasFailed
      if (ending === 'close' && isWell && (await close(world))) ending = world.prng.pick(['kill', 'power-loss'])
      else if (ending === 'close') ending = 'kill'
    }
    endLife(world, ending)
  }
  await lastLife(world)
}

function endLife(world: World, ending: Ending): void {
  const { disk, trace, clock } = world
  trace.note(`${clock.monotonicMs().toFixed(3)} the life ends: ${ending}`)
  world.ended(ending === 'power-loss')
  world.disconnect()
  world.disk = ending === 'power-loss' ? disk.crash() : disk.kill()
}

/** With nothing going wrong any more, everything gets done, and what is then closed is there when it is opened again. */
async function lastLife(world: World): Promise<void> {
  await verified(world)
  heal(world)
  if (!(await world.open())) throw new Violation('the machine died though nothing went wrong')
  await checkEverything(world)
  await world.live(200, 20, false)
  heal(world)
  const isDrained = (): boolean => world.producers.every(producer => producer.isIdle) && !world.administrator.isWaiting
  const deadlineMs = world.clock.monotonicMs() + DRAIN_MS
  while (!isDrained() || !world.follower.hasSeenAll()) {
    if (world.clock.monotonicMs() > deadlineMs) throw new Violation('what was asked for is not answered')
    await world.live(100, 20, true)
  }
  if (world.tiers !== null) await world.clock.runFor(LONG_MS)
  await checkEverything(world)
  await audit(world, true)
  if (!(await close(world))) throw new Violation('the log could not be closed though nothing went wrong')
  endLife(world, 'power-loss')
  await verified(world)
  heal(world)
  const { undecided } = world.counts
  await world.open()
  if (world.counts.undecided > undecided) throw new Violation('a log that was closed had something undecided')
  await checkEverything(world)
  await audit(world, false)
}

function heal(world: World): void {
  world.tiers?.calm(true)
  world.disk.capacityBytes = Number.POSITIVE_INFINITY
  world.useDisk(world.disk, Number.POSITIVE_INFINITY, false)
}

/** False if the machine died meanwhile, or the disk did not let it. */
async function close(world: World): Promise<boolean> {
  const { clock, disk, log } = world
  world.follower.disconnected()
  let outcome: 'closed' | 'refused' | null = null
  const stopping = (world.tiers?.stop() ?? Promise.resolve()).then(() => log.close())
  const closing = stopping
    .then(() => world.tiers?.close())
    .then(
      () => {
        outcome = 'closed'
      },
      thrown => {
        outcome = 'refused'
        world.closeRefused(thrown)
      },
    )
  world.own(closing)
  await clock.runUntil(() => outcome !== null || disk.isDead || world.violation !== null)
  if (world.violation !== null) throw world.violation
  if (!disk.isDead && outcome === null) throw new Violation('the log never closes')
  if (disk.isDead || outcome === 'refused' || world.hasFailed) return false
  if (disk.openPaths.length > 0) throw new Violation(`the closed log has files open: ${disk.openPaths}`)
  for (const producer of world.producers) {
    if (producer.inFlightCount > 0) throw new Violation('the log is closed and somebody was not answered')
  }
  world.wasClosed = true
  return true
}

/** Reads all there is, from memory or from files, and compares it with what it ought to be. */
async function checkEverything(world: World): Promise<void> {
  const { log, history, clock } = world
  await world.calmly(async () => {
    if (world.tiers?.plan.faults.unseen !== undefined) await clock.runFor(UNSEEN_MS)
    for (const model of history.model.partitions) {
      if (model === undefined) continue
      const partition = log.state.partitions[model.ordinal]!
      for (let offset = model.logStart; offset < model.nextOffset; ) {
        const read = await clock.run(Promise.resolve(readLog(log, partition, rangeFrom(partition, offset))))
        const nextOffset = checkRead(model, offset, read)
        release(log, read)
        if (nextOffset === offset) throw new Violation(`nothing can be read at ${offset} of ${model.nextOffset}`)
        offset = nextOffset
      }
    }
  })
}
