import { type AlteredConfigs, applyOps, type ConfigEntry, type ConfigOp, replaceConfigs } from './alter-configs.ts'
import {
  CONFIG_SOURCES,
  type ConfigLayers,
  checkValue,
  type DescribedConfig,
  listOf,
  problem,
  synonymsIn,
  valueIn,
} from './kafka-config.ts'
import {
  documentationOf,
  TOPIC_CONFIG_NAMES,
  type TopicConfig,
  type TopicConfigName,
  topicConfigOf,
} from './topic-config-table.ts'

// What is stored of a topic are its overrides: the configs that were set on it, by name. Everything else comes from the
// broker's layers, so that a changed default reaches the topics that did not set their own value.

export type Overrides = ReadonlyMap<string, string>

export type TimestampType = 'CreateTime' | 'LogAppendTime'
export type TopicCompression = 'producer' | 'uncompressed' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

/** What produce, fetch and retention ask of a topic. A limit that is switched off, or beyond 2^53, is Infinity. */
export interface EffectiveTopicConfig {
  readonly maxMessageBytes: number
  readonly segmentBytes: number
  readonly segmentMs: number
  readonly retentionMs: number
  readonly retentionBytes: number
  readonly localRetentionMs: number
  readonly localRetentionBytes: number
  readonly compacts: boolean
  readonly deletes: boolean
  readonly minCleanableDirtyRatio: number
  readonly minCompactionLagMs: number
  readonly maxCompactionLagMs: number
  readonly deleteRetentionMs: number
  readonly timestampType: TimestampType
  readonly timestampBeforeMaxMs: number
  readonly timestampAfterMaxMs: number
  readonly compressionType: TopicCompression
  readonly gzipLevel: number
  readonly zstdLevel: number
}

/** `local.retention.*`: the same as without local. */
const LIKE_RETENTION = -2

/** Computed when the overrides or the broker's layers change, never per request. */
export function effectiveTopicConfig(overrides: Overrides, broker: ConfigLayers): EffectiveTopicConfig {
  const text = (name: TopicConfigName) => valueInForce(name, overrides, broker) ?? ''
  const limit = (name: TopicConfigName) => {
    const value = Number(text(name))
    return value > Number.MAX_SAFE_INTEGER ? Number.POSITIVE_INFINITY : value
  }
  const limitOrNone = (name: TopicConfigName) => (limit(name) < 0 ? Number.POSITIVE_INFINITY : limit(name))
  const localLimit = (name: 'local.retention.ms' | 'local.retention.bytes', whole: TopicConfigName) =>
    limitOrNone(limit(name) === LIKE_RETENTION ? whole : name)
  const policies = listOf(text('cleanup.policy'))
  return {
    maxMessageBytes: limit('max.message.bytes'),
    segmentBytes: text('internal.segment.bytes') === '' ? limit('segment.bytes') : limit('internal.segment.bytes'),
    segmentMs: limit('segment.ms'),
    retentionMs: limitOrNone('retention.ms'),
    retentionBytes: limitOrNone('retention.bytes'),
    localRetentionMs: localLimit('local.retention.ms', 'retention.ms'),
    localRetentionBytes: localLimit('local.retention.bytes', 'retention.bytes'),
    compacts: policies.includes('compact'),
    deletes: policies.includes('delete'),
    minCleanableDirtyRatio: limit('min.cleanable.dirty.ratio'),
    minCompactionLagMs: limit('min.compaction.lag.ms'),
    maxCompactionLagMs: limit('max.compaction.lag.ms'),
    deleteRetentionMs: limit('delete.retention.ms'),
    timestampType: text('message.timestamp.type') as TimestampType,
    timestampBeforeMaxMs: limit('message.timestamp.before.max.ms'),
    timestampAfterMaxMs: limit('message.timestamp.after.max.ms'),
    compressionType: text('compression.type') as TopicCompression,
    gzipLevel: limit('compression.gzip.level'),
    zstdLevel: limit('compression.zstd.level'),
  }
}

