import { describe, expect, it } from 'vitest'
import { type LoadedSettings, loadSettings, settingsFrom } from '#config/load-settings.ts'
import { defaultSettings } from '#config/settings.ts'

interface Places {
  argv?: string[]
  env?: Record<string, string>
  file?: string
}

function load({ argv = [], env = {}, file }: Places): LoadedSettings {
  const fileEnv = file === undefined ? {} : { CHRONIK_CONFIG: 'chronik.yaml' }
  return loadSettings({ argv, env: { ...fileEnv, ...env }, readFile: () => file ?? '' })
}

function settingsOf(places: Places) {
  const loaded = load(places)
  if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
  return loaded.settings
}

function errorsOf(places: Places): string[] {
  const loaded = load(places)
  return loaded.ok ? [] : loaded.errors
}

describe('loading settings', () => {
  it('gives the defaults where nothing is set', () => {
    expect(settingsOf({})).toEqual(defaultSettings())
    expect(settingsOf({})).toMatchObject({ kafkaPort: 9092, bindAddr: '0.0.0.0', dataDir: './data', metricsPort: 9090 })
    expect(settingsOf({})).toMatchObject({ walSync: { kind: 'always' }, produceProfile: 'high-throughput' })
    expect(load({})).toMatchObject({ ok: true, warnings: [] })
  })

  it('takes a flag before a variable, a variable before the file, the file before the default', () => {
    const file = 'kafka-port: 1001\nmetrics-port: 1002\nnode-id: 7\n'
    const env = { CHRONIK_KAFKA_PORT: '2001', CHRONIK_METRICS_PORT: '2002' }
    const loaded = load({ argv: ['--kafka-port', '3001'], env, file })
    expect(loaded).toMatchObject({
      settings: { kafkaPort: 3001, metricsPort: 2002, nodeId: 7, logLevel: 'info' },
      sources: {
        kafkaPort: { from: 'flag', name: '--kafka-port' },
        metricsPort: { from: 'environment', name: 'CHRONIK_METRICS_PORT' },
        nodeId: { from: 'file', name: 'chronik.yaml:3: node-id' },
        logLevel: { from: 'default' },
      },
    })
  })

  it('reads the file that --config names rather than the one of CHRONIK_CONFIG', () => {
    const read: string[] = []
    const readFile = (path: string) => {
      read.push(path)
      return 'node-id: 4'
    }
    loadSettings({ argv: ['--config', 'a.yaml'], env: { CHRONIK_CONFIG: 'b.yaml' }, readFile })
    loadSettings({ argv: [], env: { CHRONIK_CONFIG: 'b.yaml' }, readFile })
    expect(read).toEqual(['a.yaml', 'b.yaml'])
  })

  it('reports every mistake of every place, a line each', () => {
    const argv = ['--kafka-prt', '1', '--data-dir', '--log-level=loud', 'now']
    const errors = errorsOf({ argv, env: { CHRONIK_NODE_ID: 'one' }, file: 'kafka_port: 1\nwal-sync: sometimes\n' })
    expect(errors).toEqual([
      '--kafka-prt: unknown flag; did you mean --kafka-port?',
      '--data-dir: needs a value',
      'now: unexpected; settings are given as --name value',
      'chronik.yaml:1: kafka_port: unknown setting; did you mean kafka-port?',
      'chronik.yaml:2: wal-sync: must be always, or an interval of 1ms to 1m (given: "sometimes")',
      'CHRONIK_NODE_ID: must be a whole number, 0 to 2147483647 (given: "one")',
      '--log-level: must be one of trace, debug, info, warn, error, fatal, silent (given: "loud")',
    ])
  })

  it('names no near setting where none is near', () => {
    expect(errorsOf({ argv: ['--xyzzy=1'] })).toEqual(['--xyzzy: unknown flag'])
  })

  it('says that it cannot read the settings file, and why', () => {
    const readFile = () => {
      throw new Error('ENOENT: no such file or directory')
    }
    expect(loadSettings({ argv: ['--config', 'no.yaml'], env: {}, readFile })).toMatchObject({
      ok: false,
      errors: ['no.yaml: cannot read the settings file: ENOENT: no such file or directory'],
    })
  })
})

