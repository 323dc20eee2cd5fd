import { ChronikError, messageOf } from '#base/errors.ts'
import type { Clock, Disk, Random } from '#base/ports.ts'
import { BufferPool } from '#bytes/buffer-pool.ts'
import type { SettingSources } from '#config/load-settings.ts'
import { PRODUCE_PROFILES, type Settings } from '#config/settings.ts'
import { PRODUCE_RECORD, RECORD_TYPE_NAMES } from '#core/change-records.ts'
import type { State } from '#core/state.ts'
import { type Health, listenControl, listenHttp, operationsRoutes } from '#http/http.ts'
import { ConnectionHub, type KafkaListener, listenKafka } from '#kafka/kafka.ts'
import { apis } from '#kafka/protocol/protocol.ts'
import {
  checkpointDirectory,
  type Log,
  type LogOptions,
  openLog,
  TopicRules,
  WITHOUT_COPY,
  walDirectory,
} from '#log/log.ts'
import { type RangeSource, sourceOf } from '#object-store/object-store.ts'
import type { RangeCache } from '#object-store/range-cache.ts'
import { createExposition, type Exposition } from '#observe/exposition.ts'
import type { Logger } from '#observe/log.ts'
import { createMetrics, type Metrics, metricsToExpose, NO_GROUPS } from '#observe/product-metrics.ts'
import { NO_TIERS } from '#observe/tier-metrics.ts'
import { monitorEventLoop } from '#system/event-loop.ts'
import { lockDirectory } from '#system/lock.ts'
import type { Recovery } from '#tier/recovery/recovery.ts'
import { startTier, type Tier, type TierOptions } from '#tier/tier.ts'
import { openRecovery, restoreWindowMs } from './disaster-recovery.ts'
import { type OpenedStore, openCache, openStore, READ_BUFFER_BYTES } from './open-store.ts'
import { StorageUsage } from './storage-usage.ts'

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
  const { settings, disk, logger, random } = options
  await makeDataDirectory(disk, settings.dataDir)
  const stops: Stop[] = []
  // They end side by side: a slow client of one does not take the time that the others have to finish.
  const listeners: Listener[] = []
  const stopListening = () => Promise.all(listeners.map(listener => listener.close(settings.drainTimeoutMs)))
  try {
    const lock = await lockDirectory(settings.dataDir)
    stops.push(() => lock.release())
    const metrics = createMetrics(metricLabels())
    const hub = new ConnectionHub()
    const opened = await openStore({ ...options, notes: logger }, metrics)
    stops.push(() => opened.store.close())
    const cache = openCache(opened, options, metrics)
    stops.push(() => cache?.close())
    const failed = (error: ChronikError) => {
      hub.logFailed()
      options.failed(error)
    }
    const recovery = await openRecovery({ ...options, ...opened, metrics, failed })
    const copying = recovery?.forLog ?? WITHOUT_COPY
    const log = await openLog({
      ...logOptions(options, {
        metrics,
        hub,
        segments: cache ?? sourceOf(opened.store, new BufferPool(READ_BUFFER_BYTES)),
      }),
      failed,
      ...copying,
    })
    stops.push(() => log.close())
    if (recovery !== null) {
      stops.push(() => recovery.close(RELEASE_MS))
      await recovery.begin(log)
    }
    const topicRules = new TopicRules(log.state, settings, options.sources)
    const tier = startTier(tierOptions(options, opened, { log, topicRules, metrics, recovery, cache }))
    stops.push(() => tier.close(settings.drainMs ?? (opened.isBucket ? BUCKET_DRAIN_MS : 0)))
    const clusterId = await ensureClusterId(log, random)
    stops.push(async () => void (await stopListening()))
    const kafka = await listenKafka({ ...options, metrics, log, topicRules, hub })
    listeners.push(kafka)
    let metricsPort: number | null = null
    if (options.operations) {
      const eventLoop = monitorEventLoop()
      stops.push(() => eventLoop.stop())
      const exposition = expose(options, { metrics, log, hub, kafka, tier, recovery, cache, eventLoop })
      metricsPort = await listenOperations(options, { log, recovery, tier, kafka, exposition }, listeners)
    }
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

/** On the way out the store gets the rest of the log, and the ownership back, within so long. */
const RELEASE_MS = 30_000

/** Those that two checkpoints need, the one that is written, and those that are made before they are needed. */
const LEAST_WAL_FILES = 9

/** What is not in the bucket when the broker stops is only on this machine. */
const BUCKET_DRAIN_MS = 30_000

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
  { settings, clock, logger, random }: ServerOptions,
  { store, isBucket }: OpenedStore,
  { log, topicRules, metrics, recovery, cache }: TierParts,
): TierOptions {
  return {
    log,
    topicRules,
    store,
    cache,
    clock,
    random,
    limits: { segmentBytes: settings.sealMaxBytes, segmentMs: settings.sealMaxMs },
    walLimitBytes: log.options.walLimitBytes,
    restoreWindowMs: restoreWindowMs(settings, isBucket),
    isArchived: position => recovery?.isArchived(position) ?? true,
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
    },
    report: (level, message, fields) => logger[level](message, fields),
  }
}

