import {
  Admin,
  type ConfigDescription,
  ConfigResourceTypes,
  Consumer,
  IncrementalAlterConfigOperationTypes,
  type KafkaRecord,
  type MessageToProduce,
  Producer,
  type ProducerOptions,
} from '@platformatic/kafka'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTarget, type Target, uniqueTopic } from '#test/support/target.ts'

const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
const MAX_BYTES = 16 * 1024 * 1024
const EARLIEST = -2n
// Far below what the fetch would wait if nobody woke it.
const WOKEN_WITHIN_MS = 10_000

type Send = MessageToProduce<Buffer, Buffer, Buffer, Buffer>
interface Read extends KafkaRecord {
  readonly offset: number
}

describe('@platformatic/kafka', () => {
  let target: Target
  let admin: Admin
  let consumer: Consumer

  const clientOptions = () => ({ clientId: 'suite', bootstrapBrokers: [target.address] })

  beforeAll(async () => {
    target = await openTarget()
    admin = new Admin(clientOptions())
    // The group is only a name here: `fetch` reads any partition, `consume` would join.
    consumer = new Consumer({ ...clientOptions(), groupId: 'unused' })
  })

  afterAll(async () => {
    await consumer?.close(true)
    await admin?.close()
    await target?.close()
  })

  async function createTopic(purpose: string, partitions = 1, configs: Record<string, string> = {}): Promise<string> {
    const topic = uniqueTopic(purpose)
    const entries = Object.entries(configs).map(([name, value]) => ({ name, value }))
    await admin.createTopics({ topics: [topic], partitions, replicas: 1, configs: entries })
    return topic
  }

  async function produce(messages: Send[], options: Partial<ProducerOptions<Buffer, Buffer, Buffer, Buffer>> = {}) {
    const producer = new Producer({ ...clientOptions(), ...options })
    try {
      const { offsets } = await producer.send({ messages, acks: -1, ...options })
      return offsets?.map(({ offset }) => Number(offset))
    } finally {
      await producer.close()
    }
  }

  async function fetchOnce(topic: string, partition: number, fromOffset: number, maxWaitTime: number): Promise<Read[]> {
    const { topics, brokers } = await consumer.metadata({ topics: [topic] })
    const known = topics.get(topic)!
    const { responses } = await consumer.fetch({
      node: known.partitions[partition]!.leader ?? [...brokers.keys()][0]!,
      maxWaitTime,
      minBytes: 1,
      maxBytes: MAX_BYTES,
      topics: [
        {
          topicId: known.id,
          partitions: [
            {
              partition,
              currentLeaderEpoch: -1,
              lastFetchedEpoch: -1,
              fetchOffset: BigInt(fromOffset),
              partitionMaxBytes: MAX_BYTES,
            },
          ],
        },
      ],
    })
    const batches = responses[0]?.partitions[0]?.records ?? []
    return batches
      .flatMap(({ firstOffset, records }) =>
        records.map(record => ({ ...record, offset: Number(firstOffset) + record.offsetDelta })),
      )
      .filter(({ offset }) => offset >= fromOffset)
  }

  async function readToEnd(topic: string, partition = 0, fromOffset = 0): Promise<Read[]> {
    const endOffsets = await consumer.listOffsets({ topics: [topic], partitions: { [topic]: [partition] } })
    const endOffset = Number(endOffsets.get(topic)!.at(partition) ?? endOffsets.get(topic)!.at(-1))
    const records: Read[] = []
    while (fromOffset < endOffset) {
      const fetched = await fetchOnce(topic, partition, fromOffset, 100)
      records.push(...fetched)
      fromOffset = (fetched.at(-1)?.offset ?? fromOffset - 1) + 1
    }
    return records
  }

  const bytes = (text: string) => Buffer.from(text)
  const text = ({ value }: { value: Buffer | null }) => value?.toString()

  describe('producing and fetching', () => {
    it.each(CODECS)('returns what was written with the codec %s', async compression => {
      const topic = await createTopic(`codec-${compression}`)
      const messages = Array.from({ length: 200 }, (_, i) => ({
        topic,
        key: bytes(`key-${i}`),
        value: bytes(`value-${i} `.repeat(20)),
        partition: 0,
      }))

      expect(await produce(messages, { compression })).toEqual([0])

      const records = await readToEnd(topic)
      expect(records.map(({ key, value }) => ({ topic, key, value, partition: 0 }))).toEqual(messages)
      expect(records.map(({ offset }) => offset)).toEqual(messages.map((_, i) => i))
    })

    it('writes in order with an idempotent producer', async () => {
      const topic = await createTopic('idempotent')
      const producer = new Producer({ ...clientOptions(), idempotent: true })
      const sends = Array.from({ length: 50 }, (_, i) => [bytes(`a${i}`), bytes(`b${i}`)])
      for (const values of sends) {
        await producer.send({ messages: values.map(value => ({ topic, value, partition: 0 })) })
      }
      await producer.close()
      expect((await readToEnd(topic)).map(({ value }) => value)).toEqual(sends.flat())
    })

    it('gets no answer but its records with acks=0, and an answer with acks=1', async () => {
      const topic = await createTopic('acks')
      const producer = new Producer(clientOptions())
      await producer.send({ messages: [{ topic, value: bytes('first'), partition: 0 }], acks: 0 })
      const second = await producer.send({ messages: [{ topic, value: bytes('second'), partition: 0 }], acks: 1 })
      await producer.close()
      expect(second.offsets).toEqual([{ topic, partition: 0, offset: 1n }])
      expect((await readToEnd(topic)).map(text)).toEqual(['first', 'second'])
    })

    it('keeps headers', async () => {
      const topic = await createTopic('headers')
      const headers = new Map([
        [bytes('one'), bytes('first')],
        [bytes('one'), bytes('again')],
        [bytes('empty'), bytes('')],
      ])
      await produce([{ topic, value: bytes('v'), headers, partition: 0 }])
      const [record] = await readToEnd(topic)
      expect(record!.headers).toEqual([...headers])
    })

    it('tells null keys and values from empty ones', async () => {
      const topic = await createTopic('nulls')
      await produce([
        { topic, value: bytes('no key'), partition: 0 },
        { topic, key: bytes('no value'), partition: 0 },
        { topic, key: bytes(''), value: bytes(''), partition: 0 },
      ])
      expect((await readToEnd(topic)).map(({ key, value }) => [key, value])).toEqual([
        [null, bytes('no key')],
        [bytes('no value'), null],
        [bytes(''), bytes('')],
      ])
    })

    it('carries a message just below the limit', async () => {
      const topic = await createTopic('big')
      const value = Buffer.alloc(1024 * 1024 - 200, 'x')
      await produce([{ topic, value, partition: 0 }])
      const [record] = await readToEnd(topic)
      expect(record!.value!.equals(value)).toBe(true)
    })

    it('is told MESSAGE_TOO_LARGE beyond the limit', async () => {
      const topic = await createTopic('too-big')
      const tooBig = produce([{ topic, value: Buffer.alloc(1024 * 1024 + 200), partition: 0 }], { retries: 0 })
      const error = await tooBig.catch(thrown => thrown)
      expect(error.findBy('apiId', 'MESSAGE_TOO_LARGE')).toBeTruthy()
    })

    it('writes to and reads from many partitions', async () => {
      const topic = await createTopic('partitions', 40)
      const messages = Array.from({ length: 400 }, (_, i) => ({ topic, value: bytes(`${i}`), partition: i % 40 }))
      // Idempotent: the client retries the whole when one partition of a new topic is not ready yet.
      await produce(messages, { idempotent: true })
      for (let partition = 0; partition < 40; partition++) {
        const values = (await readToEnd(topic, partition)).map(record => Number(text(record)))
        expect(values).toEqual(Array.from({ length: 10 }, (_, i) => partition + 40 * i))
      }
    })

    it('creates a topic by writing to it', async () => {
      const topic = uniqueTopic('auto')
      await produce([{ topic, value: bytes('v'), partition: 0 }], { autocreateTopics: true })
      await expect.poll(() => admin.listTopics()).toContain(topic)
      expect(await readToEnd(topic)).toHaveLength(1)
    })

    it(
      'gets a new record in a fetch that waits for it',
      async () => {
        const topic = await createTopic('long-poll')
        await produce([{ topic, value: bytes('old'), partition: 0 }])
        const waiting = fetchOnce(topic, 0, 1, 2 * WOKEN_WITHIN_MS)
        await produce([{ topic, value: bytes('new'), partition: 0 }])
        expect((await waiting).map(text)).toEqual(['new'])
      },
      WOKEN_WITHIN_MS,
    )

    it('begins to read in the middle, at the end and by time', async () => {
      const topic = await createTopic('seek')
      const timestamps = [1n, 2n, 3n].map(second => 1_700_000_000_000n + second * 1_000n)
      for (const timestamp of timestamps)
        await produce([{ topic, value: bytes(`${timestamp}`), timestamp, partition: 0 }])

      expect((await readToEnd(topic, 0, 1)).map(text)).toEqual(timestamps.slice(1).map(String))
      expect(await fetchOnce(topic, 0, 3, 0)).toEqual([])
      const byTime = async (timestamp: bigint) =>
        (await consumer.listOffsetsWithTimestamps({ topics: [topic], timestamp })).get(topic)!.get(0)
      expect(await byTime(EARLIEST)).toMatchObject({ offset: 0n })
      expect(await byTime(timestamps[1]!)).toEqual({ offset: 1n, timestamp: timestamps[1] })
      expect(await byTime(timestamps[1]! + 1n)).toEqual({ offset: 2n, timestamp: timestamps[2] })
      expect(await byTime(timestamps[2]! + 1n)).toEqual({ offset: -1n, timestamp: -1n })
    })
  })

  // A change may be visible a moment after its answer: Kafka's broker follows its controller.
  describe('administering', () => {
    it('creates, lists, describes and deletes topics', async () => {
      const topic = uniqueTopic('admin')
      const [created] = await admin.createTopics({ topics: [topic], partitions: 3, replicas: 1 })
      expect(created).toMatchObject({ name: topic, partitions: 3, replicas: 1 })
      expect(created!.configuration).toMatchObject({ 'cleanup.policy': 'delete' })
      const again = await admin.createTopics({ topics: [topic], partitions: 3, replicas: 1 }).catch(thrown => thrown)
      expect(again.findBy('apiId', 'TOPIC_ALREADY_EXISTS')).toBeTruthy()

      await expect.poll(() => admin.listTopics()).toContain(topic)
      const described = (await admin.metadata({ topics: [topic] })).topics.get(topic)!
      expect(described.id).toBe(created!.id)
      expect(described.partitions.map(({ replicas, isr }) => [replicas.length, isr!.length])).toEqual([
        [1, 1],
        [1, 1],
        [1, 1],
      ])

      await admin.deleteTopics({ topics: [topic] })
      await expect.poll(() => admin.listTopics()).not.toContain(topic)
    })

    it('adds partitions', async () => {
      const topic = await createTopic('grow')
      const [brokerId] = (await admin.metadata({ topics: [] })).brokers.keys()
      // The client cannot leave the placement to the broker: it has no null here.
      const assignments = Array.from({ length: 3 }, () => ({ brokerIds: [brokerId!] }))
      await admin.createPartitions({ topics: [{ name: topic, count: 4, assignments }] })
      const count = async () => {
        const { topics } = await admin.metadata({ topics: [topic], forceUpdate: true })
        return topics.get(topic)!.partitionsCount
      }
      await expect.poll(count).toBe(4)
    })

    it('lists offsets and deletes records up to one of them', async () => {
      const topic = await createTopic('delete-records')
      await produce(Array.from({ length: 10 }, (_, i) => ({ topic, value: bytes(`${i}`), partition: 0 })))
      const partitions = [{ partition: 0, offset: 4n }]
      expect(await admin.deleteRecords({ topics: [{ name: topic, partitions }] })).toEqual([
        { name: topic, partitions: [{ partition: 0, lowWatermark: 4n }] },
      ])
      const offsetAt = async (timestamp: bigint) => {
        const [listed] = await admin.listOffsets({
          topics: [{ name: topic, partitions: [{ partitionIndex: 0, timestamp }] }],
        })
        return listed!.partitions[0]!.offset
      }
      expect(await offsetAt(EARLIEST)).toBe(4n)
      expect(await offsetAt(-1n)).toBe(10n)
    })

    it('describes, alters and incrementally alters configs', async () => {
      const topic = await createTopic('configs', 1, { 'retention.ms': '3600000' })
      const resource = { resourceType: ConfigResourceTypes.TOPIC, resourceName: topic }
      const configs = async (...configurationKeys: string[]) => {
        const described: ConfigDescription[] = await admin.describeConfigs({
          resources: [{ ...resource, configurationKeys }],
        })
        return described[0]!.configs.map(({ name, value }) => [name, value])
      }
      await expect.poll(() => configs('retention.ms')).toEqual([['retention.ms', '3600000']])

      // AlterConfigs replaces all: what is not named goes back to its default.
      await admin.alterConfigs({
        resources: [{ ...resource, configs: [{ name: 'max.message.bytes', value: '2000' }] }],
      })
      await expect.poll(() => configs('retention.ms')).toEqual([['retention.ms', '604800000']])

      const configOperation = IncrementalAlterConfigOperationTypes.APPEND
      await admin.incrementalAlterConfigs({
        resources: [{ ...resource, configs: [{ name: 'cleanup.policy', configOperation, value: 'compact' }] }],
      })
      await expect.poll(() => configs('cleanup.policy')).toEqual([['cleanup.policy', 'delete,compact']])
      await expect.poll(() => configs('max.message.bytes')).toEqual([['max.message.bytes', '2000']])
    })

    it('finds its way by the bootstrap address alone', async () => {
      const { id, brokers } = await admin.metadata({ topics: [] })
      expect(id).toMatch(/^[\w-]{10,}$/)
      expect([...brokers.values()].map(({ host, port }) => `${host}:${port}`)).toEqual([target.address])
    })
  })
})
