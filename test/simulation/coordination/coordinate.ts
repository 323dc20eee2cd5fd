import { openLog } from '#log/log.ts'
import { Violation } from '#test/simulation/history.ts'
import { SimulationFailed } from '#test/simulation/simulate.ts'
import { Trace } from '#test/simulation/trace.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { Caretaker } from './caretaker.ts'
import { CommittedFollower } from './committed-follower.ts'
import { differenceBetween } from './comparison.ts'
import { Consumer } from './consumer.ts'
import { coordinationPlanOf } from './coordination-plan.ts'
import { DATA, Machine } from './machine.ts'
import { Member } from './member.ts'
import { Transactor } from './transactor.ts'

// One run: the broker, from its connections down to a simulated disk, with members of groups and clients of transactions, through
// several lives. Everything follows from the seed.

export interface CoordinationResult {
  readonly traceHash: number
  readonly counts: Readonly<Record<string, number>>
}

const QUIET_MS = 2500

export async function coordinate(
  seed: number,
  print: ((line: string) => void) | null = null,
): Promise<CoordinationResult> {
  const trace = new Trace(print)
  const machine = new Machine(coordinationPlanOf(seed), new Prng(seed + 0.25 * 2 ** 32), trace)
  const unhandled = (thrown: unknown): void => {
    machine.violation ??= thrown
  }
  process.on('unhandledRejection', unhandled)
  try {
    await run(machine)
    if (machine.violation !== null) throw machine.violation
  } catch (thrown) {
    const what = thrown instanceof Violation ? thrown.message : thrown instanceof Error ? thrown.stack : String(thrown)
    throw new SimulationFailed(`seed ${seed}: ${what}\n  ${trace.last(40).join('\n  ')}`, { cause: thrown })
  } finally {
    process.off('unhandledRejection', unhandled)
  }
  return { traceHash: trace.hash, counts: machine.counts }
}

async function run(machine: Machine): Promise<void> {
  const { clock, plan } = machine
  await clock.run(machine.disk.makeDirectory(DATA).then(() => machine.disk.syncDirectory('')))
  const clients = beginClients(machine)
  for (const { ending, lengthMs, diesAtCall } of plan.lives) {
    machine.useDisk(machine.disk, diesAtCall)
    let isClosed = false
    if (await machine.open()) {
      if (plan.fullDisks) await liveWithFullDisks(machine, lengthMs)
      else await live(machine, lengthMs)
      if (ending === 'close' && !machine.disk.isDead) isClosed = await machine.close()
      rethrow(machine)
    }
    machine.note(`the life ends: ${ending}`)
    machine.ended()
    machine.disk = ending === 'power-loss' || isClosed ? machine.disk.crash() : machine.disk.kill()
    await withoutNewestCheckpoint(machine)
  }
  await lastLife(machine, clients)
}

function beginClients(machine: Machine): Promise<unknown>[] {
  const { plan, prng } = machine
  const clients: { run(): Promise<void> }[] = [new Caretaker(machine)]
  for (let i = 0; i < plan.transactors; i++) {
    clients.push(new Transactor(machine, `transactor-${i}`, `id-${i % plan.transactionalIds}`))
  }
  for (let i = 0; i < plan.members; i++) clients.push(new Member(machine, `member-${i}`, prng.pick(['alpha', 'beta'])))
  for (let i = 0; i < plan.consumers; i++) clients.push(new Consumer(machine, `consumer-${i}`))
  return clients.map(client =>
    client.run().catch((thrown: unknown) => {
      machine.violation ??= thrown
    }),
  )
}

async function live(machine: Machine, lengthMs: number): Promise<void> {
  const endMs = machine.clock.monotonicMs() + lengthMs
  const { clock } = machine
  const isOver = (): boolean => machine.disk.isDead || machine.violation !== null
  await clock.runUntil(() => isOver() || clock.monotonicMs() >= endMs)
  rethrow(machine)
}

/** The disk is full for a while, and again, until the life is about to end; something is written before it does. */
async function liveWithFullDisks(machine: Machine, lengthMs: number): Promise<void> {
  for (let left = 4; left > 0; left--) {
    await live(machine, lengthMs / 4)
    await machine.fillDisk()
  }
  for (let left = 100; left > 0 && machine.hasRefused; left--) await live(machine, 50)
  if (machine.hasRefused) throw new Violation('nothing is written though there is room again')
}

function rethrow(machine: Machine): void {
  if (machine.violation !== null) throw machine.violation
}

/** Nothing goes wrong any more: clients end, what they left open is ended, and all is as it should be. */
async function lastLife(machine: Machine, clients: Promise<unknown>[]): Promise<void> {
  machine.useDisk(machine.disk, Number.POSITIVE_INFINITY)
  if (!(await machine.open())) throw new Violation('the machine died though nothing went wrong')
  await live(machine, 300)
  machine.end()
  let haveEnded = false
  void Promise.all(clients).then(() => {
    haveEnded = true
  })
  await live(machine, QUIET_MS)
  if (!haveEnded) throw new Violation('a client was never answered')
  for (const partition of machine.ledger.partitions) {
    if (partition === undefined || partition.stableOffset === partition.nextOffset) continue
    throw new Violation(`partition ${partition.ordinal} has an open transaction for ever`)
  }
  machine.compare()
  await machine.clock.run(new CommittedFollower(machine).followToTheEnd())
  if (!(await machine.close())) throw new Violation('the log could not be closed though nothing went wrong')
  rethrow(machine)
  machine.ended()
}

/** The state is the same from whatever checkpoint it is restored. */
async function withoutNewestCheckpoint(machine: Machine): Promise<void> {
  const { disk, ledger, prng } = machine
  const checkpoints = disk.paths.filter(path => path.endsWith('.ckpt'))
  const newest = checkpoints.at(-1)
  if (newest === undefined || checkpoints.length < 2 || !prng.chance(0.5)) return
  const states: string[] = []
  for (const without of [null, newest]) {
    const copy = disk.copyAtRest()
    if (without !== null) await copy.remove(without)
    const clock = new SimClock()
    const log = await clock.run(openLog(machine.options(copy, clock)))
    states.push(differenceBetween(ledger, log.state) ?? 'none')
  }
  if (states[0] !== states[1]) throw new Violation(`another checkpoint makes another state: ${states.join(', not ')}`)
}
