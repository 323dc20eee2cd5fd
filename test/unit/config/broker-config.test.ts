import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type AlteredConfigs, CONFIG_OPS, type ConfigOp } from '#config/alter-configs.ts'
import {
  alterBrokerConfigs,
  type BrokerScope,
  brokerLayers,
  brokerScopeOf,
  describeBrokerConfigs,
  fixedBrokerLayers,
  incrementalAlterBrokerConfigs,
} from '#config/broker-config.ts'
import { BROKER_CONFIGS } from '#config/broker-config-table.ts'
import type { ConfigLayers } from '#config/kafka-config.ts'
import { settingsFrom } from '#config/load-settings.ts'
import type { Settings } from '#config/settings.ts'
import { effectiveTopicConfig } from '#config/topic-config.ts'

const NODE_ID = 1

/** Printed from the classes of Apache Kafka 4.4.0. */
const kafkaBrokerConfigs: { name: string; type: string; default: string | null; dynamic: boolean }[] = JSON.parse(
  readFileSync(new URL('../../../fixtures/config/kafka-4.4-broker-configs.json', import.meta.url), 'utf8'),
)
const ALL: BrokerScope = { kind: 'all-brokers' }
const ONE: BrokerScope = { kind: 'broker', nodeId: NODE_ID }

function layersOf(stored: Record<string, string> = {}, overrides: Partial<Settings> = {}): ConfigLayers {
  const loaded = settingsFrom(overrides)
  if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
  const fixed = fixedBrokerLayers(loaded.settings, loaded.sources)
  return brokerLayers(fixed, new Map(Object.entries(stored)), NODE_ID)
}

const op = (kind: keyof typeof CONFIG_OPS, name: string, value: string | null = null): ConfigOp => {
  return { name, value, op: CONFIG_OPS[kind] }
}

/** `CODE: message`, or what is stored. */
function outcome(altered: AlteredConfigs): string | Record<string, string> {
  return altered.ok ? Object.fromEntries(altered.configs) : `${altered.code}: ${altered.message}`
}

const alter = (stored: Record<string, string>, scope: BrokerScope, ...ops: ConfigOp[]) => {
  return outcome(incrementalAlterBrokerConfigs(new Map(Object.entries(stored)), scope, ops))
}

function describedIn(layers: ConfigLayers, scope: BrokerScope = ONE) {
  return new Map(describeBrokerConfigs(layers, scope).map(config => [config.name, config]))
}

describe('the table of broker configs', () => {
  const kafka = new Map(kafkaBrokerConfigs.map(config => [config.name, config]))

  it('has the types of Kafka 4.4', () => {
    for (const [name, config] of BROKER_CONFIGS) expect(config.type, name).toBe(kafka.get(name)?.type)
  })

  it('has its defaults, but where ours are other ones', () => {
    const others = [...BROKER_CONFIGS].filter(([name, config]) => config.default !== kafka.get(name)?.default)
    expect(Object.fromEntries(others.map(([name, config]) => [name, config.default]))).toEqual({
      'broker.id': '1',
      'node.id': '1',
      'process.roles': 'broker,controller',
      listeners: 'PLAINTEXT://0.0.0.0:9092',
      'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT',
      'log.dir': './data',
      'log.dirs': './data',
      'group.consumer.max.size': '10000',
      'group.max.size': '10000',
      'max.connections': '10000',
      'queued.max.request.bytes': '134217728',
    })
  })

  it('lets nothing be altered that Kafka does not', () => {
    const alterable = [...BROKER_CONFIGS].filter(([, config]) => config.alterable !== null).map(([name]) => name)
    expect(alterable.filter(name => kafka.get(name)?.dynamic !== true)).toEqual([])
    expect(alterable).toHaveLength(31)
  })

  it('gives topics the same defaults as the settings do', () => {
    const { logRetentionMs, logRetentionBytes, maxMessageBytes } = (settingsFrom({}) as { settings: Settings }).settings
    expect(effectiveTopicConfig(new Map(), layersOf())).toMatchObject({
      retentionMs: logRetentionMs,
      retentionBytes: logRetentionBytes === -1 ? Number.POSITIVE_INFINITY : logRetentionBytes,
      maxMessageBytes,
    })
  })
})

