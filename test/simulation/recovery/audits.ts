import { Violation } from '#test/simulation/history.ts'
import { unpack } from '#test/support/recovery-lab.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { SimDisk } from '#test/support/sim/sim-disk.ts'
import { SimBucket } from '#test/support/sim/sim-object-store.ts'
import { RecoveryProgress } from '#tier/recovery/progress.ts'
import { restoreDirectory } from '#tier/recovery/restore-directory.ts'
import { DATA, findLog } from './found-log.ts'
import type { Host } from './host.ts'
import type { RecoveryWorld } from './recovery-world.ts'
import { stillIs, succeedsInTime } from './succession.ts'

/** Everything that is there is what was written, and the bucket gives back any moment. */
export async function auditAll(world: RecoveryWorld): Promise<void> {
  const up = world.hosts.filter(host => host.isUp)
  for (const host of up) await auditHost(world, host)
  if (up.length === 1) await auditMoment(world, up[0]!)
}

async function auditHost(world: RecoveryWorld, host: Host): Promise<void> {
  const found = await findLog(host.disk, world.bucket, world)
  world.guard(() => stillIs(host.chronicle!, found))
}

/** Tries a restore on a copy of the bucket, to some moment that the owner has lived through. */
async function auditMoment(world: RecoveryWorld, owner: Host): Promise<void> {
  const { plan, prng, clock: time } = world
  const { restoreWindowMs } = plan.settings
  if (restoreWindowMs === 0) return
  const nowMs = owner.process!.clock.nowMs()
  const sinceMs = Math.min(restoreWindowMs - SLACK_MS, time.monotonicMs() - world.firstBegunMs - SLACK_MS)
  if (sinceMs <= 0) return
  const atMs = nowMs - Math.floor(sinceMs * prng.fraction())
  const clock = new SimClock({ startMs: time.nowMs() })
  const bucket = SimBucket.copyOf(world.bucket, clock)
  const disk = new SimDisk({ prng: new Prng(1) })
  await disk.makeDirectory(DATA)
  const random = new Prng(world.nextId())
  const reports: string[] = []
  const restoring = restoreDirectory({
    store: bucket.connect(),
    createsHonestly: true,
    takeOver: true,
    acceptsLoss: false,
    progress: new RecoveryProgress(),
    atMs,
    disk,
    clock,
    random: { bytes: count => Buffer.from(Array.from({ length: count }, () => random.between(0, 255))) },
    signal: new AbortController().signal,
    unpack,
    dataDir: DATA,
    host: 'an experiment',
    report: (level, message) => reports.push(`${level}: ${message}`),
  })
  const { generation, position } = await clock.run(restoring).catch(thrown => {
    throw new Violation(`nothing can be restored to ${atMs}, ${nowMs - atMs} ms ago: ${thrown}`)
  })
  const { sent, mayMissEnds } = world
  const found = await findLog(disk, bucket, { sent, mayMissEnds: mayMissEnds || plan.deletes })
  const note = { fromGeneration: generation, position }
  world.note(`a restore to ${nowMs - atMs} ms ago has ${position} of generation ${generation}`)
  world.guard(() => {
    succeedsInTime(world.chronicleOf(note), found, {
      note,
      atMs,
      sureTo: world.sureTo(generation),
      loss: world.lossOf(generation),
    })
  })
  world.count('moments')
}

/** Clocks of machines, and what is on its way. */
const SLACK_MS = 10_000
