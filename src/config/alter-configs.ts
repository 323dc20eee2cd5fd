import { type ConfigProblem, listOf, problem } from './kafka-config.ts'

// How requests change a set of configs, topics' and brokers' alike: all at once, or operation by operation.

export interface ConfigEntry {
  readonly name: string
  readonly value: string | null
}

/** With the numbers of IncrementalAlterConfigs. */
export const CONFIG_OPS = { set: 0, delete: 1, append: 2, subtract: 3 } as const

export interface ConfigOp extends ConfigEntry {
  readonly op: number
}

export type AlteredConfigs = { ok: true; configs: ReadonlyMap<string, string> } | ConfigProblem

/** What is altered: says what may be appended to, and what to. */
export interface ListConfigs {
  /** The value of a list that is not set; null if the name is not that of a list. */
  unsetList(name: string): string | null
  notAList(opName: 'APPEND' | 'SUBTRACT', name: string): string
}

/** The entries as a map: what AlterConfigs puts in the place of all that was set. */
export function replaceConfigs(entries: readonly ConfigEntry[]): AlteredConfigs {
  const found = findProblem(entries, () => true)
  if (found !== null) return found
  return { ok: true, configs: new Map(entries.map(({ name, value }) => [name, value ?? ''])) }
}

export function applyOps(
  current: ReadonlyMap<string, string>,
  ops: readonly ConfigOp[],
  lists: ListConfigs,
): AlteredConfigs {
  const found = findProblem(ops, op => op.op !== CONFIG_OPS.delete)
  if (found !== null) return found
  const configs = new Map(current)
  for (const { name, value, op } of ops) {
    switch (op) {
      case CONFIG_OPS.set:
        configs.set(name, value ?? '')
        break
      case CONFIG_OPS.delete:
        configs.delete(name)
        break
      case CONFIG_OPS.append:
      case CONFIG_OPS.subtract: {
        const unset = lists.unsetList(name)
        const opName = op === CONFIG_OPS.append ? 'APPEND' : 'SUBTRACT'
        if (unset === null) return problem('INVALID_CONFIG', lists.notAList(opName, name))
        const before = listOf(configs.get(name) ?? unset)
        const items = listOf(value ?? '')
        const after = op === CONFIG_OPS.append ? [...before, ...items] : before.filter(item => !items.includes(item))
        configs.set(name, after.join(','))
        break
      }
      default:
        return problem('INVALID_REQUEST', `Unknown operation type ${op}`)
    }
  }
  return { ok: true, configs }
}

function findProblem<Entry extends ConfigEntry>(
  entries: readonly Entry[],
  needsValue: (entry: Entry) => boolean,
): ConfigProblem | null {
  if (new Set(entries.map(entry => entry.name)).size < entries.length) {
    return problem('INVALID_REQUEST', 'Error due to duplicate config keys')
  }
  const missing = entries.filter(entry => entry.value === null && needsValue(entry)).map(entry => entry.name)
  if (missing.length > 0) return problem('INVALID_REQUEST', `Null value not supported for : ${missing.join(', ')}`)
  return null
}
