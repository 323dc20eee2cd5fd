import { execFileSync } from 'node:child_process'
import { mkdir, rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { History } from '#test/crash/history.ts'
import { checkPartitions } from '#test/crash/reading.ts'
import { produceOne } from '#test/crash/single-writer.ts'
import { answersApiVersions, startBrokerProcess } from '#test/support/broker-process.ts'
import { runCommand } from '#test/support/commands.ts'
import { startFaultProxy } from '#test/support/fault-proxy.ts'
import { startSmallS3 } from '#test/support/small-s3.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'
import { until } from '#test/support/until.ts'
import { WireClient } from '#test/support/wire-client.ts'

const DISK_BYTES = 64 << 20
const FREE_BYTES = 12 << 20
const BATCH_BYTES = 100_000
const KAFKA_STORAGE_ERROR = 56
const HEALS_WITHIN_MS = 60_000
const ENVIRONMENT = { CHRONIK_WAL_FILE_BYTES: `${4 << 20}` }

/** A file system of its own, which takes the rights of root. */
async function smallDisk(): Promise<string> {
  const path = join(await temporaryDirectory(), 'disk')
  await mkdir(path)
  await runCommand('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'none', path])
  onTestFinished(() => {
    execFileSync('umount', ['-l', path])
  })
  return path
}

async function fill(disk: string, leftBytes: number): Promise<string> {
  const { bavail, bsize } = await statfs(disk)
  const ballast = join(disk, 'ballast')
  await writeFile(ballast, Buffer.alloc(Math.max(0, bavail * bsize - leftBytes), 1))
  return ballast
}

describe.skipIf(process.getuid?.() !== 0)('a full disk', () => {
  it('refuses what is produced, retriably, and takes it again when there is room, without a restart', async () => {
    const disk = await smallDisk()
    const history = new History({ orders: 1 })
    const [partition] = history.partitions
    const broker = await startBrokerProcess({ dataDir: join(disk, 'data'), environment: ENVIRONMENT })
    try {
      const client = await WireClient.connect(broker.kafka)
      await client.send('Metadata', 9, { topics: [{ name: 'orders' }] })
      const produce = () => produceOne(client, history, partition!, BATCH_BYTES)
      expect(await produce()).toBe(0)
      const ballast = await fill(disk, FREE_BYTES)
      let errorCode = 0
      for (let i = 0; i < 1000 && errorCode === 0; i++) errorCode = await produce()
      expect(errorCode).toBe(KAFKA_STORAGE_ERROR)
      for (let i = 0; i < 20; i++) expect(await produce()).toBe(KAFKA_STORAGE_ERROR)
      expect(await answersApiVersions(broker.kafka.port)).toBe(true)
      await checkPartitions(client, history)

      await rm(ballast)
      await until('room again', async () => (await produce()) === 0)
      for (let i = 0; i < 100; i++) expect(await produce()).toBe(0)
      await checkPartitions(client, history)
      client.close()
    } finally {
      await broker.kill9()
    }
    const { kafka, stop } = await startBrokerProcess({ dataDir: join(disk, 'data'), environment: ENVIRONMENT })
    const client = await WireClient.connect(kafka)
    await checkPartitions(client, history)
    client.close()
    await stop()
  })

  it('does not keep a broker from starting and from making room', async () => {
    const disk = await smallDisk()
    const dataDir = join(disk, 'data')
    const history = new History({ orders: 1 })
    const [partition] = history.partitions
    let broker = await startBrokerProcess({ dataDir, environment: ENVIRONMENT })
    try {
      let client = await WireClient.connect(broker.kafka)
      await client.send('Metadata', 9, { topics: [{ name: 'orders' }] })
      const produce = () => produceOne(client, history, partition!, BATCH_BYTES)
      for (let i = 0; i < 100; i++) expect(await produce()).toBe(0)
      await broker.kill9()
      const ballast = await fill(disk, 0)

      broker = await startBrokerProcess({ dataDir, environment: ENVIRONMENT })
      client = await WireClient.connect(broker.kafka)
      await checkPartitions(client, history)
      // The start has given back what was prepared for the log, and takes it again.
      await until('no more room', async () => (await produce()) === KAFKA_STORAGE_ERROR)
      await rm(ballast)
      await until('room again', async () => (await produce()) === 0)
      await checkPartitions(client, history)
      client.close()
    } finally {
      await broker.remove()
    }
  })

  it('while the store is away is given back when the store is there again, and nothing is lost', async () => {
    const disk = await smallDisk()
    const history = new History({ orders: 1 })
    const [partition] = history.partitions
    const s3 = await startSmallS3()
    const proxy = await startFaultProxy(s3.endpoint)
    onTestFinished(async () => {
      await proxy.close()
      await s3.close()
    })
    const environment = {
      ...ENVIRONMENT,
      ...{ STORAGE_BACKEND: 's3', S3_BUCKET: s3.bucket, S3_ENDPOINT: proxy.endpoint },
      ...{ AWS_ACCESS_KEY_ID: s3.credentials.accessKeyId, AWS_SECRET_ACCESS_KEY: s3.credentials.secretAccessKey },
      ...{ CHRONIK_SEAL_MAX_MS: '500', CHRONIK_TAKEOVER_AFTER_MS: '-1' },
    }
    const broker = await startBrokerProcess({ dataDir: join(disk, 'data'), environment })
    try {
      const client = await WireClient.connect(broker.kafka)
      await client.send('Metadata', 9, { topics: [{ name: 'orders' }] })
      const produce = () => produceOne(client, history, partition!, BATCH_BYTES)
      expect(await produce()).toBe(0)
      proxy.onRequest = () => ({ kind: 'reset' })
      await until('no more room', async () => (await produce()) === KAFKA_STORAGE_ERROR)
      for (let i = 0; i < 20; i++) expect(await produce()).toBe(KAFKA_STORAGE_ERROR)
      proxy.onRequest = () => null
      await until('room again', async () => (await produce()) === 0, HEALS_WITHIN_MS)
      // As much as the disk has.
      for (let i = 0; i < DISK_BYTES / BATCH_BYTES; i++) await until('room', async () => (await produce()) === 0)
      await checkPartitions(client, history)
      client.close()
    } finally {
      await broker.remove()
    }
  })
})
