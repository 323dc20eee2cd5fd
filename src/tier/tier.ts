import type { Clock, Random } from '#base/ports.ts'
import type { Log, TopicRules } from '#log/log.ts'
import type { ObjectStore } from '#object-store/object-store.ts'
import type { RangeCache } from '#object-store/range-cache.ts'
import type { TierFigures } from '#observe/tier-metrics.ts'
import { Collector, type CollectorMetrics } from './collector.ts'
import { LocalRetention } from './local-retention.ts'
import type { SegmentStore } from './rewrite.ts'
import { type RewriteMetrics, Rewriter } from './rewriter.ts'
import type { SealLimits } from './seal-plan.ts'
import { Sealer, type SealMetrics } from './sealer.ts'
import { measureTiers } from './tier-usage.ts'

// What happens to records behind the write-ahead log: they are sealed into segments in the object store, in the background.

export interface TierOptions {
  readonly log: Log
  readonly topicRules: TopicRules
  readonly store: ObjectStore
  /** In front of the store; null: it needs none. */
  readonly cache: RangeCache | null
  readonly clock: Clock
  readonly random: Random
  readonly limits: SealLimits
  readonly walLimitBytes: number
  readonly restoreWindowMs: number
  /** Would a restore from the store know what happened before the position? */
  isArchived(position: number): boolean
  /** Rejects if somebody else owns the store by now. */
  confirm(): Promise<void>
  readonly metrics: SealMetrics & RewriteMetrics & CollectorMetrics
  report(level: 'info' | 'warn', message: string, fields?: Record<string, unknown>): void
}

export interface Tier {
  /** How long nothing could be sealed; 0: it can be. */
  readonly failingMs: number
  measure(maxTopics: number): Promise<TierFigures>
  /** Seals what is left, as far as it comes within so long. */
  close(drainMs: number): Promise<void>
}

export function startTier(options: TierOptions): Tier {
  const { store, cache } = options
  const sealer = new Sealer({ ...options, store: cache === null ? store : writtenThrough(store, cache) })
  const rewriter = new Rewriter({ ...options, segmentBytes: options.limits.segmentBytes })
  const collector = new Collector({
    ...options,
    inFlight: () => {
      const { sharedAt, revision } = rewriter.inFlight
      return { sharedAt: Math.min(sharedAt, sealer.oldestSharedAt), revision }
    },
    forget: key => cache?.forget(key),
  })
  const localRetention = cache === null ? null : new LocalRetention({ ...options, cache })
  return {
    get failingMs() {
      const since = sealer.failingSinceMs
      return since === null ? 0 : options.clock.monotonicMs() - since
    },
    measure: maxTopics => measureTiers(options.log, maxTopics),
    close: async drainMs => {
      const others = Promise.all([localRetention?.close(), collector.close(), rewriter.close()])
      const leftBytes = drainMs > 0 ? await sealer.drain(drainMs) : 0
      await others
      if (leftBytes > 0) options.report('warn', `${leftBytes} bytes stay unsealed in the write-ahead log`)
      await sealer.close()
    },
  }
}

/** What is put into the store is in the cache, too: who is just behind the log asks for it soon. */
export function writtenThrough(store: SegmentStore, cache: Pick<RangeCache, 'keep'>): SegmentStore {
  return {
    place: store.place,
    async put(key, pieces, signal) {
      // Both have the pieces until they have ended, however the other one does.
      const ends = await Promise.allSettled([store.put(key, pieces, signal), cache.keep(key, pieces)])
      for (const end of ends) if (end.status === 'rejected') throw end.reason
    },
  }
}
