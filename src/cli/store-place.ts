import { processEnvironment } from '#config/environment.ts'
import { loadSettings } from '#config/load-settings.ts'
import type { Settings } from '#config/settings.ts'
import { readTextFile } from '#system/text-file.ts'
import { UsageError } from './command.ts'

/** Settings of flags, environment and file; with the store in a directory if a place is named. */
export function settingsWithStore(flags: readonly string[], from: string | undefined): Settings {
  const place = from === undefined ? [] : ['--storage-backend', 'local', '--local-storage-path', directoryOf(from)]
  const loaded = loadSettings({ argv: [...flags, ...place], env: processEnvironment(), readFile: readTextFile })
  if (!loaded.ok) throw new UsageError(loaded.errors.join('\n'))
  return loaded.settings
}

function directoryOf(from: string): string {
  const scheme = /^([a-z0-9]+):\/\//.exec(from)?.[1]
  if (scheme === undefined) return from
  if (scheme === 'file') return from.slice('file://'.length)
  throw new UsageError(`--from takes a directory; name a bucket by its settings, not as '${from}'`)
}
