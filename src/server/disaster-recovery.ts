import { relative, resolve } from 'node:path'
import type { ChronikError } from '#base/errors.ts'
import type { Clock, Disk, Random } from '#base/ports.ts'
import type { Settings } from '#config/settings.ts'
import type { Partition } from '#core/state.ts'
import type { Log } from '#log/log.ts'
import type { Logger } from '#observe/log.ts'
import type { Metrics } from '#observe/product-metrics.ts'
import { systemProcess } from '#system/process.ts'
import { packerOf, unpack } from '#tier/recovery/pack.ts'
import type { RecoveryProgress } from '#tier/recovery/progress.ts'
import { prepareRecovery, type Recovery } from '#tier/recovery/recovery.ts'
import { type SealLimits, unsealedFrom } from '#tier/seal-plan.ts'
import type { OpenedStore } from './open-store.ts'

export interface DisasterRecoveryOptions extends OpenedStore {
  readonly settings: Settings
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly metrics: Metrics
  readonly progress: RecoveryProgress
  failed(error: ChronikError): void
}

export const WINDOW_HOURS = 24
const TAIL_MS = 1000
const HOUR_MS = 3_600_000

/** A store inside the data directory is lost with it: there is nothing to recover from it, and nobody else to own it. */
export function isInside({ dataDir, localStoragePath }: Settings, isBucket: boolean): boolean {
  if (isBucket) return false
  if (localStoragePath === null) return true
  const from = relative(resolve(dataDir), resolve(localStoragePath))
  return !from.startsWith('..')
}

export function restoreWindowMs(settings: Settings, isBucket: boolean): number {
  return (settings.restoreWindowHours ?? (isInside(settings, isBucket) ? 0 : WINDOW_HOURS)) * HOUR_MS
}

export function tailUploadMs({ tailUploadMs: setMs }: Settings, isBucket: boolean): number {
  return setMs ?? (isBucket ? TAIL_MS : 0)
}

/** When answers wait for copies, everything is copied: then nothing is gained by sealing it early. */
export function sealLimits(settings: Settings, isBucket: boolean): SealLimits {
  const tailMs = tailUploadMs(settings, isBucket)
  const sealsEarly =
    tailMs > 0 && settings.snapshotEnabled && settings.durability !== 'bucket' && !isInside(settings, isBucket)
  return {
    segmentBytes: settings.sealMaxBytes,
    segmentMs: settings.sealMaxMs,
    tailMs: sealsEarly ? tailMs : Number.POSITIVE_INFINITY,
  }
}

/** Those before it will be in a segment before they would be copied again. */
function tailedFrom({ settings, clock, isBucket }: DisasterRecoveryOptions, log: Log, partition: Partition): number {
  const unsealed = log.unsealed.find(partition.ordinal)
  const facts = { nowMs: clock.monotonicMs(), limits: sealLimits(settings, isBucket) }
  return unsealed === undefined ? partition.walStart : unsealedFrom(unsealed, facts)
}

/** Before the log is opened. Null: the store is not for that. */
export async function openRecovery(options: DisasterRecoveryOptions): Promise<Recovery | null> {
  const { settings, metrics, logger, isBucket } = options
  if (isInside(settings, isBucket)) return null
  return prepareRecovery({
    ...options,
    dataDir: settings.dataDir,
    host: systemProcess.hostName,
    settings: {
      takeOver: settings.takeOver,
      takeoverAfterMs: settings.takeoverAfterMs,
      durability: settings.durability,
      isArchived: settings.snapshotEnabled,
      checkpointRecords: settings.snapshotLogThreshold,
      checkpointMs: settings.snapshotTimeThresholdSecs * 1000,
      restoreWindowMs: restoreWindowMs(settings, isBucket),
      tailUploadMs: tailUploadMs(settings, isBucket),
    },
    tailedFrom: (log, partition) => tailedFrom(options, log, partition),
    packer: packerOf(settings.snapshotCompression),
    unpack,
    metrics: {
      created() {
        metrics.snapshotCreations.value++
      },
      uploaded() {
        metrics.snapshotUploads.value++
      },
      failed() {
        metrics.snapshotFailures.value++
      },
      copied(sizeBytes) {
        metrics.tailBytes.value += sizeBytes
      },
    },
    report: (level, message, fields) => logger[level](message, fields),
  })
}
