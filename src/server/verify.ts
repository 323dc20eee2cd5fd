import { ChronikError } from '#base/errors.ts'
import type { Inspector } from '#base/inspection.ts'
import type { DirectoryLock } from '#base/ports.ts'
import type { Settings } from '#config/settings.ts'
import { isStoreInside } from '#config/store-settings.ts'
import { hasNoLog } from '#log/place-checkpoint.ts'
import type { ObjectReader } from '#object-store/object-store.ts'
import { createStoreMetrics } from '#observe/store-metrics.ts'
import { systemClock } from '#system/clock.ts'
import { systemDisk } from '#system/disk.ts'
import { lockForReading } from '#system/lock.ts'
import { systemRandom } from '#system/random.ts'
import { unpack } from '#tier/recovery/pack.ts'
import { type VerifyReport, verifySystem } from '#tier/verify/verify.ts'
import { openStoreToRead } from './open-store.ts'

// What `chronik verify` does: with the data directory and the store of the settings, and without a broker. Neither is changed.

export interface VerifyRequest {
  readonly settings: Settings
  readonly storeOnly: boolean
  readonly inspector: Inspector
  /** For people. */
  report(message: string): void
}

export interface SystemReport extends VerifyReport {
  readonly place: string
}

export async function verifyPlaces(request: VerifyRequest): Promise<SystemReport> {
  const { settings, storeOnly, report } = request
  const hasLog = !storeOnly && !(await hasNoLog(systemDisk, settings.dataDir))
  if (!storeOnly && !hasLog) report(`there is no log in ${settings.dataDir}: only the store is checked`)
  const lock = hasLog ? await lockStopped(settings.dataDir) : null
  try {
    const notes = { info: report, warn: report }
    const ports = { disk: systemDisk, clock: systemClock, random: systemRandom }
    const store = await openStoreToRead({ settings, ...ports, notes }, createStoreMetrics())
    try {
      return { place: store.place, ...(await verify(request, store, hasLog)) }
    } finally {
      await store.close()
    }
  } finally {
    await lock?.release()
  }
}

async function lockStopped(dataDir: string): Promise<DirectoryLock> {
  try {
    return await lockForReading(dataDir)
  } catch (thrown) {
    if (!(thrown instanceof ChronikError) || thrown.code !== 'DATA_DIRECTORY_LOCKED') throw thrown
    const message = `${thrown.message}. While it runs, --store-only checks what is in its store`
    throw new ChronikError(thrown.code, thrown.kind, message, { cause: thrown })
  }
}

function verify({ settings, inspector }: VerifyRequest, store: ObjectReader, hasLog: boolean): Promise<VerifyReport> {
  return verifySystem({
    disk: systemDisk,
    random: systemRandom,
    dataDir: hasLog ? settings.dataDir : null,
    store,
    isOwned: !isStoreInside(settings),
    unpack,
    inspector,
  })
}
