// Every metric of the product, by the name that its users see. docs/METRICS.md is written from here.

import { type CacheReadings, cacheGauges, createCacheMetrics } from './cache-metrics.ts'
import { Counter, type Exposable, Family, Gauge, Histogram, type Series, SeriesGauge } from './metrics.ts'
import {
  createRecoveryMetrics,
  type RecoveryFigures,
  type RecoveryReadings,
  recoveryGauges,
  recoveryProgressGauges,
} from './recovery-metrics.ts'
import { createStoreMetrics } from './store-metrics.ts'
import { createTierMetrics, type TierReadings, tierGauges } from './tier-metrics.ts'

/** What labels can be, by the numbers that the code has for them. */
export interface MetricLabels {
  /** By API key, with holes. */
  apiNames: readonly (string | undefined)[]
  /** By the type number of a commit record, with holes. */
  commitRecordTypes: readonly (string | undefined)[]
}

/** What is counted and measured where it happens. */
export type Metrics = ReturnType<typeof createMetrics>

export function createMetrics({ apiNames, commitRecordTypes }: MetricLabels) {
  return {
    messagesReceived: new Counter(
      'chronik_messages_received_total',
      'Records of produce requests that passed the checks, whether they were then stored or refused.',
    ),
    messagesStored: new Counter(
      'chronik_messages_stored_total',
      'Records that were stored and acknowledged as promised.',
    ),
    produceLatency: new Histogram(
      'chronik_produce_latency_seconds',
      'From the last byte of a produce request to its answer.',
    ),
    fetchLatency: new Histogram(
      'chronik_fetch_latency_seconds',
      'From the last byte of a fetch request to its answer, without the time it waited for records to come.',
    ),
    connectionsRefused: new Counter('chronik_connections_refused_total', 'Connections that were not taken.'),
    requests: new Family('chronik_requests_total', 'Requests by API.', {
      label: 'api',
      values: apiNames,
      create: Counter,
    }),
    requestErrors: new Family(
      'chronik_request_errors_total',
      'Requests that were answered with an error, in whole or in part, or by closing the connection.',
      { label: 'api', values: apiNames, create: Counter },
    ),
    requestLatency: new Family('chronik_request_latency_seconds', 'From the last byte of a request to its answer.', {
      label: 'api',
      values: apiNames,
      create: Histogram,
    }),
    produceFlushes: new Counter('chronik_produce_flush_total', 'Flush groups that held at least one produced batch.'),
    produceBatchesFlushed: new Counter('chronik_produce_batches_flushed_total', 'Produced batches in flush groups.'),
    walBatches: new Counter('chronik_wal_batch_count_total', 'Flush groups written to the write-ahead log.'),
    walBatchBytes: new Counter('chronik_wal_batch_bytes_total', 'Bytes of these groups.'),
    walSyncLatency: new Histogram(
      'chronik_wal_sync_latency_seconds',
      'Duration of one flush to the write-ahead log: write and sync, or the write alone if syncs come at an interval.',
    ),
    transactionsTimedOut: new Counter(
      'chronik_transactions_timed_out_total',
      'Transactions that the broker aborted because their producer left them open for too long.',
    ),
    commitRecords: new Family('chronik_commit_records_total', 'Records of the commit log by type.', {
      label: 'type',
      values: commitRecordTypes,
      create: Counter,
    }),
    groupRebalances: new Counter(
      'chronik_consumer_group_rebalances_total',
      'Rebalances of groups that came to their end: each began a generation.',
    ),
    ...createTierMetrics(),
    ...createRecoveryMetrics(),
    ...createStoreMetrics(),
    ...createCacheMetrics(),
  }
}

/** What is known of groups at one moment. */
export interface GroupFigures {
  /** By the name of the state. */
  readonly groupsInState: ReadonlyMap<string, number>
  readonly members: number
  readonly committedOffsets: number
  /** By group, topic and partition: not more than the settings allow. */
  readonly lags: readonly Series[]
}

export const NO_GROUPS: GroupFigures = { groupsInState: new Map(), members: 0, committedOffsets: 0, lags: [] }

/** What is read when somebody scrapes. */
export interface Readings extends TierReadings, RecoveryReadings, CacheReadings {
  activeConnections: () => number
  storageUsageBytes: () => number
  produceProfile: () => number
  walSyncIntervalSeconds: () => number
  openTransactions: () => number
  oldestTransactionSeconds: () => number
  transactionalIds: () => number
  checkpointAgeSeconds: () => number
  checkpointSizeBytes: () => number
  groups: () => GroupFigures
  eventLoopDelay: () => { p99Seconds: number; maxSeconds: number }
}

