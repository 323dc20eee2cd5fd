import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { type MetricsPage, scrape } from '#test/support/metrics-page.ts'
import type { Broker } from './brokers.ts'
import type { Lab } from './lab.ts'
import { type Flags, figuresOf, numberOf } from './load.ts'
import { atLeast, atMost, type Figure, type Figures, type Row } from './row.ts'
import { output } from './run.ts'
import { timeStart } from './startup.ts'

// What the tiers behind the write-ahead log give, of our own broker, held against itself.

const RADOSGW_SH = fileURLToPath(new URL('../peers/radosgw.sh', import.meta.url))
const RADOSGW_PORT = 33780
const CREDENTIALS = { accessKeyId: 'AKTEST', secretAccessKey: 'SKTEST' }
const BUCKET = 'bench'
const POLL_MS = 100
const TURNS = 5
/** Nothing is read from memory. */
const COLD = ['--log-cache-bytes', '0', '--wal-limit-bytes', '64GiB']
const NEVER_SEALED = [...COLD, '--seal-max-bytes', '1GiB', '--seal-max-ms', '1d']
const SOON_SEALED = [...COLD, '--seal-max-ms', '1s']

/** A consumer that begins at the beginning of what was sealed into a directory. */
export const catchUp: Row = {
  name: 'catch-up',
  title: 'consume 1 KB without decoding, from segments in a directory',
  targets: ['ours'],
  once: false,
  warm: false,
  lines: [
    { figure: 'mb_s' },
    { figure: 'of_wal', goal: atLeast(0.9) },
    { figure: 'broker_cpu' },
    { figure: 'broker_peak_rss_mb' },
  ],
  measure: lab => catchUpWith(lab, SOON_SEALED, false),
}

/** The same from a bucket, of which the disk of the broker has nothing. */
export const catchUpFromBucket: Row = {
  ...catchUp,
  name: 'catch-up-s3',
  title: 'the same from a bucket, with nothing in the cache',
  lines: [
    { figure: 'mb_s' },
    { figure: 'of_wal', goal: atLeast(0.6) },
    { figure: 'requests_mb', goal: atMost(1) },
    { figure: 'broker_cpu' },
    { figure: 'broker_peak_rss_mb' },
  ],
  measure: lab => withBucket(lab, bucket => catchUpWith(lab, [...SOON_SEALED, ...bucket], true)),
}

/** Reads the same records from the write-ahead log of one broker and from the segments of another, in turn. */
async function catchUpWith(lab: Lab, flags: readonly string[], isCached: boolean): Promise<Figures> {
  const written = { raw: true, partitions: 3, size: 1024, records: lab.quick ? 200_000 : 500_000 }
  let log = await lab.start('ours', lab.freshDir('ours'), { flags: NEVER_SEALED })
  let store = await lab.start('ours', lab.freshDir('ours'), { flags })
  const ofLog = await write(lab, log, written)
  const ofStore = await write(lab, store, written)
  await untilSealed(store)
  const ratios: number[] = []
  const turns: Figures[] = []
  for (let turn = 0; turn < TURNS; turn++) {
    if (isCached) [log, store] = [await withoutCache(lab, log, NEVER_SEALED), await withoutCache(lab, store, flags)]
    const fromLog = await lab.loadOn(log, 'consume', ofLog)
    const before = await metricsOf(store)
    const fromStore = await lab.loadOn(store, 'consume', ofStore)
    const after = await metricsOf(store)
    const gets = 'chronik_store_requests_total{kind="get"}'
    const readMb = (numberOf(fromStore, 'records') * written.size) / 1e6
    const requests_mb = ((after.get(gets) ?? 0) - (before.get(gets) ?? 0)) / readMb
    ratios.push(numberOf(fromStore, 'mb_s') / numberOf(fromLog, 'mb_s'))
    turns.push({ ...figuresOf(fromStore), requests_mb })
  }
  await Promise.all([lab.stop(log), lab.stop(store)])
  return { ...medians(turns), of_wal: medianOf(ratios) }
}

/** Starts it again with nothing in the cache of a bucket. */
async function withoutCache(lab: Lab, broker: Broker, flags: readonly string[]): Promise<Broker> {
  await lab.stop(broker)
  rmSync(join(broker.dir, 'data', 'cache'), { recursive: true, force: true })
  return lab.start('ours', broker.dir, { flags })
}

/** Of 1 KB. */
const PACE_RECORDS_S = 100_000

