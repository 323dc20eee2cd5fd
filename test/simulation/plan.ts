import type { GatherLimits, SyncPolicy } from '#commit/commit.ts'
import { Prng } from '#test/support/sim/prng.ts'
import type { DiskCall } from '#test/support/sim/sim-disk.ts'

// What a seed decides before anything happens. Each run has only some of the faults and one of the sizes: what is mixed evenly
// in every run never goes far in any direction.

/** How a life of the broker ends, unless the disk ends it before. */
export type Ending = 'close' | 'kill' | 'power-loss'

export interface Life {
  readonly ending: Ending
  readonly lengthMs: number
  /** How many batches the producers send, about. */
  readonly batches: number
  readonly diesAtCall: number
}

export interface Plan {
  readonly lives: readonly Life[]
  readonly walFileBytes: number
  readonly cacheBytes: number
  readonly gather: GatherLimits
  readonly sync: SyncPolicy
  readonly batchBytes: readonly [least: number, most: number]
  readonly producers: number
  readonly slowestCallMs: number
  readonly latencyMs: (call: DiskCall, prng: Prng) => number
  /** Chance per call on a file of the log. */
  readonly fatalErrors: number
  /** Chance per call on an index or a checkpoint, and per read. */
  readonly passingErrors: number
  readonly fullDisks: boolean
  readonly batchesPerChange: number
  /** Log starts move close behind their ends. */
  readonly keepsLittle: boolean
}

export function planOf(seed: number): Plan {
  const prng = new Prng(seed)
  const isBig = prng.chance(0.15)
  const latency = latencyOf(prng)
  return {
    lives: Array.from({ length: prng.between(2, 6) }, () => ({
      ending: prng.pick(['close', 'kill', 'power-loss', 'power-loss'] as const),
      // Some outlast the time after which maintenance tries again.
      lengthMs: prng.chance(0.1) ? 12_000 : prng.between(10, 500),
      batches: prng.between(5, isBig ? 60 : 200),
      diesAtCall: prng.chance(0.5) ? prng.between(1, prng.pick([20, 200, 1000])) : Number.POSITIVE_INFINITY,
    })),
    walFileBytes: isBig ? 1 << 22 : prng.pick([4096, 16_384, 65_536, 262_144]),
    cacheBytes: prng.pick([0, 0, 4 << 20]),
    gather: prng.pick([
      { batches: 1, delayMs: 0, whenIdle: false },
      { batches: 10, delayMs: 1, whenIdle: false },
      { batches: 100, delayMs: 2, whenIdle: false },
      { batches: 500, delayMs: 20, whenIdle: true },
    ]),
    sync: prng.chance(0.7) ? 'always' : prng.pick([1, 10, 100]),
    batchBytes: isBig
      ? [20_000, 400_000]
      : prng.pick([
          [70, 150],
          [70, 4000],
          [500, 9000],
        ] as const),
    producers: prng.between(1, 5),
    ...latency,
    fatalErrors: prng.chance(0.2) ? 0.002 : 0,
    passingErrors: prng.chance(0.3) ? 0.02 : 0,
    fullDisks: prng.chance(0.3),
    batchesPerChange: prng.pick([3, 10, 30]),
    keepsLittle: prng.chance(0.2),
  }
}

function latencyOf(prng: Prng): Pick<Plan, 'latencyMs' | 'slowestCallMs'> {
  const [syncMs, otherMs] = prng.pick([
    [0.1, 0.02],
    [1, 0.1],
    [20, 2],
  ] as const)
  return {
    slowestCallMs: syncMs * 1.5,
    latencyMs: ({ kind }, own) =>
      (kind === 'sync' || kind === 'sync-directory' ? syncMs : otherMs) * (own.fraction() + 0.5),
  }
}
