import { describe, expect, it } from 'vitest'
import { type AlteredConfigs, CONFIG_OPS, type ConfigOp } from '#config/alter-configs.ts'
import { fixedBrokerLayers } from '#config/broker-config.ts'
import {
  alterGroupConfigs,
  describeGroupConfigs,
  effectiveGroupConfig,
  incrementalAlterGroupConfigs,
} from '#config/group-config.ts'
import type { ConfigLayers } from '#config/kafka-config.ts'
import { settingsFrom } from '#config/load-settings.ts'
import type { Settings } from '#config/settings.ts'

const SESSION = 'consumer.session.timeout.ms'
const HEARTBEAT = 'consumer.heartbeat.interval.ms'
const ASSIGNMENT = 'consumer.assignment.interval.ms'

function layersOf(overrides: Partial<Settings> = {}): ConfigLayers {
  const loaded = settingsFrom(overrides)
  if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
  return fixedBrokerLayers(loaded.settings, loaded.sources)
}

const op = (kind: keyof typeof CONFIG_OPS, name: string, value: string | null = null): ConfigOp => {
  return { name, value, op: CONFIG_OPS[kind] }
}

function outcome(altered: AlteredConfigs): string | Record<string, string> {
  return altered.ok ? Object.fromEntries(altered.configs) : `${altered.code}: ${altered.message}`
}

const alter = (current: Record<string, string>, ...ops: ConfigOp[]) =>
  outcome(incrementalAlterGroupConfigs(new Map(Object.entries(current)), ops, layersOf()))

describe('configs of a group', () => {
  it('are set and deleted', () => {
    expect(alter({}, op('set', SESSION, ' 50000 '))).toEqual({ [SESSION]: '50000' })
    expect(alter({ [SESSION]: '50000', [HEARTBEAT]: '6000' }, op('delete', SESSION))).toEqual({ [HEARTBEAT]: '6000' })
    expect(alter({}, op('set', 'consumer.assignor.offload.enable', 'TRUE'))).toEqual({
      'consumer.assignor.offload.enable': 'true',
    })
    const replaced = alterGroupConfigs([{ name: ASSIGNMENT, value: '0' }], layersOf())
    expect(outcome(replaced)).toEqual({ [ASSIGNMENT]: '0' })
  })

  it.each([
    [op('set', 'no.such', '1'), 'INVALID_CONFIG: Unknown group config name: no.such'],
    [op('set', 'share.session.timeout.ms', '45000'), 'INVALID_CONFIG: Unknown group config name'],
    [op('set', 'streams.num.standby.replicas', '1'), 'INVALID_CONFIG: Unknown group config name'],
    [op('set', SESSION, '44999'), `INVALID_CONFIG: ${SESSION} must be in the range 45000 to 60000 inclusive.`],
    [op('set', SESSION, '60001'), 'INVALID_CONFIG'],
    [op('set', SESSION, 'long'), 'INVALID_CONFIG: Invalid value long'],
    [op('set', HEARTBEAT, '4999'), 'INVALID_CONFIG'],
    [op('set', ASSIGNMENT, '15001'), 'INVALID_CONFIG'],
    [op('set', ASSIGNMENT, '-1'), 'INVALID_CONFIG'],
    [op('append', SESSION, '1'), 'INVALID_CONFIG'],
    [op('set', SESSION, null), 'INVALID_REQUEST'],
  ])('refuse %j', (one, message) => {
    expect(alter({}, one)).toContain(message)
  })

  it('refuse a session that is no longer than the time between two heartbeats', () => {
    const broker = layersOf({ groupConsumerMinSessionTimeoutMs: 5_000 })
    const altered = incrementalAlterGroupConfigs(new Map([[HEARTBEAT, '9000']]), [op('set', SESSION, '9000')], broker)
    expect(outcome(altered)).toBe(`INVALID_CONFIG: ${SESSION} must be greater than ${HEARTBEAT}`)
  })

  it('follow the broker where they are not set, and stay within its bounds where they are', () => {
    expect(effectiveGroupConfig(new Map(), layersOf({ groupConsumerHeartbeatIntervalMs: 7_000 }))).toEqual({
      sessionTimeoutMs: 45_000,
      heartbeatIntervalMs: 7_000,
      assignmentIntervalMs: 1_000,
    })
    const own = new Map([[SESSION, '60000']])
    expect(effectiveGroupConfig(own, layersOf()).sessionTimeoutMs).toBe(60_000)
    const broker = layersOf({ groupConsumerMaxSessionTimeoutMs: 50_000 })
    expect(effectiveGroupConfig(own, broker).sessionTimeoutMs).toBe(50_000)
  })

  it('are described with where they come from', () => {
    const described = describeGroupConfigs(new Map([[SESSION, '50000']]), layersOf())
    expect(described.map(({ name, value, source }) => [name, value, source])).toEqual([
      [SESSION, '50000', 8],
      [HEARTBEAT, '5000', 5],
      [ASSIGNMENT, '1000', 5],
    ])
    expect(described[0]!.synonyms.map(({ name, value }) => [name, value])).toEqual([
      [SESSION, '50000'],
      ['group.consumer.session.timeout.ms', '45000'],
    ])
  })
})
