import { ChronikError, messageOf } from '#base/errors.ts'
import type { Clock, Disk, Random } from '#base/ports.ts'
import { BufferPool } from '#bytes/buffer-pool.ts'
import type { SettingSources } from '#config/load-settings.ts'
import { PRODUCE_PROFILES, type Settings } from '#config/settings.ts'
import { PRODUCE_RECORD, RECORD_TYPE_NAMES } from '#core/change-records.ts'
import { listenControl, type Route } from '#http/http.ts'
import { ConnectionHub, listenKafka } from '#kafka/kafka.ts'
import { apis } from '#kafka/protocol/protocol.ts'
import { type Log, type LogOptions, openLog, TopicRules, WITHOUT_COPY } from '#log/log.ts'
import { type RangeSource, sourceOf, tellingWhy } from '#object-store/object-store.ts'
import type { RangeCache } from '#object-store/range-cache.ts'
import type { Logger } from '#observe/log.ts'
import { createMetrics, type Metrics } from '#observe/product-metrics.ts'
import { TIER_WORK } from '#observe/tier-metrics.ts'
import { lockDirectory } from '#system/lock.ts'
import { RecoveryProgress, tellingOf } from '#tier/recovery/progress.ts'
import type { Recovery } from '#tier/recovery/recovery.ts'
import { startTier, type TierOptions } from '#tier/tier.ts'
import { drainMs, openRecovery, restoreWindowMs, sealLimits } from './disaster-recovery.ts'
import { type OpenedStore, openCache, openStore, READ_BUFFER_BYTES } from './open-store.ts'
import { Operations, type RunningBroker } from './operations.ts'

// Builds the whole broker, starts it part by part, and stops it in reverse order. Nothing is built anywhere else.

export interface ServerOptions {
  settings: Settings
  sources: SettingSources
  disk: Disk
  clock: Clock
  random: Random
  logger: Logger
  /** Without one nothing listens for metrics, health and commands. */
  operations: boolean
  /** The broker can no longer keep its promises: the process should end. */
  failed(error: ChronikError): void
}

export interface Server {
  readonly kafka: { readonly address: string; readonly port: number }
  /** Null without operations. */
  readonly metricsPort: number | null
  readonly clusterId: string
  /** Finishes what was begun, up to the deadline, writes a checkpoint and ends. */
  close(): Promise<void>
}

export async function startServer(options: ServerOptions): Promise<Server> {
  const { settings, disk, clock, logger } = options
  await makeDataDirectory(disk, settings.dataDir)
  const stops: Stop[] = []
  try {
    const lock = await lockDirectory(settings.dataDir)
    stops.push(() => lock.release())
    const metrics = createMetrics(metricLabels())
    const progress = new RecoveryProgress()
    const operations = options.operations ? new Operations(options, metrics, progress) : null
    stops.push(() => operations?.close())
    const metricsPort = (await operations?.listen()) ?? null
    const starting = startBroker({ ...options, metrics, progress, routes: operations?.routes ?? null }, stops)
    const tell = (text: string): void => logger.info(`starting: ${text}`)
    const broker = await tellingOf({ progress, clock }, tell, starting)
    progress.step = 'done'
    operations?.serving(broker)
    stops.push(() => operations?.stopping())
    const { kafka, log } = broker
    const { clusterId } = log.state
    logger.info('started', { kafkaPort: kafka.port, metricsPort, dataDir: settings.dataDir, clusterId })
    let closing: Promise<void> | null = null
    return {
      kafka: { address: kafka.address, port: kafka.port },
      metricsPort,
      clusterId,
      close: () => {
        closing ??= stopAll(stops)
        return closing
      },
    }
  } catch (thrown) {
    await stopAll(stops).catch((error: unknown) => logger.warn('a start that failed left something behind', { error }))
    throw thrown
  }
}

interface BrokerOptions extends Omit<ServerOptions, 'operations'> {
  readonly metrics: Metrics
  readonly progress: RecoveryProgress
  /** For the control socket; null: there is none. */
  readonly routes: readonly Route[] | null
}

/** What ends it is added to the stops part by part. */
async function startBroker(options: BrokerOptions, stops: Stop[]): Promise<RunningBroker> {
  const { settings, clock, logger, metrics, progress, routes } = options
  const hub = new ConnectionHub()
  const store = await openStore({ ...options, notes: logger }, metrics)
  stops.push(() => store.store.close())
  const cache = openCache(store, options, metrics)
  stops.push(() => cache?.close())
  const failed = (error: ChronikError) => {
    hub.logFailed()
    options.failed(error)
  }
  progress.step = 'ownership'
  const recovery = await openRecovery({ ...options, ...store, failed })
  const copying = recovery?.forLog ?? WITHOUT_COPY
  progress.step = 'log'
  const log = await openLog({
    ...logOptions(options, {
      metrics,
      hub,
      segments: tellingWhy(cache ?? sourceOf(store.store, new BufferPool(READ_BUFFER_BYTES)), store.failure),
    }),
    failed,
    ...copying,
  })
  stops.push(() => log.close())
  if (recovery !== null) {
    stops.push(() => recovery.close(Math.max(LEAST_RELEASE_MS, drainMs(settings))))
    await recovery.begin(log)
  }
  const topicRules = new TopicRules(log.state, settings, options.sources)
  const tier = startTier(tierOptions(options, store, { log, topicRules, metrics, recovery, cache }))
  stops.push(() => tier.close(drainMs(settings)))
  await ensureClusterId(log, options.random)
  // They end side by side: a slow client of one does not take the time that the others have to finish.
  const listeners: Listener[] = []
  stops.push(async () => void (await Promise.all(listeners.map(one => one.close(settings.drainTimeoutMs)))))
  const kafka = await listenKafka({ ...options, log, topicRules, hub })
  listeners.push(kafka)
  if (routes !== null) {
    const forOwner = [...routes, ...kafka.ownerRoutes]
    listeners.push(await listenControl({ routes: forOwner, clock, log: logger, dataDirectory: settings.dataDir }))
  }
  return { log, hub, kafka, tier, store, recovery, cache }
}

