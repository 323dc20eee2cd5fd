import type { GatherLimits, SyncPolicy } from '#commit/commit.ts'
import { Prng } from '#test/support/sim/prng.ts'
import type { Skew } from '#test/support/sim/process-clock.ts'
import type { StoreFaults } from '#test/support/sim/sim-object-store.ts'
import type { RecoverySettings } from '#tier/recovery/recovery.ts'
import type { SealLimits } from '#tier/seal-plan.ts'

// What a seed decides before anything happens: the settings of all machines, what goes wrong on the way, and the acts of the run.

/** What happens to the owner of the bucket. */
export type Act =
  /** Its process ends in the middle of something, and begins again on the same disk. */
  | 'killed'
  | 'power-loss'
  /** It ends in good order; it or another one goes on. */
  | 'stopped'
  /** It is gone with its disk. */
  | 'lost'
  /** It does not reach the bucket any more, and clients still reach it. */
  | 'cut-off'
  /** Its process stands still, and goes on when another one may own the bucket. */
  | 'paused'
  /** An older copy of its disk is put into the machine. */
  | 'old-copy'
  /** Somebody wants to have back what was. */
  | 'back-in-time'
  /** Nothing happens for long. */
  | 'quiet'

export interface RecoveryPlan {
  readonly acts: readonly Act[]
  readonly settings: Omit<RecoverySettings, 'takeOver'>
  readonly limits: SealLimits
  /** All records are copied, also those that will be in a segment soon. */
  readonly copiesAll: boolean
  readonly drainMs: number
  readonly walFileBytes: number
  readonly walLimitBytes: number
  readonly cacheBytes: number
  readonly gather: GatherLimits
  readonly sync: SyncPolicy
  readonly slowestRequestMs: number
  readonly faults: Partial<StoreFaults>
  /** Of each machine. */
  readonly skews: readonly Skew[]
  readonly writers: number
  readonly transactors: number
  /** Between two batches of a writer, about. */
  readonly gapMs: number
  /** Log starts move, and topics go. */
  readonly deletes: boolean
}

/** Of clocks that are kept right: the most by which somebody who does so lets them run faster or slower. */
const MOST_DRIFT = 0.0005
const MOST_AHEAD_MS = 4000
const MACHINES = 3
/** As the server has it. */
const LEAST_WAL_FILES = 9

export function recoveryPlanOf(seed: number): RecoveryPlan {
  const prng = new Prng(seed + 0.125 * 2 ** 32)
  const durability = prng.pick(['local', 'local', 'bucket'] as const)
  const takeoverAfterMs = prng.pick([2000, 5000, 10_000])
  const tailUploadMs = prng.pick([0, 200, 1000, 1000])
  const walFileBytes = prng.pick([8192, 65_536])
  const isFast = prng.chance(0.5)
  return {
    acts: actsOf(prng),
    settings: {
      takeoverAfterMs,
      durability,
      isArchived: true,
      checkpointRecords: prng.pick([10, 100, 10_000]),
      checkpointMs: prng.pick([1500, 8000, 3_600_000]),
      restoreWindowMs: prng.pick([0, 60_000, 600_000, 86_400_000]),
      tailUploadMs,
    },
    limits: {
      segmentBytes: prng.pick([2000, 10_000, 1 << 20]),
      segmentMs: prng.pick([50, 500, 3000, 60_000]),
      tailMs: tailUploadMs > 0 ? tailUploadMs : Number.POSITIVE_INFINITY,
    },
    copiesAll: prng.chance(0.5),
    drainMs: prng.pick([0, 50, 30_000]),
    walFileBytes,
    walLimitBytes: prng.pick([LEAST_WAL_FILES * walFileBytes, 1 << 30]),
    cacheBytes: prng.pick([0, 4 << 20]),
    gather: prng.pick([
      { batches: 1, delayMs: 0, whenIdle: false },
      { batches: 100, delayMs: 2, whenIdle: false },
      { batches: 500, delayMs: 20, whenIdle: true },
    ]),
    sync: prng.chance(0.75) ? 'always' : prng.pick([100, 3000]),
    slowestRequestMs: prng.pick([1, 10, 60]),
    faults: prng.chance(0.5) ? someFaults(prng) : {},
    skews: Array.from({ length: MACHINES }, () => ({
      rate: 1 + MOST_DRIFT * (2 * prng.fraction() - 1),
      aheadMs: prng.between(-MOST_AHEAD_MS, MOST_AHEAD_MS),
    })),
    writers: prng.between(1, 3),
    transactors: prng.between(0, 2),
    gapMs: isFast ? prng.between(30, 90) : prng.between(90, 600),
    deletes: prng.chance(0.4),
  }
}

function actsOf(prng: Prng): Act[] {
  const all = ['killed', 'power-loss', 'stopped', 'lost', 'cut-off', 'paused', 'old-copy', 'back-in-time'] as const
  const acts: Act[] = Array.from({ length: prng.between(1, 3) }, () => prng.pick(all))
  if (prng.chance(0.1)) acts.splice(prng.between(0, acts.length), 0, 'quiet')
  return acts
}

/** One or two kinds. What was written is seen at once by all: without that nobody could own a bucket. */
function someFaults(prng: Prng): Partial<StoreFaults> {
  const faults: Partial<StoreFaults> = {}
  const kinds = ['unavailable', 'hanging', 'lost', 'late', 'denied'] as const
  for (let left = prng.between(1, 2); left > 0; left--) faults[prng.pick(kinds)] = prng.pick([0.01, 0.05, 0.2])
  return faults
}
