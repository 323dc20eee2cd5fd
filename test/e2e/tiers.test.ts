// Records as their user meets them when they have left the write-ahead log.

import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type BrokerProcess, startBrokerProcess } from '#test/support/broker-process.ts'
import { chronik } from '#test/support/command-line.ts'
import { scrape } from '#test/support/metrics-page.ts'
import { type SmallS3, startSmallS3 } from '#test/support/small-s3.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'
import { until } from '#test/support/until.ts'

const TOPIC = 'orders'
const PARTITIONS = 3
const RECORDS = 600
/** Sealed at once, and never read from memory. */
const HASTY = { CHRONIK_SEAL_MAX_MS: '200', CHRONIK_LOG_CACHE_BYTES: '0', CHRONIK_WAL_FILE_BYTES: '262144' }

async function start(dataDir: string, environment: Record<string, string> = {}): Promise<BrokerProcess> {
  const broker = await startBrokerProcess({ dataDir, environment: { ...HASTY, ...environment } })
  onTestFinished(() => broker.remove())
  return broker
}

function clientOf(broker: BrokerProcess): Kafka {
  return new Kafka({ brokers: [broker.kafka.address], logLevel: logLevel.NOTHING })
}

async function produce(broker: BrokerProcess, from: number, count: number): Promise<void> {
  const producer = clientOf(broker).producer()
  await producer.connect()
  const messages = Array.from({ length: count }, (_, i) => ({
    partition: (from + i) % PARTITIONS,
    key: `key-${(from + i) % 50}`,
    value: `value-${from + i}`.padEnd(1000, '.'),
  }))
  await producer.send({ topic: TOPIC, messages })
  await producer.disconnect()
}

async function create(broker: BrokerProcess, configs: Record<string, string> = {}): Promise<void> {
  const admin = clientOf(broker).admin()
  await admin.connect()
  const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
  await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: PARTITIONS, configEntries }] })
  await admin.disconnect()
}

/** The values of all records, sorted, when so many have come. */
async function consume(broker: BrokerProcess, count: number): Promise<number[]> {
  const consumer = clientOf(broker).consumer({ groupId: `readers-${Math.random()}` })
  await consumer.connect()
  await consumer.subscribe({ topic: TOPIC, fromBeginning: true })
  const values: number[] = []
  await consumer.run({
    eachMessage: async ({ message }) => {
      values.push(Number.parseInt(String(message.value).slice('value-'.length), 10))
    },
  })
  await until('all records', () => values.length >= count)
  await consumer.disconnect()
  return values.sort((a, b) => a - b)
}

async function untilSealed(broker: BrokerProcess): Promise<void> {
  const metrics = { host: broker.kafka.host, port: broker.metricsPort }
  await until('everything is sealed', async () => (await scrape(metrics)).get('chronik_unsealed_bytes') === 0)
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i)

/** It is stopped, and everything that it has left is as it was stored. */
async function expectAllIsWell(broker: BrokerProcess): Promise<void> {
  await broker.stop()
  expect(await chronik('verify', '--data-dir', broker.dataDir)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/\nall is well\n$/),
  })
}