type Stop = () => Promise<void> | void

/** In reverse order, every one, whatever becomes of the others. */
async function stopAll(stops: Stop[]): Promise<void> {
  const failures: unknown[] = []
  for (const call of stops.splice(0).reverse()) {
    try {
      await call()
    } catch (thrown) {
      failures.push(thrown)
    }
  }
  if (failures.length > 0) throw failures[0]
}

/** On the way out the store gets the rest of the log, and the ownership back, within as long as it was drained, or this. */
const LEAST_RELEASE_MS = 10_000

/** Those that two checkpoints need, the one that is written, and those that are made before they are needed. */
const LEAST_WAL_FILES = 9

interface Listener {
  close(deadlineMs: number): Promise<void>
}

async function makeDataDirectory(disk: Disk, dataDir: string): Promise<void> {
  try {
    await disk.makeDirectory(dataDir)
  } catch (cause) {
    const message = `cannot make the data directory ${dataDir} (${messageOf(cause)}): choose one that this user can write to`
    throw new ChronikError('DATA_DIRECTORY_UNUSABLE', 'invalid', message, { cause })
  }
}

function metricLabels(): { apiNames: (string | undefined)[]; commitRecordTypes: (string | undefined)[] } {
  const apiNames: (string | undefined)[] = []
  for (const api of apis.values()) apiNames[api.key] = api.name
  const commitRecordTypes: (string | undefined)[] = []
  for (const [type, name] of RECORD_TYPE_NAMES) commitRecordTypes[type] = name
  return { apiNames, commitRecordTypes }
}

interface TierParts {
  readonly log: Log
  readonly topicRules: TopicRules
  readonly metrics: Metrics
  readonly recovery: Recovery | null
  readonly cache: RangeCache | null
}

function tierOptions(
  { settings, clock, logger, random }: BrokerOptions,
  { store }: OpenedStore,
  { log, topicRules, metrics, recovery, cache }: TierParts,
): TierOptions {
  return {
    log,
    topicRules,
    store,
    cache,
    clock,
    random,
    limits: sealLimits(settings),
    walLimitBytes: log.options.walLimitBytes,
    restoreWindowMs: restoreWindowMs(settings),
    isArchived: position => recovery?.isArchived(position) ?? true,
    confirm: async () => recovery?.confirm(),
    metrics: {
      sealed(segments, sizeBytes, seconds) {
        metrics.segmentsSealed.value += segments
        metrics.sealedBytes.value += sizeBytes
        metrics.sealLatency.observe(seconds)
      },
      sealFailed() {
        metrics.sealFailures.value++
      },
      compacted({ readBytes, keptBytes }, seconds) {
        metrics.compactions.value++
        metrics.compactedBytes.value += readBytes
        metrics.compactionKeptBytes.value += keptBytes
        metrics.compactionLatency.observe(seconds)
      },
      merged(segments) {
        metrics.segmentsMerged.value += segments
      },
      deleted(objects) {
        metrics.objectsDeleted.value += objects
      },
      orphansFound(objects) {
        metrics.orphansFound.value += objects
      },
      failed(kind) {
        metrics.tierFailures.of(TIER_WORK.indexOf(kind)).value++
      },
    },
    report: (level, message, fields) => logger[level](message, fields),
  }
}

function logOptions(
  options: BrokerOptions,
  { metrics, hub, segments }: { metrics: Metrics; hub: ConnectionHub; segments: RangeSource },
): Omit<LogOptions, 'failed' | 'committed' | 'mayAnswer'> {
  const { settings, disk, clock, logger } = options
  const profile = PRODUCE_PROFILES[settings.produceProfile]
  return {
    disk,
    clock,
    dataDir: settings.dataDir,
    walFileBytes: settings.walFileBytes,
    walLimitBytes: Math.max(settings.walLimitBytes, LEAST_WAL_FILES * settings.walFileBytes),
    cacheBytes: settings.logCacheBytes,
    gather: { batches: profile.gatherBatches, delayMs: profile.gatherMs, whenIdle: profile.gathersWhenIdle },
    sync: settings.walSync.kind === 'always' ? 'always' : settings.walSync.intervalMs,
    segments,
    metrics: {
      flushed(_batches, sizeBytes, seconds) {
        metrics.walBatches.value++
        metrics.walBatchBytes.value += sizeBytes
        metrics.walSyncLatency.observe(seconds)
      },
      applied(recordType, batches) {
        metrics.commitRecords.of(recordType).value++
        if (recordType !== PRODUCE_RECORD) return
        metrics.produceFlushes.value++
        metrics.produceBatchesFlushed.value += batches
      },
      stored(records) {
        metrics.messagesStored.value += records
      },
    },
    report: (level, message, fields) => logger[level](message, fields),
    afterCommit: () => hub.settle(),
  }
}

/** The id of the cluster is made once, with the log. */
async function ensureClusterId(log: Log, random: Random): Promise<void> {
  if (log.state.clusterId !== '') return
  await log.propose({ kind: 'cluster-created', clusterId: random.bytes(16).toString('base64url') })
}