describe('flags', () => {
  it('take their value after a space or an equals sign, and the last one counts', () => {
    expect(settingsOf({ argv: ['--kafka-port=1', '--node-id', '5', '--kafka-port', '2'] })).toMatchObject({
      kafkaPort: 2,
      nodeId: 5,
    })
    expect(settingsOf({ argv: ['--log-retention-ms', '-1'] }).logRetentionMs).toBe(-1)
    expect(settingsOf({ argv: ['--data-dir=/a=b'] }).dataDir).toBe('/a=b')
  })

  it('of a switch mean true when they stand alone', () => {
    expect(settingsOf({ argv: ['--auto-create-topics', '--node-id', '2'] }).autoCreateTopics).toBe(true)
    expect(settingsOf({ argv: ['--auto-create-topics', 'false'] }).autoCreateTopics).toBe(false)
  })

  it('of any other setting need a value', () => {
    expect(errorsOf({ argv: ['--kafka-port'] })).toEqual(['--kafka-port: needs a value'])
    expect(errorsOf({ argv: ['--kafka-port='] })).toEqual(['--kafka-port: needs a value'])
    expect(errorsOf({ argv: ['--config'] })).toEqual(['--config: needs a value'])
  })
})

describe('environment variables', () => {
  it('have aliases, of which the first that is set wins', () => {
    expect(settingsOf({ env: { KAFKA_PORT: '9093', METRICS_PORT: '9099' } })).toMatchObject({
      kafkaPort: 9093,
      metricsPort: 9099,
    })
    const both = load({ env: { KAFKA_PORT: '9093', CHRONIK_KAFKA_PORT: '9094' } })
    expect(both).toMatchObject({
      settings: { kafkaPort: 9094 },
      warnings: ['KAFKA_PORT=9093: ignored, since CHRONIK_KAFKA_PORT=9094 is set as well'],
    })
    expect(load({ env: { KAFKA_PORT: '9094', CHRONIK_KAFKA_PORT: '9094' } })).toMatchObject({ warnings: [] })
  })

  it('of an unknown CHRONIK_ name are one warning with the nearest name', () => {
    expect(load({ env: { CHRONIK_KAFKA_PROT: '1', PATH: '/bin' } })).toMatchObject({
      ok: true,
      warnings: ['CHRONIK_KAFKA_PROT: unknown variable, ignored; did you mean CHRONIK_KAFKA_PORT?'],
    })
  })

  it('that Kubernetes sets for a service are ignored with one warning', () => {
    const loaded = load({
      env: {
        CHRONIK_KAFKA_PORT: 'tcp://10.0.0.1:9092',
        CHRONIK_KAFKA_PORT_9092_TCP: 'tcp://10.0.0.1:9092',
        CHRONIK_KAFKA_PORT_9092_TCP_ADDR: '10.0.0.1',
        CHRONIK_KAFKA_SERVICE_HOST: '10.0.0.1',
        CHRONIK_KAFKA_SERVICE_PORT_CLIENTS: '9092',
        CHRONIK_PORT: 'udp://10.0.0.1:53',
        KAFKA_PORT: 'tcp://10.0.0.2:9092',
      },
    })
    expect(loaded).toMatchObject({
      settings: { kafkaPort: 9092 },
      warnings: [
        'ignored variables that an orchestrator sets for a service: CHRONIK_KAFKA_PORT, CHRONIK_KAFKA_PORT_9092_TCP, ' +
          'CHRONIK_KAFKA_PORT_9092_TCP_ADDR, CHRONIK_KAFKA_SERVICE_HOST, CHRONIK_KAFKA_SERVICE_PORT_CLIENTS, ' +
          'CHRONIK_PORT, KAFKA_PORT',
      ],
    })
  })

  it('of a service do not hide another spelling of the same setting', () => {
    const env = { CHRONIK_KAFKA_PORT: 'tcp://10.0.0.1:9092', KAFKA_PORT: '9095' }
    expect(settingsOf({ env }).kafkaPort).toBe(9095)
  })

  it('that are empty are ignored with a warning', () => {
    expect(load({ env: { CHRONIK_ADVERTISED_ADDR: ' ', CHRONIK_CONFIG: '' } })).toMatchObject({
      ok: true,
      warnings: ['CHRONIK_ADVERTISED_ADDR: is empty, ignored', 'CHRONIK_CONFIG: is empty, ignored'],
    })
  })

  it('of settings without effect say so', () => {
    expect(load({ env: { CHRONIK_SEARCH_PORT: '9201' } })).toMatchObject({
      settings: { searchPort: 9201 },
      warnings: ['CHRONIK_SEARCH_PORT: has no effect in this release'],
    })
  })
})