describe('records that are sealed', () => {
  it('are read like any others, once each, after kill -9, too', async () => {
    const dataDir = await temporaryDirectory()
    const first = await start(dataDir)
    await create(first)
    for (let from = 0; from < RECORDS; from += 100) {
      await produce(first, from, 100)
      if (from === 200) await untilSealed(first)
    }
    expect(await consume(first, RECORDS)).toEqual(upTo(RECORDS))
    await untilSealed(first)
    await first.kill9()
    const second = await start(dataDir)
    await produce(second, RECORDS, 100)
    expect(await consume(second, RECORDS + 100)).toEqual(upTo(RECORDS + 100))
    const files = await readdir(join(dataDir, 'store', 'segments', 'shared'), { recursive: true })
    expect(files.filter(name => name.endsWith('.log')).length).toBeGreaterThan(0)
    await expectAllIsWell(second)
  })

  it('leave the disk of the write-ahead log', async () => {
    const dataDir = await temporaryDirectory()
    const broker = await start(dataDir)
    await create(broker)
    for (let from = 0; from < 4000; from += 200) await produce(broker, from, 200)
    await untilSealed(broker)
    await until('files of the log are gone', async () => {
      const names = await readdir(join(dataDir, 'wal'))
      return names.filter(name => name.endsWith('.wal')).length <= 6
    })
    expect(await consume(broker, 4000)).toEqual(upTo(4000))
  })

  it('of a compacted topic are, in the end, the newest of each key', async () => {
    const broker = await start(await temporaryDirectory())
    await create(broker, { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0.01' })
    await produce(broker, 0, RECORDS)
    await untilSealed(broker)
    const metrics = { host: broker.kafka.host, port: broker.metricsPort }
    const passes = async () => (await scrape(metrics)).get('chronik_compactions_total') ?? 0
    await until('all partitions are compacted', async () => (await passes()) >= PARTITIONS, 40_000)
    const values = await consume(broker, 150)
    // 50 keys go round 3 partitions: of each partition the last record of each key is left.
    const last = new Map(upTo(RECORDS).map(i => [`${i % PARTITIONS}:${i % 50}`, i]))
    expect(values).toEqual([...last.values()].sort((a, b) => a - b))
    await expectAllIsWell(broker)
  }, 90_000)
})

describe('records in a bucket', () => {
  async function bucket(): Promise<{ s3: SmallS3; environment: Record<string, string> }> {
    const s3 = await startSmallS3()
    onTestFinished(() => s3.close())
    const environment = {
      STORAGE_BACKEND: 's3',
      S3_BUCKET: s3.bucket,
      S3_ENDPOINT: s3.endpoint,
      AWS_ACCESS_KEY_ID: s3.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: s3.credentials.secretAccessKey,
    }
    return { s3, environment }
  }

  const readsOf = ({ requests }: SmallS3) => requests.filter(request => request.startsWith('GET segments/'))

  it('are read from the disk, where they are kept when they are sealed', async () => {
    const { s3, environment } = await bucket()
    const dataDir = await temporaryDirectory()
    const first = await start(dataDir, environment)
    await create(first)
    for (let from = 0; from < RECORDS; from += 200) await produce(first, from, 200)
    await untilSealed(first)
    await first.stop()
    const broker = await start(dataDir, environment)
    s3.requests.length = 0
    expect(await consume(broker, RECORDS)).toEqual(upTo(RECORDS))
    const metrics = await scrape({ host: broker.kafka.host, port: broker.metricsPort })
    expect(readsOf(s3)).toEqual([])
    expect(metrics.get('chronik_store_cache_served_bytes_total')).toBeGreaterThan(RECORDS * 1000)
    expect(metrics.get('chronik_store_cache_bytes')).toBeGreaterThan(RECORDS * 1000)
    expect(metrics.get('chronik_store_cache_disk_bytes')).toBeLessThanOrEqual(10 * 2 ** 30)
  })

  it('come with less than a request for each megabyte, and once, when the disk has nothing of them', async () => {
    const { s3, environment } = await bucket()
    const dataDir = await temporaryDirectory()
    const first = await start(dataDir, { ...environment, CHRONIK_SEAL_MAX_MS: '60000' })
    await create(first)
    for (let from = 0; from < 12_000; from += 500) await produce(first, from, 500)
    await first.stop()
    await rm(join(dataDir, 'cache'), { recursive: true })
    const second = await start(dataDir, environment)
    s3.requests.length = 0
    expect(await consume(second, 12_000)).toEqual(upTo(12_000))
    expect(readsOf(s3).length).toBeGreaterThan(0)
    // 12 MB, and indexes at the end of objects.
    expect(readsOf(s3).length).toBeLessThanOrEqual(12)
    const readOnce = readsOf(s3).length
    expect(await consume(second, 12_000)).toEqual(upTo(12_000))
    expect(readsOf(s3).length).toBe(readOnce)
  })
})
