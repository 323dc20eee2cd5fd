// What is damaged, as the person meets it who asks for it: a real broker, its files, and `chronik verify`.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createTemporaryDirectory } from '#system/temporary.ts'
import { buildBatch } from '#test/support/batch-builder.ts'
import {
  type BrokerProcess,
  COMMAND_PATH,
  environmentWithoutSettings,
  startBrokerProcess,
} from '#test/support/broker-process.ts'
import { chronik, runToEnd } from '#test/support/command-line.ts'
import { scrape } from '#test/support/metrics-page.ts'
import { startSmallS3 } from '#test/support/small-s3.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'
import { until } from '#test/support/until.ts'
import { WireClient } from '#test/support/wire-client.ts'

const TOPIC = 'orders'

interface Place {
  readonly root: string
  readonly dataDir: string
  readonly store: string
}

const within = (root: string): Place => ({ root, dataDir: join(root, 'data'), store: join(root, 'store') })

/** Sealed at once, in small files. */
const HASTY = ['--seal-max-ms', '200', '--tail-upload-ms', '200', '--wal-file-bytes', '262144']

async function start({ dataDir, store }: Place, flags: readonly string[] = []): Promise<BrokerProcess> {
  return startBrokerProcess({ dataDir, flags: ['--local-storage-path', store, ...HASTY, ...flags] })
}

async function produce(broker: BrokerProcess, count: number): Promise<void> {
  const wire = await WireClient.connect(broker.kafka)
  await wire.send('CreateTopics', 5, {
    topics: [{ name: TOPIC, numPartitions: 2, replicationFactor: 1, assignments: [], configs: [] }],
    timeoutMs: 5000,
    validateOnly: false,
  })
  for (let i = 0; i < count; i++) {
    const partitionData = [{ index: i % 2, records: buildBatch([{ value: `value-${i}`.padEnd(2000, '.') }]) }]
    const topicData = [{ name: TOPIC, partitionData }]
    const answer = await wire.send('Produce', 9, { acks: -1, timeoutMs: 5000, topicData })
    expect(answer.responses[0]?.partitionResponses[0]?.errorCode).toBe(0)
  }
  wire.close()
}

async function untilSealed(broker: BrokerProcess): Promise<void> {
  const metrics = { host: broker.kafka.host, port: broker.metricsPort }
  await until('everything is sealed', async () => (await scrape(metrics)).get('chronik_unsealed_bytes') === 0)
}

/** Rounds of records, each of them sealed. */
async function produceSealed(broker: BrokerProcess): Promise<void> {
  for (let round = 0; round < 3; round++) {
    await produce(broker, 20)
    await untilSealed(broker)
  }
}

/** What two brokers left: one that was stopped, and one that was killed with records in its write-ahead log alone. */
let stopped: Place
let killed: Place

beforeAll(async () => {
  const root = await createTemporaryDirectory()
  stopped = within(join(root.path, 'stopped'))
  killed = within(join(root.path, 'killed'))
  const first = await start(stopped)
  await produceSealed(first)
  await first.stop()
  const second = await start(killed, ['--seal-max-ms', '60000'])
  await produce(second, 400)
  await second.kill9()
  return () => root.remove()
})

/** To be damaged. */
async function copyOf(of: Place): Promise<Place> {
  const place = within(await temporaryDirectory())
  await cp(of.root, place.root, { recursive: true, filter: path => !path.endsWith('.sock') })
  return place
}

const verify = ({ dataDir, store }: Place, ...flags: string[]) =>
  chronik('verify', '--data-dir', dataDir, '--from', store, ...flags)

const verifyStore = ({ root, store }: Place) =>
  chronik('verify', '--data-dir', join(root, 'none'), '--from', store, '--json')

/** Paths of all files, below a directory, that have the name. */
async function filesOf(directory: string, name: RegExp): Promise<string[]> {
  const names = await readdir(directory, { recursive: true })
  return names.filter(path => name.test(path)).sort()
}

/** Names, times and contents of all files. */
async function snapshot(root: string): Promise<string[]> {
  const lines: string[] = []
  for (const path of (await readdir(root, { recursive: true })).sort()) {
    const facts = await stat(join(root, path))
    const content = facts.isFile() ? (await readFile(join(root, path))).toString('base64') : ''
    lines.push(`${path} ${facts.mtimeMs} ${content}`)
  }
  return lines
}

