// What operators read: each figure of /metrics against what was done, health, and the control socket.

import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { SETTINGS, type Settings } from '#config/settings.ts'
import { controlRequest } from '#http/http.ts'
import { type ChronikOptions, startChronik } from '#server/embed.ts'
import { buildBatch } from '#test/support/batch-builder.ts'
import { scrape } from '#test/support/metrics-page.ts'
import { until } from '#test/support/until.ts'
import { requestFrame, WireClient } from '#test/support/wire-client.ts'
import { wireMessages } from '#test/support/wire-messages.ts'

const TOPIC = 'orders'
const UNKNOWN_TOPIC_OR_PARTITION = 3
const CORRUPT_MESSAGE = 2

async function start(options: ChronikOptions = {}) {
  const chronik = await startChronik(options)
  onTestFinished(() => chronik.close())
  const connect = async () => {
    const client = await WireClient.connect(chronik.kafka)
    onTestFinished(() => client.close())
    return client
  }
  return { chronik, connect, page: () => scrape(chronik.metrics) }
}

function produce(client: WireClient, records: Buffer, index = 0) {
  return client.send('Produce', 9, {
    acks: -1,
    timeoutMs: 1000,
    topicData: [{ name: TOPIC, partitionData: [{ index, records }] }],
  })
}

function fetchFrom(client: WireClient, fetchOffset: number, maxWaitMs = 0) {
  const partitions = [{ partition: 0, fetchOffset, partitionMaxBytes: 1_000_000 }]
  return client.send('Fetch', 11, {
    maxWaitMs,
    minBytes: 1,
    maxBytes: 1_000_000,
    topics: [{ topic: TOPIC, partitions }],
  })
}

const batchOf = (records: number) => buildBatch(Array.from({ length: records }, () => ({ value: 'x'.repeat(100) })))

