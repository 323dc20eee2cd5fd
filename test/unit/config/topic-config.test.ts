import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type AlteredConfigs, CONFIG_OPS, type ConfigOp } from '#config/alter-configs.ts'
import { brokerLayers, fixedBrokerLayers } from '#config/broker-config.ts'
import { validValuesOf } from '#config/kafka-config.ts'
import { settingsFrom } from '#config/load-settings.ts'
import type { Settings } from '#config/settings.ts'
import {
  alterTopicConfigs,
  describeTopicConfigs,
  effectiveTopicConfig,
  incrementalAlterTopicConfigs,
  newTopicConfigs,
} from '#config/topic-config.ts'
import { documentationOf, TOPIC_CONFIG_NAMES, topicConfigOf } from '#config/topic-config-table.ts'

const NODE_ID = 1

/** Printed from the classes of Apache Kafka 4.4.0. */
const kafkaTopicConfigs: {
  name: string
  type: string
  default: string | null
  validValues: string
  broker: string[]
}[] = JSON.parse(
  readFileSync(new URL('../../../fixtures/config/kafka-4.4-topic-configs.json', import.meta.url), 'utf8'),
)

function layersOf(stored: Record<string, string> = {}, overrides: Partial<Settings> = {}) {
  const loaded = settingsFrom(overrides)
  if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
  const fixed = fixedBrokerLayers(loaded.settings, loaded.sources)
  return brokerLayers(fixed, new Map(Object.entries(stored)), NODE_ID)
}

const entries = (configs: Record<string, string | null>) => {
  return Object.entries(configs).map(([name, value]) => ({ name, value }))
}

const op = (kind: keyof typeof CONFIG_OPS, name: string, value: string | null = null): ConfigOp => {
  return { name, value, op: CONFIG_OPS[kind] }
}

/** `CODE: message`, or the configs. */
function outcome(altered: AlteredConfigs): string | Record<string, string> {
  return altered.ok ? Object.fromEntries(altered.configs) : `${altered.code}: ${altered.message}`
}

const create = (configs: Record<string, string | null>) => outcome(newTopicConfigs(entries(configs), layersOf()))

const alter = (current: Record<string, string>, ...ops: ConfigOp[]) => {
  return outcome(incrementalAlterTopicConfigs(new Map(Object.entries(current)), ops, layersOf()))
}

describe('the table of topic configs', () => {
  it('has the names, types, defaults, valid values and broker configs of Kafka 4.4', () => {
    const ours = TOPIC_CONFIG_NAMES.map(name => {
      const config = topicConfigOf(name)!
      return {
        name,
        type: config.rule.type,
        default: config.default,
        validValues: validValuesOf(config.rule),
        broker: config.broker,
      }
    })
    expect(ours).toEqual(kafkaTopicConfigs)
  })

  it('says of every config without effect that it has none', () => {
    for (const name of TOPIC_CONFIG_NAMES) {
      const config = topicConfigOf(name)!
      expect(documentationOf(config).endsWith('without effect in this release.'), name).toBe(config.effect === 'none')
    }
  })
})

describe('a topic config', () => {
  /** Values other than the default, of those that are not numbers or booleans. */
  const texts: Record<string, string> = {
    'cleanup.policy': 'compact',
    'compression.type': 'gzip',
    'message.timestamp.type': 'LogAppendTime',
  }

  it.each(TOPIC_CONFIG_NAMES)('%s changes what is in force exactly if it has an effect', name => {
    const { effect, rule } = topicConfigOf(name)!
    const value = texts[name] ?? (rule.type === 'BOOLEAN' ? 'true' : '7')
    const changed = effectiveTopicConfig(new Map([[name, value]]), layersOf())
    const isRead = JSON.stringify(changed) !== JSON.stringify(effectiveTopicConfig(new Map(), layersOf()))
    expect(isRead).toBe(effect !== 'none')
  })
})

