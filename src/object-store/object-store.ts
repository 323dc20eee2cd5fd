// Where sealed segments and copies of the log's state are kept: a flat space of named, immutable-by-custom byte sequences. Verbs
// only; what an object means is known above. Implementations differ in nothing that test/contract/object-store.ts can see.
// Keys are as keys.ts says, errors as store-errors.ts says. A call whose signal is aborted fails with the reason of the signal.
// A write that failed in another way than STORE_REFUSED or STORE_DENIED may have happened, or may happen later.

import { assert } from '#base/assert.ts'
import type { Disk } from '#base/ports.ts'
import type { Settings } from '#config/settings.ts'
import type { AzureOptions } from './azure-store.ts'
import { openLocalStore, openLocalStoreToRead } from './local-store.ts'
import { ObservedStore, type Observer } from './observed.ts'
import { REMOTE_POLICY, type RetrySurroundings, retrying } from './retry.ts'
import type { S3Options } from './s3-store.ts'

export { PROBE_PREFIX, type Probed, probeStore } from './probe.ts'
export { type RangeBytes, type RangeSource, sourceOf, tellingWhy } from './range-source.ts'
export { slowestMs } from './retry.ts'
export { bytesOf } from './transfer.ts'

export interface ObjectFacts {
  readonly key: string
  readonly sizeBytes: number
  /** By the clock of the store, which may show whole seconds only. */
  readonly modifiedMs: number
}

export type ReadInto = (key: string, from: number, into: Buffer, signal: AbortSignal) => Promise<number>

/** What changes nothing. */
export interface ObjectReader {
  /** For people: `s3://bucket/prefix`, `file:///data/store`. */
  readonly place: string
  /** Bytes from `from` on, `length` of them, at least one; fewer only at the object's end, none behind it. */
  getRange(key: string, from: number, length: number, signal: AbortSignal): Promise<Buffer>
  /** Null if there is no such object. */
  head(key: string, signal: AbortSignal): Promise<ObjectFacts | null>
  /** Those whose keys begin with the prefix and come behind `after`, in the order of their keys. */
  list(prefix: string, after: string, signal: AbortSignal): AsyncIterable<ObjectFacts>
  /** Lets go of connections and files. */
  close(): Promise<void>
}

export interface ObjectStore extends ObjectReader {
  /** Writes all of the pieces as one object, or nothing; takes the place of what had the key. The pieces stay as they are until it ends. */
  put(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<void>
  /**
   * The same only where there is nothing; false if there is something. Of several at once exactly one is told true. The bytes
   * should be the writer's own: who finds the same bytes after an answer was lost is told true.
   */
  putIfAbsent(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<boolean>
  /**
   * Where it saves memory: as getRange into memory of the reader, all of it or as much as there is; how much. When it has failed,
   * something may be written there later.
   */
  readonly readInto?: ReadInto | undefined
  /** Nothing if it is not there. */
  delete(key: string, signal: AbortSignal): Promise<void>
}

export interface StoreSurroundings extends Observer, RetrySurroundings {
  readonly disk: Disk
}

/** The store that the settings choose, as the product uses it. */
export interface OpenedStore {
  readonly store: ObjectStore
  /** Whether it is on another machine: slow, and now and then out of reach. */
  readonly isRemote: boolean
  /** Wall time since when nothing that was asked of it succeeded; null while it works. */
  failingSinceMs(): number | null
  /** With what it failed last; null while it works, or if it only does not answer. */
  failure(): Error | null
}

/** What belongs to a service is loaded only by who uses it. A remote store is not asked anything yet: probeStore does. */
export async function openObjectStore(settings: Settings, surroundings: StoreSurroundings): Promise<OpenedStore> {
  const isRemote = settings.storageBackend !== 'local'
  const observed = new ObservedStore(await openRaw(settings, surroundings), surroundings)
  return {
    store: isRemote ? retrying(observed, { ...surroundings, policy: REMOTE_POLICY }) : observed,
    isRemote,
    failingSinceMs: () => observed.failingSinceMs,
    failure: () => observed.failure,
  }
}

/** For who only looks: a directory is not made, and nothing in it is cleared away. */
export async function openObjectReader(settings: Settings, surroundings: StoreSurroundings): Promise<ObjectReader> {
  if (settings.storageBackend === 'local')
    return openLocalStoreToRead({ ...surroundings, directory: directoryOf(settings) })
  return (await openObjectStore(settings, surroundings)).store
}

async function openRaw(settings: Settings, { disk, random }: StoreSurroundings): Promise<ObjectStore> {
  switch (settings.storageBackend) {
    case 'local':
      return openLocalStore({ disk, random, directory: directoryOf(settings) })
    case 's3':
      return (await import('./s3-store.ts')).openS3Store(s3OptionsOf(settings))
    case 'gcs': {
      const { gcsPrefix: prefix, gcsEndpoint: endpoint, gcsCredentials: credentialsFile } = settings
      const bucket = chosen(settings.gcsBucket)
      return (await import('./gcs-store.ts')).openGcsStore({ bucket, prefix, endpoint, credentialsFile, random })
    }
    case 'azure': {
      const container = chosen(settings.azureContainer)
      const access = azureAccessOf(settings)
      return (await import('./azure-store.ts')).openAzureStore({ container, prefix: settings.azurePrefix, access })
    }
  }
}

function directoryOf({ localStoragePath, dataDir }: Settings): string {
  return localStoragePath ?? `${dataDir}/store`
}

function s3OptionsOf(settings: Settings): S3Options {
  const { s3AccessKeyId: accessKeyId, s3SecretAccessKey: secretAccessKey, s3SessionToken: sessionToken } = settings
  const token = sessionToken === null ? {} : { sessionToken }
  const hasKeys = accessKeyId !== null && secretAccessKey !== null
  return {
    bucket: chosen(settings.s3Bucket),
    prefix: settings.s3Prefix,
    region: settings.s3Region,
    endpoint: settings.s3Endpoint,
    pathStyle: settings.s3PathStyle ?? settings.s3Endpoint !== null,
    credentials: hasKeys ? { accessKeyId, secretAccessKey, ...token } : null,
  }
}

function azureAccessOf(settings: Settings): AzureOptions['access'] {
  const { azureConnectionString: text, azureEndpoint: endpoint } = settings
  if (text !== null) return { kind: 'connection-string', text }
  return { kind: 'key', account: chosen(settings.azureStorageAccount), key: chosen(settings.azureStorageKey), endpoint }
}

/** What the settings were checked for when they were loaded. */
function chosen(value: string | null): string {
  assert(value !== null, 'the settings name what the chosen store needs')
  return value
}
