import { promisify } from 'node:util'
import { zstdCompress, zstdDecompress } from 'node:zlib'
import kafkajs, { type Admin, CompressionTypes, ConfigResourceTypes, Kafka, logLevel, type Message } from 'kafkajs'
import { compressFrame, decompressFrame } from 'lz4-napi'
import { compress, uncompress } from 'snappy'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTarget, type Target, uniqueTopic } from '#test/support/target.ts'
import { KafkaJsReader } from './kafkajs-reader.ts'

// kafkajs brings gzip and takes the others as plug-ins. Its snappy is the raw kind, not the framed one of the Java client.
interface Encoder {
  readonly buffer: Buffer
}
const zstd = { compress: promisify(zstdCompress), decompress: promisify(zstdDecompress) }
const { CompressionCodecs } = kafkajs
CompressionCodecs[CompressionTypes.Snappy] = () => ({
  compress: ({ buffer }: Encoder) => compress(buffer),
  decompress: (bytes: Buffer) => uncompress(bytes, { asBuffer: true }),
})
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: ({ buffer }: Encoder) => compressFrame(buffer),
  decompress: (bytes: Buffer) => decompressFrame(bytes),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: ({ buffer }: Encoder) => zstd.compress(buffer),
  decompress: (bytes: Buffer) => zstd.decompress(bytes),
})

const CODECS = { None: 0, GZIP: 1, Snappy: 2, LZ4: 3, ZSTD: 4 } as const

