import { Counter, type Exposable, Family, Gauge, Histogram, type Series, SeriesGauge } from './metrics.ts'

// Metrics of what happens to records behind the write-ahead log.

/** Work in the background behind sealing. */
export const TIER_WORK = ['compaction', 'merging', 'collection'] as const
export type TierWork = (typeof TIER_WORK)[number]

/** What is known of the tiers at one moment. */
export interface TierFigures {
  /** By tier (`wal`, `store`) and topic: not more than the settings allow. */
  readonly bytes: readonly Series[]
  /** Topics for which there was no place. */
  readonly topicsLeftOut: number
  readonly segments: number
  /** Objects that nothing refers to any more and that are not deleted yet. */
  readonly garbageObjects: number
}

export const NO_TIERS: TierFigures = { bytes: [], topicsLeftOut: 0, segments: 0, garbageObjects: 0 }

/** What is read when somebody scrapes. */
export interface TierReadings {
  tiers: () => TierFigures
  unsealedBytes: () => number
  sealFailingSeconds: () => number
}

/** What is counted where it happens. */
export function createTierMetrics() {
  return {
    segmentsSealed: new Counter(
      'chronik_segments_sealed_total',
      'Parts of partitions that were sealed into segments and are in the object store.',
    ),
    sealedBytes: new Counter('chronik_sealed_bytes_total', 'Bytes of the objects that were made of them.'),
    sealFailures: new Counter(
      'chronik_seal_failures_total',
      'Objects that could not be made or put into the object store; what was to be in them is tried again.',
    ),
    sealLatency: new Histogram('chronik_seal_latency_seconds', 'From the begin of sealing to the commit record.'),
    compactions: new Counter('chronik_compactions_total', 'Passes of compaction over a partition.'),
    compactedBytes: new Counter('chronik_compaction_read_bytes_total', 'Bytes of segments that compaction looked at.'),
    compactionKeptBytes: new Counter('chronik_compaction_kept_bytes_total', 'Bytes of them that stayed.'),
    compactionLatency: new Histogram('chronik_compaction_latency_seconds', 'Duration of a pass over a partition.'),
    segmentsMerged: new Counter(
      'chronik_segments_merged_total',
      'Larger segments that were made of several small ones.',
    ),
    tierFailures: new Family(
      'chronik_tier_failures_total',
      'Attempts to compact a partition, to merge small segments or to delete objects that failed; each is tried again.',
      { label: 'kind', values: TIER_WORK, create: Counter },
    ),
    objectsDeleted: new Counter('chronik_objects_deleted_total', 'Objects that were deleted from the object store.'),
    orphansFound: new Counter(
      'chronik_orphan_objects_found_total',
      'Objects that were found in the object store and belong to nothing: uploads that were never finished.',
    ),
  }
}

export function tierGauges({ tiers, unsealedBytes, sealFailingSeconds }: TierReadings): Exposable[] {
  return [
    new SeriesGauge(
      'chronik_tier_bytes',
      'Bytes of the records of a topic in the write-ahead log (wal) and in segments (store).',
      ['tier', 'topic'],
      () => tiers().bytes,
    ),
    new Gauge(
      'chronik_tier_topics_left_out',
      'Topics whose bytes are not shown, because there are more than metrics-max-topics.',
      () => tiers().topicsLeftOut,
    ),
    new Gauge('chronik_segments', 'Segments of all partitions.', () => tiers().segments),
    new Gauge(
      'chronik_garbage_objects',
      'Objects that nothing refers to any more and that are not deleted yet.',
      () => tiers().garbageObjects,
    ),
    new Gauge('chronik_unsealed_bytes', 'Bytes of records that are in no segment yet.', unsealedBytes),
    new Gauge(
      'chronik_seal_failing_seconds',
      'How long sealing into the object store has failed; 0 if it works, or if there is nothing to seal.',
      sealFailingSeconds,
    ),
  ]
}
