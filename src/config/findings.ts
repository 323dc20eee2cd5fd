import type { SettingName } from './settings.ts'

export type SettingSource = { from: 'default' } | { from: 'flag' | 'environment' | 'file' | 'caller'; name: string }

/** The text given for a setting, and where, as an error line shows it: `--kafka-port`, `KAFKA_PORT`, ... */
export interface Given {
  readonly text: string
  readonly source: SettingSource & { readonly name: string }
}

/** What was found in one of the places where settings can be. */
export interface Findings {
  readonly given: Map<SettingName, Given>
  readonly errors: string[]
  readonly warnings: string[]
}

export function noFindings(): Findings {
  return { given: new Map(), errors: [], warnings: [] }
}