describe('the configs of a new topic', () => {
  // The lines are answers of Apache Kafka 4.4.0.
  const refused: [Record<string, string>, string][] = [
    [{ foo: '1' }, 'Unknown topic config name: foo'],
    [{ '': 'x' }, 'Unknown topic config name: '],
    [{ 'message.format.version': '2.8' }, 'Unknown topic config name: message.format.version'],
    [{ 'retention.ms': 'abc' }, 'Invalid value abc for configuration retention.ms: Not a number of type LONG'],
    [{ 'retention.ms': '' }, 'Invalid value  for configuration retention.ms: Not a number of type LONG'],
    [{ 'retention.ms': '-2' }, 'Invalid value -2 for configuration retention.ms: Value must be at least -1'],
    [{ 'segment.bytes': '5' }, 'Invalid value 5 for configuration segment.bytes: Value must be at least 1048576'],
    [
      { 'segment.bytes': '99999999999' },
      'Invalid value 99999999999 for configuration segment.bytes: Not a number of type INT',
    ],
    [
      { 'cleanup.policy': 'foo' },
      'Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete',
    ],
    [{ 'cleanup.policy': 'delete,,compact' }, "Configuration 'cleanup.policy' values must not be empty."],
    [
      { 'compression.type': 'GZIP' },
      'Invalid value GZIP for configuration compression.type: String must be one of: uncompressed, zstd, lz4, snappy, ' +
        'gzip, producer',
    ],
    [
      { 'compression.gzip.level': '0' },
      'Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1',
    ],
    [
      { 'compression.zstd.level': '23' },
      'Invalid value 23 for configuration compression.zstd.level: Value must be no more than 22',
    ],
    [
      { preallocate: 'maybe' },
      'Invalid value maybe for configuration preallocate: Expected value to be either true or false',
    ],
    [
      { 'min.cleanable.dirty.ratio': '2' },
      'Invalid value 2.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1',
    ],
    [
      { 'leader.replication.throttled.replicas': '*,x' },
      'Invalid value [*, x] for configuration leader.replication.throttled.replicas: ' +
        "leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following format: " +
        '[partitionId]:[brokerId],[partitionId]:[brokerId],...',
    ],
    [
      { 'remote.storage.enable': 'true' },
      'Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.',
    ],
    [
      { 'min.compaction.lag.ms': '100', 'max.compaction.lag.ms': '5' },
      'conflict topic config setting min.compaction.lag.ms (100) > max.compaction.lag.ms (5)',
    ],
    [{ 'retention.ms': 'x', foo: '2' }, 'Unknown topic config name: foo'],
  ]
  it.each(refused)('%j are refused as by Kafka', (configs, message) => {
    expect(create(configs)).toBe(`INVALID_CONFIG: ${message}`)
  })

  it('without a value are refused', () => {
    expect(create({ 'retention.ms': null })).toBe(
      'INVALID_CONFIG: Null value not supported for topic configs: retention.ms',
    )
  })

  it('are stored in one spelling where they are good', () => {
    expect(create({ 'retention.ms': ' 5 ', 'cleanup.policy': 'compact, delete', preallocate: 'TRUE' })).toEqual({
      'retention.ms': '5',
      'cleanup.policy': 'compact,delete',
      preallocate: 'true',
    })
    expect(create({ 'cleanup.policy': '', 'compression.gzip.level': '-1', 'internal.segment.bytes': '5' })).toEqual({
      'cleanup.policy': '',
      'compression.gzip.level': '-1',
      'internal.segment.bytes': '5',
    })
    const throttled = { 'leader.replication.throttled.replicas': '0:1,1:2', 'retention.bytes': '-5' }
    expect(create(throttled)).toEqual(throttled)
  })

  it('are held against what the broker gives to the others', () => {
    const layers = layersOf({ 'log.cleaner.min.compaction.lag.ms': '100' })
    expect(outcome(newTopicConfigs(entries({ 'max.compaction.lag.ms': '5' }), layers))).toBe(
      'INVALID_CONFIG: conflict topic config setting min.compaction.lag.ms (100) > max.compaction.lag.ms (5)',
    )
  })
})

describe('altering all configs of a topic', () => {
  const replace = (...pairs: [string, string | null][]) => {
    return outcome(
      alterTopicConfigs(
        pairs.map(([name, value]) => ({ name, value })),
        layersOf(),
      ),
    )
  }

  it('leaves only what was given', () => {
    expect(replace(['segment.ms', '5000'])).toEqual({ 'segment.ms': '5000' })
    expect(replace()).toEqual({})
  })

  it('refuses a name that is given twice, no value and a bad value', () => {
    expect(replace(['retention.ms', '1'], ['retention.ms', '2'])).toBe(
      'INVALID_REQUEST: Error due to duplicate config keys',
    )
    expect(replace(['retention.ms', null])).toBe('INVALID_REQUEST: Null value not supported for : retention.ms')
    expect(replace(['foo', '1'])).toBe('INVALID_CONFIG: Unknown topic config name: foo')
  })
})