describe('the description of a broker', () => {
  it('lists every config, those of the settings as read-only', () => {
    const described = describedIn(layersOf())
    expect([...described.keys()]).toEqual([...BROKER_CONFIGS.keys()])
    expect(described.get('auto.create.topics.enable')).toMatchObject({ value: 'true', source: 5, isReadOnly: true })
    expect(described.get('log.segment.bytes')).toMatchObject({ value: '1073741824', source: 5, isReadOnly: false })
    expect(described.get('log.retention.ms')).toMatchObject({ value: null, source: 5, synonyms: [] })
  })

  it('shows what the settings say', () => {
    const settings = {
      kafkaPort: 9093,
      bindAddr: '::1',
      advertisedPort: 19092,
      nodeId: 1,
      dataDir: '/d',
      numPartitions: 3,
    }
    const described = describedIn(layersOf({}, settings))
    const shown = (name: string) => [described.get(name)?.value, described.get(name)?.source]
    expect(shown('listeners')).toEqual(['PLAINTEXT://[::1]:9093', 4])
    expect(shown('advertised.listeners')).toEqual(['PLAINTEXT://[::1]:19092', 4])
    expect(shown('log.dirs')).toEqual(['/d', 4])
    expect(described.get('num.partitions')?.synonyms).toEqual([
      { name: 'num.partitions', value: '3', source: 4 },
      { name: 'num.partitions', value: '1', source: 5 },
    ])
  })

  it('names no address where each client is told another one', () => {
    expect(describedIn(layersOf()).get('advertised.listeners')?.value).toBe(null)
    const described = describedIn(layersOf({}, { advertisedAddr: 'k.example' }))
    expect(described.get('advertised.listeners')?.value).toBe('PLAINTEXT://k.example:9092')
  })

  it('shows what was altered, for this broker before what was for all', () => {
    const stored = { 'log.retention.ms': '5000', '1/log.retention.ms': '6000', '2/log.retention.ms': '7000' }
    expect(describedIn(layersOf(stored)).get('log.retention.ms')).toMatchObject({
      value: '6000',
      source: 2,
      synonyms: [
        { name: 'log.retention.ms', value: '6000', source: 2 },
        { name: 'log.retention.ms', value: '5000', source: 3 },
        { name: 'log.retention.hours', value: '168', source: 5 },
      ],
    })
  })

  it('of all brokers lists only what was altered for all', () => {
    const stored = { 'log.retention.ms': '5000', '1/log.segment.bytes': '6000000' }
    expect([...describedIn(layersOf(stored), ALL).values()]).toMatchObject([
      { name: 'log.retention.ms', value: '5000', source: 3, isReadOnly: false },
    ])
  })
})

describe('the broker that a request names', () => {
  it('is this one or all', () => {
    expect(brokerScopeOf('', 1)).toEqual({ ok: true, scope: ALL })
    expect(brokerScopeOf('1', 1)).toEqual({ ok: true, scope: ONE })
  })

  it('is refused if it is another one or none', () => {
    expect(brokerScopeOf('99', 1)).toMatchObject({
      code: 'INVALID_REQUEST',
      message: 'Unexpected broker id, expected 1 or empty string, but received 99',
    })
    expect(brokerScopeOf('x', 1)).toMatchObject({
      code: 'INVALID_REQUEST',
      message: 'Broker id must be an integer, but it is: x',
    })
  })
})

