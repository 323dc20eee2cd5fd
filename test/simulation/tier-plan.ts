import { Prng } from '#test/support/sim/prng.ts'
import type { StoreFaults } from '#test/support/sim/sim-object-store.ts'
import type { Plan } from './plan.ts'

// What a seed decides about the segments of a run.

export interface TierPlan {
  readonly seed: number
  /** A directory of the same disk, or a bucket that outlives the machine. */
  readonly store: 'directory' | 'bucket'
  readonly segmentBytes: number
  readonly segmentMs: number
  readonly tailMs: number
  readonly walLimitBytes: number
  readonly slowestRequestMs: number
  readonly faults: Partial<StoreFaults>
  /** What is left is sealed when the log is closed, for so long. */
  readonly drainMs: number
  /** So many times slower than other calls of the disk: while it is read a file may go. */
  readonly slowReads: number
}

export function tierPlanOf(seed: number, { batchBytes, walFileBytes }: Plan): TierPlan {
  const prng = new Prng(seed + 0.25 * 2 ** 32)
  const store = prng.pick(['directory', 'bucket', 'bucket'] as const)
  return {
    seed,
    store,
    segmentBytes: batchBytes[1] * prng.pick([1, 4, 20]),
    segmentMs: prng.pick([5, 30, 200, 2000]),
    tailMs: Number.POSITIVE_INFINITY,
    walLimitBytes: walFileBytes * prng.pick([4, 8, 1000]),
    slowestRequestMs: prng.pick([0.5, 5, 50]),
    faults: store === 'bucket' && prng.chance(0.6) ? someFaults(prng) : {},
    drainMs: prng.pick([0, 20, 1000]),
    slowReads: prng.pick([1, 1, 30, 200]),
  }
}

/** One or two kinds. */
function someFaults(prng: Prng): Partial<StoreFaults> {
  const faults: Partial<StoreFaults> = {}
  const kinds = ['unavailable', 'hanging', 'lost', 'late', 'truncated', 'unseen', 'denied', 'full', 'altered'] as const
  for (let left = prng.between(1, 2); left > 0; left--) faults[prng.pick(kinds)] = prng.pick([0.02, 0.1, 0.3])
  return faults
}
