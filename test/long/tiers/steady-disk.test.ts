// What the disk of a machine holds while twenty times as much is written: the write-ahead log and the cache of the bucket, each up
// to its limit, and besides them what is known of the log.

import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { expect, it, onTestFinished } from 'vitest'
import { buildBatch } from '#test/support/batch-builder.ts'
import { type BrokerProcess, startBrokerProcess } from '#test/support/broker-process.ts'
import { scrape } from '#test/support/metrics-page.ts'
import { startRadosgw } from '#test/support/s3-server.ts'
import { scaled } from '#test/support/scale.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { WireClient } from '#test/support/wire-client.ts'

const MIB = 1 << 20
const WAL_FILE_BYTES = 4 * MIB
const WAL_LIMIT_BYTES = 32 * MIB
const CACHE_LIMIT_BYTES = 64 * MIB
const TIMES = 20
const VALUE_BYTES = 900_000
const MEASURED_EVERY_MS = 100
const TOPIC = 'written'
/** Checkpoints, and the indexes of the log's files. */
const OTHER_BYTES = MIB

it('the disk holds no more than its limits while much more is written and read', async () => {
  const broker = await startWithBucket()
  const writer = await clientOf(broker)
  const reader = await clientOf(broker)
  await createTopic(writer)
  const sizes: number[] = []
  let isWritten = false
  const measuring = setInterval(async () => sizes.push(await diskBytes(broker.dataDir)), MEASURED_EVERY_MS)
  onTestFinished(() => clearInterval(measuring))
  const reading = readAll(reader, () => isWritten)
  const batches = scaled(Math.ceil((TIMES * (WAL_LIMIT_BYTES + CACHE_LIMIT_BYTES)) / VALUE_BYTES))
  await write(writer, batches)
  isWritten = true
  expect(await reading).toBe(batches)
  clearInterval(measuring)
  const metrics = await scrape({ host: broker.kafka.host, port: broker.metricsPort })
  expect(metrics.get('chronik_sealed_bytes_total')).toBeGreaterThan(batches * VALUE_BYTES * 0.9 - WAL_LIMIT_BYTES)
  expect(sizes.length).toBeGreaterThan(batches / 100)
  expect(Math.max(...sizes)).toBeLessThanOrEqual(WAL_LIMIT_BYTES + CACHE_LIMIT_BYTES + OTHER_BYTES)
})

async function startWithBucket(): Promise<BrokerProcess> {
  const server = await startRadosgw()
  onTestFinished(() => server.close())
  const { endpoint, credentials } = server
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials })
  await client.send(new CreateBucketCommand({ Bucket: 'steady' }))
  client.destroy()
  const environment = {
    STORAGE_BACKEND: 's3',
    S3_BUCKET: 'steady',
    S3_ENDPOINT: endpoint,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    CHRONIK_WAL_FILE_BYTES: `${WAL_FILE_BYTES}`,
    CHRONIK_WAL_LIMIT_BYTES: `${WAL_LIMIT_BYTES}`,
    CHRONIK_CACHE_BYTES: `${CACHE_LIMIT_BYTES}`,
    CHRONIK_LOG_CACHE_BYTES: '0',
  }
  const broker = await startBrokerProcess({ environment })
  onTestFinished(() => broker.remove())
  return broker
}

async function clientOf(broker: BrokerProcess): Promise<WireClient> {
  const wire = await WireClient.connect(broker.kafka)
  onTestFinished(() => wire.close())
  return wire
}

async function createTopic(wire: WireClient): Promise<void> {
  const topics = [{ name: TOPIC, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }]
  const answer = await wire.send('CreateTopics', 5, { topics, timeoutMs: 5000, validateOnly: false })
  expect(answer.topics[0]?.errorCode).toBe(0)
}

/** As a client does: what is refused until there is room is sent again. */
async function write(wire: WireClient, batches: number): Promise<void> {
  const prng = new Prng(1)
  const value = Buffer.from(Uint8Array.from({ length: VALUE_BYTES }, () => prng.u32()))
  const partitionData = [{ index: 0, records: buildBatch([{ value }]) }]
  for (let left = batches; left > 0; ) {
    const body = { acks: -1, timeoutMs: 5000, topicData: [{ name: TOPIC, partitionData }] }
    const { responses } = await wire.send('Produce', 9, body)
    if (responses[0]?.partitionResponses[0]?.errorCode === 0) left--
    else await new Promise(done => setTimeout(done, MEASURED_EVERY_MS))
  }
}

/** Reads from the beginning to the end that is known when all is written; how many records there were. */
async function readAll(wire: WireClient, isWritten: () => boolean): Promise<number> {
  for (let fetchOffset = 0; ; ) {
    const wasWritten = isWritten()
    const partitions = [{ partition: 0, fetchOffset, partitionMaxBytes: MIB }]
    const body = { maxWaitMs: MEASURED_EVERY_MS, minBytes: 1, maxBytes: MIB, topics: [{ topic: TOPIC, partitions }] }
    const { responses } = await wire.send('Fetch', 11, body)
    const bytes = (responses[0]?.partitions[0]?.records as Buffer | null | undefined) ?? Buffer.alloc(0)
    if (bytes.length === 0 && wasWritten) return fetchOffset
    for (let at = 0; at < bytes.length; at += 12 + bytes.readInt32BE(at + 8)) fetchOffset++
  }
}

async function diskBytes(directory: string): Promise<number> {
  let sumBytes = 0
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    // What is removed meanwhile has no size.
    const facts = await lstat(join(entry.parentPath, entry.name)).catch(() => null)
    sumBytes += facts?.size ?? 0
  }
  return sumBytes
}
