import type { ChronikError } from '#base/errors.ts'
import type { Clock, Disk, Random } from '#base/ports.ts'
import type { Settings } from '#config/settings.ts'
import { isStoreInside } from '#config/store-settings.ts'
import type { Partition } from '#core/state.ts'
import type { Log } from '#log/log.ts'
import type { Logger } from '#observe/log.ts'
import type { Metrics } from '#observe/product-metrics.ts'
import { systemProcess } from '#system/process.ts'
import { packerOf, unpack } from '#tier/recovery/pack.ts'
import type { RecoveryProgress } from '#tier/recovery/progress.ts'
import { prepareRecovery, type Recovery } from '#tier/recovery/recovery.ts'
import { type CopyWish, copyWishOf, type SealLimits } from '#tier/seal-plan.ts'
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
const DRAIN_MS = 30_000
const HOUR_MS = 3_600_000

export function restoreWindowMs(settings: Settings): number {
  return (settings.restoreWindowHours ?? (isStoreInside(settings) ? 0 : WINDOW_HOURS)) * HOUR_MS
}

export function tailUploadMs({ tailUploadMs: setMs, storageBackend }: Settings): number {
  return setMs ?? (storageBackend === 'local' ? 0 : TAIL_MS)
}

/** What is only in the log of this machine when the broker stops is not where it is looked for if that is lost. */
export function drainMs(settings: Settings): number {
  return settings.drainMs ?? (isStoreInside(settings) ? 0 : DRAIN_MS)
}

/** When answers wait for copies, everything is copied: then nothing is gained by sealing it early. */
export function sealLimits(settings: Settings): SealLimits {
  const tailMs = tailUploadMs(settings)
  const sealsEarly =
    tailMs > 0 && settings.snapshotEnabled && settings.durability !== 'bucket' && !isStoreInside(settings)
  return {
    segmentBytes: settings.sealMaxBytes,
    segmentMs: settings.sealMaxMs,
    tailMs: sealsEarly ? tailMs : Number.POSITIVE_INFINITY,
  }
}

function copyWish({ settings, clock }: DisasterRecoveryOptions, log: Log, partition: Partition): CopyWish {
  const unsealed = log.unsealed.find(partition.ordinal)
  if (unsealed === undefined) return { from: partition.walStart, isSealedNext: false }
  return copyWishOf(unsealed, { nowMs: clock.monotonicMs(), limits: sealLimits(settings) })
}

/** Before the log is opened. Null: the store is not for that. */
export async function openRecovery(options: DisasterRecoveryOptions): Promise<Recovery | null> {
  const { settings, metrics, logger } = options
  if (isStoreInside(settings)) return null
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
      restoreWindowMs: restoreWindowMs(settings),
      tailUploadMs: tailUploadMs(settings),
    },
    copyWish: (log, partition) => copyWish(options, log, partition),
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
