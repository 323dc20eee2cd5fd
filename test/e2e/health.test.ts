// What somebody on call reads while the object store is away, and while a lost machine comes back: /health/ready, /metrics, the log.

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { buildBatch } from '#test/support/batch-builder.ts'
import { type BrokerProcess, startBrokerProcess } from '#test/support/broker-process.ts'
import { type FaultProxy, type ProxyFault, startFaultProxy } from '#test/support/fault-proxy.ts'
import { type MetricsPage, scrape } from '#test/support/metrics-page.ts'
import { startSmallS3 } from '#test/support/small-s3.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'
import { until } from '#test/support/until.ts'
import { WireClient } from '#test/support/wire-client.ts'

const TOPIC = 'orders'
/** What is not tried again at once: somebody has to do something about it. */
const DENIED: ProxyFault = { kind: 'answer', status: 403, body: '<Error><Code>AccessDenied</Code></Error>' }

interface Bucket {
  readonly proxy: FaultProxy
  readonly environment: Record<string, string>
}

async function bucket(): Promise<Bucket> {
  const s3 = await startSmallS3()
  onTestFinished(() => s3.close())
  const proxy = await startFaultProxy(s3.endpoint)
  onTestFinished(() => proxy.close())
  const environment = {
    STORAGE_BACKEND: 's3',
    S3_BUCKET: s3.bucket,
    S3_ENDPOINT: proxy.endpoint,
    AWS_ACCESS_KEY_ID: s3.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: s3.credentials.secretAccessKey,
    CHRONIK_SEAL_MAX_MS: '200',
    CHRONIK_TAIL_UPLOAD_MS: '200',
    CHRONIK_TAKEOVER_AFTER_MS: '2000',
    CHRONIK_DRAIN_MS: '0',
  }
  return { proxy, environment }
}

async function start(options: Parameters<typeof startBrokerProcess>[0]): Promise<BrokerProcess> {
  const broker = await startBrokerProcess(options)
  onTestFinished(() => broker.remove())
  return broker
}

interface Ready {
  readonly status: number
  readonly body: { readonly status: string; readonly reasons?: string[]; readonly warnings?: string[] }
}

async function readyAt(port: number): Promise<Ready> {
  const answer = await fetch(`http://127.0.0.1:${port}/health/ready`)
  return { status: answer.status, body: (await answer.json()) as Ready['body'] }
}

const pageOf = ({ metricsPort }: BrokerProcess): Promise<MetricsPage> =>
  scrape({ host: '127.0.0.1', port: metricsPort })

/** True if it was acknowledged. */
async function produce(broker: BrokerProcess, topic = TOPIC): Promise<boolean> {
  const client = await WireClient.connect(broker.kafka)
  try {
    await client.send('Metadata', 9, { topics: [{ name: topic }] })
    const topicData = [{ name: topic, partitionData: [{ index: 0, records: buildBatch([{ value: 'a record' }]) }] }]
    const answer = await client.send('Produce', 9, { acks: -1, timeoutMs: 5000, topicData })
    return answer.responses[0]?.partitionResponses[0]?.errorCode === 0
  } finally {
    client.close()
  }
}

async function fetchAll(broker: BrokerProcess): Promise<number> {
  const client = await WireClient.connect(broker.kafka)
  onTestFinished(() => client.close())
  const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20 }]
  const body = { maxWaitMs: 0, minBytes: 1, maxBytes: 1 << 20, topics: [{ topic: TOPIC, partitions }] }
  return (await client.send('Fetch', 11, body)).responses[0]?.partitions[0]?.records?.length ?? 0
}

const SINCE = /since 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d\d\dZ, for \d+ s/

