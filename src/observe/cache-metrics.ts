// What is counted of the cache on the disk, in front of an object store.

import { Counter, type Exposable, Gauge } from './metrics.ts'

export type CacheMetrics = ReturnType<typeof createCacheMetrics>

export function createCacheMetrics() {
  return {
    cacheHits: new Counter(
      'chronik_store_cache_hits_total',
      'Blocks of 1 MiB of objects that were asked for and were in the cache of the object store.',
    ),
    cacheMisses: new Counter(
      'chronik_store_cache_misses_total',
      'Blocks that were asked for and had to be fetched, or were on their way.',
    ),
    cacheServedBytes: new Counter('chronik_store_cache_served_bytes_total', 'Bytes that were read from the cache.'),
    cacheFetches: new Counter(
      'chronik_store_cache_fetches_total',
      'Requests of the cache to the object store, for up to 8 blocks each.',
    ),
    cacheFetchedBytes: new Counter(
      'chronik_store_cache_fetched_bytes_total',
      'Bytes that these requests brought, those included that were fetched before anybody asked for them.',
    ),
    cacheEvictions: new Counter(
      'chronik_store_cache_evictions_total',
      'Blocks that made room in the cache for others.',
    ),
    cacheDroppedBlocks: new Counter(
      'chronik_store_cache_dropped_blocks_total',
      'Blocks that were fetched and served, and not kept: the disk did not take them, or was slower than the store.',
    ),
    cacheWriteFailures: new Counter(
      'chronik_store_cache_write_failures_total',
      'Times that the disk did not take a block of the cache, or another file for it: what was fetched is served all the same.',
    ),
    cacheDamagedBlocks: new Counter(
      'chronik_store_cache_damaged_blocks_total',
      'Blocks of the cache that were not what had been written: they were fetched again.',
    ),
  }
}

/** What is read when somebody scrapes. */
export interface CacheReadings {
  cacheUsedBytes: () => number
  cacheDiskBytes: () => number
}

export function cacheGauges({ cacheUsedBytes, cacheDiskBytes }: CacheReadings): Exposable[] {
  return [
    new Gauge(
      'chronik_store_cache_bytes',
      'Bytes of objects that are in the cache of the object store.',
      cacheUsedBytes,
    ),
    new Gauge(
      'chronik_store_cache_disk_bytes',
      'What the cache takes on the disk, used or not: at most cache-bytes.',
      cacheDiskBytes,
    ),
  ]
}
