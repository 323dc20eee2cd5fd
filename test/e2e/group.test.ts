// What `chronik group` shows and sets, against a broker in a process of its own and clients that it does not know of.

import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { type Admin, type Consumer, Kafka, logLevel, type Producer } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { groupCommand } from '#cli/group.ts'
import { type BrokerProcess, startBrokerProcess } from '#test/support/broker-process.ts'
import { chronik } from '#test/support/command-line.ts'
import { scrape } from '#test/support/metrics-page.ts'
import { temporaryDirectory } from '#test/support/temporary.ts'
import { until } from '#test/support/until.ts'

const TOPIC = 'orders'
const RECORDS = 10

let broker: BrokerProcess
let kafka: Kafka
let admin: Admin
let producer: Producer

beforeAll(async () => {
  broker = await startBrokerProcess({ flags: ['--group-initial-rebalance-delay-ms', '100'] })
  kafka = new Kafka({ clientId: 'shop', brokers: [broker.kafka.address], logLevel: logLevel.NOTHING })
  admin = kafka.admin()
  producer = kafka.producer()
  await Promise.all([admin.connect(), producer.connect()])
  const configEntries = [{ name: 'retention.ms', value: '-1' }]
  await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: 2, configEntries }] })
  await write(0, RECORDS)
  await write(1, RECORDS)
})

afterAll(async () => {
  await Promise.all([admin?.disconnect(), producer?.disconnect()])
  await broker?.stop()
})

/** One a second, from the year 2000 on. */
async function write(partition: number, count: number): Promise<void> {
  const timestamp = (i: number) => `${Date.UTC(2000, 0, 1) + 1000 * i}`
  const messages = Array.from({ length: count }, (_, i) => ({ value: `${i}`, partition, timestamp: timestamp(i) }))
  await producer.send({ topic: TOPIC, messages })
}

/** `chronik group ...` of this broker. */
const group = (...words: string[]) => chronik('group', ...words, '--data-dir', broker.dataDir)

async function json(...words: string[]): Promise<unknown> {
  const { code, stdout, stderr } = await group(...words, '--json')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout)
}

/** A member that has read all there is; its group keeps it in `run` until it disconnects. */
async function readAll(groupId: string): Promise<Consumer> {
  const consumer = kafka.consumer({ groupId, heartbeatInterval: 200, maxWaitTimeInMs: 200 })
  await consumer.connect()
  await consumer.subscribe({ topics: [TOPIC], fromBeginning: true })
  await consumer.run({ eachMessage: async () => {}, autoCommitInterval: 50 })
  await until('everything is committed', async () => {
    const [offsets] = await admin.fetchOffsets({ groupId, topics: [TOPIC] })
    return offsets!.partitions.every(({ partition, offset }) => Number(offset) === ends[partition])
  })
  return consumer
}

/** Of the partitions. */
const ends = [RECORDS, RECORDS]

const committed = async (groupId: string) => {
  const [offsets] = await admin.fetchOffsets({ groupId, topics: [TOPIC] })
  return offsets!.partitions.sort((a, b) => a.partition - b.partition).map(({ offset }) => Number(offset))
}

