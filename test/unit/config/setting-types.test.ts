import { describe, expect, it } from 'vitest'
import {
  boolean,
  bytes,
  count,
  duration,
  host,
  isWildcard,
  orUnlimited,
  path,
  port,
  reachableHost,
  reachablePort,
  type SettingType,
  walSyncType,
} from '#config/setting-types.ts'
import { entryOf, SETTING_NAMES } from '#config/settings.ts'

function read<T>(type: SettingType<T>, text: string): T | string {
  const parsed = type.parse(text)
  return parsed.ok ? parsed.value : parsed.problem
}

describe('a number', () => {
  it('lies within its bounds', () => {
    expect(read(port, '0')).toBe(0)
    expect(read(port, '65535')).toBe(65535)
    for (const text of ['65536', '-1', '1.5', '', 'x', '0x10', '1e3', '9092 9093', '9092k']) {
      expect(read(port, text)).toBe('must be a port, 0 to 65535')
    }
    expect(read(reachablePort, '0')).toBe('must be a port, 1 to 65535')
    expect(read(count(1, 10), '11')).toBe('must be a whole number, 1 to 10')
  })

  it('of bytes may carry a unit', () => {
    const size = bytes(0, 2 ** 40)
    expect(['7', '64KiB', '128mib', '1 GiB', '1TiB'].map(text => read(size, text))).toEqual([
      7,
      2 ** 16,
      2 ** 27,
      2 ** 30,
      2 ** 40,
    ])
    expect(read(size, '64MB')).toBe('must be a size (bytes, or with KiB, MiB, GiB or TiB), 0 to 1TiB')
  })

  it('of milliseconds may carry a unit', () => {
    const time = duration(1, 7 * 86_400_000)
    expect(['7', '100ms', '5s', '10m', '1h', '7d'].map(text => read(time, text))).toEqual([
      7, 100, 5000, 600_000, 3_600_000, 604_800_000,
    ])
    expect(read(time, '8d')).toBe('must be a time (milliseconds, or with ms, s, m, h or d), 1ms to 7d')
  })

  it('may have no limit at all', () => {
    const limit = orUnlimited(bytes(0, 2 ** 30))
    expect(read(limit, '-1')).toBe(-1)
    expect(read(limit, '-2')).toBe(
      'must be a size (bytes, or with KiB, MiB, GiB or TiB), 0 to 1GiB; or -1 for no limit',
    )
  })

  it('is not taken beyond what a number holds exactly', () => {
    expect(read(bytes(0, Number.MAX_SAFE_INTEGER), '9007199254740993')).toContain('must be')
  })
})

describe('a switch', () => {
  it('is true or false in a few words', () => {
    expect(['true', 'YES', 'on', '1'].map(text => read(boolean, text))).toEqual([true, true, true, true])
    expect(['false', 'no', 'Off', '0'].map(text => read(boolean, text))).toEqual([false, false, false, false])
    expect(read(boolean, 'maybe')).toBe('must be true or false')
  })
})

describe('a host', () => {
  it('is a name or an address', () => {
    for (const text of [
      'localhost',
      'kafka-1.example.com',
      'my_service',
      '10.0.0.1',
      '0.0.0.0',
      '::',
      '::1',
      'fe80::1',
    ]) {
      expect(read(host, text)).toBe(text)
    }
    expect(read(host, '[::1]')).toBe('::1')
  })

  it('does not come with a port', () => {
    const problem = 'takes a host only, without a port: the port has its own setting'
    for (const text of ['0.0.0.0:9092', 'localhost:9092', '[::1]:9092', 'localhost:', ':9092']) {
      expect(read(host, text)).toBe(problem)
    }
  })

  it('is not a URL, a broken address or a broken name', () => {
    expect(read(host, 'tcp://10.0.0.1:9092')).toBe('takes a host name or an IP address, not a URL')
    expect(read(host, '10.0.0.256')).toBe('is not an IPv4 address')
    expect(read(host, '10.0.0')).toBe('is not an IPv4 address')
    for (const text of ['a b', '-a', 'a..b', '', '1::2::3', `${'a'.repeat(64)}.com`]) {
      expect(read(host, text)).toBe('must be a host name or an IP address')
    }
  })

  it('that clients are told is no wildcard', () => {
    for (const text of ['0.0.0.0', '::', '[::]', '0:0:0:0:0:0:0:0', '::ffff:0.0.0.0', '0']) {
      expect(read(reachableHost, text)).not.toBe(text)
      expect(isWildcard(text.replaceAll(/[[\]]/g, ''))).toBe(true)
    }
    for (const text of ['10.0.0.1', '::1', 'localhost', '::ffff:10.0.0.1']) expect(isWildcard(text)).toBe(false)
    expect(read(reachableHost, 'kafka.example.com')).toBe('kafka.example.com')
  })
})

it('a path is not empty', () => {
  expect(read(path, '/var/lib/chronik data')).toBe('/var/lib/chronik data')
  for (const text of ['', 'a\0b']) expect(read(path, text)).toBe('must be a path')
})

describe('the sync of the write-ahead log', () => {
  it('is always, or an interval', () => {
    expect(read(walSyncType, 'Always')).toEqual({ kind: 'always' })
    expect(read(walSyncType, '100')).toEqual({ kind: 'interval', intervalMs: 100 })
    expect(read(walSyncType, '100ms')).toEqual({ kind: 'interval', intervalMs: 100 })
    for (const text of ['0', 'never', '2m']) {
      expect(read(walSyncType, text)).toBe('must be always, or an interval of 1ms to 1m')
    }
  })
})

it('every default can be read back from its text', () => {
  for (const name of SETTING_NAMES) {
    const { type, default: value } = entryOf(name)
    if (value !== null) expect(read(type, type.show(value)), name).toEqual(value)
  }
})
