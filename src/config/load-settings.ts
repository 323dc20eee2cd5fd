import { messageOf } from '#base/errors.ts'
import { type Environment, readVariables } from './environment.ts'
import { type Findings, noFindings, type SettingSource } from './findings.ts'
import { readFlags } from './flags.ts'
import { hintFor } from './nearest.ts'
import { entryOf, keyOf, SETTING_NAMES, SETTINGS, type SettingName, type Settings } from './settings.ts'
import { readSettingsFile } from './settings-file.ts'
import { isStoreInside, storeConflictsOf, storeWarningsOf } from './store-settings.ts'

// A setting comes from the first place that names it: flag, environment, file, default. Everything that is wrong is
// reported at once, a line each, so that one start shows it all.

export type SettingSources = Readonly<Record<SettingName, SettingSource>>

export type LoadedSettings =
  | { ok: true; settings: Settings; sources: SettingSources; warnings: string[] }
  | { ok: false; errors: string[]; warnings: string[] }

export interface LoadOptions {
  /** What follows the command: `--kafka-port 9092`. */
  argv: readonly string[]
  env: Environment
  /** The text of the settings file, named as the user named it; throws if it cannot be read. */
  readFile: (path: string) => string
}

export function loadSettings({ argv, env, readFile }: LoadOptions): LoadedSettings {
  const flags = readFlags(argv)
  const variables = readVariables(env)
  const path = flags.file ?? variables.file
  const file = path === undefined ? noFindings() : readFrom(path, readFile)
  return settle([flags, variables, file])
}

/** The settings of a broker that a program starts: those it names, and defaults. */
export function settingsFrom(overrides: Partial<Settings>): LoadedSettings {
  const findings = noFindings()
  for (const [key, value] of Object.entries(overrides)) {
    const name = key as SettingName
    if (!Object.hasOwn(SETTINGS, key)) findings.errors.push(`${key}: unknown setting${hintFor(key, SETTING_NAMES)}`)
    else if (value !== undefined && value !== null) {
      findings.given.set(name, { text: textOf(name, value), source: { from: 'caller', name } })
    }
  }
  return settle([findings])
}

/** What the caller has given may be of any type: it is read like the text in a file, so that the answer is the same. */
function textOf(name: SettingName, value: unknown): string {
  if (typeof value !== 'object') return String(value)
  const { type, default: fallback } = entryOf(name)
  return fallback !== null && typeof fallback === 'object' ? type.show(value) : JSON.stringify(value)
}

function readFrom(path: string, readFile: LoadOptions['readFile']): Findings {
  let text: string
  try {
    text = readFile(path)
  } catch (error) {
    return { ...noFindings(), errors: [`${path}: cannot read the settings file: ${messageOf(error)}`] }
  }
  return readSettingsFile(path, text)
}

/** Makes the settings of what was found in the places, the first one going before the others. */
function settle(places: readonly Findings[]): LoadedSettings {
  const errors = places.flatMap(place => place.errors)
  const warnings = places.flatMap(place => place.warnings)
  const values: Partial<Record<SettingName, unknown>> = {}
  const sources: Partial<Record<SettingName, SettingSource>> = {}
  for (const name of SETTING_NAMES) {
    const { type, default: fallback, withoutEffect = false } = entryOf(name)
    const { isSecret = false } = type
    const given = places.map(place => place.given.get(name)).find(found => found !== undefined)
    values[name] = fallback
    sources[name] = given?.source ?? { from: 'default' }
    if (given === undefined) continue
    const parsed = type.parse(given.text.trim())
    if (parsed.ok) values[name] = parsed.value
    else
      errors.push(
        `${given.source.name}: ${parsed.problem}${isSecret ? '' : ` (given: ${JSON.stringify(given.text.slice(0, 100))})`}`,
      )
    if (withoutEffect) warnings.push(`${given.source.name}: has no effect in this release`)
  }
  const settings = values as Settings
  if (errors.length === 0) errors.push(...conflictsOf(settings))
  if (errors.length > 0) return { ok: false, errors, warnings }
  warnings.push(...storeWarningsOf(settings))
  return { ok: true, settings, sources: sources as SettingSources, warnings }
}

/** What is wrong with values that are right one by one. */
function conflictsOf(settings: Settings): string[] {
  const conflicts: string[] = []
  const least = (name: SettingName, other: SettingName, reason: string) => {
    if ((settings[name] as number) >= (settings[other] as number)) return
    const shown = (which: SettingName) => `${keyOf(which)} (${entryOf(which).type.show(settings[which])})`
    conflicts.push(`${shown(name)} must be at least ${shown(other)}: ${reason}`)
  }
  least('maxInflightBytes', 'maxRequestBytes', 'the largest request must fit')
  least('maxRequestBytes', 'maxMessageBytes', 'a batch comes within a request')
  conflicts.push(...storeConflictsOf(settings))
  if (settings.durability === 'bucket' && isStoreInside(settings)) {
    conflicts.push(
      'durability=bucket needs a store that is not lost with the data directory: choose a storage-backend, or a local-storage-path ' +
        'elsewhere',
    )
  }
  if (settings.kafkaPort === settings.metricsPort && settings.kafkaPort !== 0) {
    conflicts.push(`kafka-port and metrics-port are both ${settings.kafkaPort}: each needs its own`)
  }
  return conflicts
}