/** Every config of a topic, as DescribeConfigs answers it. */
export function describeTopicConfigs(overrides: Overrides, broker: ConfigLayers): DescribedConfig[] {
  return TOPIC_CONFIG_NAMES.flatMap(name => {
    const config = entryOf(name)
    const own = overrides.get(name)
    if (own === undefined && config.default === null) return []
    const inherited = synonymsIn(broker, config.broker)
    const synonyms = own === undefined ? inherited : [{ name, value: own, source: CONFIG_SOURCES.topic }, ...inherited]
    return {
      name,
      value: valueInForce(name, overrides, broker),
      source: synonyms[0]?.source ?? CONFIG_SOURCES.default,
      type: config.rule.type,
      documentation: documentationOf(config),
      isReadOnly: false,
      isSensitive: false,
      synonyms,
    }
  })
}

/** CreateTopics: the configs that come with a new topic. Of a repeated name the last value counts. */
export function newTopicConfigs(entries: readonly ConfigEntry[], broker: ConfigLayers): AlteredConfigs {
  const missing = entries.filter(entry => entry.value === null).map(entry => entry.name)
  if (missing.length > 0) {
    return problem('INVALID_CONFIG', `Null value not supported for topic configs: ${missing.join(', ')}`)
  }
  return checkTopicConfigs(new Map(entries.map(({ name, value }) => [name, value ?? ''])), broker)
}

/** AlterConfigs: what is given takes the place of everything that was set. */
export function alterTopicConfigs(entries: readonly ConfigEntry[], broker: ConfigLayers): AlteredConfigs {
  const altered = replaceConfigs(entries)
  return altered.ok ? checkTopicConfigs(altered.configs, broker) : altered
}

/** IncrementalAlterConfigs. */
export function incrementalAlterTopicConfigs(
  current: Overrides,
  ops: readonly ConfigOp[],
  broker: ConfigLayers,
): AlteredConfigs {
  const altered = applyOps(current, ops, {
    // Kafka appends to its own default, whatever the default of the broker is.
    unsetList: name => (topicConfigOf(name)?.rule.type === 'LIST' ? (topicConfigOf(name)?.default ?? '') : null),
    notAList: (opName, name) => `Can't ${opName} to key ${name} because its type is not LIST.`,
  })
  return altered.ok ? checkTopicConfigs(altered.configs, broker) : altered
}

/** All of a topic's overrides, each in the spelling it is stored in, or what is wrong with the first bad one. */
function checkTopicConfigs(overrides: Overrides, broker: ConfigLayers): AlteredConfigs {
  const unknown = [...overrides.keys()].find(name => topicConfigOf(name) === undefined)
  if (unknown !== undefined) return problem('INVALID_CONFIG', `Unknown topic config name: ${unknown}`)
  const configs = new Map<string, string>()
  for (const [name, text] of overrides) {
    const checked = checkValue(name, entryOf(name as TopicConfigName).rule, text)
    if (!checked.ok) return problem('INVALID_CONFIG', checked.message)
    configs.set(name, checked.value)
  }
  const conflict = conflictIn(configs, broker)
  return conflict === null ? { ok: true, configs } : problem('INVALID_CONFIG', conflict)
}

function conflictIn(overrides: Overrides, broker: ConfigLayers): string | null {
  const least = valueInForce('min.compaction.lag.ms', overrides, broker) ?? ''
  const most = valueInForce('max.compaction.lag.ms', overrides, broker) ?? ''
  if (BigInt(least) > BigInt(most)) {
    return `conflict topic config setting min.compaction.lag.ms (${least}) > max.compaction.lag.ms (${most})`
  }
  if (overrides.get('remote.storage.enable') === 'true') {
    return 'Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.'
  }
  return null
}

function entryOf(name: TopicConfigName): TopicConfig {
  return topicConfigOf(name)!
}

/** The value in force; null if there is none. */
function valueInForce(name: TopicConfigName, overrides: Overrides, broker: ConfigLayers): string | null {
  const own = overrides.get(name)
  if (own !== undefined) return own
  const config = entryOf(name)
  for (const synonym of config.broker) {
    const value = valueIn(broker, synonym)
    if (value !== null) return inMilliseconds(synonym, value)
  }
  return config.default
}

function inMilliseconds(synonym: string, value: string): string {
  if (synonym.endsWith('.hours')) return String(Number(value) * 3_600_000)
  if (synonym.endsWith('.minutes')) return String(Number(value) * 60_000)
  return value
}
