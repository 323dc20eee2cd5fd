import type { GatherLimits } from '#commit/commit.ts'
import { Prng } from '#test/support/sim/prng.ts'
import type { DiskCall } from '#test/support/sim/sim-disk.ts'

// What a seed decides before anything happens.

export interface CoordinationLife {
  readonly ending: 'close' | 'kill' | 'power-loss'
  readonly lengthMs: number
  readonly diesAtCall: number
}

export interface CoordinationPlan {
  readonly lives: readonly CoordinationLife[]
  readonly walFileBytes: number
  readonly cacheBytes: number
  readonly gather: GatherLimits
  readonly latencyMs: (call: DiskCall, prng: Prng) => number
  readonly transactors: number
  /** Fewer than clients: some are zombies of others. */
  readonly transactionalIds: number
  readonly members: number
  readonly consumers: number
  readonly rebalanceDelayMs: number
  /** How often clients do nothing for long. */
  readonly pauses: number
  /** Chance of an administrator's step to delete a topic. */
  readonly deletions: number
  /** Then it does not die in the middle of a call: what was refused may be found again, as long as nothing was written behind it. */
  readonly fullDisks: boolean
}

export function coordinationPlanOf(seed: number): CoordinationPlan {
  const prng = new Prng(seed)
  const [syncMs, otherMs] = prng.pick([
    [0.2, 0.05],
    [2, 0.3],
    [15, 1],
  ] as const)
  const transactors = prng.between(1, 5)
  const fullDisks = prng.chance(0.15)
  return {
    lives: Array.from({ length: prng.between(1, 4) }, () => ({
      ending: prng.pick(['close', 'kill', 'power-loss', 'power-loss'] as const),
      lengthMs: prng.between(100, 2500),
      diesAtCall:
        prng.chance(0.5) && !fullDisks ? prng.between(1, prng.pick([30, 300, 1500])) : Number.POSITIVE_INFINITY,
    })),
    walFileBytes: prng.pick([4096, 16_384, 262_144]),
    cacheBytes: prng.pick([0, 1 << 20]),
    gather: prng.pick([
      { batches: 1, delayMs: 0, whenIdle: false },
      { batches: 10, delayMs: 1, whenIdle: false },
      { batches: 100, delayMs: 5, whenIdle: false },
      { batches: 500, delayMs: 20, whenIdle: true },
    ]),
    latencyMs: ({ kind }, own) =>
      (kind === 'sync' || kind === 'sync-directory' ? syncMs : otherMs) * (own.fraction() + 0.5),
    transactors,
    transactionalIds: prng.between(1, transactors),
    members: prng.between(0, 4),
    consumers: prng.between(1, 3),
    rebalanceDelayMs: prng.pick([0, 0, 50]),
    pauses: prng.pick([0, 0.02, 0.1]),
    deletions: prng.pick([0, 0, 0.1]),
    fullDisks,
  }
}