/** Before there is a broker to read anything else of. */
export function metricsToExposeAtFirst(metrics: Metrics, recovery: () => RecoveryFigures): Exposable[] {
  return [...Object.values(metrics), ...recoveryProgressGauges(recovery)]
}

/** All of them, in the order of the documentation. */
export function metricsToExpose(metrics: Metrics, readings: Readings): Exposable[] {
  return [
    ...Object.values(metrics),
    new Gauge(
      'chronik_produce_batches_per_flush_avg',
      'Produced batches per flush group since the start; for a window divide the rates of the two counters.',
      () => ratio(metrics.produceBatchesFlushed, metrics.produceFlushes),
    ),
    new Gauge(
      'chronik_wal_batch_size_avg',
      'Bytes per flush group since the start; for a window divide the rates of the two counters.',
      () => ratio(metrics.walBatchBytes, metrics.walBatches),
    ),
    new Gauge(
      'chronik_produce_profile_active',
      'The produce profile: 0 low-latency, 1 balanced, 2 high-throughput, 3 extreme.',
      readings.produceProfile,
    ),
    new Gauge(
      'chronik_wal_sync_interval_seconds',
      'The durability in force: 0 if every answer comes after its sync, else how much may be lost with the power.',
      readings.walSyncIntervalSeconds,
    ),
    new Gauge('chronik_active_connections', 'Open connections of Kafka clients.', readings.activeConnections),
    new Gauge(
      'chronik_storage_usage_bytes',
      'Bytes of the files of the log, their indexes and the checkpoints.',
      readings.storageUsageBytes,
    ),
    new Gauge('chronik_transactions_open', 'Transactions that are open.', readings.openTransactions),
    new Gauge(
      'chronik_transaction_oldest_open_seconds',
      'How long the oldest open transaction has been open: so old may be what read_committed consumers see last.',
      readings.oldestTransactionSeconds,
    ),
    new Gauge('chronik_transactional_ids', 'Transactional ids that are remembered.', readings.transactionalIds),
    new Gauge(
      'chronik_checkpoint_age_seconds',
      'Time since the last checkpoint, also if an earlier process wrote it.',
      readings.checkpointAgeSeconds,
    ),
    new Gauge(
      'chronik_checkpoint_size_bytes',
      'Size of the state in the last checkpoint, 0 if there is none.',
      readings.checkpointSizeBytes,
    ),
    ...tierGauges(readings),
    ...recoveryGauges(readings),
    ...cacheGauges(readings),
    ...groupGauges(readings.groups),
    ...eventLoopGauges(readings.eventLoopDelay),
  ]
}

function groupGauges(read: Readings['groups']): Exposable[] {
  return [
    new SeriesGauge('chronik_consumer_groups', 'Groups by state, those that only keep offsets too.', ['state'], () =>
      [...read().groupsInState].map(([state, value]) => ({ labelValues: [state], value })),
    ),
    new Gauge('chronik_consumer_group_members', 'Members of all groups.', () => read().members),
    new Gauge(
      'chronik_consumer_group_offsets',
      'Committed offsets of all groups, one for each partition of a group.',
      () => read().committedOffsets,
    ),
    new SeriesGauge(
      'chronik_consumer_group_lag',
      'Records from the committed offset, or from the first that is left, to the end of the partition.',
      ['group', 'topic', 'partition'],
      () => read().lags,
    ),
    new Gauge(
      'chronik_consumer_group_lag_left_out',
      'Committed offsets whose lag is not shown, because there are more than metrics-max-group-series.',
      () => read().committedOffsets - read().lags.length,
    ),
  ]
}

function ratio(total: Counter, count: Counter): number {
  return count.value === 0 ? 0 : total.value / count.value
}

// One reading for both, because reading starts a new period.
function eventLoopGauges(read: Readings['eventLoopDelay']): Gauge[] {
  let maxSeconds = 0
  return [
    new Gauge(
      'chronik_event_loop_delay_p99_seconds',
      'How late the broker thread came to what was due, since the last scrape; 99th percentile.',
      () => {
        const delay = read()
        maxSeconds = delay.maxSeconds
        return delay.p99Seconds
      },
    ),
    new Gauge('chronik_event_loop_delay_max_seconds', 'The same; the longest.', () => maxSeconds),
  ]
}
