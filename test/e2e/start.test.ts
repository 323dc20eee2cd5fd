// A broker as its user starts, meets and stops it.

import { writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { defaultSettings } from '#config/settings.ts'
import { buildBatch } from '#test/support/batch-builder.ts'
import { type BrokerProcess, type BrokerProcessOptions, startBrokerProcess } from '#test/support/broker-process.ts'
import { runToEnd } from '#test/support/command-line.ts'
import { isMissing } from '#test/support/commands.ts'
import { scrape } from '#test/support/metrics-page.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'
import { until } from '#test/support/until.ts'
import { WireClient } from '#test/support/wire-client.ts'

const TOPIC = 'orders'

async function start(options: BrokerProcessOptions = {}): Promise<BrokerProcess> {
  const broker = await startBrokerProcess(options)
  onTestFinished(() => broker.remove())
  await until('the banner', () => broker.output().includes('\nTry:\n') && broker.output().includes('/health/ready\n\n'))
  return broker
}

async function client(broker: BrokerProcess): Promise<WireClient> {
  const wire = await WireClient.connect(broker.kafka)
  onTestFinished(() => wire.close())
  return wire
}

function logLines(broker: BrokerProcess): Record<string, unknown>[] {
  const lines = broker.output().split('\n')
  return lines.filter(line => line.startsWith('{')).map(line => JSON.parse(line) as Record<string, unknown>)
}

/** What the banner says to try. */
function commandsOf(broker: BrokerProcess): string[] {
  const [, after = ''] = broker.output().split('\nTry:\n')
  return after
    .split('\n\n', 1)[0]!
    .split('\n')
    .map(line => line.trim())
}

function fetchBody(maxWaitMs: number) {
  const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }]
  return { maxWaitMs, minBytes: 1, maxBytes: 1000, topics: [{ topic: TOPIC, partitions }] }
}

describe('the banner of chronik start', () => {
  it('says what listens where, what is promised, and commands that work as they are printed', async context => {
    const broker = await start({ flags: ['--bind-addr', '0.0.0.0'] })
    const said = broker.output()
    const { port } = broker.kafka
    expect(said).toContain(`\n  Kafka      0.0.0.0:${port}; clients are told the address they reached:${port}\n`)
    expect(said).toContain(`\n  Metrics    http://localhost:${broker.metricsPort}/metrics, health on /health/ready\n`)
    expect(said).toContain(`\n  Data       ${broker.dataDir}\n`)
    expect(said).toContain(
      '\n  Promise    acknowledged records are synced to disk: they survive kill -9 and power loss\n',
    )
    expect(said).toContain('\n  Security   none: nobody is authenticated')

    const [produce = '', consume = '', create = '', health = '', ...others] = commandsOf(broker)
    expect(others).toEqual([])
    expect(create).toBe(`kafka-topics.sh --bootstrap-server localhost:${port} --create --topic second --partitions 3`)
    if (!isMissing('curl')) {
      const { code, stdout } = await runToEnd('sh', ['-c', health])
      expect({ code, answer: JSON.parse(stdout) }).toEqual({ code: 0, answer: { status: 'ready' } })
    }
    if (isMissing('kcat')) return context.skip('kcat is not installed')
    expect(await runToEnd('sh', ['-c', produce])).toMatchObject({ code: 0 })
    expect(await runToEnd('sh', ['-c', consume])).toMatchObject({ code: 0, stdout: 'hello\n' })
  })

  it('names the weaker promise when syncs come at an interval, and writes no more than the log level wants', async () => {
    const file = join(await temporaryDirectory(), 'chronik.yaml')
    await writeFile(file, '# a comment\nwal-sync: 100ms\nlog-level: error\nadvertised-addr: kafka.example\n')
    const broker = await start({ environment: { CHRONIK_CONFIG: file } })
    const said = broker.output()
    expect(said).toContain('acknowledged records are synced within 100 ms: they survive kill -9, not a power loss\n')
    expect(
      (await scrape({ host: '127.0.0.1', port: broker.metricsPort })).get('chronik_wal_sync_interval_seconds'),
    ).toBe(0.1)
    await broker.stop()
    expect(logLines(broker)).toEqual([])
  })
})

