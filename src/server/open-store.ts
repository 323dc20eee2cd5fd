import { ChronikError } from '#base/errors.ts'
import type { Clock, Disk, Random } from '#base/ports.ts'
import { BufferPool } from '#bytes/buffer-pool.ts'
import type { Settings } from '#config/settings.ts'
import {
  type ObjectReader,
  type ObjectStore,
  openObjectReader,
  openObjectStore,
  probeStore,
} from '#object-store/object-store.ts'
import { CACHE_LIMITS, openRangeCache, type RangeCache } from '#object-store/range-cache.ts'
import type { CacheMetrics } from '#observe/cache-metrics.ts'
import type { Logger } from '#observe/log.ts'
import type { StoreMetrics } from '#observe/store-metrics.ts'

/** A store, and what a start needs to know of it. */
export interface OpenedStore {
  readonly store: ObjectStore
  /** Of several who create the same object one is told that it did. */
  readonly createsHonestly: boolean
  /** Wall time since when nothing that was asked of it succeeded; null while it works. */
  failingSinceMs(): number | null
  /** With what it failed last; null while it works, or if it only does not answer. */
  failure(): Error | null
}

export interface Surroundings {
  readonly settings: Settings
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  /** For people. */
  readonly notes: Pick<Logger, 'info' | 'warn'>
}

/** A store that does not answer the probe by then is not there. */
const PROBE_MS = 60_000
/** Whoever compares times of the store with those of this machine should know. */
const SKEW_MS = 5_000

function reporterTo(notes: Surroundings['notes']) {
  return (level: 'info' | 'warn', message: string, fields: object): void => notes[level](message, { ...fields })
}

/** The store that the settings name, for who writes nothing and must not be in the way of who does. */
export async function openStoreToRead(surroundings: Surroundings, metrics: StoreMetrics): Promise<ObjectReader> {
  const report = reporterTo(surroundings.notes)
  return openObjectReader(surroundings.settings, { ...surroundings, metrics, report })
}

/** The store that the settings name, after it was tried. */
export async function openStore(surroundings: Surroundings, metrics: StoreMetrics): Promise<OpenedStore> {
  const { settings, clock, random, notes } = surroundings
  const opened = await openObjectStore(settings, { ...surroundings, metrics, report: reporterTo(notes) })
  const { store, isRemote, failingSinceMs, failure } = opened
  const late = new AbortController()
  const timer = clock.after(PROBE_MS, () => late.abort(noAnswer(store.place)))
  try {
    const { honestCreate, clockSkewMs } = await probeStore(store, { clock, random }, late.signal)
    if (Math.abs(clockSkewMs) > SKEW_MS) {
      notes.warn(`the clock of ${store.place} differs by ${Math.round(clockSkewMs / 1000)} s from that of this machine`)
    }
    return { store, createsHonestly: honestCreate, failingSinceMs, failure }
  } catch (thrown) {
    // Room is made by a broker that runs: until then records stay in the write-ahead log. A directory is known to create honestly.
    if (!isRemote && thrown instanceof ChronikError && thrown.code === 'STORE_FULL') {
      notes.warn(thrown.message)
      return { store, createsHonestly: true, failingSinceMs, failure }
    }
    await store.close()
    throw thrown
  } finally {
    timer.cancel()
  }
}

/** Memory for what is read from objects, as much as is kept for the next reads. */
export const READ_BUFFER_BYTES = 16 << 20

/** On the disk, for a store that is far away; a directory needs none. */
export function openCache(
  { store }: OpenedStore,
  { settings, disk, clock, logger }: Pick<Surroundings, 'settings' | 'disk' | 'clock'> & { logger: Logger },
  metrics: CacheMetrics,
): RangeCache | null {
  if (settings.storageBackend === 'local') return null
  return openRangeCache({
    disk,
    clock,
    store,
    directory: `${settings.dataDir}/cache`,
    limitBytes: settings.cacheBytes,
    limits: CACHE_LIMITS,
    buffers: new BufferPool(READ_BUFFER_BYTES),
    metrics,
    report: (level, message, fields) => logger[level](message, fields),
  })
}

function noAnswer(place: string): ChronikError {
  const message = `the object store ${place} did not answer within ${PROBE_MS / 1000} s: is it reachable from here?`
  return new ChronikError('STORE_UNAVAILABLE', 'unavailable', message)
}
