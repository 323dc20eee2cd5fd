// Records that are kept long enough, as they leave a whole broker: in this process, since it takes minutes of its clock.

import { expect, it, onTestFinished } from 'vitest'
import { settingsFrom } from '#config/load-settings.ts'
import { createLogger } from '#observe/log.ts'
import { startServer } from '#server/server.ts'
import { systemDisk } from '#system/disk.ts'
import { systemRandom } from '#system/random.ts'
import { buildBatch } from '#test/support/batch-builder.ts'
import { HurriedClock } from '#test/support/hurried-clock.ts'
import { scrape } from '#test/support/metrics-page.ts'
import { type SmallS3, startSmallS3 } from '#test/support/small-s3.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'
import { until } from '#test/support/until.ts'
import { WireClient } from '#test/support/wire-client.ts'

const HOST = '127.0.0.1'
const TOPIC = 'orders'

async function start(s3: SmallS3, clock: HurriedClock) {
  const loaded = settingsFrom({
    ...{ dataDir: await temporaryDirectory(), bindAddr: HOST, kafkaPort: 0, metricsPort: 0, walFileBytes: 1 << 20 },
    ...{ storageBackend: 's3', s3Bucket: s3.bucket, s3Endpoint: s3.endpoint },
    ...{ s3AccessKeyId: s3.credentials.accessKeyId, s3SecretAccessKey: s3.credentials.secretAccessKey },
    ...{ sealMaxMs: 200, retentionCheckIntervalMs: 1000, restoreWindowHours: 0, takeoverAfterMs: -1 },
  })
  if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
  const server = await startServer({
    ...{ ...loaded, clock, disk: systemDisk, random: systemRandom, operations: true },
    logger: createLogger({ level: 'silent', pretty: false, output: { write() {}, flush: async () => {} } }),
    failed: error => {
      throw error
    },
  })
  onTestFinished(() => server.close())
  const client = await WireClient.connect({ host: HOST, port: server.kafka.port })
  onTestFinished(() => client.close())
  const metric = async (name: string) => (await scrape({ host: HOST, port: server.metricsPort! })).get(name)
  return { client, metric }
}

it('objects of records that are kept no longer leave the bucket and the cache, and are counted', async () => {
  const s3 = await startSmallS3()
  onTestFinished(() => s3.close())
  const clock = new HurriedClock()
  const { client, metric } = await start(s3, clock)
  const configs = [{ name: 'retention.ms', value: '30000' }]
  const topics = [{ name: TOPIC, numPartitions: 2, replicationFactor: 1, assignments: [], configs }]
  await client.send('CreateTopics', 7, { topics, timeoutMs: 5000 })
  const records = buildBatch([{ value: 'kept for a while' }], { baseTimestampMs: clock.nowMs() })
  // Two in one object: of those the cache forgets nothing by itself.
  const partitionData = [0, 1].map(index => ({ index, records }))
  const topicData = [{ name: TOPIC, partitionData }]
  const { responses } = await client.send('Produce', 9, { acks: -1, timeoutMs: 5000, topicData })
  expect(responses[0]?.partitionResponses.map(({ errorCode }) => errorCode)).toEqual([0, 0])
  await until('it is sealed', async () => (await metric('chronik_unsealed_bytes')) === 0)
  const segments = () => [...s3.objects.keys()].filter(key => key.startsWith('segments/'))
  expect(segments().length).toBe(1)
  expect(await metric('chronik_store_cache_bytes')).toBeGreaterThan(0)

  clock.hurry(50)
  await until('it is gone', async () => segments().length === 0 && (await metric('chronik_store_cache_bytes')) === 0)
  await until('it is counted', async () => (await metric('chronik_objects_deleted_total')) === 1)
  await until('nobody remembers it', async () => (await metric('chronik_garbage_objects')) === 0)
  clock.hurry(1)
})