describe('chronik verify', () => {
  it('finds nothing wrong with what a broker left that was stopped, and changes nothing', async () => {
    const before = await snapshot(stopped.root)
    const { code, stdout, stderr } = await verify(stopped)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/\nsegments {6}[1-9].*\nunreferenced {2}0 \(0 bytes\).*\n\nall is well\n$/)
    expect(await snapshot(stopped.root)).toEqual(before)
  })

  it('knows the store that is inside of the data directory, of which there is no archive', async () => {
    const dataDir = join(await temporaryDirectory(), 'data')
    const broker = await startBrokerProcess({ dataDir, flags: HASTY })
    onTestFinished(() => broker.remove())
    await produceSealed(broker)
    await broker.stop()
    const both = await chronik('verify', '--data-dir', dataDir)
    expect(both.stdout).toMatch(/\nunreferenced {2}0 .*\n\nall is well\n$/)
    const alone = await chronik('verify', '--data-dir', dataDir, '--store-only')
    expect(alone.stdout).toMatch(
      /^notice {3}.*store has no checkpoint that can be read.*\n(?:.*\n)*all is well, 1 notice\n$/,
    )
  })

  it('needs no more than the store', async () => {
    const before = await snapshot(stopped.root)
    const { code, stdout, stderr } = await verifyStore(stopped)
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: `there is no log in ${join(stopped.root, 'none')}: only the store is checked\n`,
    })
    expect(JSON.parse(stdout)).toMatchObject({ isWell: true, damages: 0, findings: [], log: null })
    expect(await snapshot(stopped.root)).toEqual(before)
  })

  it('takes the place that is named before that of the settings', async () => {
    const env = { ...environmentWithoutSettings(), CHRONIK_STORAGE_BACKEND: 's3', CHRONIK_S3_BUCKET: 'nowhere' }
    const args = ['verify', '--data-dir', stopped.dataDir, '--from', `file://${stopped.store}`]
    const { code, stdout } = await runToEnd(process.execPath, [COMMAND_PATH, ...args], { env })
    expect(stdout).toContain(`\nstore         file://${stopped.store}\n`)
    expect(code).toBe(0)
  })

  it('names an object that is damaged, and the records in it', async () => {
    const place = await copyOf(stopped)
    const [name] = await filesOf(place.store, /^segments\/.*\.log$/)
    const bytes = await readFile(join(place.store, name!))
    bytes[100]! ^= 1
    await writeFile(join(place.store, name!), bytes)
    const { code, stdout } = await verify(place)
    expect(code).toBe(1)
    expect(stdout).toMatch(
      /^damaged {2}the segment segments\/.*\.log is damaged at byte 0: .* copy of the store \[orders-\d off/,
    )
    expect(stdout).toContain(name)
    expect(stdout).toMatch(/\n1 damaged\n$/)
  })

  it('names an object that is missing, and a piece of the archive', async () => {
    const place = await copyOf(stopped)
    const [name] = await filesOf(place.store, /^segments\/.*\.log$/)
    await rm(join(place.store, name!))
    const pieces = await filesOf(place.store, /^metalog\/.*\.log$/)
    await rm(join(place.store, pieces[1]!))
    const from = Number(/(\d{20})-/.exec(pieces[1]!)![1])
    const { code, stdout } = await verify(place)
    expect(code).toBe(1)
    expect(stdout).toContain(
      `the segment ${name} is not in file://${place.store}: put it back from a copy of the store [orders-`,
    )
    expect(stdout).toContain(`has no piece of the metadata log from position ${from} to `)
  })

  it('finds nothing wrong with what a broker left that was killed', async () => {
    const { code, stdout } = await verify(killed, '--json')
    expect(JSON.parse(stdout)).toMatchObject({ isWell: true, damages: 0 })
    expect(code).toBe(0)
  })

  it('names a file of the write-ahead log that was cut, and the records in it', async () => {
    const place = await copyOf(killed)
    const [name] = await filesOf(join(place.dataDir, 'wal'), /\.wal$/)
    await truncate(join(place.dataDir, 'wal', name!), 100_000)
    const { code, stdout } = await verify(place)
    expect(code).toBe(1)
    expect(stdout).toContain(`damaged  ${place.dataDir}/wal/${name} is damaged at byte `)
    expect(stdout).toMatch(/Put it back from a backup \[orders-0 offsets 0 to \d+, orders-1 offsets 0 to \d+\]/)
  })

  it('says how to look at the store while a broker runs, and finds nothing wrong with it', async () => {
    const place = within(await temporaryDirectory())
    const broker = await start(place)
    onTestFinished(() => broker.remove())
    await produceSealed(broker)
    const refused = await verify(place)
    expect(refused.code).toBe(1)
    expect(refused.stderr).toMatch(
      /^chronik verify: the data directory .* is in use by process \d+ .*--store-only checks/,
    )
    const producing = produceSealed(broker)
    const { code, stdout } = await verify(place, '--store-only')
    await producing
    expect(stdout).toMatch(/\nall is well/)
    expect(code).toBe(0)
  })

  it('takes the store of the settings: a bucket, of which it reads and changes nothing', async () => {
    const s3 = await startSmallS3()
    onTestFinished(() => s3.close())
    const { accessKeyId, secretAccessKey } = s3.credentials
    const bucket = ['--storage-backend', 's3', '--s3-bucket', s3.bucket, '--s3-endpoint', s3.endpoint]
    const flags = [...bucket, '--s3-access-key-id', accessKeyId, '--s3-secret-access-key', secretAccessKey]
    const broker = await startBrokerProcess({
      dataDir: join(await temporaryDirectory(), 'data'),
      flags: [...flags, ...HASTY],
    })
    onTestFinished(() => broker.remove())
    await produceSealed(broker)
    await broker.stop()
    s3.requests.length = 0
    const none = ['--data-dir', join(await temporaryDirectory(), 'none')]
    for (const where of [['--data-dir', broker.dataDir], none]) {
      const { code, stdout } = await chronik('verify', ...where, ...flags)
      expect(stdout).toMatch(/\nall is well\n$/)
      expect(code).toBe(0)
    }
    // The same by its place, with the settings that are not in it from elsewhere.
    const env = {
      ...environmentWithoutSettings(),
      ...{ S3_BUCKET: 'other', S3_PREFIX: 'elsewhere', S3_ENDPOINT: s3.endpoint },
      ...{ AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
    }
    for (const command of ['verify', 'restore']) {
      const argv = [COMMAND_PATH, command, ...none, '--from', `s3://${s3.bucket}`]
      const { code, stdout } = await runToEnd(process.execPath, argv, { env })
      expect(stdout).toMatch(command === 'verify' ? /\nall is well\n$/ : new RegExp(`\n${TOPIC} +2 +\\d+ +0\n`))
      expect(code).toBe(0)
    }
    expect(s3.requests.filter(request => !/^(GET|HEAD) /.test(request))).toEqual([])
    const key = [...s3.objects.keys()].find(name => name.startsWith('segments/'))!
    s3.objects.delete(key)
    expect((await chronik('verify', ...none, ...flags)).stdout).toContain(
      `the segment ${key} is not in s3://${s3.bucket}`,
    )
  })

  it('ends when it is told to', async () => {
    const silent = createServer()
    await new Promise<void>(resolve => void silent.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void silent.close())
    const { port } = silent.address() as { port: number }
    const bucket = ['--storage-backend', 's3', '--s3-bucket', 'b', '--s3-endpoint', `http://127.0.0.1:${port}`]
    const args = ['verify', '--store-only', ...bucket, '--s3-access-key-id', 'k', '--s3-secret-access-key', 's']
    const child = spawn(process.execPath, [COMMAND_PATH, ...args], { env: environmentWithoutSettings() })
    onTestFinished(() => void child.kill('SIGKILL'))
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    const ended = once(child, 'close')
    await once(silent, 'connection')
    child.kill('SIGINT')
    expect(await ended).toEqual([1, null])
    expect(said).toBe('chronik verify: stopped before everything was checked\n')
  })

  it('refuses what it does not understand', async () => {
    const unknown = await chronik('verify', '--dat-dir', '/tmp')
    expect(unknown).toMatchObject({
      code: 2,
      stderr: 'chronik verify: --dat-dir: unknown flag; did you mean --data-dir?\n',
    })
    const web = await chronik('verify', '--from', 'http://bucket')
    expect(web).toMatchObject({ code: 2, stderr: expect.stringContaining('--from takes a directory') })
    const root = await temporaryDirectory()
    const nothing = await chronik('verify', '--data-dir', root)
    expect(nothing.code).toBe(1)
    expect(nothing.stderr).toMatch(/the directory .*store is gone: is its file system mounted\?\n$/)
    expect(await readdir(root)).toEqual([])
  })
})
