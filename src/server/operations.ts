import type { Clock } from '#base/ports.ts'
import { PRODUCE_PROFILES } from '#config/settings.ts'
import type { State } from '#core/state.ts'
import { type Health, type HttpListener, listenHttp, operationsRoutes, type Route } from '#http/http.ts'
import type { ConnectionHub, KafkaListener } from '#kafka/kafka.ts'
import { checkpointDirectory, type Log, walDirectory } from '#log/log.ts'
import type { RangeCache } from '#object-store/range-cache.ts'
import { createExposition, type Exposition } from '#observe/exposition.ts'
import { type Metrics, metricsToExpose, metricsToExposeAtFirst, NO_GROUPS } from '#observe/product-metrics.ts'
import { NO_TIERS } from '#observe/tier-metrics.ts'
import { monitorEventLoop } from '#system/event-loop.ts'
import type { RecoveryProgress } from '#tier/recovery/progress.ts'
import type { Recovery } from '#tier/recovery/recovery.ts'
import type { Tier } from '#tier/tier.ts'
import { healthOf } from './health.ts'
import type { OpenedStore } from './open-store.ts'
import type { ServerOptions } from './server.ts'
import { StorageUsage } from './storage-usage.ts'

// Metrics and health, for as long as the data directory is this process's: while it starts, which takes its time if it restores, while
// it serves, and while it stops.

/** A broker that serves. */
export interface RunningBroker {
  readonly log: Log
  readonly hub: ConnectionHub
  readonly kafka: KafkaListener
  readonly tier: Tier
  readonly store: OpenedStore
  readonly recovery: Recovery | null
  readonly cache: RangeCache | null
}

type Phase =
  | { readonly kind: 'starting'; readonly exposition: Exposition }
  | { readonly kind: 'serving' | 'stopping'; readonly broker: RunningBroker; readonly exposition: Exposition }

/** A scrape that is under way at the very end. */
const LAST_ANSWERS_MS = 1000

export class Operations {
  readonly #options: ServerOptions
  readonly #metrics: Metrics
  readonly #progress: RecoveryProgress
  readonly #eventLoop = monitorEventLoop()
  readonly routes: Route[]
  #phase: Phase
  #http: HttpListener | null = null

  constructor(options: ServerOptions, metrics: Metrics, progress: RecoveryProgress) {
    this.#options = options
    this.#metrics = metrics
    this.#progress = progress
    const exposition = createExposition(
      metricsToExposeAtFirst(metrics, () => progress),
      options.clock,
    )
    this.#phase = { kind: 'starting', exposition }
    const { contentType } = exposition
    this.routes = operationsRoutes({ contentType, text: () => this.#phase.exposition.text() }, () => this.#health())
  }

  /** Returns the port. */
  async listen(): Promise<number> {
    const { settings, clock, logger } = this.#options
    const place = { host: settings.bindAddr, port: settings.metricsPort }
    this.#http = await listenHttp({ routes: this.routes, clock, log: logger, ...place })
    return this.#http.port
  }

  /** From here on clients are served. */
  serving(broker: RunningBroker): void {
    this.#phase = { kind: 'serving', broker, exposition: this.#expose(broker) }
  }

  /** From here on they are not any more. */
  stopping(): void {
    if (this.#phase.kind === 'serving') this.#phase = { ...this.#phase, kind: 'stopping' }
  }

  async close(): Promise<void> {
    await this.#http?.close(LAST_ANSWERS_MS)
    this.#eventLoop.stop()
  }

  #health(): Health {
    const phase = this.#phase
    switch (phase.kind) {
      case 'starting':
        return { reasons: [`starting: ${this.#progress.text}`], warnings: [] }
      case 'serving':
        return healthOf({ ...phase.broker, nowMs: this.#options.clock.nowMs() })
      case 'stopping':
        return { reasons: ['stopping'], warnings: [] }
    }
  }

  #expose({ log, hub, kafka, tier, recovery, cache }: RunningBroker): Exposition {
    const { settings, disk, clock } = this.#options
    const storage = new StorageUsage(disk, [walDirectory(settings.dataDir), checkpointDirectory(settings.dataDir)])
    let groups = NO_GROUPS
    let tiers = NO_TIERS
    const exposition = createExposition(
      metricsToExpose(this.#metrics, {
        activeConnections: () => hub.size,
        storageUsageBytes: () => storage.sizeBytes,
        produceProfile: () => PRODUCE_PROFILES[settings.produceProfile].index,
        walSyncIntervalSeconds: () => (settings.walSync.kind === 'always' ? 0 : settings.walSync.intervalMs / 1000),
        openTransactions: () => log.state.openTransactions.size,
        oldestTransactionSeconds: () => oldestTransactionMs(log.state, clock) / 1000,
        transactionalIds: () => log.state.transactions.size,
        checkpointAgeSeconds: () => (clock.nowMs() - log.maintenance.checkpoint.writtenMs) / 1000,
        checkpointSizeBytes: () => log.maintenance.checkpoint.sizeBytes,
        groups: () => groups,
        tiers: () => tiers,
        unsealedBytes: () => log.unsealed.sizeBytes,
        cacheUsedBytes: () => cache?.usedBytes ?? 0,
        cacheDiskBytes: () => cache?.diskBytes ?? 0,
        recovery: () => this.#progress,
        snapshotSizeBytes: () => recovery?.checkpointSizeBytes ?? 0,
        uploadLagSeconds: () => (recovery?.lag.ms ?? 0) / 1000,
        uploadLagBytes: () => recovery?.lag.bytes ?? 0,
        sealFailingSeconds: () => tier.failingMs / 1000,
        eventLoopDelay: () => this.#eventLoop.read(),
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
}

function oldestTransactionMs({ openTransactions }: State, clock: Clock): number {
  const nowMs = clock.nowMs()
  let oldestMs = 0
  for (const { startedMs } of openTransactions) oldestMs = Math.max(oldestMs, nowMs - startedMs)
  return oldestMs
}
