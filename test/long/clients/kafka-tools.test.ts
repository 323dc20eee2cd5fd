// Kafka's own command-line tools, as its users run them: by their class, with the bootstrap address and nothing else set.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { missingForKafka, runKafkaTool } from '#test/support/kafka-peer.ts'
import { openTarget, type Target, uniqueTopic } from '#test/support/target.ts'

const missing = missingForKafka()
const TIMEOUT_MS = 120_000
const TOOLS = 'org.apache.kafka.tools'

describe.skipIf(missing !== null)(
  `Kafka's tools${missing === null ? '' : ` (skipped: ${missing} is not installed)`}`,
  () => {
    let target: Target
    let directory: string

    beforeAll(async () => {
      target = await openTarget()
      directory = await mkdtemp(join(tmpdir(), 'kafka-tools-'))
    })
    afterAll(async () => {
      await rm(directory, { recursive: true, force: true })
      await target?.close()
    })

    const bootstrap = () => ['--bootstrap-server', target.address]

    /** What a tool prints when it succeeds. */
    async function run(className: string, args: readonly string[], input?: string): Promise<string> {
      const { code, stdout, stderr } = await runKafkaTool(className, args, input)
      expect(code, `${stdout}\n${stderr}\n${target.output()}`).toBe(0)
      return stdout
    }

    const topics = (...args: string[]) => run(`${TOOLS}.TopicCommand`, [...bootstrap(), ...args])
    const configs = (...args: string[]) => run('kafka.admin.ConfigCommand', [...bootstrap(), ...args])
    const offsets = (...args: string[]) => run(`${TOOLS}.GetOffsetShell`, [...bootstrap(), ...args])

    async function createTopic(purpose: string, partitions = 1): Promise<string> {
      const topic = uniqueTopic(purpose)
      await topics('--create', '--topic', topic, '--partitions', `${partitions}`)
      return topic
    }

    async function write(topic: string, lines: readonly string[], ...args: string[]): Promise<void> {
      await run(`${TOOLS}.ConsoleProducer`, [...bootstrap(), '--topic', topic, ...args], `${lines.join('\n')}\n`)
    }

    const read = (topic: string, from: string, count: number, ...args: string[]) =>
      run(`${TOOLS}.consumer.ConsoleConsumer`, [
        ...[...bootstrap(), '--topic', topic, '--partition', '0', '--offset', from],
        ...['--max-messages', `${count}`, '--timeout-ms', '20000', ...args],
      ])

    it(
      'kafka-topics creates, describes, lists, grows and deletes a topic',
      async () => {
        const topic = uniqueTopic('tools')
        const created = await topics(
          '--create',
          '--topic',
          topic,
          '--partitions',
          '3',
          '--config',
          'retention.ms=3600000',
        )
        expect(created).toContain(`Created topic ${topic}.`)

        const described = await topics('--describe', '--topic', topic)
        expect(described).toMatch(
          new RegExp(`Topic: ${topic}\tTopicId: \\S{22}\tPartitionCount: 3\tReplicationFactor: 1`),
        )
        expect(described).toContain('retention.ms=3600000')
        expect(described.match(/Leader: \d+\tReplicas: \d+\tIsr: \d+/g)).toHaveLength(3)

        expect((await topics('--list')).split('\n')).toContain(topic)
        await topics('--alter', '--topic', topic, '--partitions', '5')
        await expect.poll(() => topics('--describe', '--topic', topic)).toContain('PartitionCount: 5')
        await topics('--delete', '--topic', topic)
        await expect.poll(async () => (await topics('--list')).split('\n')).not.toContain(topic)
      },
      TIMEOUT_MS,
    )

    it(
      'kafka-topics says what is wrong',
      async () => {
        const topic = await createTopic('tools')
        const again = await runKafkaTool(`${TOOLS}.TopicCommand`, [...bootstrap(), '--create', '--topic', topic])
        expect(again.code).toBe(1)
        expect(again.stdout + again.stderr).toContain('already exists')
        const nowhere = await runKafkaTool(`${TOOLS}.TopicCommand`, [
          ...bootstrap(),
          '--delete',
          '--topic',
          uniqueTopic('nowhere'),
        ])
        expect(nowhere.code).toBe(1)
        expect(nowhere.stdout + nowhere.stderr).toContain('does not exist as expected')
      },
      TIMEOUT_MS,
    )

    it(
      'kafka-configs sets, shows and deletes configs of a topic',
      async () => {
        const topic = await createTopic('tools')
        const entity = ['--entity-type', 'topics', '--entity-name', topic]
        await configs('--alter', ...entity, '--add-config', 'retention.ms=1000,cleanup.policy=[compact,delete]')
        const shown = () => configs('--describe', ...entity)
        await expect.poll(shown).toContain('cleanup.policy=compact,delete sensitive=false')
        expect(await shown()).toContain(
          'retention.ms=1000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=1000',
        )
        await configs('--alter', ...entity, '--delete-config', 'retention.ms')
        await expect.poll(shown).not.toContain('retention.ms')
        const all = await configs('--describe', ...entity, '--all')
        expect(all).toContain('retention.ms=604800000 sensitive=false synonyms={')
      },
      TIMEOUT_MS,
    )

    it(
      'kafka-configs refuses a wrong value',
      async () => {
        const topic = await createTopic('tools')
        const args = [
          ...bootstrap(),
          '--alter',
          '--entity-type',
          'topics',
          '--entity-name',
          topic,
          '--add-config',
          'retention.ms=soon',
        ]
        const { code, stdout, stderr } = await runKafkaTool('kafka.admin.ConfigCommand', args)
        expect(code).not.toBe(0)
        expect(stdout + stderr).toContain('InvalidConfigurationException')
      },
      TIMEOUT_MS,
    )

    it(
      'kafka-configs shows the configs of the broker',
      async () => {
        const shown = await configs('--describe', '--entity-type', 'brokers', '--all')
        expect(shown).toContain('auto.create.topics.enable=true')
      },
      TIMEOUT_MS,
    )

    it(
      'kafka-console-producer writes what kafka-console-consumer reads',
      async () => {
        const topic = await createTopic('tools')
        const keyed = ['--reader-property', 'parse.key=true', '--reader-property', 'key.separator=:']
        await write(topic, ['k1:a', 'k2:b', 'k3:c'], ...keyed, '--compression-codec', 'zstd')
        const formatted = ['--formatter-property', 'print.key=true', '--formatter-property', 'print.offset=true']
        expect(await read(topic, 'earliest', 3, ...formatted)).toBe(
          'Offset:0\tk1\ta\nOffset:1\tk2\tb\nOffset:2\tk3\tc\n',
        )
        expect(await read(topic, '2', 1)).toBe('c\n')
      },
      TIMEOUT_MS,
    )

    it(
      'kafka-console-producer creates a topic by writing to it',
      async () => {
        const topic = uniqueTopic('tools-auto')
        await write(topic, ['hello'])
        expect(await read(topic, 'earliest', 1)).toBe('hello\n')
      },
      TIMEOUT_MS,
    )

    it(
      'kafka-get-offsets lists offsets by time',
      async () => {
        const topic = await createTopic('tools')
        await write(topic, ['a', 'b', 'c'])
        expect(await offsets('--topic', topic)).toBe(`${topic}:0:3\n`)
        expect(await offsets('--topic', topic, '--time', 'earliest')).toBe(`${topic}:0:0\n`)
        expect(await offsets('--topic', topic, '--time', '1')).toBe(`${topic}:0:0\n`)
        expect(await offsets('--topic', topic, '--time', 'max-timestamp')).toMatch(new RegExp(`^${topic}:0:[012]\n$`))
      },
      TIMEOUT_MS,
    )

    it(
      'kafka-delete-records moves the first offset',
      async () => {
        const topic = await createTopic('tools')
        await write(topic, ['a', 'b', 'c'])
        const file = join(directory, 'delete.json')
        await writeFile(file, JSON.stringify({ partitions: [{ topic, partition: 0, offset: 2 }], version: 1 }))
        const deleted = await run(`${TOOLS}.DeleteRecordsCommand`, [...bootstrap(), '--offset-json-file', file])
        expect(deleted).toContain(`partition: ${topic}-0\tlow_watermark: 2`)
        expect(await offsets('--topic', topic, '--time', 'earliest')).toBe(`${topic}:0:2\n`)
      },
      TIMEOUT_MS,
    )

    it(
      'kafka-producer-perf-test writes what kafka-get-offsets counts',
      async () => {
        const topic = await createTopic('tools')
        const load = ['--topic', topic, '--num-records', '20000', '--record-size', '200', '--throughput', '-1']
        const settings = ['--producer-props', `bootstrap.servers=${target.address}`, 'compression.type=lz4']
        expect(await run(`${TOOLS}.ProducerPerformance`, [...load, ...settings])).toContain('20000 records sent')
        expect(await offsets('--topic', topic)).toBe(`${topic}:0:20000\n`)
      },
      TIMEOUT_MS,
    )

    it(
      'kafka-verifiable-producer has each record acknowledged',
      async () => {
        const topic = await createTopic('tools')
        const printed = await run(`${TOOLS}.VerifiableProducer`, [
          ...bootstrap(),
          '--topic',
          topic,
          '--max-messages',
          '50',
        ])
        expect(printed).toContain('"sent":50,"acked":50')
      },
      TIMEOUT_MS,
    )

    it(
      'kafka-log-dirs tells how large a partition is',
      async () => {
        const topic = await createTopic('tools')
        await write(topic, ['a'])
        const printed = await run(`${TOOLS}.LogDirsCommand`, [...bootstrap(), '--describe', '--topic-list', topic])
        const described = JSON.parse(printed.split('\n').find(line => line.startsWith('{'))!) as {
          brokers: { logDirs: { error: string | null; partitions: { partition: string; size: number }[] }[] }[]
        }
        const [found] = described.brokers.flatMap(({ logDirs }) => logDirs).flatMap(({ partitions }) => partitions)
        expect(found!.partition).toBe(`${topic}-0`)
        expect(found!.size).toBeGreaterThan(0)
      },
      TIMEOUT_MS,
    )

    it(
      'kafka-metadata-quorum describes a quorum of one',
      async () => {
        const status = await run(`${TOOLS}.MetadataQuorumCommand`, [...bootstrap(), 'describe', '--status'])
        expect(status).toMatch(/LeaderId:\s+\d+/)
        const replication = await run(`${TOOLS}.MetadataQuorumCommand`, [...bootstrap(), 'describe', '--replication'])
        expect(replication.match(/Leader/g)).toHaveLength(1)
      },
      TIMEOUT_MS,
    )

    it(
      'kafka-features describes the release',
      async () => {
        const features = await run(`${TOOLS}.FeatureCommand`, [...bootstrap(), 'describe'])
        expect(features).toContain('Feature: metadata.version')
      },
      TIMEOUT_MS,
    )

    it(
      'kafka-cluster tells the cluster id, and the brokers',
      async () => {
        expect(await run(`${TOOLS}.ClusterTool`, ['cluster-id', ...bootstrap()])).toMatch(/^Cluster ID: \S+\n$/)
        const endpoints = await run(`${TOOLS}.ClusterTool`, ['list-endpoints', ...bootstrap()])
        expect(endpoints).toContain(target.host)
        expect(endpoints).toContain(`${target.port}`)
      },
      TIMEOUT_MS,
    )

    it(
      'kafka-broker-api-versions finds a usable version of every API',
      async () => {
        const versions = await run(`${TOOLS}.BrokerApiVersionsCommand`, bootstrap())
        expect(versions).toContain(`${target.address} (id: `)
        expect(versions).toContain('Produce(0): 0 to 13 [usable: 13]')
        expect(versions).toContain('Fetch(1): 4 to 18 [usable: 18]')
      },
      TIMEOUT_MS,
    )

    it(
      'kafka-leader-election is told that there is a leader',
      async () => {
        const topic = await createTopic('tools')
        const args = [...bootstrap(), '--election-type', 'preferred', '--topic', topic, '--partition', '0']
        const printed = await run(`${TOOLS}.LeaderElectionCommand`, args)
        expect(printed).toContain(`Valid replica already elected for partitions ${topic}-0`)
      },
      TIMEOUT_MS,
    )

    it(
      'kafka-reassign-partitions lists no reassignments',
      async () => {
        const printed = await run(`${TOOLS}.reassign.ReassignPartitionsCommand`, [...bootstrap(), '--list'])
        expect(printed).toContain('No partition reassignments found.')
      },
      TIMEOUT_MS,
    )

    it(
      'kafka-acls is told that there is no authorizer',
      async () => {
        const { stdout, stderr } = await runKafkaTool(`${TOOLS}.AclCommand`, [...bootstrap(), '--list'])
        expect(stdout + stderr).toContain('SecurityDisabledException')
      },
      TIMEOUT_MS,
    )

    it(
      'kafka-client-metrics lists none',
      async () => {
        expect((await run(`${TOOLS}.ClientMetricsCommand`, [...bootstrap(), '--list'])).trim()).toBe('')
      },
      TIMEOUT_MS,
    )
  },
)