describe('/metrics', () => {
  it('counts what was produced and fetched, exactly', async () => {
    const { connect, page } = await start()
    const client = await connect()
    const idle = await connect()
    await client.send('Metadata', 9, { topics: [{ name: TOPIC }] })
    for (let i = 0; i < 7; i++) await produce(client, batchOf(3))
    const damaged = batchOf(5)
    damaged[damaged.length - 1]! ^= 1
    expect((await produce(client, damaged)).responses[0]?.partitionResponses[0]?.errorCode).toBe(CORRUPT_MESSAGE)
    expect((await produce(client, batchOf(1), 9)).responses[0]?.partitionResponses[0]?.errorCode).toBe(
      UNKNOWN_TOPIC_OR_PARTITION,
    )
    await produce(
      client,
      buildBatch([{ value: 'x' }, { value: 'y' }], {
        isTransactional: true,
        producerId: 1,
        producerEpoch: 0,
        baseSequence: 0,
      }),
    )
    for (let i = 0; i < 4; i++) await fetchFrom(client, 0)

    const after = await page()
    const read = (name: string) => after.get(name)
    expect(read('chronik_messages_stored_total')).toBe(21)
    expect(read('chronik_messages_received_total')).toBe(23)
    expect(read('chronik_produce_latency_seconds_count')).toBe(10)
    expect(read('chronik_produce_latency_seconds_bucket{le="+Inf"}')).toBe(10)
    expect(read('chronik_fetch_latency_seconds_count')).toBe(4)
    expect(read('chronik_requests_total{api="Produce"}')).toBe(10)
    expect(read('chronik_requests_total{api="Fetch"}')).toBe(4)
    expect(read('chronik_requests_total{api="Metadata"}')).toBe(1)
    expect(read('chronik_request_latency_seconds_count{api="Produce"}')).toBe(10)
    expect(read('chronik_request_errors_total{api="Produce"}')).toBe(3)
    expect(read('chronik_request_errors_total{api="Fetch"}')).toBeUndefined()
    expect(read('chronik_active_connections')).toBe(2)
    expect(read('chronik_connections_refused_total')).toBe(0)

    idle.close()
    await until('the connection is gone', async () => (await page()).get('chronik_active_connections') === 1)
  })

  it('counts what went to the log: one group each, for one client that waits', async () => {
    const { connect, page } = await start()
    const before = await page()
    expect(before.get('chronik_commit_records_total{type="cluster-created"}')).toBe(1)
    expect(before.get('chronik_produce_batches_per_flush_avg')).toBe(0)
    const client = await connect()
    await client.send('Metadata', 9, { topics: [{ name: TOPIC }] })
    for (let i = 0; i < 6; i++) await produce(client, batchOf(2))
    await client.send('InitProducerId', 4, { transactionalId: null, transactionTimeoutMs: 1000 })
    const after = await page()
    const grown = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0)
    expect(grown('chronik_commit_records_total{type="produced"}')).toBe(6)
    expect(grown('chronik_commit_records_total{type="topic-created"}')).toBe(1)
    expect(grown('chronik_commit_records_total{type="producer-ids-allocated"}')).toBe(1)
    expect(grown('chronik_produce_flush_total')).toBe(6)
    expect(grown('chronik_produce_batches_flushed_total')).toBe(6)
    expect(after.get('chronik_produce_batches_per_flush_avg')).toBe(1)
    expect(grown('chronik_wal_batch_count_total')).toBe(8)
    expect(grown('chronik_wal_sync_latency_seconds_count')).toBe(8)
    expect(grown('chronik_wal_batch_bytes_total')).toBeGreaterThan(6 * batchOf(2).length)
    const average = after.get('chronik_wal_batch_bytes_total')! / after.get('chronik_wal_batch_count_total')!
    expect(after.get('chronik_wal_batch_size_avg')).toBe(average)
  })

  it('counts a request that closes its connection as an error of its API', async () => {
    const { connect, page } = await start()
    for (const api of ['Produce', 'Metadata'] as const) {
      const client = await connect()
      const body = api === 'Produce' ? { acks: -1, timeoutMs: 1000, topicData: [] } : { topics: [{ name: TOPIC }] }
      const whole = requestFrame(wireMessages[api].request, 8, 1, body as never)
      const cut = whole.subarray(0, -1)
      cut.writeInt32BE(cut.length - 4)
      client.sendRaw(cut)
      await client.expectClosed()
      expect((await page()).get(`chronik_request_errors_total{api="${api}"}`)).toBe(1)
    }
  })

  it('counts each flush in the latency of the log, when its sync is not waited for too', async () => {
    const { connect, page } = await start({ walSync: { kind: 'interval', intervalMs: 60_000 } })
    const client = await connect()
    await client.send('Metadata', 9, { topics: [{ name: TOPIC }] })
    const flushes = async () => (await page()).get('chronik_wal_sync_latency_seconds_count')!
    const before = await flushes()
    for (let i = 0; i < 3; i++) await produce(client, batchOf(1))
    expect((await flushes()) - before).toBe(3)
  })

  it('leaves out of the latency of a fetch the time it waited for records', async () => {
    const { connect, page } = await start()
    const client = await connect()
    await client.send('Metadata', 9, { topics: [{ name: TOPIC }] })
    const { responses } = await fetchFrom(client, 0, 600)
    expect(responses[0]?.partitions[0]?.records?.length ?? 0).toBe(0)
    const after = await page()
    expect(after.get('chronik_fetch_latency_seconds_sum')).toBeLessThan(0.3)
    expect(after.get('chronik_request_latency_seconds_sum{api="Fetch"}')).toBeGreaterThan(0.5)
  })

  it('has the size of the files on disk, when files were rolled too, and the checkpoint', async () => {
    const { chronik, connect, page } = await start({
      walFileBytes: 2 ** 18,
      maxMessageBytes: 2 ** 17,
      maxRequestBytes: 2 ** 17,
    })
    const onDisk = async (folder: string) => {
      const names = await readdir(join(chronik.dataDir, folder))
      // One that was renamed meanwhile has no size: a later look sees it under its name.
      const sizeOf = (name: string) =>
        stat(join(chronik.dataDir, folder, name)).then(
          found => found.size,
          (error: NodeJS.ErrnoException) => {
            if (error.code === 'ENOENT') return Number.NaN
            throw error
          },
        )
      const sizes = await Promise.all(names.map(sizeOf))
      return { names, sizeBytes: sizes.reduce((sum, size) => sum + size, 0) }
    }
    const agree = async () => {
      const sizeBytes = (await onDisk('wal')).sizeBytes + (await onDisk('checkpoints')).sizeBytes
      return (await page()).get('chronik_storage_usage_bytes') === sizeBytes
    }
    await until('the sizes agree', agree)
    const client = await connect()
    await client.send('Metadata', 9, { topics: [{ name: TOPIC }] })
    for (let i = 0; i < 12; i++) await produce(client, buildBatch([{ value: 'x'.repeat(100_000) }]))
    await until('an index', async () => (await onDisk('wal')).names.some(name => name.endsWith('.idx')))
    await until('the sizes agree', agree)
    await until('a checkpoint', async () => (await onDisk('checkpoints')).names.length === 2)
    const after = await page()
    expect(after.get('chronik_checkpoint_size_bytes')).toBeGreaterThan(0)
    expect(after.get('chronik_checkpoint_age_seconds')).toBeGreaterThanOrEqual(0)
    expect(after.get('chronik_checkpoint_age_seconds')).toBeLessThan(60)
  })

  it('shows the settings that are in force: each profile, and the interval of syncs', async () => {
    const profiles: Settings['produceProfile'][] = ['low-latency', 'balanced', 'high-throughput', 'extreme']
    expect(SETTINGS.produceProfile.type.choices).toEqual(profiles)
    for (const [index, produceProfile] of profiles.entries()) {
      const { page } = await start({ produceProfile, walSync: { kind: 'interval', intervalMs: 100 * index + 50 } })
      const shown = await page()
      expect(shown.get('chronik_produce_profile_active')).toBe(index)
      expect(shown.get('chronik_wal_sync_interval_seconds')).toBe((100 * index + 50) / 1000)
    }
    const { page } = await start()
    expect((await page()).get('chronik_wal_sync_interval_seconds')).toBe(0)
  })

  it("has the delay of the event loop and Node's own figures", async () => {
    const { page } = await start()
    const shown = await page()
    for (const name of ['chronik_event_loop_delay_p99_seconds', 'chronik_event_loop_delay_max_seconds']) {
      expect(shown.get(name)).toBeGreaterThanOrEqual(0)
    }
    expect(shown.get('process_resident_memory_bytes')).toBeGreaterThan(0)
    expect(shown.get('nodejs_heap_size_used_bytes')).toBeGreaterThan(0)
    expect([...shown.keys()].some(name => name.startsWith('nodejs_eventloop_lag'))).toBe(false)
  })
})

describe('health', () => {
  it('is live and ready when clients are served, on the port and on the control socket', async () => {
    const { chronik } = await start()
    const { host, port } = chronik.metrics
    for (const [path, status] of [
      ['/health/live', 'live'],
      ['/health/ready', 'ready'],
    ] as const) {
      const answer = await fetch(`http://${host}:${port}${path}`)
      expect({ status: answer.status, body: await answer.json() }).toEqual({ status: 200, body: { status } })
      expect(await controlRequest(chronik.dataDir, { method: 'GET', path, timeoutMs: 5000 })).toEqual({ status })
    }
  })

  it.skipIf(process.platform === 'win32')('has a control socket that only the owner may use', async () => {
    const { chronik } = await start()
    const socket = await stat(join(chronik.dataDir, 'chronik.sock'))
    expect(socket.isSocket()).toBe(true)
    expect(socket.mode & 0o777).toBe(0o600)
  })
})
