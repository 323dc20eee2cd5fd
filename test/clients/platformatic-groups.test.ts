import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { Admin, Consumer, type ConsumerOptions, Producer, stringDeserializers } from '@platformatic/kafka'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTemporaryDirectory, type TemporaryDirectory } from '#system/temporary.ts'
import { type BrokerProcess, startBrokerProcess } from '#test/support/broker-process.ts'
import { uniqueTopic } from '#test/support/target.ts'
import { until } from '#test/support/until.ts'

const FLAGS = [
  ...['--group-initial-rebalance-delay-ms', '100'],
  ...['--group-consumer-min-heartbeat-interval-ms', '100', '--group-consumer-heartbeat-interval-ms', '100'],
]
const NOT_COMMITTED = -1n
const SETTINGS = {
  sessionTimeout: 10_000,
  rebalanceTimeout: 10_000,
  heartbeatInterval: 100,
  maxWaitTime: 200,
  autocommit: 50,
}

type Options = Partial<ConsumerOptions<string, string, string, string>>

const CLASSIC: Options = {}
const NEW: Options = { groupProtocol: 'consumer' }

interface Member {
  readonly consumer: Consumer<string, string, string, string>
  /** What it has read, in the order of reading. */
  readonly values: string[]
  readonly offsets: Map<string, bigint>
  partitions(): number[]
  /** The generation it joined last. */
  joined(): number
  leave(): Promise<void>
}