describe('the settings file', () => {
  it('may be empty or hold comments alone', () => {
    for (const file of ['', '# nothing\n']) expect(settingsOf({ file })).toEqual(defaultSettings())
  })

  it('holds flat lines, quoted or not', () => {
    const file = '---\nkafka-port: "9093" # ours\nwal-sync: 100ms\nauto-create-topics: no\n'
    expect(settingsOf({ file })).toMatchObject({
      kafkaPort: 9093,
      walSync: { kind: 'interval', intervalMs: 100 },
      autoCreateTopics: false,
    })
  })

  const mistakes: [why: string, file: string, error: string][] = [
    ['a key twice', 'node-id: 1\nnode-id: 1\n', 'chronik.yaml:2: node-id: is given twice'],
    ['a list', 'node-id: [1]\n', 'chronik.yaml:1: node-id: needs a plain value, not a list, a map or an alias'],
    ['a map', '\nnode-id:\n  a: 1\n', 'chronik.yaml:2: node-id: needs a plain value, not a list, a map or an alias'],
    ['no value', 'node-id:\n', 'chronik.yaml:1: node-id: needs a value'],
    ['an empty value', 'data-dir: ""\n', 'chronik.yaml:1: data-dir: needs a value'],
    ['null', 'node-id: null\n', 'chronik.yaml:1: node-id: must be a whole number, 0 to 2147483647 (given: "null")'],
    [
      'a hexadecimal number',
      'node-id: 0x10',
      'chronik.yaml:1: node-id: must be a whole number, 0 to 2147483647 (given: "0x10")',
    ],
    ['a list at the top', '- node-id\n', 'chronik.yaml:1: must hold lines of the form kafka-port: 9092'],
    ['a lone word', 'kafka-port=9092\n', 'chronik.yaml:1: must hold lines of the form kafka-port: 9092'],
    ['two documents', 'node-id: 1\n---\nnode-id: 2\n', 'chronik.yaml:2: a second document: the file must hold one'],
    ['a tab', 'node-id: 1\n\tkafka-port: 2\n', 'chronik.yaml:2: Tabs are not allowed as indentation'],
    ['a camel-case key', 'kafkaPort: 1\n', 'chronik.yaml:1: kafkaPort: unknown setting; did you mean kafka-port?'],
  ]
  it.each(mistakes)('refuses %s', (_why, file, error) => {
    expect(errorsOf({ file })).toEqual([error])
  })
})

describe('settings that do not fit together', () => {
  const conflicts: [string[], string][] = [
    [
      ['--max-inflight-bytes', '64MiB'],
      'max-inflight-bytes (64MiB) must be at least max-request-bytes (100MiB): the largest request must fit',
    ],
    [
      ['--max-request-bytes', '1MiB', '--max-message-bytes', '2MiB'],
      'max-request-bytes (1MiB) must be at least max-message-bytes (2MiB): a batch comes within a request',
    ],
    [
      ['--durability', 'bucket'],
      'durability=bucket needs a store that is not lost with the data directory: choose a storage-backend, or a ' +
        'local-storage-path elsewhere',
    ],
    [['--kafka-port', '9090'], 'kafka-port and metrics-port are both 9090: each needs its own'],
  ]
  it.each(conflicts)('%j are refused', (argv, error) => {
    expect(errorsOf({ argv })).toEqual([error])
  })

  it('does not mind two ports that are both left open', () => {
    expect(settingsOf({ argv: ['--kafka-port', '0', '--metrics-port', '0'] })).toMatchObject({ kafkaPort: 0 })
  })
})

describe('settings made by a program', () => {
  it('are defaults with what it names, checked as any other', () => {
    const walSync = { kind: 'interval', intervalMs: 1500 } as const
    const loaded = settingsFrom({ kafkaPort: 0, walSync, advertisedAddr: null, logCacheBytes: 1024 })
    expect(loaded).toMatchObject({
      ok: true,
      settings: { ...defaultSettings(), kafkaPort: 0, walSync, logCacheBytes: 1024 },
    })
    expect(settingsFrom({ kafkaPort: 70000, maxConnections: Number.NaN })).toMatchObject({
      errors: [
        'kafkaPort: must be a port, 0 to 65535 (given: "70000")',
        'maxConnections: must be a whole number, 1 to 1000000 (given: "NaN")',
      ],
    })
  })

  it('with an unknown name are refused', () => {
    const overrides: object = { kafkaport: 1 }
    expect(settingsFrom(overrides)).toMatchObject({ errors: ['kafkaport: unknown setting; did you mean kafkaPort?'] })
  })
})
