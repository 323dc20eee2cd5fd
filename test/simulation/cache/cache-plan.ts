import type { CacheLimits } from '#object-store/range-cache.ts'
import { SLAB_BYTES, SMALL_LIMITS } from '#test/support/range-cache-lab.ts'
import { Prng } from '#test/support/sim/prng.ts'
import type { StoreFaults } from '#test/support/sim/sim-object-store.ts'

// What a seed decides before anything happens.

export interface CacheLife {
  readonly lengthMs: number
  readonly ending: 'close' | 'kill' | 'power-loss'
  readonly diesAtCall: number
  readonly storeFaults: Partial<StoreFaults>
  /** Chance per call. */
  readonly diskErrors: number
  /** Bytes of the disk. */
  readonly capacityBytes: number
  /** After so many times the slowest call, about, somebody changes bytes of the cache's files; 0: never. */
  readonly damageEvery: number
  readonly place: string
}

export interface CachePlan {
  readonly lives: readonly CacheLife[]
  readonly limitBytes: number
  readonly limits: CacheLimits
  readonly objects: number
  /** Of the largest object, in blocks. */
  readonly objectBlocks: number
  readonly readers: number
  readonly slowestMs: number
  /** A key that was forgotten comes again, with other bytes: where nothing brings back what was forgotten. */
  readonly reusesKeys: boolean
}

export function cachePlanOf(seed: number): CachePlan {
  const prng = new Prng(seed)
  const reusesKeys = prng.chance(0.3)
  const hasOtherPlaces = prng.chance(0.2)
  const limitBytes = prng.pick([0, 9000, SLAB_BYTES, 2 * SLAB_BYTES + 9000, 4 * SLAB_BYTES, 8 * SLAB_BYTES])
  const slowestMs = prng.pick([1, 10, 100])
  return {
    lives: Array.from({ length: prng.between(1, 4) }, () =>
      lifeOf(prng, { reusesKeys, hasOtherPlaces, limitBytes, slowestMs }),
    ),
    limitBytes,
    limits: {
      ...SMALL_LIMITS,
      fetchBlocks: prng.pick([1, 4, 8]),
      windowBlocks: prng.pick([2, 16, 32]),
      fetches: prng.between(1, 8),
      fetchesAhead: prng.between(1, 4),
      memoryBytes: prng.pick([8, 16, 64]) * SMALL_LIMITS.blockBytes,
      memoryAheadBytes: prng.pick([4, 8, 48]) * SMALL_LIMITS.blockBytes,
      fetchMs: prng.pick([3, 10]) * slowestMs,
      writeMs: prng.pick([0, 5]) * slowestMs,
      retryMs: prng.pick([1, 30]) * slowestMs,
      keepMs: prng.pick([3, 100]) * slowestMs,
    },
    objects: prng.between(1, 8),
    objectBlocks: prng.pick([1, 4, 20, 50]),
    readers: prng.between(1, 10),
    slowestMs,
    reusesKeys,
  }
}

interface LifeChoices {
  readonly reusesKeys: boolean
  readonly hasOtherPlaces: boolean
  readonly limitBytes: number
  readonly slowestMs: number
}

function lifeOf(prng: Prng, { reusesKeys, hasOtherPlaces, limitBytes, slowestMs }: LifeChoices): CacheLife {
  const sometimes = (chance: number, most: number): number => (prng.chance(chance) ? prng.fraction() * most : 0)
  return {
    lengthMs: prng.between(10, 150) * slowestMs,
    ending: prng.pick(reusesKeys ? ['close', 'kill'] : ['close', 'kill', 'power-loss', 'power-loss']),
    diesAtCall: prng.chance(0.3) ? prng.between(1, prng.pick([20, 500])) : Number.POSITIVE_INFINITY,
    storeFaults: {
      unavailable: sometimes(0.3, 0.3),
      hanging: sometimes(0.3, 0.2),
      truncated: sometimes(0.2, 0.2),
    },
    diskErrors: reusesKeys ? 0 : sometimes(0.3, 0.1),
    capacityBytes: prng.chance(0.2) ? prng.between(0, 2 * limitBytes) : 2 ** 40,
    damageEvery: prng.chance(0.3) ? prng.pick([1, 5, 30]) : 0,
    place: hasOtherPlaces && prng.chance(0.5) ? 'sim://elsewhere' : 'sim://bucket',
  }
}