describe('kafkajs', () => {
  let target: Target
  let kafka: Kafka
  let admin: Admin
  let reader: KafkaJsReader

  beforeAll(async () => {
    target = await openTarget()
    kafka = new Kafka({ brokers: [target.address], logLevel: logLevel.NOTHING })
    admin = kafka.admin()
    await admin.connect()
    reader = await KafkaJsReader.open(kafka, target.address)
  })

  afterAll(async () => {
    await reader?.close()
    await admin?.disconnect()
    await target?.close()
  })

  async function createTopic(
    purpose: string,
    numPartitions = 1,
    configs: Record<string, string> = {},
  ): Promise<string> {
    const topic = uniqueTopic(purpose)
    const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
    await admin.createTopics({ topics: [{ topic, numPartitions, configEntries }] })
    return topic
  }

  async function produce(topic: string, messages: Message[], options: ProduceOptions = {}): Promise<number[]> {
    const producer = kafka.producer({
      idempotent: options.idempotent ?? false,
      retry: { retries: options.retries ?? 5 },
    })
    await producer.connect()
    try {
      const sent = await producer.send({
        topic,
        messages,
        acks: options.acks ?? -1,
        compression: options.compression ?? CompressionTypes.None,
      })
      return sent.map(({ baseOffset }) => Number(baseOffset))
    } finally {
      await producer.disconnect()
    }
  }
  interface ProduceOptions {
    acks?: number
    compression?: CompressionTypes
    idempotent?: boolean
    retries?: number
  }

  const numbered = (count: number): Message[] =>
    Array.from({ length: count }, (_, i) => ({ key: `key-${i}`, value: `value-${i} `.repeat(20), partition: 0 }))

  describe('producing and fetching', () => {
    it.each(Object.entries(CODECS))('returns what was written with the codec %s', async (name, compression) => {
      const topic = await createTopic(`codec-${name}`)
      const messages = numbered(200)

      expect(await produce(topic, messages, { compression })).toEqual([0])

      const records = await reader.readToEnd(topic)
      expect(records.map(({ key, value }) => ({ key: `${key}`, value: `${value}`, partition: 0 }))).toEqual(messages)
      expect(records.map(({ offset }) => Number(offset))).toEqual(messages.map((_, i) => i))
    })

    it('writes in order with an idempotent producer that has several requests in flight', async () => {
      const topic = await createTopic('idempotent')
      const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 5 })
      await producer.connect()
      await Promise.all(
        Array.from({ length: 50 }, (_, i) =>
          producer.send({
            topic,
            messages: [
              { value: `a${i}`, partition: 0 },
              { value: `b${i}`, partition: 0 },
            ],
          }),
        ),
      )
      await producer.disconnect()

      // The client chooses the order of the sends; each comes once, as a whole.
      const values = (await reader.readToEnd(topic)).map(({ value }) => `${value}`)
      const order = values.filter(value => value.startsWith('a')).map(value => value.slice(1))
      expect(values).toEqual(order.flatMap(i => [`a${i}`, `b${i}`]))
      expect(order.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i))
    })

    it('gets no answer but its records with acks=0, and an answer with acks=1', async () => {
      const topic = await createTopic('acks')
      expect(await produce(topic, [{ value: 'first', partition: 0 }], { acks: 0 })).toEqual([])
      expect(await produce(topic, [{ value: 'second', partition: 0 }], { acks: 1 })).toEqual([1])
      expect((await reader.readToEnd(topic)).map(({ value }) => `${value}`)).toEqual(['first', 'second'])
    })

    it('keeps headers', async () => {
      const topic = await createTopic('headers')
      await produce(topic, [{ value: 'v', headers: { one: 'first', two: ['a', 'b'], empty: '' }, partition: 0 }])

      const [record] = await reader.readToEnd(topic)
      const headers = Object.entries(record!.headers).map(([name, value]) => [name, [value].flat().map(String)])
      expect(Object.fromEntries(headers)).toEqual({ one: ['first'], two: ['a', 'b'], empty: [''] })
    })

    it('tells null keys and values from empty ones', async () => {
      const topic = await createTopic('nulls')
      await produce(topic, [
        { key: null, value: 'no key', partition: 0 },
        { key: 'no value', value: null, partition: 0 },
        { key: '', value: '', partition: 0 },
      ])

      const records = await reader.readToEnd(topic)
      expect(records.map(({ key, value }) => [key?.toString(), value?.toString()])).toEqual([
        [undefined, 'no key'],
        ['no value', undefined],
        ['', ''],
      ])
    })

    it('carries a message just below the limit', async () => {
      const topic = await createTopic('big')
      const value = Buffer.alloc(1024 * 1024 - 200, 'x')
      await produce(topic, [{ value, partition: 0 }])
      const [record] = await reader.readToEnd(topic)
      expect(record!.value!.equals(value)).toBe(true)
    })

    it('is told MESSAGE_TOO_LARGE beyond the limit', async () => {
      const topic = await createTopic('too-big')
      const tooBig = produce(topic, [{ value: Buffer.alloc(1024 * 1024 + 200), partition: 0 }], { retries: 0 })
      await expect(tooBig).rejects.toMatchObject({ type: 'MESSAGE_TOO_LARGE' })
    })

    it('writes to and reads from many partitions', async () => {
      const topic = await createTopic('partitions', 40)
      const messages = Array.from({ length: 400 }, (_, i) => ({ value: `${i}`, partition: i % 40 }))
      // Idempotent: the client retries the whole when one partition of a new topic is not ready yet.
      await produce(topic, messages, { idempotent: true })
      for (let partition = 0; partition < 40; partition++) {
        const values = (await reader.readToEnd(topic, partition)).map(({ value }) => Number(value))
        expect(values).toEqual(Array.from({ length: 10 }, (_, i) => partition + 40 * i))
      }
    })

    it('creates a topic by writing to it', async () => {
      const topic = uniqueTopic('auto')
      await produce(topic, [{ value: 'v' }])
      await expect.poll(() => admin.listTopics()).toContain(topic)
      expect(await reader.readToEnd(topic)).toHaveLength(1)
    })

    it('gets a new record in a fetch that waits for it', async () => {
      const topic = await createTopic('long-poll')
      await produce(topic, [{ value: 'old', partition: 0 }])
      const waiting = reader.fetch(topic, 0, 1, 60_000)
      await produce(topic, [{ value: 'new', partition: 0 }])
      // Far below the minute that the fetch would wait if nobody woke it: the test's own time limit is 20 s.
      expect((await waiting).messages.map(({ value }) => `${value}`)).toEqual(['new'])
    })

    it('begins to read in the middle, at the end and by time', async () => {
      const topic = await createTopic('seek')
      const timestamps = [1_000, 2_000, 3_000].map(offset => `${1_700_000_000_000 + offset}`)
      for (const [i, timestamp] of timestamps.entries())
        await produce(topic, [{ value: `${i}`, timestamp, partition: 0 }])

      expect((await reader.readToEnd(topic, 0, 1)).map(({ value }) => `${value}`)).toEqual(['1', '2'])
      expect((await reader.fetch(topic, 0, 3, 0)).messages).toEqual([])
      const byTime = async (timestampMs: number) =>
        Number((await admin.fetchTopicOffsetsByTimestamp(topic, timestampMs))[0]!.offset)
      expect(await byTime(Number(timestamps[1]))).toBe(1)
      expect(await byTime(Number(timestamps[1]) + 1)).toBe(2)
      // kafkajs asks for the end where no record is young enough.
      expect(await byTime(Number(timestamps[2]) + 1)).toBe(3)
    })
  })

  // A change may be visible a moment after its answer: Kafka's broker follows its controller.
  describe('administering', () => {
    it('creates, lists, describes and deletes topics', async () => {
      const topic = await createTopic('admin', 3)
      expect(await admin.createTopics({ topics: [{ topic }] })).toBe(false)
      await expect.poll(() => admin.listTopics()).toContain(topic)

      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
      const partitions = topics[0]!.partitions.sort((a, b) => a.partitionId - b.partitionId)
      expect(partitions.map(({ partitionId, isr, replicas }) => [partitionId, isr.length, replicas.length])).toEqual([
        [0, 1, 1],
        [1, 1, 1],
        [2, 1, 1],
      ])

      await admin.deleteTopics({ topics: [topic] })
      await expect.poll(() => admin.listTopics()).not.toContain(topic)
    })

    it('adds partitions', async () => {
      const topic = await createTopic('grow', 1)
      await admin.createPartitions({ topicPartitions: [{ topic, count: 4 }] })
      const partitions = async () => {
        const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
        return topics[0]!.partitions.map(({ partitionId }) => partitionId).sort()
      }
      await expect.poll(partitions).toEqual([0, 1, 2, 3])
    })

    it('deletes records up to an offset', async () => {
      const topic = await createTopic('delete-records')
      await produce(topic, numbered(10))
      // The client deletes only from partitions that it has met before.
      await admin.fetchTopicOffsets(topic)
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '4' }] })
      expect(await admin.fetchTopicOffsets(topic)).toEqual([{ partition: 0, offset: '10', high: '10', low: '4' }])
      expect((await reader.readToEnd(topic, 0, 4)).map(({ offset }) => Number(offset))).toEqual([4, 5, 6, 7, 8, 9])
    })

    it('describes and alters configs', async () => {
      const topic = await createTopic('configs', 1, { 'retention.ms': '3600000' })
      const configOf = async (name: string) => {
        const type = ConfigResourceTypes.TOPIC
        const described = await admin.describeConfigs({
          resources: [{ type, name: topic, configNames: [name] }],
          includeSynonyms: false,
        })
        return described.resources[0]!.configEntries.map(({ configName, configValue }) => [configName, configValue])
      }
      await expect.poll(() => configOf('retention.ms')).toEqual([['retention.ms', '3600000']])
      await expect.poll(() => configOf('cleanup.policy')).toEqual([['cleanup.policy', 'delete']])

      // AlterConfigs replaces all: what is not named goes back to its default.
      const configEntries = [{ name: 'max.message.bytes', value: '2000' }]
      await admin.alterConfigs({
        validateOnly: false,
        resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }],
      })
      await expect.poll(() => configOf('max.message.bytes')).toEqual([['max.message.bytes', '2000']])
      await expect.poll(() => configOf('retention.ms')).toEqual([['retention.ms', '604800000']])
    })

    it('describes the cluster', async () => {
      const cluster = await admin.describeCluster()
      expect(cluster.brokers.map(({ host, port }) => `${host}:${port}`)).toEqual([target.address])
      expect(cluster.clusterId).toMatch(/^[\w-]{10,}$/)
      expect(cluster.controller).toBe(cluster.brokers[0]!.nodeId)
    })
  })
})
