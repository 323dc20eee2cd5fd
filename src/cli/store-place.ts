import { processEnvironment } from '#config/environment.ts'
import { loadSettings } from '#config/load-settings.ts'
import type { Settings } from '#config/settings.ts'
import { readTextFile } from '#system/text-file.ts'
import { UsageError } from './command.ts'

/** Settings of flags, environment and file; with another store if a place is named. */
export function settingsWithStore(flags: readonly string[], from: string | undefined): Settings {
  const place = from === undefined ? [] : flagsOfPlace(from)
  const loaded = loadSettings({ argv: [...flags, ...place], env: processEnvironment(), readFile: readTextFile })
  if (!loaded.ok) throw new UsageError(loaded.errors.join('\n'))
  return loaded.settings
}

interface Bucket {
  readonly backend: string
  readonly nameFlag: string
  readonly prefixFlag: string
}

/** By scheme. */
const BUCKETS: ReadonlyMap<string, Bucket> = new Map([
  ['s3', { backend: 's3', nameFlag: '--s3-bucket', prefixFlag: '--s3-prefix' }],
  ['gs', { backend: 'gcs', nameFlag: '--gcs-bucket', prefixFlag: '--gcs-prefix' }],
  ['azure', { backend: 'azure', nameFlag: '--azure-container', prefixFlag: '--azure-prefix' }],
])

/** For settings no prefix at all, where the environment may name one. */
const NO_PREFIX = '/'

/** A place as flags of a start, which go before whatever else names a store; how to get there is left to the others. */
export function flagsOfPlace(from: string): string[] {
  const [, scheme, rest = ''] = /^([A-Za-z0-9+.-]+):\/\/(.*)$/.exec(from) ?? []
  if (scheme === undefined || scheme === 'file') {
    return ['--storage-backend', 'local', `--local-storage-path=${scheme === undefined ? from : rest}`]
  }
  const bucket = BUCKETS.get(scheme)
  const [name = '', ...prefix] = rest.split('/')
  if (bucket === undefined || name === '') {
    const places = 'a directory, s3://bucket, gs://bucket or azure://container, with /prefix behind it if there is one'
    throw new UsageError(`--from takes ${places}, not '${from}'`)
  }
  const { backend, nameFlag, prefixFlag } = bucket
  return ['--storage-backend', backend, `${nameFlag}=${name}`, `${prefixFlag}=${prefix.join('/') || NO_PREFIX}`]
}