describe('chronik start', () => {
  it('takes settings from file, environment and flags, and warns once of each variable that it does not know', async () => {
    const file = join(await temporaryDirectory(), 'chronik.yaml')
    await writeFile(file, 'node-id: 7\nlog-level: error\nproduce-profile: balanced\n')
    const broker = await start({
      flags: ['--config', file, '--produce-profile', 'low-latency'],
      environment: {
        CHRONIK_LOG_LEVEL: 'info',
        CHRONIK_PRODUCE_PROFILE: 'extreme',
        CHRONIK_DATADIR: '/nowhere',
        CHRONIK_SEARCH_PORT: '9201',
        CHRONIK_KAFKA_PORT: 'tcp://10.0.0.1:9092',
        CHRONIK_KAFKA_SERVICE_HOST: '10.0.0.1',
        KAFKA_PORT: 'tcp://10.0.0.2:9092',
      },
    })
    const { brokers } = await (await client(broker)).send('Metadata', 9, { topics: [] })
    expect(brokers.map(({ nodeId }) => nodeId)).toEqual([7])
    const page = await scrape({ host: '127.0.0.1', port: broker.metricsPort })
    expect(page.get('chronik_produce_profile_active')).toBe(0)
    const warnings = logLines(broker).filter(line => line.level === 'warn')
    expect(warnings.map(line => line.msg).sort()).toEqual([
      'CHRONIK_DATADIR: unknown variable, ignored; did you mean CHRONIK_DATA_DIR?',
      'CHRONIK_SEARCH_PORT: has no effect in this release',
      'ignored variables that an orchestrator sets for a service: CHRONIK_KAFKA_PORT, CHRONIK_KAFKA_SERVICE_HOST, KAFKA_PORT',
    ])
  })

  it('logs JSON lines with time, level and message, and none for requests', async () => {
    const broker = await start({ flags: ['--log-level', 'debug'] })
    const wire = await client(broker)
    await wire.send('Metadata', 9, { topics: [{ name: TOPIC }] })
    const before = logLines(broker)
    expect(before.some(line => line.msg === 'started' && line.kafkaPort === broker.kafka.port)).toBe(true)
    for (const line of before) {
      expect(line).toMatchObject({ level: expect.any(String), msg: expect.any(String) })
      expect(new Date(line.time as string).toISOString()).toBe(line.time)
    }
    const partitionData = [{ index: 0, records: buildBatch([{ value: 'x' }]) }]
    for (let i = 0; i < 50; i++) {
      await wire.send('Produce', 9, { acks: -1, timeoutMs: 1000, topicData: [{ name: TOPIC, partitionData }] })
      await wire.send('Fetch', 11, fetchBody(0))
      await wire.send('Metadata', 9, { topics: [{ name: TOPIC }] })
    }
    await broker.stop()
    const after = logLines(broker).slice(before.length)
    expect(after.map(line => line.msg)).toEqual(['SIGTERM: finishing what was begun', 'stopped'])
  })
})

describe('SIGTERM', () => {
  async function open(port: number): Promise<Socket> {
    const socket = connect({ host: '127.0.0.1', port })
    socket.on('error', () => {})
    onTestFinished(() => void socket.destroy())
    await new Promise(resolve => socket.once('connect', resolve))
    return socket
  }

  it('ends it with code 0 well before the 5 s of the promise, whoever is connected, and however often it is sent', async () => {
    const broker = await start()
    const idle = await client(broker)
    await idle.send('Metadata', 9, { topics: [{ name: TOPIC }] })
    const polling = await client(broker)
    const polled = polling.send('Fetch', 11, fetchBody(60_000))
    const halfRequest = await client(broker)
    halfRequest.sendRaw(Buffer.from('000003e8', 'hex'))
    await open(broker.metricsPort)
    ;(await open(broker.metricsPort)).write('GET /metrics HTTP/1.1\r\nhost: x\r\n')
    const metrics = { host: '127.0.0.1', port: broker.metricsPort }
    await until('the poll', async () => (await scrape(metrics)).get('chronik_requests_total{api="Fetch"}') === 1)

    const beganAtMs = performance.now()
    for (let i = 0; i < 3; i++) process.kill(broker.pid, i === 1 ? 'SIGINT' : 'SIGTERM')
    expect(await broker.ended).toEqual({ code: 0, signal: null })
    // Nothing is in work: no part waits until the drain times out.
    expect(performance.now() - beganAtMs).toBeLessThan(defaultSettings().drainTimeoutMs)
    expect(await polled).toMatchObject({ errorCode: 0 })
    expect(logLines(broker).filter(line => line.msg === 'stopped').length).toBe(1)
    expect(logLines(broker).filter(line => /finishing/.test(`${line.msg}`)).length).toBe(1)
  })
})
