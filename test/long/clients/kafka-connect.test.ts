// Kafka Connect with its connectors for files: a standalone worker that is killed on the way, and distributed workers, whose
// group is one of type "connect" and whose state is in compacted topics.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePorts } from '#test/support/broker-process.ts'
import { kafkaClasspath, missingForKafka } from '#test/support/kafka-peer.ts'
import { openTarget, type Target, uniqueTopic } from '#test/support/target.ts'
import { until } from '#test/support/until.ts'

const missing = missingForKafka()
const TIMEOUT_MS = 10 * 60_000
const WORK_TIMEOUT_MS = 120_000
const CLI = 'org.apache.kafka.connect.cli'
const SOURCE = 'org.apache.kafka.connect.file.FileStreamSourceConnector'
const SINK = 'org.apache.kafka.connect.file.FileStreamSinkConnector'
const STRINGS = 'org.apache.kafka.connect.storage.StringConverter'

type Properties = Readonly<Record<string, string>>

interface Worker {
  end(signal: NodeJS.Signals): Promise<void>
  output(): string
}

describe.skipIf(missing !== null)(
  `Kafka Connect${missing === null ? '' : ` (skipped: ${missing} is not installed)`}`,
  () => {
    let target: Target
    let directory: string
    let classpath: string
    const running = new Set<ChildProcess>()

    beforeAll(async () => {
      classpath = await kafkaClasspath('connect')
      directory = await mkdtemp(join(tmpdir(), 'connect-'))
      target = await openTarget(['--group-initial-rebalance-delay-ms', '100'])
    }, TIMEOUT_MS)

    afterAll(async () => {
      for (const child of running) child.kill('SIGKILL')
      await target?.close()
      await rm(directory, { recursive: true, force: true })
    })

    async function propertiesFile(name: string, properties: Properties): Promise<string> {
      const path = join(directory, name)
      await writeFile(
        path,
        Object.entries(properties)
          .map(([key, value]) => `${key}=${value}\n`)
          .join(''),
      )
      return path
    }

    function start(className: string, args: readonly string[]): Worker {
      const child = spawn('java', ['-Xmx400m', '-cp', classpath, `${CLI}.${className}`, ...args])
      running.add(child)
      const printed: string[] = []
      for (const stream of [child.stdout, child.stderr]) stream.on('data', bytes => printed.push(String(bytes)))
      const ended = once(child, 'exit').then(() => running.delete(child))
      const end = async (signal: NodeJS.Signals) => {
        child.kill(signal)
        await ended
      }
      return { end, output: () => printed.join('').slice(-4_000) }
    }

    const workerProperties = (restPort: number): Properties => ({
      'bootstrap.servers': target.address,
      'key.converter': STRINGS,
      'value.converter': STRINGS,
      'offset.flush.interval.ms': '200',
      listeners: `http://127.0.0.1:${restPort}`,
      'plugin.discovery': 'hybrid_warn',
    })

    const linesOf = async (path: string) => {
      const text = await readFile(path, 'utf8').catch(() => '')
      return text.split('\n').filter(line => line !== '')
    }

    /** All lines, each at least once, and in order where they came for the first time. */
    async function arrives(path: string, expected: readonly string[], worker: Worker): Promise<void> {
      const isThere = async () => new Set(await linesOf(path)).size >= expected.length
      await until('all lines', isThere, WORK_TIMEOUT_MS).catch(error => {
        throw new Error(worker.output(), { cause: error })
      })
      expect([...new Set(await linesOf(path))]).toEqual(expected)
    }

    const numbered = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `line ${from + i}`)
    const append = (path: string, lines: readonly string[]) => appendFile(path, `${lines.join('\n')}\n`)

    it(
      'brings lines from one file to another, and goes on after it was killed',
      async () => {
        const [restPort] = await freePorts(1)
        const [from, to, topic] = [join(directory, 'from'), join(directory, 'to'), uniqueTopic('connect')]
        const tasks = { 'tasks.max': '1' }
        const args = [
          await propertiesFile('worker', {
            ...workerProperties(restPort!),
            'offset.storage.file.filename': join(directory, 'offsets'),
          }),
          await propertiesFile('source', { name: 'source', 'connector.class': SOURCE, ...tasks, file: from, topic }),
          await propertiesFile('sink', { name: 'sink', 'connector.class': SINK, ...tasks, file: to, topics: topic }),
        ]
        await append(from, numbered(0, 1_000))
        let worker = start('ConnectStandalone', args)
        await arrives(to, numbered(0, 1_000), worker)
        await worker.end('SIGKILL')
        await append(from, numbered(1_000, 1_500))
        worker = start('ConnectStandalone', args)
        await arrives(to, numbered(0, 1_500), worker)
        await worker.end('SIGTERM')
      },
      TIMEOUT_MS,
    )

    it(
      'does so with two workers, of which one is killed',
      async () => {
        const ports = await freePorts(2)
        const groupId = uniqueTopic('connect-cluster')
        const [from, to, topic] = [join(directory, 'lines-in'), join(directory, 'lines-out'), uniqueTopic('connect')]
        const storage = Object.fromEntries(
          ['config', 'offset', 'status'].flatMap(kind => [
            [`${kind}.storage.topic`, `${groupId}-${kind}`],
            [`${kind}.storage.replication.factor`, '1'],
          ]),
        )
        const startWorker = async (port: number) =>
          start('ConnectDistributed', [
            await propertiesFile(`worker-${port}`, {
              ...workerProperties(port),
              ...storage,
              'group.id': groupId,
              'session.timeout.ms': '6000',
              'heartbeat.interval.ms': '500',
              'scheduled.rebalance.max.delay.ms': '1000',
            }),
          ])
        const ask = (port: number, path: string, init: RequestInit = {}) =>
          fetch(`http://127.0.0.1:${port}/${path}`, {
            ...init,
            headers: { 'content-type': 'application/json' },
            signal: AbortSignal.timeout(30_000),
          })
        const put = async (name: string, config: Properties) => {
          const body = JSON.stringify({ 'tasks.max': '1', ...config })
          await until(
            `the connector ${name}`,
            () =>
              ask(ports[0]!, `connectors/${name}/config`, { method: 'PUT', body }).then(
                ({ ok }) => ok,
                () => false,
              ),
            WORK_TIMEOUT_MS,
          ).catch(error => {
            throw new Error(first.output(), { cause: error })
          })
        }
        await append(from, numbered(0, 500))
        const first = await startWorker(ports[0]!)
        const second = await startWorker(ports[1]!)
        await put('source', { 'connector.class': SOURCE, file: from, topic })
        await put('sink', { 'connector.class': SINK, file: to, topics: topic })
        await arrives(to, numbered(0, 500), first)
        expect(await membersOf(groupId)).toEqual({ state: 'Stable', protocolType: 'connect', members: 2 })
        await first.end('SIGKILL')
        await append(from, numbered(500, 800))
        await arrives(to, numbered(0, 800), second)
        expect(await membersOf(groupId)).toEqual({ state: 'Stable', protocolType: 'connect', members: 1 })
        const status = (await (await ask(ports[1]!, 'connectors/sink/status')).json()) as { tasks: { state: string }[] }
        expect(status.tasks.map(({ state }) => state)).toEqual(['RUNNING'])
        await second.end('SIGTERM')
      },
      TIMEOUT_MS,
    )

    async function membersOf(groupId: string) {
      const admin = new Kafka({ brokers: [target.address], logLevel: logLevel.NOTHING }).admin()
      await admin.connect()
      const [group] = (await admin.describeGroups([groupId])).groups
      await admin.disconnect()
      return { state: group!.state, protocolType: group!.protocolType, members: group!.members.length }
    }
  },
)
