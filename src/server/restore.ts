import type { Settings } from '#config/settings.ts'
import type { ObjectReader } from '#object-store/object-store.ts'
import { createStoreMetrics } from '#observe/store-metrics.ts'
import { systemClock } from '#system/clock.ts'
import { systemDisk } from '#system/disk.ts'
import { lockDirectory } from '#system/lock.ts'
import { systemProcess } from '#system/process.ts'
import { systemRandom } from '#system/random.ts'
import { unpack } from '#tier/recovery/pack.ts'
import { RecoveryProgress, tellingOf } from '#tier/recovery/progress.ts'
import type { RestorePlan } from '#tier/recovery/restore.ts'
import {
  describeOwnerOf,
  lookAtRestore,
  type RestoreDirectoryOptions,
  restoreDirectory,
} from '#tier/recovery/restore-directory.ts'
import { openStore, openStoreToRead, type Surroundings } from './open-store.ts'

// What `chronik restore` does: with the store of the settings, and without a broker.

export interface RestoreRequest {
  readonly settings: Settings
  /** Null: all there is. */
  readonly atMs: number | null
  readonly takeOver: boolean
  /** Without what is damaged, and what is lost by that. */
  readonly acceptsLoss: boolean
  readonly executes: boolean
  report(message: string): void
}

export interface RestoreReport {
  readonly place: string
  readonly owner: string
  readonly plan: RestorePlan
}

export async function restoreFromStore(request: RestoreRequest): Promise<RestoreReport> {
  const progress = new RecoveryProgress()
  const work = request.executes ? restore(request, progress) : look(request, progress)
  return tellingOf({ progress, clock: systemClock }, request.report, work)
}

/** Beside a broker that goes on: nothing is written, here or there. */
async function look(request: RestoreRequest, progress: RecoveryProgress): Promise<RestoreReport> {
  const store = await openStoreToRead(surroundingsOf(request), createStoreMetrics())
  try {
    const { atMs, acceptsLoss } = request
    const reader = { ...reportingTo(request), store, signal: UNENDING, unpack, progress }
    return describe(store, await lookAtRestore({ ...reader, atMs, acceptsLoss }))
  } finally {
    await store.close()
  }
}

async function restore(request: RestoreRequest, progress: RecoveryProgress): Promise<RestoreReport> {
  const { dataDir } = request.settings
  await systemDisk.makeDirectory(dataDir)
  const lock = await lockDirectory(dataDir)
  try {
    return await withStore(request, progress, async options => {
      const found = describe(options.store, await lookAtRestore(options))
      return { ...found, plan: await restoreDirectory(options) }
    })
  } finally {
    await lock.release()
  }
}

function describe(store: ObjectReader, found: Awaited<ReturnType<typeof lookAtRestore>>): RestoreReport {
  return { place: store.place, owner: describeOwnerOf(found), plan: found.plan }
}

const UNENDING = new AbortController().signal

function surroundingsOf({ settings, report }: RestoreRequest): Surroundings {
  return { settings, disk: systemDisk, clock: systemClock, random: systemRandom, notes: { info: report, warn: report } }
}

function reportingTo({ report }: RestoreRequest): Pick<RestoreDirectoryOptions, 'report'> {
  return { report: (_level, message) => report(message) }
}

async function withStore(
  request: RestoreRequest,
  progress: RecoveryProgress,
  call: (options: RestoreDirectoryOptions) => Promise<RestoreReport>,
): Promise<RestoreReport> {
  const { settings, atMs, takeOver, acceptsLoss } = request
  const { store, createsHonestly } = await openStore(surroundingsOf(request), createStoreMetrics())
  try {
    return await call({
      store,
      createsHonestly,
      takeOver,
      atMs,
      acceptsLoss,
      disk: systemDisk,
      clock: systemClock,
      random: systemRandom,
      signal: UNENDING,
      unpack,
      progress,
      dataDir: settings.dataDir,
      host: systemProcess.hostName,
      ...reportingTo(request),
    })
  } finally {
    await store.close()
  }
}
