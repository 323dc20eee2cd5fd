import type { Disk, Random } from '#base/ports.ts'
import type { Settings } from '#config/settings.ts'
import { openLocalStore } from '#object-store/local-store.ts'
import type { ObjectStore } from '#object-store/object-store.ts'

/** A store, and what a start needs to know of it. */
export interface OpenedStore {
  readonly store: ObjectStore
  /** Of several who create the same object one is told that it did. */
  readonly createsHonestly: boolean
  /** Not a directory. */
  readonly isBucket: boolean
}

/** The store that the settings name. */
export async function openStore({
  settings,
  disk,
  random,
}: {
  settings: Settings
  disk: Disk
  random: Random
}): Promise<OpenedStore> {
  const directory = settings.localStoragePath ?? `${settings.dataDir}/store`
  return { store: await openLocalStore({ disk, random, directory }), createsHonestly: true, isBucket: false }
}
