import { type AlteredConfigs, applyOps, type ConfigEntry, type ConfigOp, replaceConfigs } from './alter-configs.ts'
import {
  CONFIG_SOURCES,
  type ConfigLayers,
  type ConfigRule,
  checkValue,
  type DescribedConfig,
  problem,
  synonymsIn,
  valueIn,
} from './kafka-config.ts'

// Configs of groups (Kafka: GroupConfig). A group need not exist to have some. What a group does not set follows the broker;
// what it sets stays within the broker's bounds, also when these have changed since.

interface GroupConfig {
  readonly rule: ConfigRule
  /** The broker config that gives the default; null: there is none. */
  readonly broker: string | null
  /** Broker configs that bound the value. */
  readonly bounds: { readonly min: string; readonly max: string } | null
  readonly about: string
}

const SESSION = 'consumer.session.timeout.ms'
const HEARTBEAT = 'consumer.heartbeat.interval.ms'
const ASSIGNMENT = 'consumer.assignment.interval.ms'

function bounded(name: string, min: number, about: string): GroupConfig {
  const [, ...rest] = name.split('.')
  const broker = (prefix: string): string => `group.consumer.${prefix}${rest.join('.')}`
  return {
    rule: { type: 'INT', min },
    broker: broker(''),
    bounds: { min: broker('min.'), max: broker('max.') },
    about,
  }
}

/** Those of consumer groups: there are no share groups and no streams groups here. */
const GROUP_CONFIGS: ReadonlyMap<string, GroupConfig> = new Map([
  [SESSION, bounded(SESSION, 1, 'A member that sends nothing for this long is out.')],
  [HEARTBEAT, bounded(HEARTBEAT, 1, 'How often members are told to send heartbeats.')],
  [ASSIGNMENT, bounded(ASSIGNMENT, 0, 'Partitions are not assigned anew more often.')],
  [
    'consumer.assignor.offload.enable',
    {
      rule: { type: 'BOOLEAN' },
      broker: null,
      bounds: null,
      about: 'Whether assigning has a thread of its own. Stored; without effect in this release.',
    },
  ],
])

export type GroupOverrides = ReadonlyMap<string, string>

export interface EffectiveGroupConfig {
  readonly sessionTimeoutMs: number
  readonly heartbeatIntervalMs: number
  readonly assignmentIntervalMs: number
}

export function effectiveGroupConfig(overrides: GroupOverrides, broker: ConfigLayers): EffectiveGroupConfig {
  const value = (name: string): number => {
    const config = GROUP_CONFIGS.get(name)!
    const own = overrides.get(name)
    if (own === undefined) return Number(valueIn(broker, config.broker ?? ''))
    const [min, max] = boundsOf(config, broker)
    return Math.min(Math.max(Number(own), min), max)
  }
  return {
    sessionTimeoutMs: value(SESSION),
    heartbeatIntervalMs: value(HEARTBEAT),
    assignmentIntervalMs: value(ASSIGNMENT),
  }
}

/** Every config of a group, as DescribeConfigs answers it. */
export function describeGroupConfigs(overrides: GroupOverrides, broker: ConfigLayers): DescribedConfig[] {
  return [...GROUP_CONFIGS].flatMap(([name, config]) => {
    const own = overrides.get(name)
    const inherited = config.broker === null ? [] : synonymsIn(broker, [config.broker])
    const synonyms = own === undefined ? inherited : [{ name, value: own, source: CONFIG_SOURCES.group }, ...inherited]
    const [first] = synonyms
    if (first === undefined) return []
    return {
      name,
      value: first.value,
      source: first.source,
      type: config.rule.type,
      documentation: config.about,
      isReadOnly: false,
      isSensitive: false,
      synonyms,
    }
  })
}

/** AlterConfigs: what is given takes the place of everything that was set. */
export function alterGroupConfigs(entries: readonly ConfigEntry[], broker: ConfigLayers): AlteredConfigs {
  const altered = replaceConfigs(entries)
  return altered.ok ? checkGroupConfigs(altered.configs, broker) : altered
}

/** IncrementalAlterConfigs. */
export function incrementalAlterGroupConfigs(
  current: GroupOverrides,
  ops: readonly ConfigOp[],
  broker: ConfigLayers,
): AlteredConfigs {
  const altered = applyOps(current, ops, {
    unsetList: () => null,
    notAList: (opName, name) => `Can't ${opName} to key ${name} because its type is not LIST.`,
  })
  return altered.ok ? checkGroupConfigs(altered.configs, broker) : altered
}

function checkGroupConfigs(overrides: GroupOverrides, broker: ConfigLayers): AlteredConfigs {
  const configs = new Map<string, string>()
  for (const [name, text] of overrides) {
    const config = GROUP_CONFIGS.get(name)
    if (config === undefined) return problem('INVALID_CONFIG', `Unknown group config name: ${name}`)
    const checked = checkValue(name, config.rule, text)
    if (!checked.ok) return problem('INVALID_CONFIG', checked.message)
    const [min, max] = boundsOf(config, broker)
    if (Number(checked.value) < min || Number(checked.value) > max) {
      return problem('INVALID_CONFIG', `${name} must be in the range ${min} to ${max} inclusive.`)
    }
    configs.set(name, checked.value)
  }
  const { sessionTimeoutMs, heartbeatIntervalMs } = effectiveGroupConfig(configs, broker)
  if (sessionTimeoutMs > heartbeatIntervalMs) return { ok: true, configs }
  return problem('INVALID_CONFIG', `${SESSION} must be greater than ${HEARTBEAT}`)
}

function boundsOf({ bounds }: GroupConfig, broker: ConfigLayers): [min: number, max: number] {
  if (bounds === null) return [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
  return [Number(valueIn(broker, bounds.min)), Number(valueIn(broker, bounds.max))]
}
