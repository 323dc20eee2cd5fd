// Kafka's own command-line tools for groups and transactions, beside members and producers of kafkajs.

import { type Consumer, Kafka, logLevel, type Producer } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { missingForKafka, runKafkaTool } from '#test/support/kafka-peer.ts'
import { openTarget, type Target, uniqueTopic } from '#test/support/target.ts'
import { until } from '#test/support/until.ts'

const missing = missingForKafka()
const TIMEOUT_MS = 180_000
const TOOLS = 'org.apache.kafka.tools'
const title = `Kafka's tools for groups and transactions${missing === null ? '' : ` (skipped: ${missing} is not installed)`}`

describe.skipIf(missing !== null)(title, () => {
  let target: Target
  let kafka: Kafka
  let producer: Producer

  beforeAll(async () => {
    target = await openTarget(['--group-initial-rebalance-delay-ms', '100'])
    kafka = new Kafka({ brokers: [target.address], clientId: 'suite', logLevel: logLevel.NOTHING })
    producer = kafka.producer()
    await producer.connect()
  })
  afterAll(async () => {
    await producer?.disconnect()
    await target?.close()
  })

  /** What a tool prints when it succeeds. */
  async function run(className: string, ...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await runKafkaTool(className, ['--bootstrap-server', target.address, ...args])
    expect(code, `${stdout}\n${stderr}\n${target.output()}`).toBe(0)
    return stdout
  }

  const groups = (...args: string[]) => run(`${TOOLS}.consumer.group.ConsumerGroupCommand`, ...args)
  const transactions = (...args: string[]) => run(`${TOOLS}.TransactionsCommand`, ...args)
  /** Words of the lines that name something. */
  const rows = (printed: string, naming: string) =>
    printed
      .split('\n')
      .filter(line => line.split(/\s+/).includes(naming))
      .map(line => line.trim().split(/\s+/))

  async function written(purpose: string, values: readonly string[], numPartitions = 1): Promise<string> {
    const topic = uniqueTopic(purpose)
    const admin = kafka.admin()
    await admin.connect()
    await admin.createTopics({ topics: [{ topic, numPartitions }] })
    await admin.disconnect()
    await producer.send({ topic, messages: values.map((value, i) => ({ value, partition: i % numPartitions })) })
    return topic
  }

  async function member(groupId: string, topic: string, count: number): Promise<Consumer> {
    const consumer = kafka.consumer({ groupId, sessionTimeout: 10_000, maxWaitTimeInMs: 100 })
    let read = 0
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    await consumer.run({
      autoCommitThreshold: 1,
      eachMessage: async () => {
        read++
      },
    })
    await until('all is read', () => read === count)
    return consumer
  }

  it(
    'kafka-consumer-groups lists and describes a group, with its members, its state and how far it lags',
    async () => {
      const topic = await written('tools-group', ['a', 'b', 'c'])
      const groupId = uniqueTopic('group')
      const consumer = await member(groupId, topic, 3)
      await until('its commit', async () => rows(await groups('--describe', '--group', groupId), topic)[0]?.[3] === '3')
      await producer.send({ topic: await written('other', []), messages: [{ value: 'x' }] })
      expect((await groups('--list')).split('\n')).toContain(groupId)
      expect(rows(await groups('--list', '--state'), groupId)[0]).toEqual([groupId, 'Stable'])
      expect(rows(await groups('--list', '--type'), groupId)[0]).toEqual([groupId, 'Classic'])
      const [described] = rows(await groups('--describe', '--group', groupId), topic)
      expect(described!.slice(0, 6)).toEqual([groupId, topic, '0', '3', '3', '0'])
      expect(described!.at(-1)).toBe('suite')
      const verbose = await groups('--describe', '--group', groupId, '--members', '--verbose')
      expect(rows(verbose, groupId)[0]).toEqual(expect.arrayContaining(['/127.0.0.1', 'suite', '1']))
      expect(verbose).toContain(`${topic}:0`)
      const state = rows(await groups('--describe', '--group', groupId, '--state'), groupId)[0]!
      expect(state).toEqual(expect.arrayContaining(['RoundRobinAssigner', 'Stable', '1']))
      await consumer.disconnect()
      expect(rows(await groups('--describe', '--group', groupId, '--state'), groupId)[0]).toContain('Empty')
    },
    TIMEOUT_MS,
  )

  it(
    'kafka-consumer-groups sets offsets back, deletes them, and deletes the group',
    async () => {
      const topic = await written('tools-reset', ['a', 'b', 'c', 'd'])
      const groupId = uniqueTopic('group')
      const consumer = await member(groupId, topic, 4)
      const withMember = await runKafkaTool(`${TOOLS}.consumer.group.ConsumerGroupCommand`, [
        ...['--bootstrap-server', target.address, '--delete', '--group', groupId],
      ])
      expect(withMember.stdout + withMember.stderr).toContain('GroupNotEmptyException')
      await consumer.disconnect()
      const reset = (...args: string[]) =>
        groups('--reset-offsets', '--group', groupId, '--topic', topic, ...args, '--execute')
      expect(rows(await reset('--to-earliest'), topic)[0]).toEqual([groupId, topic, '0', '0'])
      expect(rows(await reset('--shift-by', '3'), topic)[0]).toEqual([groupId, topic, '0', '3'])
      expect(rows(await reset('--to-offset', '1'), topic)[0]).toEqual([groupId, topic, '0', '1'])
      await (await member(groupId, topic, 3)).disconnect()
      expect(await groups('--delete-offsets', '--group', groupId, '--topic', topic)).toContain('Successful')
      expect(await groups('--delete', '--group', groupId)).toContain(`('${groupId}') was successful`)
      expect((await groups('--list')).split('\n')).not.toContain(groupId)
    },
    TIMEOUT_MS,
  )

  it(
    'kafka-console-consumer goes on where its group was',
    async () => {
      const topic = await written('tools-console', ['a', 'b', 'c'])
      const groupId = uniqueTopic('group')
      const read = (count: number) =>
        run(
          `${TOOLS}.consumer.ConsoleConsumer`,
          ...['--topic', topic, '--group', groupId, '--from-beginning'],
          ...['--max-messages', `${count}`, '--timeout-ms', '30000'],
        )
      expect(await read(2)).toBe('a\nb\n')
      expect(await read(1)).toBe('c\n')
    },
    TIMEOUT_MS,
  )

  it(
    'kafka-verifiable-consumer reads and commits what kafka-verifiable-producer wrote',
    async () => {
      const topic = await written('tools-verifiable', [], 3)
      const groupId = uniqueTopic('group')
      const printed = await run(`${TOOLS}.VerifiableProducer`, '--topic', topic, '--max-messages', '100')
      expect(printed).toContain('"sent":100,"acked":100')
      const args = ['--topic', topic, '--group-id', groupId, '--max-messages', '100', '--verbose']
      const consumed = await run(`${TOOLS}.VerifiableConsumer`, ...args, '--reset-policy', 'earliest')
      const events = consumed
        .split('\n')
        .filter(line => line.startsWith('{'))
        .map(line => JSON.parse(line) as { name: string; success?: boolean })
      expect(events.filter(({ name }) => name === 'record_data')).toHaveLength(100)
      const commits = events.filter(({ name }) => name === 'offsets_committed')
      expect(commits.length).toBeGreaterThan(0)
      expect(commits.every(({ success }) => success)).toBe(true)
      const described = rows(await groups('--describe', '--group', groupId), topic)
      expect(described.reduce((sum, row) => sum + Number(row[3]), 0)).toBe(100)
    },
    TIMEOUT_MS,
  )

  it(
    'kafka-transactions lists, describes and aborts one that is open',
    async () => {
      const topic = await written('tools-transactions', ['before'])
      const transactionalId = uniqueTopic('txn')
      const open = kafka.producer({ transactionalId, maxInFlightRequests: 1, idempotent: true })
      await open.connect()
      const transaction = await open.transaction()
      await transaction.send({ topic, messages: [{ value: 'within' }] })
      expect(rows(await transactions('list'), transactionalId)[0]).toContain('Ongoing')
      const described = await transactions('describe', '--transactional-id', transactionalId)
      expect(described).toContain('Ongoing')
      expect(described).toContain(`${topic}-0`)
      const place = ['--topic', topic, '--partition', '0']
      const producers = await transactions('describe-producers', ...place)
      expect(producers.trim().split('\n')).toHaveLength(2)
      expect(producers.trim().split(/\s+/).at(-1)).toBe('1')
      await transactions('abort', ...place, '--start-offset', '1')
      const after = await transactions('describe-producers', ...place)
      expect(after.trim().split(/\s+/).at(-1)).toBe('None')
      await open.disconnect()
    },
    TIMEOUT_MS,
  )

  it(
    'kafka-transactions finds none that hangs',
    async () => {
      const topic = await written('tools-hanging', ['a'])
      const found = await transactions('find-hanging', '--topic', topic)
      expect(found.trim().split('\n')).toHaveLength(1)
    },
    TIMEOUT_MS,
  )
})