describe('chronik group', () => {
  it('shows a group with its member while it reads, and lets nobody reset or delete it then', async () => {
    const consumer = await readAll('billing')
    const listed = await group('list')
    expect(listed).toMatchObject({ code: 0, stderr: '' })
    expect(listed.stdout).toMatch(/^GROUP +TYPE +STATE +MEMBERS +LAG\n/)
    expect(listed.stdout).toMatch(/^billing +classic +Stable +1 +0$/m)

    const described = await group('describe', 'billing')
    expect(described.stdout).toMatch(
      /^billing: classic, Stable, consumer\/RoundRobinAssigner, 1 member, lag 0, coordinator is broker 1\n\n/,
    )
    const row = (partition: number) =>
      new RegExp(`^orders +${partition} +10 +10 +0 +shop-[0-9a-f-]{36} +shop +/127\\.0\\.0\\.1$`, 'm')
    for (const partition of [0, 1]) expect(described.stdout).toMatch(row(partition))
    const members = await group('describe', 'billing', '--members')
    expect(members.stdout).toMatch(/^shop-[0-9a-f-]{36} +- +shop +\/127\.0\.0\.1 +orders:0,1$/m)
    expect(await json('describe', 'billing')).toMatchObject({
      group: 'billing',
      members: [{ client: 'shop', assignment: [{ topic: TOPIC, partitions: [0, 1] }] }],
      partitions: [
        { partition: 0, committed: 10, start: 0, end: 10, lag: 0, client: 'shop' },
        { partition: 1, committed: 10, start: 0, end: 10, lag: 0, client: 'shop' },
      ],
    })

    const refused = (what: string) => ({
      code: 1,
      stdout: '',
      stderr: `chronik group: group 'billing' is Stable with 1 member: ${what} when its consumers have ended\n`,
    })
    expect(await group('reset-offsets', 'billing', '--to-earliest')).toEqual(refused('its offsets are reset'))
    expect(await group('reset-offsets', 'billing', '--to-earliest', '--dry-run')).toEqual(
      refused('its offsets are reset'),
    )
    expect(await group('delete', 'billing')).toEqual(refused('it is deleted'))
    await consumer.disconnect()
  })

  it('has the lag to the record, as the metrics have it', async () => {
    const consumer = await readAll('lagging')
    await consumer.disconnect()
    await write(0, 3)
    await write(1, 4)
    ends[0]! += 3
    ends[1]! += 4
    expect((await group('list')).stdout).toMatch(/^lagging +classic +Empty +0 +7$/m)
    const page = await scrape({ host: '127.0.0.1', port: broker.metricsPort })
    const lag = (partition: number) =>
      page.get(`chronik_consumer_group_lag{group="lagging",topic="orders",partition="${partition}"}`)
    expect([lag(0), lag(1)]).toEqual([3, 4])
    expect(page.get('chronik_consumer_groups{state="Empty"}')).toBe(2)
    expect(page.get('chronik_consumer_groups{state="Stable"}') ?? 0).toBe(0)
    expect(page.get('chronik_consumer_group_members')).toBe(0)
    expect(page.get('chronik_consumer_group_offsets')).toBe(4)
    expect(page.get('chronik_consumer_group_lag_left_out')).toBe(0)
    // Each of the two groups: its member came, its member went.
    expect(page.get('chronik_consumer_group_rebalances_total')).toBe(4)
  })

  it('sets offsets after it has said in a dry run what it would do', async () => {
    await admin.setOffsets({
      groupId: 'batch',
      topic: TOPIC,
      partitions: [0, 1].map(p => ({ partition: p, offset: '6' })),
    })
    const rows = (after: readonly [number, number]) =>
      `TOPIC   PARTITION  BEFORE  AFTER  NOTE\norders          0       6      ${after[0]}\norders          1       6      ${after[1]}\n\n`
    const dry = await group('reset-offsets', 'batch', '--to-datetime', '2000-01-01T00:00:02', '--dry-run')
    expect(dry).toEqual({ code: 0, stdout: `${rows([2, 2])}a dry run: nothing was set\n`, stderr: '' })
    expect(await committed('batch')).toEqual([6, 6])
    const done = await group('reset-offsets', 'batch', '--to-datetime', '2000-01-01T00:00:02Z')
    expect(done).toEqual({ code: 0, stdout: `${rows([2, 2])}set in group batch\n`, stderr: '' })
    expect(await committed('batch')).toEqual([2, 2])

    const reset = async (...words: string[]) => {
      await json('reset-offsets', 'batch', ...words)
      return committed('batch')
    }
    expect(await reset('--shift-by', '3', '--topic', 'orders:1')).toEqual([2, 5])
    expect(await reset('--to-latest', '--topic=orders:0')).toEqual([ends[0], 5])
    expect(await reset('--by-duration', '1h')).toEqual(ends)
    expect(await reset('--to-earliest')).toEqual([0, 0])
    expect(await json('reset-offsets', 'batch', '--to-offset', '1000', '--topic', 'orders:0')).toEqual({
      ...{ group: 'batch', isNew: false, dryRun: false },
      partitions: [{ topic: TOPIC, partition: 0, before: 0, after: ends[0], note: '1000 is behind the end' }],
    })
  })

  it('makes a group where one is to begin, and consumers go on from there', async () => {
    const made = await group('reset-offsets', 'fresh "one"', '--to-offset', '4', '--topic', 'orders:0')
    expect(made.stdout).toMatch(/set in group fresh "one"; the group is new\n$/)
    const page = await scrape({ host: '127.0.0.1', port: broker.metricsPort })
    expect(page.get('chronik_consumer_group_lag{group="fresh \\"one\\"",topic="orders",partition="0"}')).toBe(
      ends[0]! - 4,
    )
    const consumer = kafka.consumer({ groupId: 'fresh "one"', maxWaitTimeInMs: 200 })
    const read: string[] = []
    await consumer.connect()
    await consumer.subscribe({ topics: [TOPIC] })
    await consumer.run({
      eachMessage: async ({ partition, message }) => void read.push(`${partition}: ${message.offset}`),
    })
    await until('the rest is read', () => read.length === ends[0]! - 4)
    expect(read[0]).toBe('0: 4')
    await consumer.disconnect()
  })

  it('deletes a group, or offsets of one topic in it', async () => {
    expect(await group('delete', 'batch', '--topic', 'orders:1')).toEqual({
      code: 0,
      stdout: 'deleted: offsets of topic orders in group batch\n',
      stderr: '',
    })
    expect(await committed('batch')).toEqual([ends[0], -1])
    expect(await group('delete', 'batch')).toEqual({ code: 0, stdout: 'deleted: group batch\n', stderr: '' })
    expect((await admin.listGroups()).groups.map(({ groupId }) => groupId)).not.toContain('batch')
  })

  it('says in a line what is wrong', async () => {
    const line = async (...words: string[]) => {
      const { code, stdout, stderr } = await group(...words)
      expect(stdout).toBe('')
      return `${code} ${stderr}`
    }
    const unknown = "1 chronik group: there is no group 'nobody': 'chronik group list' has all\n"
    expect(await line('describe', 'nobody')).toBe(unknown)
    expect(await line('delete', 'nobody')).toBe(unknown)
    expect(await line('reset-offsets', 'nobody', '--to-earliest')).toBe(
      "1 chronik group: group 'nobody' has committed no offset: name the topic that it is to begin in, with --topic\n",
    )
    expect(await line('reset-offsets', 'nobody', '--to-latest', '--topic', 'nothing')).toBe(
      "1 chronik group: there is no topic 'nothing'\n",
    )
    expect(await line('describe')).toBe('2 chronik group: name the group first\n')
    expect(await line('show')).toMatch(/^2 chronik group: say what to do with groups: list, describe, reset-offsets, /)
    expect(await line('reset-offsets', 'g', '--to-latest', '--to-earliest')).toMatch(
      /^2 .*: say where to, with one of /,
    )
    expect(await line('reset-offsets', 'g', '--to-latest', '--topic', 't:')).toMatch(
      /^2 .*--topic takes NAME or NAME:0/,
    )
    expect(await line('list', '--al')).toMatch(/^2 .*unknown option '--al'/)
    expect(await chronik('group', 'list')).toEqual({
      code: 2,
      stdout: '',
      stderr: 'chronik group: --data-dir is needed\n',
    })
  })

  it('says that no broker runs where none does', async () => {
    const dataDir = await temporaryDirectory()
    for (const words of [['list'], ['describe', 'g'], ['reset-offsets', 'g', '--to-latest'], ['delete', 'g']]) {
      expect(await chronik('group', ...words, '--data-dir', dataDir)).toEqual({
        code: 1,
        stdout: '',
        stderr: `chronik group: no broker is running on the data directory ${dataDir}: name the one it was started with\n`,
      })
    }
  })

  it('does what docs/CONSUMER-GROUPS.md shows', async () => {
    const page = await readFile(fileURLToPath(new URL('../../docs/CONSUMER-GROUPS.md', import.meta.url)), 'utf8')
    const commands = [...page.matchAll(/^chronik (.*) --data-dir \.\/data$/gm)].map(match => match[1]!.split(' '))
    expect(commands.map(words => words[1])).toEqual([
      ...[
        'list',
        'describe',
        'describe',
        'reset-offsets',
        'reset-offsets',
        'reset-offsets',
        'delete',
        'delete',
        'dump',
      ],
    ])
    for (const words of commands) {
      const ran = await chronik(...words, '--data-dir', broker.dataDir)
      expect({ words, ...ran }).toMatchObject({ words, code: 0, stderr: '' })
      expect(ran.stdout).not.toBe('')
    }
    // What its outputs begin with.
    for (const names of ['GROUP    TYPE', 'TOPIC   PARTITION  COMMITTED', 'TOPIC   PARTITION  BEFORE', 'MEMBER ']) {
      expect(page).toContain(`\n${names}`)
    }
  })

  it('has a help with every option', async () => {
    const { code, stdout } = await chronik('group', '--help')
    expect({ code, stdout }).toEqual({ code: 0, stdout: groupCommand.help() })
  })

  it('is not to be had on the port of the metrics', async () => {
    const answer = await fetch(`http://127.0.0.1:${broker.metricsPort}/groups`)
    expect(answer.status).toBe(404)
  })
})
