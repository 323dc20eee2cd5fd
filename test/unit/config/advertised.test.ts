import { describe, expect, it } from 'vitest'
import { advertisedFor } from '#config/advertised.ts'

const nothingSet = { bindAddr: '0.0.0.0', advertisedAddr: null, advertisedPort: null }

describe('the advertised address', () => {
  it('is the one the client has reached, on a wildcard bind', () => {
    for (const bindAddr of ['0.0.0.0', '::']) {
      const advertised = advertisedFor({ ...nothingSet, bindAddr }, { address: '10.1.2.3', port: 9092 })
      expect(advertised).toEqual({ host: '10.1.2.3', port: 9092 })
    }
  })

  it('is the IPv4 address within a mapped one', () => {
    const settings = { ...nothingSet, bindAddr: '::' }
    expect(advertisedFor(settings, { address: '::ffff:127.0.0.1', port: 1 }).host).toBe('127.0.0.1')
    expect(advertisedFor(settings, { address: '::FFFF:10.0.0.1', port: 1 }).host).toBe('10.0.0.1')
    expect(advertisedFor(settings, { address: 'fd00::1', port: 1 }).host).toBe('fd00::1')
  })

  it('is the bind address where that is one address', () => {
    const settings = { ...nothingSet, bindAddr: 'kafka.internal' }
    expect(advertisedFor(settings, { address: '10.1.2.3', port: 9093 })).toEqual({ host: 'kafka.internal', port: 9093 })
  })

  it('is what the settings say, host and port each by itself', () => {
    const local = { address: '172.17.0.2', port: 9092 }
    expect(advertisedFor({ ...nothingSet, advertisedAddr: 'a.example', advertisedPort: 19092 }, local)).toEqual({
      host: 'a.example',
      port: 19092,
    })
    expect(advertisedFor({ ...nothingSet, advertisedPort: 19092 }, local)).toEqual({ host: '172.17.0.2', port: 19092 })
  })
})
