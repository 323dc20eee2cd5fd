import { describe, expect, it } from 'vitest'
import { banner } from '#cli/banner.ts'
import { settingsFrom } from '#config/load-settings.ts'
import type { Settings } from '#config/settings.ts'

function bannerOf(overrides: Partial<Settings>): string {
  const loaded = settingsFrom(overrides)
  if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
  const kafka = { address: loaded.settings.bindAddr, port: 9092 }
  return banner(loaded.settings, { kafka, metricsPort: 9090, clusterId: 'c', close: async () => {} }).join('\n')
}

describe('the banner', () => {
  it('names the promise that is in force', () => {
    expect(bannerOf({})).toContain('synced to disk: they survive kill -9 and power loss\n')
    expect(bannerOf({ walSync: { kind: 'interval', intervalMs: 100 } })).toContain(
      'synced within 100 ms: they survive kill -9, not a power loss\n',
    )
  })

  it('says that nobody is authenticated', () => {
    expect(bannerOf({})).toMatch(/Security +none: nobody is authenticated/)
  })

  it('names an address that can be connected to, and what clients are told', () => {
    const wildcard = bannerOf({})
    expect(wildcard).toContain('0.0.0.0:9092; clients are told the address they reached:9092\n')
    expect(wildcard).toContain('-b localhost:9092 ')
    expect(bannerOf({ bindAddr: '10.1.2.3' })).toContain('10.1.2.3:9092; clients are told 10.1.2.3:9092\n')
    expect(bannerOf({ advertisedAddr: 'kafka.example', advertisedPort: 19092 })).toContain(
      '0.0.0.0:9092; clients are told kafka.example:19092\n',
    )
  })

  it('puts IPv6 addresses in brackets, as kcat and curl take them', () => {
    const loopback = bannerOf({ bindAddr: '::1' })
    expect(loopback).toContain('-b [::1]:9092 ')
    expect(loopback).toContain('curl http://[::1]:9090/health/ready')
    expect(bannerOf({ bindAddr: '::' })).toContain('[::]:9092; clients are told the address they reached:9092\n')
  })
})