describe('altering configs of a topic one by one', () => {
  it('sets and deletes, and leaves the others', () => {
    const current = { 'retention.ms': '1', 'segment.ms': '2' }
    expect(alter(current, op('set', 'retention.ms', '1000'))).toEqual({ 'retention.ms': '1000', 'segment.ms': '2' })
    expect(alter(current, op('delete', 'retention.ms'))).toEqual({ 'segment.ms': '2' })
    expect(alter(current, op('delete', 'foo'), op('delete', 'max.message.bytes'))).toEqual(current)
    expect(alter(current)).toEqual(current)
  })

  it('does not change what it is given', () => {
    const current = new Map([['retention.ms', '1']])
    incrementalAlterTopicConfigs(current, [op('set', 'retention.ms', '2')], layersOf())
    expect(current.get('retention.ms')).toBe('1')
  })

  it('appends to a list what is not in it, beginning with its default', () => {
    expect(alter({}, op('append', 'cleanup.policy', 'compact'))).toEqual({ 'cleanup.policy': 'delete,compact' })
    expect(alter({ 'cleanup.policy': 'compact' }, op('append', 'cleanup.policy', 'compact'))).toEqual({
      'cleanup.policy': 'compact',
    })
    expect(alter({ 'cleanup.policy': '' }, op('append', 'cleanup.policy', 'delete, compact'))).toEqual({
      'cleanup.policy': 'delete,compact',
    })
  })

  it('subtracts from a list, down to an empty one', () => {
    expect(alter({ 'cleanup.policy': 'delete,compact' }, op('subtract', 'cleanup.policy', 'delete'))).toEqual({
      'cleanup.policy': 'compact',
    })
    expect(alter({ 'cleanup.policy': 'compact' }, op('subtract', 'cleanup.policy', 'compact'))).toEqual({
      'cleanup.policy': '',
    })
    expect(alter({}, op('subtract', 'follower.replication.throttled.replicas', '0:1'))).toEqual({
      'follower.replication.throttled.replicas': '',
    })
  })

  // The lines are answers of Apache Kafka 4.4.0.
  const refused: [ConfigOp[], string][] = [
    [[op('set', 'foo', '1')], 'INVALID_CONFIG: Unknown topic config name: foo'],
    [[op('set', 'retention.ms')], 'INVALID_REQUEST: Null value not supported for : retention.ms'],
    [[op('append', 'cleanup.policy')], 'INVALID_REQUEST: Null value not supported for : cleanup.policy'],
    [
      [op('set', 'retention.ms', '1'), op('delete', 'retention.ms')],
      'INVALID_REQUEST: Error due to duplicate config keys',
    ],
    [
      [op('append', 'retention.ms', '5')],
      "INVALID_CONFIG: Can't APPEND to key retention.ms because its type is not LIST.",
    ],
    [[op('subtract', 'foo', 'x')], "INVALID_CONFIG: Can't SUBTRACT to key foo because its type is not LIST."],
    [
      [op('append', 'cleanup.policy', 'foo')],
      'INVALID_CONFIG: Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete',
    ],
    [
      [op('set', 'retention.ms', '1'), op('set', 'foo', '2'), op('append', 'retention.bytes', '5')],
      "INVALID_CONFIG: Can't APPEND to key retention.bytes because its type is not LIST.",
    ],
  ]
  it.each(refused)('%j is refused as by Kafka', (ops, answer) => {
    expect(alter({}, ...ops)).toBe(answer)
  })

  it('refuses an operation that does not exist', () => {
    expect(alter({}, { name: 'retention.ms', value: '1', op: 9 })).toBe('INVALID_REQUEST: Unknown operation type 9')
  })
})

