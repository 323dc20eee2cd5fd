import type { Settings } from '#config/settings.ts'
import { createStoreMetrics } from '#observe/store-metrics.ts'
import { systemClock } from '#system/clock.ts'
import { systemDisk } from '#system/disk.ts'
import { lockDirectory } from '#system/lock.ts'
import { systemProcess } from '#system/process.ts'
import { systemRandom } from '#system/random.ts'
import { unpack } from '#tier/recovery/pack.ts'
import type { RestorePlan } from '#tier/recovery/restore.ts'
import {
  describeOwnerOf,
  lookAtRestore,
  type RestoreDirectoryOptions,
  restoreDirectory,
} from '#tier/recovery/restore-directory.ts'
import { openStore } from './open-store.ts'

// What `chronik restore` does: with the store of the settings, and without a broker.

export interface RestoreRequest {
  readonly settings: Settings
  /** Null: all there is. */
  readonly atMs: number | null
  readonly takeOver: boolean
  readonly executes: boolean
  report(message: string): void
}

export interface RestoreReport {
  readonly place: string
  readonly owner: string
  readonly plan: RestorePlan
}

export async function restoreFromStore(request: RestoreRequest): Promise<RestoreReport> {
  const { settings, executes } = request
  const { dataDir } = settings
  if (!executes) return withStore(request, async options => describe(options, await lookAtRestore(options)))
  await systemDisk.makeDirectory(dataDir)
  const lock = await lockDirectory(dataDir)
  try {
    return await withStore(request, async options => {
      const found = describe(options, await lookAtRestore(options))
      return { ...found, plan: await restoreDirectory(options) }
    })
  } finally {
    await lock.release()
  }
}

function describe({ store }: RestoreDirectoryOptions, found: Awaited<ReturnType<typeof lookAtRestore>>): RestoreReport {
  return { place: store.place, owner: describeOwnerOf(found), plan: found.plan }
}

async function withStore(
  { settings, atMs, takeOver, report }: RestoreRequest,
  call: (options: RestoreDirectoryOptions) => Promise<RestoreReport>,
): Promise<RestoreReport> {
  const surroundings = { settings, disk: systemDisk, clock: systemClock, random: systemRandom }
  const notes = { info: report, warn: report }
  const { store, createsHonestly } = await openStore({ ...surroundings, notes }, createStoreMetrics())
  try {
    return await call({
      store,
      createsHonestly,
      takeOver,
      atMs,
      disk: systemDisk,
      clock: systemClock,
      random: systemRandom,
      signal: new AbortController().signal,
      unpack,
      dataDir: settings.dataDir,
      host: systemProcess.hostName,
      report: (_level, message) => report(message),
    })
  } finally {
    await store.close()
  }
}
