import { expect, it } from 'vitest'
import { keyOf, SETTING_NAMES, variablesOf } from '#config/settings.ts'
import { settingsHelp } from '#config/settings-help.ts'

it('the help lists every flag once, within 110 columns', () => {
  const help = settingsHelp()
  const groups = help.slice(help.indexOf('Network:'))
  for (const name of SETTING_NAMES) expect(groups.split(`\n  --${keyOf(name)} `), name).toHaveLength(2)
  expect(Math.max(...help.split('\n').map(line => line.length))).toBeLessThanOrEqual(110)
})

it('the help shows default, aliases and choices, and what has no effect', () => {
  const help = settingsHelp().replaceAll(/\s+/g, ' ')
  expect(help).toContain('--kafka-port PORT Port of the Kafka protocol; 0 takes a free one. [9092; also KAFKA_PORT]')
  expect(help).toContain('One of low-latency, balanced, high-throughput, extreme. [high-throughput]')
  expect(help).toContain('--search-port PORT Without effect in this release.')
})

it('a setting has one word for flag, file and variable', () => {
  expect(keyOf('maxInflightBytesPerConnection')).toBe('max-inflight-bytes-per-connection')
  expect(variablesOf('metricsPort')).toEqual(['CHRONIK_METRICS_PORT', 'METRICS_PORT'])
})