describe('the config that is in force', () => {
  it('is Kafka’s default where nothing is set', () => {
    expect(effectiveTopicConfig(new Map(), layersOf())).toEqual({
      maxMessageBytes: 1_048_588,
      segmentBytes: 2 ** 30,
      segmentMs: 604_800_000,
      retentionMs: 604_800_000,
      retentionBytes: Number.POSITIVE_INFINITY,
      localRetentionMs: 604_800_000,
      localRetentionBytes: Number.POSITIVE_INFINITY,
      compacts: false,
      deletes: true,
      minCleanableDirtyRatio: 0.5,
      minCompactionLagMs: 0,
      maxCompactionLagMs: Number.POSITIVE_INFINITY,
      deleteRetentionMs: 86_400_000,
      timestampType: 'CreateTime',
      timestampBeforeMaxMs: Number.POSITIVE_INFINITY,
      timestampAfterMaxMs: 3_600_000,
      compressionType: 'producer',
      gzipLevel: -1,
      zstdLevel: 3,
    })
  })

  it('is the topic’s own before the broker’s, and the broker’s before the default', () => {
    const layers = layersOf({ 'log.roll.ms': '7', '1/log.segment.bytes': '2000000', 'log.segment.bytes': '3000000' })
    const config = effectiveTopicConfig(new Map([['max.message.bytes', '10']]), layers)
    expect(config).toMatchObject({ maxMessageBytes: 10, segmentMs: 7, segmentBytes: 2_000_000 })
  })

  it('follows the settings of the process', () => {
    const layers = layersOf({}, { maxMessageBytes: 5000, logRetentionMs: 60_000, logRetentionBytes: 1000 })
    const expected = { maxMessageBytes: 5000, retentionMs: 60_000, retentionBytes: 1000 }
    expect(effectiveTopicConfig(new Map(), layers)).toMatchObject(expected)
    expect(effectiveTopicConfig(new Map(), layersOf({}, { logRetentionMs: -1 })).retentionMs).toBe(Infinity)
  })

  it('keeps on the local disk what is kept at all, if nothing is said, and less if something is', () => {
    const whole = new Map([
      ['retention.ms', '5000'],
      ['retention.bytes', '7000'],
    ])
    const like = { localRetentionMs: 5000, localRetentionBytes: 7000 }
    expect(effectiveTopicConfig(whole, layersOf())).toMatchObject(like)
    const local = new Map([...whole, ['local.retention.ms', '100'], ['local.retention.bytes', '0']])
    expect(effectiveTopicConfig(local, layersOf())).toMatchObject({ localRetentionMs: 100, localRetentionBytes: 0 })
  })

  it('takes every negative retention for none, and internal.segment.bytes for segment.bytes', () => {
    const overrides = new Map([
      ['retention.ms', '-1'],
      ['retention.bytes', '-5'],
      ['internal.segment.bytes', '100'],
      ['segment.bytes', '2000000'],
    ])
    const expected = { retentionMs: Infinity, retentionBytes: Infinity, segmentBytes: 100 }
    expect(effectiveTopicConfig(overrides, layersOf())).toMatchObject(expected)
  })

  it('can keep everything, compact, or both', () => {
    const policy = (value: string) => effectiveTopicConfig(new Map([['cleanup.policy', value]]), layersOf())
    expect(policy('')).toMatchObject({ compacts: false, deletes: false })
    expect(policy('compact')).toMatchObject({ compacts: true, deletes: false })
    expect(policy('compact,delete')).toMatchObject({ compacts: true, deletes: true })
  })
})

describe('the description of a topic', () => {
  const describedIn = (overrides: Record<string, string>, stored: Record<string, string>, settings = {}) => {
    const described = describeTopicConfigs(new Map(Object.entries(overrides)), layersOf(stored, settings))
    return new Map(described.map(config => [config.name, config]))
  }

  it('lists every config but an internal one that is not set', () => {
    const names = [...describedIn({}, {}).keys()]
    expect(names).toEqual(TOPIC_CONFIG_NAMES.filter(name => name !== 'internal.segment.bytes'))
    expect(names).toHaveLength(37)
    expect(describedIn({ 'internal.segment.bytes': '5' }, {}).get('internal.segment.bytes')).toMatchObject({
      value: '5',
      source: 1,
      type: 'INT',
    })
  })

  it('shows a value with its source and what is behind it', () => {
    const stored = { '1/log.segment.bytes': '2000000', 'log.segment.bytes': '3000000' }
    const described = describedIn({ 'segment.bytes': '4000000' }, stored, { maxMessageBytes: 5 })
    expect(described.get('segment.bytes')).toMatchObject({
      value: '4000000',
      source: 1,
      type: 'INT',
      isReadOnly: false,
      isSensitive: false,
      synonyms: [
        { name: 'segment.bytes', value: '4000000', source: 1 },
        { name: 'log.segment.bytes', value: '2000000', source: 2 },
        { name: 'log.segment.bytes', value: '3000000', source: 3 },
        { name: 'log.segment.bytes', value: '1073741824', source: 5 },
      ],
    })
    expect(described.get('max.message.bytes')).toMatchObject({
      value: '5',
      source: 4,
      synonyms: [
        { name: 'message.max.bytes', value: '5', source: 4 },
        { name: 'message.max.bytes', value: '1048588', source: 5 },
      ],
    })
  })

  it('counts hours behind milliseconds as Kafka does', () => {
    expect(describedIn({}, {}).get('retention.ms')).toMatchObject({ value: '604800000', source: 5, synonyms: [] })
    expect(describedIn({}, { 'log.retention.ms': '-1' }).get('retention.ms')).toMatchObject({
      value: '-1',
      source: 3,
      synonyms: [
        { name: 'log.retention.ms', value: '-1', source: 3 },
        { name: 'log.retention.hours', value: '168', source: 5 },
      ],
    })
  })

  it('keeps 64-bit values to the last digit', () => {
    expect(describedIn({}, {}).get('message.timestamp.before.max.ms')?.value).toBe('9223372036854775807')
    expect(describedIn({ 'flush.ms': '9007199254740993' }, {}).get('flush.ms')?.value).toBe('9007199254740993')
  })
})
