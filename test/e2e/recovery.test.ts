// A machine that is lost, as its user meets it: real processes, a store in a directory of its own, kill -9, and an empty disk.

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { buildBatch } from '#test/support/batch-builder.ts'
import {
  type BrokerProcess,
  BrokerStartFailed,
  COMMAND_PATH,
  environmentWithoutSettings,
  startBrokerProcess,
} from '#test/support/broker-process.ts'
import { chronik, runToEnd } from '#test/support/command-line.ts'
import { scrape } from '#test/support/metrics-page.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'
import { until } from '#test/support/until.ts'
import { WireClient } from '#test/support/wire-client.ts'

const TOPIC = 'orders'
/** So that the test does not wait for long; a promise of the owner that was killed. */
const TAKEOVER_MS = 2000

async function directories(): Promise<{ dataDir: string; flags: string[] }> {
  const root = await temporaryDirectory()
  const store = ['--local-storage-path', join(root, 'store')]
  const tail = ['--tail-upload-ms', '200', '--takeover-after-ms', `${TAKEOVER_MS}`]
  return { dataDir: join(root, 'data'), flags: [...store, ...tail] }
}

async function start(options: { dataDir: string; flags: readonly string[] }): Promise<BrokerProcess> {
  const broker = await startBrokerProcess(options)
  onTestFinished(() => broker.remove())
  return broker
}

async function client(broker: BrokerProcess): Promise<WireClient> {
  const wire = await WireClient.connect(broker.kafka)
  onTestFinished(() => wire.close())
  return wire
}

async function produce(wire: WireClient, values: readonly string[]): Promise<void> {
  for (const value of values) {
    const partitionData = [{ index: 0, records: buildBatch([{ value }]) }]
    const answer = await wire.send('Produce', 9, {
      acks: -1,
      timeoutMs: 5000,
      topicData: [{ name: TOPIC, partitionData }],
    })
    expect(answer.responses[0]?.partitionResponses[0]?.errorCode).toBe(0)
  }
}

/** All that there is, one fetch after the other. */
async function texts(wire: WireClient): Promise<string> {
  let found = ''
  for (let fetchOffset = 0; ; ) {
    const partitions = [{ partition: 0, fetchOffset, partitionMaxBytes: 1 << 20 }]
    const body = { maxWaitMs: 0, minBytes: 1, maxBytes: 1 << 20, topics: [{ topic: TOPIC, partitions }] }
    const { responses } = await wire.send('Fetch', 11, body)
    const bytes = (responses[0]?.partitions[0]?.records as Buffer | null | undefined) ?? Buffer.alloc(0)
    if (bytes.length === 0) return found
    found += bytes.toString('latin1')
    for (let at = 0; at < bytes.length; at += 12 + bytes.readInt32BE(at + 8)) fetchOffset++
  }
}

async function untilArchived({ metricsPort }: BrokerProcess): Promise<void> {
  const metrics = { host: '127.0.0.1', port: metricsPort }
  await until('the archive', async () => (await scrape(metrics)).get('chronik_upload_lag_bytes') === 0)
}

/** A start says that the owner may still live until it has been silent for long enough. */
async function startWhenFree(options: { dataDir: string; flags: readonly string[] }): Promise<BrokerProcess> {
  let broker: BrokerProcess | null = null
  const refusals: string[] = []
  await until(
    'the owner to be gone',
    async () => {
      try {
        broker = await start(options)
      } catch (thrown) {
        if (!(thrown instanceof BrokerStartFailed)) throw thrown
        refusals.push(thrown.output)
      }
      return broker !== null
    },
    60_000,
  )
  for (const refusal of refusals) expect(refusal).toContain('or start with --take-over')
  return broker!
}

