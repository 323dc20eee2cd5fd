import { assert } from '#base/assert.ts'
import { type AlteredConfigs, applyOps, type ConfigEntry, type ConfigOp, replaceConfigs } from './alter-configs.ts'
import { BROKER_CONFIGS } from './broker-config-table.ts'
import {
  CONFIG_SOURCES,
  type ConfigLayers,
  type ConfigProblem,
  checkValue,
  type DescribedConfig,
  problem,
  synonymsIn,
} from './kafka-config.ts'
import type { SettingSources } from './load-settings.ts'
import type { Settings } from './settings.ts'

// What Kafka calls broker configs. Those that give topics their defaults can be altered while the broker runs, for one
// broker or for all, and are stored; all others show what the settings of the process say.

/** What was altered at run time, as the state machine keeps it: `name` for all brokers, `1/name` for broker 1. */
export type StoredBrokerConfigs = ReadonlyMap<string, string>

/** The resource of a request: one broker, or the defaults of all. */
export type BrokerScope = { readonly kind: 'broker'; readonly nodeId: number } | { readonly kind: 'all-brokers' }

/** What a request names: '' for all brokers, or the id of this one. */
export function brokerScopeOf(resourceName: string, nodeId: number): { ok: true; scope: BrokerScope } | ConfigProblem {
  if (resourceName === '') return { ok: true, scope: { kind: 'all-brokers' } }
  if (!/^-?\d+$/.test(resourceName)) {
    return problem('INVALID_REQUEST', `Broker id must be an integer, but it is: ${resourceName}`)
  }
  if (Number(resourceName) === nodeId) return { ok: true, scope: { kind: 'broker', nodeId } }
  const message = `Unexpected broker id, expected ${nodeId} or empty string, but received ${resourceName}`
  return problem('INVALID_REQUEST', message)
}

/**
 * The layers that stay as they are while the process runs. A port that the settings left open (0) is to be given as the
 * one that was taken.
 */
export function fixedBrokerLayers(settings: Settings, sources: SettingSources): ConfigLayers {
  const given = new Map<string, string>()
  const defaults = new Map<string, string>()
  for (const [name, config] of BROKER_CONFIGS) {
    const isGiven = config.from.some(setting => sources[setting].from !== 'default')
    const value = isGiven ? config.value(settings) : null
    if (value !== null) given.set(name, value)
    if (config.default !== null) defaults.set(name, config.default)
  }
  return [
    { source: CONFIG_SOURCES.staticBroker, values: given },
    { source: CONFIG_SOURCES.default, values: defaults },
  ]
}

/** All layers of one broker's configs: what topics get their defaults from. */
export function brokerLayers(fixed: ConfigLayers, stored: StoredBrokerConfigs, nodeId: number): ConfigLayers {
  return [
    { source: CONFIG_SOURCES.dynamicBroker, values: storedFor({ kind: 'broker', nodeId }, stored) },
    { source: CONFIG_SOURCES.dynamicDefaultBroker, values: storedFor({ kind: 'all-brokers' }, stored) },
    ...fixed,
  ]
}

/** As DescribeConfigs answers: everything of a broker; of all brokers together what was altered for them. */
export function describeBrokerConfigs(layers: ConfigLayers, scope: BrokerScope): DescribedConfig[] {
  const shared = layers.filter(layer => layer.source === CONFIG_SOURCES.dynamicDefaultBroker)
  const visible: ConfigLayers = scope.kind === 'broker' ? layers : shared
  return [...BROKER_CONFIGS].flatMap(([name, { type, documentation, alterable, coarser }]) => {
    const synonyms = synonymsIn(visible, [name, ...coarser])
    if (synonyms.length === 0 && scope.kind === 'all-brokers') return []
    const { value = null, source = CONFIG_SOURCES.default } = synonyms[0] ?? {}
    return { name, value, source, type, documentation, isReadOnly: alterable === null, isSensitive: false, synonyms }
  })
}

/** AlterConfigs: what is given takes the place of everything that was altered in the scope. */
export function alterBrokerConfigs(
  stored: StoredBrokerConfigs,
  scope: BrokerScope,
  entries: readonly ConfigEntry[],
): AlteredConfigs {
  return store(stored, scope, replaceConfigs(entries))
}

/** IncrementalAlterConfigs. */
export function incrementalAlterBrokerConfigs(
  stored: StoredBrokerConfigs,
  scope: BrokerScope,
  ops: readonly ConfigOp[],
): AlteredConfigs {
  const altered = applyOps(storedFor(scope, stored), ops, {
    unsetList: name => {
      const config = BROKER_CONFIGS.get(name)
      return config?.type === 'LIST' ? (config.default ?? '') : null
    },
    notAList: (opName, name) =>
      BROKER_CONFIGS.has(name)
        ? `Config value ${opName.toLowerCase()} is not allowed for config key: ${name}`
        : `Unknown config name: ${name}`,
  })
  return store(stored, scope, altered)
}

function store(stored: StoredBrokerConfigs, scope: BrokerScope, altered: AlteredConfigs): AlteredConfigs {
  if (!altered.ok) return altered
  const ruleOf = (name: string) => BROKER_CONFIGS.get(name)?.alterable ?? null
  const fixed = [...altered.configs.keys()].filter(name => ruleOf(name) === null)
  if (fixed.length > 0) {
    return problem('INVALID_REQUEST', `Cannot update these configs dynamically: [${fixed.join(', ')}]`)
  }
  const prefix = prefixOf(scope)
  const configs = new Map([...stored].filter(([key]) => prefixOfKey(key) !== prefix))
  for (const [name, text] of altered.configs) {
    const rule = ruleOf(name)
    assert(rule !== null, 'only configs that can be altered are left')
    const checked = checkValue(name, rule, text)
    if (!checked.ok) return problem('INVALID_REQUEST', checked.message)
    configs.set(prefix + name, checked.value)
  }
  return { ok: true, configs }
}

function storedFor(scope: BrokerScope, stored: StoredBrokerConfigs): ReadonlyMap<string, string> {
  const prefix = prefixOf(scope)
  const own = [...stored].filter(([key]) => prefixOfKey(key) === prefix)
  return new Map(own.map(([key, value]) => [key.slice(prefix.length), value]))
}

function prefixOf(scope: BrokerScope): string {
  return scope.kind === 'broker' ? `${scope.nodeId}/` : ''
}

function prefixOfKey(key: string): string {
  return key.slice(0, key.indexOf('/') + 1)
}