function logOptions(
  options: ServerOptions,
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
async function ensureClusterId(log: Log, random: Random): Promise<string> {
  if (log.state.clusterId === '') {
    await log.propose({ kind: 'cluster-created', clusterId: random.bytes(16).toString('base64url') })
  }
  return log.state.clusterId
}

function expose(
  options: ServerOptions,
  parts: {
    metrics: Metrics
    log: Log
    hub: ConnectionHub
    kafka: KafkaListener
    tier: Tier
    recovery: Recovery | null
    cache: RangeCache | null
    eventLoop: ReturnType<typeof monitorEventLoop>
  },
): Exposition {
  const { settings, disk, clock } = options
  const { metrics, log, hub, kafka, tier, recovery, cache, eventLoop } = parts
  const storage = new StorageUsage(disk, [walDirectory(settings.dataDir), checkpointDirectory(settings.dataDir)])
  let groups = NO_GROUPS
  let tiers = NO_TIERS
  const exposition = createExposition(
    metricsToExpose(metrics, {
      activeConnections: () => hub.size,
      storageUsageBytes: () => storage.sizeBytes,
      produceProfile: () => PRODUCE_PROFILES[settings.produceProfile].index,
      walSyncIntervalSeconds: () => (settings.walSync.kind === 'always' ? 0 : settings.walSync.intervalMs / 1000),
      openTransactions: () => log.state.openTransactions.size,
      oldestTransactionSeconds: () => oldestTransactionMs(log.state, clock.nowMs()) / 1000,
      transactionalIds: () => log.state.transactions.size,
      checkpointAgeSeconds: () => (clock.nowMs() - log.maintenance.checkpoint.writtenMs) / 1000,
      checkpointSizeBytes: () => log.maintenance.checkpoint.sizeBytes,
      groups: () => groups,
      tiers: () => tiers,
      unsealedBytes: () => log.unsealed.sizeBytes,
      cacheUsedBytes: () => cache?.usedBytes ?? 0,
      cacheDiskBytes: () => cache?.diskBytes ?? 0,
      snapshotSizeBytes: () => recovery?.checkpointSizeBytes ?? 0,
      uploadLagSeconds: () => (recovery?.lag.ms ?? 0) / 1000,
      uploadLagBytes: () => recovery?.lag.bytes ?? 0,
      sealFailingSeconds: () => tier.failingMs / 1000,
      eventLoopDelay: () => eventLoop.read(),
    }),
    clock,
  )
  return {
    contentType: exposition.contentType,
    text: async () => {
      await storage.measure()
      groups = await kafka.measureGroups()
      tiers = await tier.measure(settings.metricsMaxTopics)
      return exposition.text()
    },
  }
}

const SILENCED = 'the ownership of the object store could not be renewed: nothing is acknowledged until it is'

/** Adds to the listeners what listens; returns the port. */
async function listenOperations(
  options: ServerOptions,
  parts: { log: Log; recovery: Recovery | null; tier: Tier; kafka: KafkaListener; exposition: Exposition },
  listeners: Listener[],
): Promise<number> {
  const { settings, clock, logger } = options
  const { log, recovery, tier, kafka, exposition } = parts
  const routes = operationsRoutes(exposition, () => healthOf(log, tier, recovery))
  const forOwner = [...routes, ...kafka.ownerRoutes]
  const control = await listenControl({ routes: forOwner, clock, log: logger, dataDirectory: settings.dataDir })
  listeners.push(control)
  const http = await listenHttp({ routes, clock, log: logger, host: settings.bindAddr, port: settings.metricsPort })
  listeners.push(http)
  return http.port
}

function healthOf(log: Log, { failingMs }: Tier, recovery: Recovery | null): Health {
  const { refusal, unsealed, options, commits } = log
  const warning =
    `nothing could be sealed into the object store for ${Math.round(failingMs / 1000)} s: ${unsealed.sizeBytes} bytes wait in the ` +
    `write-ahead log, which has ${commits.files.sizeBytes} of at most ${options.walLimitBytes} bytes; records are taken until then, ` +
    'and read as far as they are on this machine'
  const reasons = refusal === null ? [] : [refusal.message]
  if (recovery?.isSilenced) reasons.push(SILENCED)
  return { reasons, warnings: failingMs === 0 ? [] : [warning] }
}

function oldestTransactionMs({ openTransactions }: State, nowMs: number): number {
  let oldestMs = 0
  for (const { startedMs } of openTransactions) oldestMs = Math.max(oldestMs, nowMs - startedMs)
  return oldestMs
}
