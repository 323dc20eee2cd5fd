import type { SettingType } from './setting-types.ts'

export interface Setting<T> {
  readonly group: keyof typeof SETTING_GROUPS
  readonly type: SettingType<T>
  readonly default: T
  /** What it does and when to change it: shown in the help and in docs/CONFIG.md. */
  readonly about: string
  /** Further environment variables, after the one derived from the key. */
  readonly alsoEnv?: readonly string[]
  /** Known, validated and documented, but nothing in this release reads it. */
  readonly withoutEffect?: true
}

/** In the order of the help and the docs. */
export const SETTING_GROUPS = {
  network: 'Network',
  storage: 'Storage and durability',
  store: 'Object store',
  recovery: 'Disaster recovery',
  topics: 'Topics',
  groups: 'Groups',
  transactions: 'Transactions',
  limits: 'Limits',
  operation: 'Operation',
} as const

export function setting<T>(entry: Omit<Setting<T>, 'default'> & { default: NoInfer<T> }): Setting<T> {
  return entry
}
