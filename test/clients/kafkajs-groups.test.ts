import { type Admin, type Consumer, Kafka, logLevel, type Producer } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTemporaryDirectory, type TemporaryDirectory } from '#system/temporary.ts'
import { type BrokerProcess, startBrokerProcess } from '#test/support/broker-process.ts'
import { uniqueTopic } from '#test/support/target.ts'
import { until } from '#test/support/until.ts'

const FLAGS = ['--group-initial-rebalance-delay-ms', '100']

describe('kafkajs in a consumer group', () => {
  let directory: TemporaryDirectory
  let broker: BrokerProcess
  let kafka: Kafka
  let admin: Admin
  let producer: Producer

  async function connect(): Promise<void> {
    kafka = new Kafka({ brokers: [broker.kafka.address], logLevel: logLevel.NOTHING })
    admin = kafka.admin()
    producer = kafka.producer()
    await Promise.all([admin.connect(), producer.connect()])
  }

  beforeAll(async () => {
    directory = await createTemporaryDirectory()
    broker = await startBrokerProcess({ dataDir: directory.path, flags: FLAGS })
    await connect()
  })

  afterAll(async () => {
    await Promise.all([admin?.disconnect(), producer?.disconnect()])
    await broker?.stop()
    await directory?.remove()
  })

  async function createTopic(purpose: string, numPartitions: number): Promise<string> {
    const topic = uniqueTopic(purpose)
    await admin.createTopics({ topics: [{ topic, numPartitions }] })
    return topic
  }

  const write = (topic: string, values: readonly string[], partition: number) =>
    producer.send({ topic, messages: values.map(value => ({ value, partition })) })

  /** A member that writes down what it reads. */
  async function join(groupId: string, topic: string) {
    const consumer: Consumer = kafka.consumer({
      groupId,
      sessionTimeout: 10_000,
      heartbeatInterval: 200,
      maxWaitTimeInMs: 200,
    })
    const values: string[] = []
    let partitions: number[] = []
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      partitions = payload.memberAssignment[topic] ?? []
    })
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    await consumer.run({
      eachMessage: async ({ message }) => void values.push(message.value?.toString() ?? ''),
      autoCommitInterval: 50,
    })
    return { consumer, values, partitions: () => partitions }
  }

  it('shares the partitions among its members, and gives those of one that leaves to the others', async () => {
    const topic = await createTopic('shared', 4)
    const groupId = uniqueTopic('group')
    const first = await join(groupId, topic)
    await until('the first member has all', () => first.partitions().length === 4)
    const second = await join(groupId, topic)
    await until('each has half', () => first.partitions().length === 2 && second.partitions().length === 2)
    for (const partition of [0, 1, 2, 3]) await write(topic, [`value ${partition}`], partition)
    await until('all is read', () => first.values.length + second.values.length === 4)
    expect([...first.values, ...second.values].sort()).toEqual(['value 0', 'value 1', 'value 2', 'value 3'])
    await second.consumer.disconnect()
    await until('the first member has all again', () => first.partitions().length === 4)
    await first.consumer.disconnect()
  })

  it('goes on where it committed, though the broker was killed meanwhile', async () => {
    const topic = await createTopic('resumed', 1)
    const groupId = uniqueTopic('group')
    await write(topic, ['one', 'two'], 0)
    const before = await join(groupId, topic)
    await until('both are read', () => before.values.length === 2)
    await before.consumer.disconnect()
    const [kept] = await admin.fetchOffsets({ groupId, topics: [topic] })
    expect(kept?.partitions).toEqual([{ partition: 0, offset: '2', metadata: null }])
    await Promise.all([admin.disconnect(), producer.disconnect()])
    await broker.kill9()
    const { dataDir, kafka: address } = broker
    broker = await startBrokerProcess({ dataDir, kafkaPort: address.port, flags: FLAGS })
    await connect()
    await write(topic, ['three'], 0)
    const after = await join(groupId, topic)
    await until('the new one is read', () => after.values.length === 1)
    expect(after.values).toEqual(['three'])
    await after.consumer.disconnect()
  })

  it('commits by hand, with a note', async () => {
    const topic = await createTopic('by-hand', 1)
    const groupId = uniqueTopic('group')
    await write(topic, ['a', 'b', 'c'], 0)
    const consumer = kafka.consumer({ groupId, sessionTimeout: 10_000, maxWaitTimeInMs: 200 })
    const values: string[] = []
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    await consumer.run({ autoCommit: false, eachMessage: async ({ message }) => void values.push(`${message.value}`) })
    await until('all is read', () => values.length === 3)
    await consumer.commitOffsets([{ topic, partition: 0, offset: '1', metadata: 'up to ä' }])
    const [kept] = await admin.fetchOffsets({ groupId, topics: [topic] })
    expect(kept?.partitions).toEqual([{ partition: 0, offset: '1', metadata: 'up to ä' }])
    consumer.seek({ topic, partition: 0, offset: '0' })
    await until('all is read again', () => values.length === 6)
    await consumer.disconnect()
    const next = await join(groupId, topic)
    await until('the rest is read', () => next.values.length === 2)
    expect(next.values).toEqual(['b', 'c'])
    await next.consumer.disconnect()
  })

  it('is listed, described, set back and deleted by an administrator', async () => {
    const topic = await createTopic('administered', 2)
    const groupId = uniqueTopic('group')
    const member = await join(groupId, topic)
    await until('it has joined', () => member.partitions().length === 2)
    const { groups } = await admin.listGroups()
    expect(groups).toContainEqual({ groupId, protocolType: 'consumer' })
    const [described] = (await admin.describeGroups([groupId])).groups
    expect(described).toMatchObject({ errorCode: 0, groupId, state: 'Stable', protocol: 'RoundRobinAssigner' })
    expect(described?.members).toHaveLength(1)
    await expect(admin.deleteGroups([groupId])).rejects.toThrow()
    await member.consumer.disconnect()
    await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: '7' }] })
    const [offsets] = await admin.fetchOffsets({ groupId, topics: [topic] })
    expect(offsets?.partitions.find(({ partition }) => partition === 0)?.offset).toBe('7')
    expect(await admin.deleteGroups([groupId])).toEqual([{ groupId, errorCode: 0 }])
    expect((await admin.listGroups()).groups.map(group => group.groupId)).not.toContain(groupId)
  })
})