describe('while the object store takes and gives nothing', () => {
  it('a broker is ready, and says since when what does not work, and what does; then that all is well', async () => {
    const { proxy, environment } = await bucket()
    const broker = await start({ environment: { ...environment, CHRONIK_TAKEOVER_AFTER_MS: '-1' } })
    expect(await produce(broker)).toBe(true)
    await until('all is in the store', async () => (await pageOf(broker)).get('chronik_upload_lag_bytes') === 0)
    expect(await readyAt(broker.metricsPort)).toEqual({ status: 200, body: { status: 'ready' } })

    proxy.onRequest = () => DENIED
    expect(await produce(broker)).toBe(true)
    const about = ['the object store s3://', 'nothing could be sealed', 'the metadata log and copies of records']
    await until('it says what does not work', async () => {
      const { warnings = [] } = (await readyAt(broker.metricsPort)).body
      return about.every(text => warnings.some(warning => warning.startsWith(text)))
    })
    const { status, body } = await readyAt(broker.metricsPort)
    expect([status, body.status]).toEqual([200, 'ready'])
    for (const warning of body.warnings ?? []) {
      expect(warning).toMatch(SINCE)
      expect(warning).toMatch(/records are taken/)
    }
    expect(await produce(broker)).toBe(true)
    expect(await fetchAll(broker)).toBeGreaterThan(0)
    await until('figures', async () => {
      const page = await pageOf(broker)
      const names = ['chronik_upload_lag_seconds', 'chronik_upload_lag_bytes', 'chronik_seal_failing_seconds']
      return names.every(name => page.get(name)! > 0) && page.get('chronik_seal_failures_total')! > 0
    })
    await until('the log', () => broker.output().includes('the object store fails'))
    await until('the log of the archive', () =>
      broker.output().includes('the archive of the log cannot be written, it is tried again, records are taken'),
    )

    proxy.onRequest = () => null
    await until('all is well', async () => {
      const ready = await readyAt(broker.metricsPort)
      return ready.body.warnings === undefined && (await pageOf(broker)).get('chronik_upload_lag_bytes') === 0
    })
    for (const text of ['the object store works again', 'the archive of the log is written again']) {
      const line = new RegExp(`"forMs":\\d+.*"${text}"`)
      await until(text, () => line.test(broker.output()))
    }
  })

  it('a broker that promises the bucket is not ready, since it acknowledges nothing, but it is read', async () => {
    const { proxy, environment } = await bucket()
    const broker = await start({ environment: { ...environment, CHRONIK_DURABILITY: 'bucket' } })
    expect(await produce(broker)).toBe(true)
    proxy.onRequest = () => DENIED
    const late = produce(broker).catch(() => false)
    await until('it is not ready', async () => {
      const { status, body } = await readyAt(broker.metricsPort)
      const says = (text: string) => body.reasons?.some(reason => reason.includes(text)) === true
      return (
        status === 503 && says('the ownership of the object store') && says('nothing is acknowledged until it can be')
      )
    })
    expect(await fetchAll(broker)).toBeGreaterThan(0)
    proxy.onRequest = () => null
    expect(await late).toBe(true)
    await until('it is ready', async () => (await readyAt(broker.metricsPort)).status === 200)
  })
})