describe('altering broker configs', () => {
  it('keeps what was altered for one broker and for all apart', () => {
    const stored = { 'log.retention.ms': '1', '1/log.roll.ms': '2', '2/log.roll.ms': '3' }
    expect(alter(stored, ALL, op('set', 'log.segment.bytes', '+2000000 '))).toEqual({
      ...stored,
      'log.segment.bytes': '2000000',
    })
    expect(alter(stored, ONE, op('set', 'log.retention.ms', '4'), op('delete', 'log.roll.ms'))).toEqual({
      'log.retention.ms': '1',
      '1/log.retention.ms': '4',
      '2/log.roll.ms': '3',
    })
    expect(alter(stored, ALL, op('delete', 'log.retention.ms'), op('delete', 'node.id'))).toEqual({
      '1/log.roll.ms': '2',
      '2/log.roll.ms': '3',
    })
  })

  it('changes the topics that have no value of their own', () => {
    const altered = incrementalAlterBrokerConfigs(new Map(), ALL, [op('append', 'log.cleanup.policy', 'compact')])
    expect(outcome(altered)).toEqual({ 'log.cleanup.policy': 'delete,compact' })
    const layers = layersOf({ 'log.cleanup.policy': 'delete,compact' })
    expect(effectiveTopicConfig(new Map(), layers)).toMatchObject({ compacts: true, deletes: true })
    expect(effectiveTopicConfig(new Map([['cleanup.policy', 'delete']]), layers).compacts).toBe(false)
  })

  it('all at once leaves only what was given, in its scope', () => {
    const stored = new Map([
      ['log.retention.ms', '1'],
      ['1/log.roll.ms', '2'],
    ])
    const altered = alterBrokerConfigs(stored, ALL, [{ name: 'log.roll.ms', value: '9000' }])
    expect(outcome(altered)).toEqual({ '1/log.roll.ms': '2', 'log.roll.ms': '9000' })
    expect(outcome(alterBrokerConfigs(stored, ONE, []))).toEqual({ 'log.retention.ms': '1' })
  })

  // The lines are answers of Apache Kafka 4.4.0, but for max.connections and foo, which it takes.
  const refused: [ConfigOp[], string][] = [
    [[op('set', 'node.id', '5')], 'INVALID_REQUEST: Cannot update these configs dynamically: [node.id]'],
    [
      [op('set', 'log.dirs', 'x'), op('set', 'log.retention.hours', '4')],
      'INVALID_REQUEST: Cannot update these configs dynamically: [log.dirs, log.retention.hours]',
    ],
    [[op('append', 'log.dirs', 'x')], 'INVALID_REQUEST: Cannot update these configs dynamically: [log.dirs]'],
    [
      [op('set', 'max.connections', '5')],
      'INVALID_REQUEST: Cannot update these configs dynamically: [max.connections]',
    ],
    [[op('set', 'foo', '5')], 'INVALID_REQUEST: Cannot update these configs dynamically: [foo]'],
    [
      [op('set', 'log.retention.ms', 'abc')],
      'INVALID_REQUEST: Invalid value abc for configuration log.retention.ms: Not a number of type LONG',
    ],
    [
      [op('set', 'log.segment.bytes', '5')],
      'INVALID_REQUEST: Invalid value 5 for configuration log.segment.bytes: Value must be at least 1048576',
    ],
    [
      [op('append', 'log.retention.ms', '6')],
      'INVALID_CONFIG: Config value append is not allowed for config key: log.retention.ms',
    ],
    [[op('append', 'foo', 'x')], 'INVALID_CONFIG: Unknown config name: foo'],
    [[op('set', 'log.retention.ms')], 'INVALID_REQUEST: Null value not supported for : log.retention.ms'],
    [
      [op('set', 'log.roll.ms', '1'), op('set', 'log.roll.ms', '1')],
      'INVALID_REQUEST: Error due to duplicate config keys',
    ],
  ]
  it.each(refused)('%j is refused', (ops, answer) => {
    expect(alter({}, ALL, ...ops)).toBe(answer)
    expect(alter({}, ONE, ...ops)).toBe(answer)
  })
})