describe('@platformatic/kafka in a consumer group', () => {
  let directory: TemporaryDirectory
  let broker: BrokerProcess
  let admin: Admin
  let producer: Producer

  const clientOptions = () => ({ clientId: 'suite', bootstrapBrokers: [broker.kafka.address] })

  function connect(): void {
    admin = new Admin(clientOptions())
    producer = new Producer(clientOptions())
  }

  beforeAll(async () => {
    directory = await createTemporaryDirectory()
    broker = await startBrokerProcess({ dataDir: directory.path, flags: FLAGS })
    connect()
  })

  afterAll(async () => {
    await producer?.close()
    await admin?.close()
    await broker?.stop()
    await directory?.remove()
  })

  async function createTopic(purpose: string, partitions: number): Promise<string> {
    const topic = uniqueTopic(purpose)
    await admin.createTopics({ topics: [topic], partitions, replicas: 1 })
    return topic
  }

  const write = (topic: string, partition: number, ...values: string[]) =>
    producer.send({ messages: values.map(value => ({ topic, partition, value: Buffer.from(value) })), acks: -1 })

  /** A member that writes down what it reads. */
  async function join(groupId: string, topic: string, options: Options = {}): Promise<Member> {
    const consumer = new Consumer({
      ...clientOptions(),
      groupId,
      deserializers: stringDeserializers,
      ...SETTINGS,
      ...options,
    } as ConsumerOptions<string, string, string, string>)
    let joined = -1
    consumer.on('consumer:group:join', () => {
      joined = consumer.generationId
    })
    const stream = await consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest' })
    const values: string[] = []
    const offsets = new Map<string, bigint>()
    stream.on('data', ({ value, offset }) => {
      values.push(value)
      offsets.set(value, offset)
    })
    return {
      consumer,
      values,
      offsets,
      partitions: () => consumer.assignments?.find(assigned => assigned.topic === topic)?.partitions ?? [],
      joined: () => joined,
      leave: async () => {
        await stream.close()
        await consumer.close()
      },
    }
  }

  async function committed(groupId: string, topic: string): Promise<bigint[]> {
    const [group] = await admin.listConsumerGroupOffsets({ groups: [groupId] })
    const found = group?.topics.find(({ name }) => name === topic)?.partitions ?? []
    return found.map(({ committedOffset }) => committedOffset)
  }

  it.each([
    ['', CLASSIC],
    [' by the new protocol', NEW],
  ])('shares the partitions among its members, and gives those of one that leaves to the others%s', async (_, by) => {
    const topic = await createTopic('shared', 4)
    const groupId = uniqueTopic('group')
    const first = await join(groupId, topic, by)
    await until('the first member has all', () => first.partitions().length === 4)
    const second = await join(groupId, topic, by)
    await until('each has half', () => first.partitions().length === 2 && second.partitions().length === 2)
    for (const partition of [0, 1, 2, 3]) await write(topic, partition, `value ${partition}`)
    await until('all is read', () => first.values.length + second.values.length === 4)
    expect([...first.values, ...second.values].sort()).toEqual(['value 0', 'value 1', 'value 2', 'value 3'])
    await second.leave()
    await until('the first member has all again', () => first.partitions().length === 4)
    await first.leave()
  })

  it('goes on where it committed, though the broker was killed meanwhile', async () => {
    const topic = await createTopic('resumed', 1)
    const groupId = uniqueTopic('group')
    await write(topic, 0, 'one', 'two')
    const before = await join(groupId, topic)
    await until('both are read and committed', async () => (await committed(groupId, topic))[0] === 2n)
    expect(before.values).toEqual(['one', 'two'])
    await before.leave()
    await Promise.all([admin.close(), producer.close()])
    await broker.kill9()
    const { dataDir, kafka: address } = broker
    broker = await startBrokerProcess({ dataDir, kafkaPort: address.port, flags: FLAGS })
    connect()
    expect(await committed(groupId, topic)).toEqual([2n])
    await write(topic, 0, 'three')
    const after = await join(groupId, topic)
    await until('the new one is read', () => after.values.length > 0)
    expect(after.values).toEqual(['three'])
    await after.leave()
  })

  it('keeps the place of a static member whose process ends and comes back', async () => {
    const topic = await createTopic('static', 2)
    const groupId = uniqueTopic('group')
    const first = await join(groupId, topic, { groupInstanceId: 'a' })
    const start = async () => {
      const options = { ...clientOptions(), ...SETTINGS, groupId, groupInstanceId: 'b' }
      const worker = new Worker(new URL('./platformatic-member.ts', import.meta.url), {
        workerData: { topic, options },
      })
      const [joined] = (await once(worker, 'message')) as [{ generationId: number; partitions: number[] }]
      return { worker, joined }
    }
    const before = await start()
    await until('the other one has its share', () => first.partitions().length === 1)
    await before.worker.terminate()
    const again = await start()
    expect(again.joined).toEqual(before.joined)
    expect(first.consumer.generationId).toBe(before.joined.generationId)
    const described = (await admin.describeGroups({ groups: [groupId] })).get(groupId)!
    expect([...described.members.values()].map(member => member.groupInstanceId).sort()).toEqual(['a', 'b'])
    await again.worker.terminate()
    await first.leave()
  })

  it('commits by hand, and tells how far it lags', async () => {
    const topic = await createTopic('by-hand', 1)
    const groupId = uniqueTopic('group')
    await write(topic, 0, 'a', 'b', 'c')
    const member = await join(groupId, topic, { autocommit: false })
    await until('all is read', () => member.values.length === 3)
    const wanted = { topics: [{ topic, partitions: [0] }] }
    expect((await member.consumer.listCommittedOffsets(wanted)).get(topic)).toEqual([NOT_COMMITTED])
    const offset = member.offsets.get('b')!
    await member.consumer.commit({ offsets: [{ topic, partition: 0, offset, leaderEpoch: 0 }] })
    expect((await member.consumer.listCommittedOffsets(wanted)).get(topic)).toEqual([1n])
    await member.leave()
    const next = await join(groupId, topic, { autocommit: false })
    await until('the rest is read', () => next.values.length === 2)
    expect(next.values).toEqual(['b', 'c'])
    await next.leave()
  })

  it('is listed, described, set back and deleted by an administrator', async () => {
    const topic = await createTopic('administered', 2)
    const groupId = uniqueTopic('group')
    const member = await join(groupId, topic)
    await until('it has joined', () => member.partitions().length === 2)
    expect((await admin.listGroups({ states: ['STABLE'] })).get(groupId)).toMatchObject({ protocolType: 'consumer' })
    expect((await admin.listGroups({ states: ['EMPTY'] })).has(groupId)).toBe(false)
    const described = (await admin.describeGroups({ groups: [groupId] })).get(groupId)!
    expect(described).toMatchObject({ id: groupId, state: 'Stable' })
    const [only] = described.members.values()
    expect(only).toMatchObject({ clientId: 'suite', clientHost: '/127.0.0.1' })
    expect(only!.assignments!.get(topic)!.partitions).toEqual([0, 1])
    await expect(admin.deleteGroups({ groups: [groupId] })).rejects.toThrow()
    await member.leave()
    const partitionOffsets = [0, 1].map(partition => ({ partition, offset: 7n }))
    await admin.alterConsumerGroupOffsets({ groupId, topics: [{ name: topic, partitionOffsets }] })
    expect(await committed(groupId, topic)).toEqual([7n, 7n])
    await admin.deleteConsumerGroupOffsets({ groupId, topics: [{ name: topic, partitionIndexes: [1] }] })
    expect(await committed(groupId, topic)).toEqual([7n])
    await admin.deleteGroups({ groups: [groupId] })
    expect((await admin.listGroups()).has(groupId)).toBe(false)
  })

  it('takes a member again that an administrator sent away', async () => {
    const topic = await createTopic('sent-away', 2)
    const groupId = uniqueTopic('group')
    const [first, second] = [await join(groupId, topic), await join(groupId, topic)]
    await until('each has one', () => first.partitions().length === 1 && second.partitions().length === 1)
    const { memberId: sentAway, generationId } = second.consumer
    await admin.removeMembersFromConsumerGroup({ groupId, members: [{ memberId: sentAway! }] })
    await until('both are members of a later generation', () => {
      const generations = [first.joined(), second.joined()]
      return generations[0]! > generationId && generations[0] === generations[1]
    })
    expect(second.consumer.memberId).not.toBe(sentAway)
    expect([...first.partitions(), ...second.partitions()].sort()).toEqual([0, 1])
    await second.leave()
    await first.leave()
  })
})