describe('a broker that restores', () => {
  it('says meanwhile how far it is, and is ready behind it; afterwards the figures stay', async () => {
    const { proxy, environment } = await bucket()
    const dataDir = join(await temporaryDirectory(), 'data')
    const first = await start({ dataDir, environment })
    for (let i = 0; i < 3; i++) expect(await produce(first)).toBe(true)
    await until('all is in the store', async () => {
      const page = await pageOf(first)
      return page.get('chronik_unsealed_bytes') === 0 && page.get('chronik_upload_lag_bytes') === 0
    })
    await first.kill9()
    await rm(dataDir, { recursive: true })

    // The store gives the checkpoint, and takes its time for what is behind it.
    proxy.onRequest = ({ method, path }) =>
      method === 'GET' && /metalog\/[^?]*\.log/.test(path) ? { kind: 'slow', delayMs: 7000 } : null
    const metricsPort = first.metricsPort
    const second = start({ dataDir, environment, metricsPort, flags: ['--take-over'] })
    const port = metricsPort
    await until('it restores', async () => {
      const ready = await readyAt(port).catch(() => null)
      return ready?.body.reasons?.some(reason => /reading the metadata log \(1 of \d objects, /.test(reason)) === true
    })
    expect((await readyAt(port)).status).toBe(503)
    const page = await scrape({ host: '127.0.0.1', port })
    expect(page.get('chronik_recovery_step{step="metalog"}')).toBe(1)
    expect(page.get('chronik_recovery_step{step="done"}')).toBe(0)
    expect(page.get('chronik_recovery_objects')).toBeGreaterThan(1)
    expect(page.get('chronik_recovery_objects_done')).toBe(1)
    expect(page.get('chronik_store_requests_total{kind="get"}')).toBeGreaterThan(0)
    const live = await fetch(`http://127.0.0.1:${port}/health/live`)
    expect(live.status).toBe(200)

    proxy.onRequest = () => null
    const broker = await second
    await until('it is ready', async () => (await readyAt(port)).status === 200)
    const after = await pageOf(broker)
    expect(after.get('chronik_recovery_step{step="done"}')).toBe(1)
    expect(after.get('chronik_recovery_records')).toBe(3)
    expect(after.get('chronik_recovery_objects_done')).toBe(after.get('chronik_recovery_objects'))
    expect(after.get('chronik_recovery_bytes_done')).toBe(after.get('chronik_recovery_bytes'))
    expect(broker.output()).toMatch(/starting: restoring: reading the metadata log \(1 of \d objects, /)
  })
})

describe('the figures of tiers', () => {
  it('are all there: bytes, segments, lag, cache, requests, checkpoints, restores', async () => {
    const { proxy, environment } = await bucket()
    const limits = {
      CHRONIK_METRICS_MAX_TOPICS: '1',
      CHRONIK_SNAPSHOT_LOG_THRESHOLD: '1',
      CHRONIK_LOG_CACHE_BYTES: '0',
    }
    const broker = await start({ environment: { ...environment, ...limits } })
    expect(await produce(broker)).toBe(true)
    expect(await produce(broker, 'another')).toBe(true)
    await until('all is sealed', async () => (await pageOf(broker)).get('chronik_unsealed_bytes') === 0)

    // Checkpoints alone cannot be written: a restore would take longer, and nothing else is amiss.
    proxy.onRequest = ({ method, path }) => (method === 'PUT' && path.includes('/checkpoints/') ? DENIED : null)
    await until('a checkpoint fails', async () => {
      expect(await produce(broker)).toBe(true)
      const { body } = await readyAt(broker.metricsPort)
      return body.warnings?.some(text => text.startsWith('no checkpoint could be written')) === true
    })
    const page = await pageOf(broker)
    const above0 = [
      `chronik_tier_bytes{tier="store",topic="${TOPIC}"}`,
      'chronik_tier_topics_left_out',
      'chronik_segments_sealed_total',
      'chronik_sealed_bytes_total',
      'chronik_snapshot_creations_total',
      'chronik_snapshot_uploads_total',
      'chronik_snapshot_failures_total',
      'chronik_snapshot_size_bytes',
      'chronik_store_requests_total{kind="put"}',
      'chronik_store_requests_total{kind="list"}',
      'chronik_store_request_latency_seconds_count{kind="put"}',
      'chronik_store_request_latency_seconds_sum{kind="put"}',
      'chronik_store_request_errors_total{kind="put",code="STORE_DENIED"}',
      'chronik_store_written_bytes_total',
      'chronik_recovery_step{step="done"}',
    ]
    const there = [
      `chronik_tier_bytes{tier="wal",topic="${TOPIC}"}`,
      'chronik_seal_failures_total',
      'chronik_seal_failing_seconds',
      'chronik_unsealed_bytes',
      'chronik_upload_lag_seconds',
      'chronik_upload_lag_bytes',
      'chronik_tail_bytes_total',
      'chronik_store_cache_hits_total',
      'chronik_store_cache_misses_total',
      'chronik_store_cache_bytes',
      'chronik_garbage_objects',
      'chronik_orphan_objects_found_total',
      'chronik_objects_deleted_total',
      'chronik_recovery_objects',
      'chronik_recovery_objects_done',
      'chronik_recovery_bytes',
      'chronik_recovery_bytes_done',
      'chronik_recovery_records',
    ]
    expect(above0.filter(name => !(page.get(name)! > 0))).toEqual([])
    expect(there.filter(name => !(page.get(name)! >= 0))).toEqual([])
    expect([...page.keys()].filter(name => name.startsWith('chronik_tier_bytes')).length).toBe(2)

    proxy.onRequest = () => null
    await until('a checkpoint is written', async () => {
      await produce(broker)
      return (await readyAt(broker.metricsPort)).body.warnings === undefined
    })
  })
})