it('a broker that is killed and loses its disk is back, with its records, from the store', async () => {
  const place = await directories()
  const first = await start(place)
  const values = Array.from({ length: 20 }, (_, i) => `record-${i}`)
  const wire = await client(first)
  await wire.send('Metadata', 9, { topics: [{ name: TOPIC }] })
  await produce(wire, values)
  await untilArchived(first)
  await first.kill9()
  await rm(place.dataDir, { recursive: true })

  // The place that is named is meant, also where brokers have a bucket.
  const bucket = { STORAGE_BACKEND: 's3', S3_BUCKET: 'another', S3_ENDPOINT: 'http://127.0.0.1:1' }
  const looked = await runToEnd(
    process.execPath,
    [COMMAND_PATH, 'restore', ...['--data-dir', place.dataDir, '--from', place.flags[1]!]],
    { env: { ...environmentWithoutSettings(), ...bucket } },
  )
  expect(looked).toMatchObject({ code: 0 })
  expect(looked.stdout).toMatch(/orders +1 +20 +0/)
  expect(looked.stdout).toContain('nothing was changed: add --execute to restore this')

  const second = await startWhenFree(place)
  const found = await texts(await client(second))
  for (const value of values) expect(found).toContain(value)
  await produce(await client(second), ['afterwards'])
  expect(await texts(await client(second))).toContain('afterwards')
  expect(second.output()).toContain('restored from')

  // It was stopped in good order: whoever comes next need not wait.
  await second.stop()
  await rm(place.dataDir, { recursive: true })
  const third = await start(place)
  expect(await texts(await client(third))).toContain('afterwards')
  await third.stop()
  const verified = await chronik('verify', '--data-dir', place.dataDir, '--from', place.flags[1]!)
  expect(verified).toMatchObject({ code: 0, stdout: expect.stringContaining('\nall is well') })
})

it('a broker that takes over waits until the one before has surely stopped, and then serves', async () => {
  const place = await directories()
  const first = await start(place)
  const wire = await client(first)
  await wire.send('Metadata', 9, { topics: [{ name: TOPIC }] })
  await produce(wire, ['before'])
  await untilArchived(first)
  await first.kill9()
  await rm(place.dataDir, { recursive: true })

  const second = await start({ ...place, flags: [...place.flags, '--take-over'] })
  expect(second.output()).toContain('has surely stopped')
  expect(await texts(await client(second))).toContain('before')
})

it('a topic that was deleted is back, with its records, in a data directory of the time before', async () => {
  const beganMs = Date.now()
  const place = await directories()
  const first = await start(place)
  const wire = await client(first)
  await wire.send('Metadata', 9, { topics: [{ name: TOPIC }] })
  const values = Array.from({ length: 20 }, (_, i) => `record-${i}`)
  await produce(wire, values)
  await untilArchived(first)
  const atMs = Date.now()
  await until('it is later', () => Date.now() > atMs)
  const { responses } = await wire.send('DeleteTopics', 5, { topicNames: [TOPIC], timeoutMs: 5000 })
  expect(responses[0]?.errorCode).toBe(0)
  await first.stop()

  const dataDir = `${place.dataDir}-of-before`
  const restore = (...more: string[]) => chronik('restore', '--data-dir', dataDir, '--from', place.flags[1]!, ...more)
  const tooEarly = await restore('--at', '2020-02-29T12:00Z', '--execute')
  expect(tooEarly).toMatchObject({ code: 1, stdout: '' })
  const [, earliest = ''] =
    /can be restored to (\S+Z) or later, and not to 2020-02-29T12:00/.exec(tooEarly.stderr) ?? []
  expect(Date.parse(earliest)).toBeGreaterThanOrEqual(beganMs)
  expect(Date.parse(earliest)).toBeLessThan(atMs)

  expect((await restore()).stdout).not.toContain(TOPIC)
  const restored = await restore('--at', new Date(atMs).toISOString(), '--execute')
  expect(restored).toMatchObject({ code: 0, stdout: expect.stringMatching(/orders +1 +20 +0/) })
  expect(restored.stdout).toContain(`restored into ${dataDir}: start it with`)
  const second = await start({ ...place, dataDir })
  const found = await texts(await client(second))
  for (const value of values) expect(found).toContain(value)
  await produce(await client(second), ['afterwards'])
})