/** What a bucket takes at 100 MB/s: how far behind it is, and how much travels twice so that a lost disk costs a second. */
export const pacedIntoBucket: Row = {
  name: 'paced-s3',
  title: 'stream 1 KB into 12 partitions at 100,000 records/s, sealed into a bucket',
  targets: ['ours'],
  once: false,
  warm: false,
  lines: [
    { figure: 'of_pace', goal: atLeast(0.99) },
    { figure: 'upload_lag_s', goal: atMost(3) },
    { figure: 'copied_share', goal: atMost(0.1) },
    { figure: 'broker_cpu' },
    { figure: 'broker_peak_rss_mb' },
  ],
  measure: lab => withBucket(lab, bucket => pacedWith(lab, bucket)),
}

async function pacedWith(lab: Lab, flags: readonly string[]): Promise<Figures> {
  const broker = await lab.start('ours', lab.freshDir('ours'), { flags })
  const records = PACE_RECORDS_S * (lab.quick ? 10 : 20)
  const written = { raw: true, partitions: 12, size: 1024, records, pace: PACE_RECORDS_S, conns: 2 }
  const ended = new AbortController()
  const watching = largestLag(broker, ended.signal)
  const result = await lab.loadOn(broker, 'stream', written)
  ended.abort()
  const upload_lag_s = await watching
  const metrics = await metricsOf(broker)
  await lab.stop(broker)
  return {
    ...figuresOf(result),
    of_pace: numberOf(result, 'records_s') / PACE_RECORDS_S,
    upload_lag_s,
    copied_share: metrics.get('chronik_tail_bytes_total')! / (records * written.size),
  }
}

async function largestLag(broker: Broker, signal: AbortSignal): Promise<number> {
  let largest = 0
  while (!signal.aborted) {
    largest = Math.max(largest, (await metricsOf(broker)).get('chronik_upload_lag_seconds')!)
    await sleep(POLL_MS)
  }
  return largest
}

const RESTORED_RECORDS = 10_000_000

/** From exec on an empty directory to the first acknowledged record, with everything in a store that another machine left. */
export const restore: Row = {
  name: 'restore',
  title: 'start on an empty directory, 10 GB in 1,000 partitions in the store',
  targets: ['ours'],
  once: true,
  warm: false,
  lines: [{ figure: 'first_ack_ms', goal: atMost(5000) }, { figure: 'broker_rss_mb' }],
  measure: async lab => {
    const dir = lab.freshDir('ours')
    const flags = ['--local-storage-path', join(dir, 'store')]
    const records = lab.quick ? RESTORED_RECORDS / 10 : RESTORED_RECORDS
    const before = await lab.start('ours', dir, { flags })
    const written = await write(lab, before, { topics: 100, partitions: 10, size: 1024, records })
    await untilSealed(before)
    await lab.stop(before)
    rmSync(join(dir, 'data'), { recursive: true })
    const { broker, figures } = await timeStart(lab, 'ours', dir, flags)
    await lab.loadOn(broker, 'verify', written)
    await lab.stop(broker)
    return figures
  },
}

/** Writes records; the flags are those of who reads them. */
async function write(lab: Lab, broker: Broker, flags: Flags): Promise<Flags> {
  const { run, records } = await lab.loadOn(broker, 'stream', flags)
  return { ...flags, run: String(run), records: Number(records) }
}

async function untilSealed(broker: Broker): Promise<void> {
  while ((await metricsOf(broker)).get('chronik_unsealed_bytes') !== 0) await sleep(POLL_MS)
}

/** Our brokers have them on the port behind the one for clients. */
function metricsOf({ address }: Broker): Promise<MetricsPage> {
  const { hostname, port } = new URL(`tcp://${address}`)
  return scrape({ host: hostname, port: Number(port) + 1 })
}

/** With the flags for an empty bucket of a real S3 server, which ends with it. */
async function withBucket<T>(lab: Lab, use: (flags: readonly string[]) => Promise<T>): Promise<T> {
  const place = ['--port', `${RADOSGW_PORT}`, '--dir', join(lab.dir, 'radosgw')]
  const endpoint = `http://127.0.0.1:${RADOSGW_PORT}`
  await output(RADOSGW_SH, ['start', ...place])
  try {
    const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials: CREDENTIALS })
    await client.send(new CreateBucketCommand({ Bucket: BUCKET }))
    client.destroy()
    const keys = ['--s3-access-key-id', CREDENTIALS.accessKeyId, '--s3-secret-access-key', CREDENTIALS.secretAccessKey]
    return await use(['--storage-backend', 's3', '--s3-bucket', BUCKET, '--s3-endpoint', endpoint, ...keys])
  } finally {
    await output(RADOSGW_SH, ['stop', ...place])
  }
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!
}

function medians(turns: readonly Figures[]): Figures {
  const figures: Figures = {}
  for (const name of Object.keys(turns[0]!) as Figure[]) figures[name] = medianOf(turns.map(turn => turn[name] ?? 0))
  return figures
}
