import { type Admin, Kafka, logLevel, type Producer } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTemporaryDirectory, type TemporaryDirectory } from '#system/temporary.ts'
import { type BrokerProcess, startBrokerProcess } from '#test/support/broker-process.ts'
import { uniqueTopic } from '#test/support/target.ts'
import { until } from '#test/support/until.ts'

const FLAGS = ['--group-initial-rebalance-delay-ms', '0']

describe('kafkajs with transactions', () => {
  let directory: TemporaryDirectory
  let broker: BrokerProcess
  let kafka: Kafka
  let admin: Admin

  async function connect(): Promise<void> {
    kafka = new Kafka({ brokers: [broker.kafka.address], logLevel: logLevel.NOTHING })
    admin = kafka.admin()
    await admin.connect()
  }

  beforeAll(async () => {
    directory = await createTemporaryDirectory()
    broker = await startBrokerProcess({ dataDir: directory.path, flags: FLAGS })
    await connect()
  })

  afterAll(async () => {
    await admin?.disconnect()
    await broker?.stop()
    await directory?.remove()
  })

  async function createTopic(purpose: string, numPartitions = 1): Promise<string> {
    const topic = uniqueTopic(purpose)
    await admin.createTopics({ topics: [{ topic, numPartitions }] })
    return topic
  }

  async function transactional(transactionalId: string): Promise<Producer> {
    const producer = kafka.producer({
      transactionalId,
      idempotent: true,
      maxInFlightRequests: 1,
      retry: { retries: 2 },
    })
    await producer.connect()
    return producer
  }

  /** Reads on, and has what came so far. */
  async function read(topic: string, readUncommitted: boolean) {
    const consumer = kafka.consumer({ groupId: uniqueTopic('reader'), readUncommitted, maxWaitTimeInMs: 100 })
    const values: string[] = []
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    await consumer.run({ eachMessage: async ({ message }) => void values.push(message.value?.toString() ?? '') })
    return { values, close: () => consumer.disconnect() }
  }

  const message = (value: string, partition = 0) => ({ value, partition })

  it('shows what is committed, and never what is aborted', async () => {
    const topic = await createTopic('atomic', 2)
    const committed = await read(topic, false)
    const all = await read(topic, true)
    const producer = await transactional(uniqueTopic('writer'))
    const aborted = await producer.transaction()
    await aborted.send({ topic, messages: [message('lost 0'), message('lost 1', 1)] })
    await until('it is visible to who wants all', () => all.values.length === 2)
    await aborted.abort()
    const kept = await producer.transaction()
    await kept.send({ topic, messages: [message('kept 0'), message('kept 1', 1)] })
    await until('it is visible to who wants all', () => all.values.length === 4)
    expect(committed.values).toEqual([])
    await kept.commit()
    await until('it is committed', () => committed.values.length === 2)
    expect(committed.values.sort()).toEqual(['kept 0', 'kept 1'])
    await Promise.all([committed.close(), all.close(), producer.disconnect()])
  })

  it('commits offsets with what was made of the records', async () => {
    const topic = await createTopic('copied')
    const groupId = uniqueTopic('copier')
    const producer = await transactional(uniqueTopic('copier'))
    const offsets = async () => (await admin.fetchOffsets({ groupId, topics: [topic] }))[0]?.partitions[0]?.offset
    const lost = await producer.transaction()
    await lost.sendOffsets({
      consumerGroupId: groupId,
      topics: [{ topic, partitions: [{ partition: 0, offset: '7' }] }],
    })
    await lost.abort()
    expect(await offsets()).toBe('-1')
    const kept = await producer.transaction()
    await kept.send({ topic, messages: [message('copy')] })
    await kept.sendOffsets({
      consumerGroupId: groupId,
      topics: [{ topic, partitions: [{ partition: 0, offset: '8' }] }],
    })
    expect(await offsets()).toBe('-1')
    await kept.commit()
    expect(await offsets()).toBe('8')
    await producer.disconnect()
  })

  it('fences the older of two producers, and aborts what it left open, over kill -9', async () => {
    const topic = await createTopic('fenced')
    const transactionalId = uniqueTopic('writer')
    const zombie = await transactional(transactionalId)
    const open = await zombie.transaction()
    await open.send({ topic, messages: [message('left open')] })
    await admin.disconnect()
    await broker.kill9()
    const { dataDir, kafka: address } = broker
    broker = await startBrokerProcess({ dataDir, kafkaPort: address.port, flags: FLAGS })
    await connect()
    const producer = await transactional(transactionalId)
    const transaction = await producer.transaction()
    await expect(open.send({ topic, messages: [message('from the grave')] })).rejects.toThrow()
    await expect(open.commit()).rejects.toThrow()
    await transaction.send({ topic, messages: [message('fresh')] })
    await transaction.commit()
    const committed = await read(topic, false)
    await until('it is committed', () => committed.values.length > 0)
    expect(committed.values).toEqual(['fresh'])
    await Promise.all([committed.close(), producer.disconnect(), zombie.disconnect()])
  })
})
