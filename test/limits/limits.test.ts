// Every limit of docs/CONFIG.md: what is within passes, what is beyond gets its answer, and the broker goes on.

import { describe, expect, it, onTestFinished } from 'vitest'
import type { ChronikOptions } from '#server/embed.ts'
import { startChronik } from '#server/embed.ts'
import { buildBatch } from '#test/support/batch-builder.ts'
import { readBatches } from '#test/support/batch-reader.ts'
import { until } from '#test/support/until.ts'
import { requestFrame, WireClient } from '#test/support/wire-client.ts'
import { wireMessages } from '#test/support/wire-messages.ts'

const NONE = 0
const MESSAGE_TOO_LARGE = 10
const INVALID_TOPIC = 17
const TOPIC_ALREADY_EXISTS = 36
const POLICY_VIOLATION = 44
const TOPIC = 'orders'

async function start(options: ChronikOptions) {
  const { kafka, close } = await startChronik(options)
  onTestFinished(close)
  const connect = async () => {
    const client = await WireClient.connect(kafka)
    onTestFinished(() => client.close())
    return client
  }
  const client = await connect()
  await client.send('Metadata', 9, { topics: [{ name: TOPIC }] })
  return { client, connect }
}

function produceBody(records: Buffer, topic = TOPIC) {
  return { acks: -1, timeoutMs: 1000, topicData: [{ name: topic, partitionData: [{ index: 0, records }] }] }
}

async function produce(client: WireClient, records: Buffer, topic = TOPIC) {
  const { responses } = await client.send('Produce', 9, produceBody(records, topic))
  return responses[0]!.partitionResponses[0]!
}

function isAnswered(client: WireClient): Promise<boolean> {
  return client.send('ApiVersions', 0, {}).then(
    () => true,
    () => false,
  )
}

describe('max-connections', () => {
  it('closes a connection beyond it at once, and takes another when one is gone', async () => {
    const { client, connect } = await start({ maxConnections: 3 })
    const second = await connect()
    const third = await connect()
    await (await connect()).expectClosed()
    for (const open of [client, second, third]) expect(await isAnswered(open)).toBe(true)
    third.close()
    await until('a place is free', async () => isAnswered(await connect()))
  })
})

describe('max-request-bytes', () => {
  const LIMIT_BYTES = 65536

  function requestOf(sizeBytes: number): Buffer {
    const frame = (valueBytes: number) => {
      const body = produceBody(buildBatch([{ value: Buffer.alloc(valueBytes, 1) }]))
      return requestFrame(wireMessages.Produce.request, 7, 1, body)
    }
    const exact = frame(sizeBytes - (frame(sizeBytes - 1000).length - (sizeBytes - 1000)) + 4)
    expect(exact.readInt32BE(0)).toBe(sizeBytes)
    return exact
  }

  it('is the largest request that is read', async () => {
    const { client } = await start({ maxRequestBytes: LIMIT_BYTES, maxMessageBytes: LIMIT_BYTES })
    client.sendRaw(requestOf(LIMIT_BYTES))
    await client.receive()
    client.sendRaw(requestOf(LIMIT_BYTES + 1))
    await client.expectClosed()
  })
})

describe('max-request-elements', () => {
  const LIMIT = 1000
  const metadata = (names: number) => ({
    topics: Array.from({ length: names }, (_, i) => ({ name: `t${i}` })),
    allowAutoTopicCreation: false,
  })
  const produced = (topics: number, partitions: number) => ({
    acks: -1,
    timeoutMs: 1000,
    topicData: Array.from({ length: topics }, () => ({
      name: TOPIC,
      partitionData: Array.from({ length: partitions }, (_, index) => ({ index, records: null })),
    })),
  })

  it('is the most that a request may hold', async () => {
    const { client } = await start({ maxRequestElements: LIMIT })
    expect((await client.send('Metadata', 9, metadata(LIMIT))).topics).toHaveLength(LIMIT)
    client.sendRaw(requestFrame(wireMessages.Metadata.request, 9, 1, metadata(LIMIT + 1)))
    await client.expectClosed()
  })

  it.each([
    [500, 1],
    [1, 999],
    [1000, 0],
  ])('counts topics and partitions of a produce request: %i topics of %i', async (topics, partitions) => {
    const { connect } = await start({ maxRequestElements: LIMIT })
    for (const version of [8, 9]) {
      const client = await connect()
      expect((await client.send('Produce', version, produced(topics, partitions))).responses).toHaveLength(topics)
      const beyond = produced(topics, partitions)
      beyond.topicData.push(...produced(1, 0).topicData)
      client.sendRaw(requestFrame(wireMessages.Produce.request, version, 1, beyond))
      await client.expectClosed()
    }
  })
})

describe('max-inflight-bytes', () => {
  it('lets a large request wait, unread, while another takes the room', async () => {
    const { client, connect } = await start({ maxInflightBytes: 1_500_000, maxRequestBytes: 1_500_000 })
    const body = produceBody(buildBatch([{ value: Buffer.alloc(800_000) }]))
    const request = requestFrame(wireMessages.Produce.request, 9, 1, body)
    const first = await connect()
    first.sendRaw(request.subarray(0, 1000))
    expect(await isAnswered(client)).toBe(true)
    const second = await connect()
    const answered: string[] = []
    second.sendRaw(request)
    const secondAnswer = second.receive().then(() => answered.push('second'))
    for (let i = 0; i < 5; i++) expect(await isAnswered(client)).toBe(true)
    expect(answered).toEqual([])
    first.sendRaw(request.subarray(1000))
    await first.receive()
    await secondAnswer
  })
})

describe('max-partitions', () => {
  it('refuses to create more, by whatever request', async () => {
    const { client } = await start({ maxPartitions: 5 })
    const create = async (name: string, numPartitions: number) => {
      const topic = { name, numPartitions, replicationFactor: 1, assignments: [], configs: [] }
      const { topics } = await client.send('CreateTopics', 7, { topics: [topic] })
      return topics[0]!.errorCode
    }
    const grow = async (name: string, count: number) => {
      const topics = [{ name, count, assignments: null }]
      const { results } = await client.send('CreatePartitions', 3, { topics, timeoutMs: 1000, validateOnly: false })
      return results[0]!.errorCode
    }
    expect(await create('first', 5)).toBe(POLICY_VIOLATION)
    expect(await create('first', 3)).toBe(NONE)
    expect(await grow('first', 5)).toBe(POLICY_VIOLATION)
    expect(await grow('first', 4)).toBe(NONE)
    const { topics } = await client.send('Metadata', 9, { topics: [{ name: 'second' }] })
    expect(topics[0]!.errorCode).not.toBe(NONE)
    const all = await client.send('Metadata', 9, { topics: null })
    expect(all.topics.map(({ name, partitions }) => [name, partitions.length])).toEqual([
      [TOPIC, 1],
      ['first', 4],
    ])
  })
})

describe('the name of a topic', () => {
  const names: readonly (readonly [name: string, errorCode: number])[] = [
    ['a'.repeat(249), NONE],
    ['a'.repeat(250), INVALID_TOPIC],
    ['aZ09._-', NONE],
    ['a b', INVALID_TOPIC],
    ['../a', INVALID_TOPIC],
    ['ä', INVALID_TOPIC],
    ['a\u0000', INVALID_TOPIC],
    ['', INVALID_TOPIC],
    ['.', INVALID_TOPIC],
    ['..', INVALID_TOPIC],
    ['one.topic', NONE],
    ['one_topic', INVALID_TOPIC],
    ['__consumer_offsets', INVALID_TOPIC],
  ]

  it('follows the rules of Kafka, whoever creates it', async () => {
    const { client } = await start({})
    for (const [name, errorCode] of names) {
      const { topics: found } = await client.send('Metadata', 9, { topics: [{ name }] })
      expect([name, found[0]!.errorCode]).toEqual([name, errorCode])
      const topic = { name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }
      const { topics } = await client.send('CreateTopics', 7, { topics: [topic] })
      expect([name, topics[0]!.errorCode]).toEqual([name, errorCode === NONE ? TOPIC_ALREADY_EXISTS : errorCode])
    }
  })
})

describe('max-message-bytes', () => {
  it('is the largest batch of a topic that says nothing else', async () => {
    const batch = (valueBytes: number) => buildBatch([{ value: Buffer.alloc(valueBytes) }])
    const { client } = await start({ maxMessageBytes: batch(5000).length })
    expect(await produce(client, batch(5000))).toMatchObject({ errorCode: NONE, baseOffset: 0 })
    expect(await produce(client, batch(5001))).toMatchObject({ errorCode: MESSAGE_TOO_LARGE, baseOffset: -1 })
    const configs = [{ name: 'max.message.bytes', value: '100000' }]
    const topic = { name: 'large', numPartitions: 1, replicationFactor: 1, assignments: [], configs }
    await client.send('CreateTopics', 7, { topics: [topic] })
    expect(await produce(client, batch(90_000), 'large')).toMatchObject({ errorCode: NONE })
    expect(await produce(client, batch(100_000), 'large')).toMatchObject({ errorCode: MESSAGE_TOO_LARGE })
  })
})

describe('max-decompressed-bytes', () => {
  it.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)('is the largest batch that %s may make', async codec => {
    const LIMIT_BYTES = 200_000
    const { client } = await start({ maxDecompressedBytes: LIMIT_BYTES })
    const batch = (sizeBytes: number) => buildBatch([{ value: Buffer.alloc(sizeBytes, 'text ') }], { codec })
    expect(await produce(client, batch(LIMIT_BYTES - 100))).toMatchObject({ errorCode: NONE })
    expect(await produce(client, batch(LIMIT_BYTES))).toMatchObject({ errorCode: MESSAGE_TOO_LARGE })
    expect(await produce(client, batch(LIMIT_BYTES * 20))).toMatchObject({ errorCode: MESSAGE_TOO_LARGE })
  })
})

describe('fetch-max-bytes', () => {
  const fetchBody = (maxBytes: number) => {
    const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20 }]
    return { maxWaitMs: 0, minBytes: 1, maxBytes, topics: [{ topic: TOPIC, partitions }] }
  }

  async function fetched(client: WireClient, maxBytes: number): Promise<number> {
    const { responses } = await client.send('Fetch', 12, fetchBody(maxBytes))
    return readBatches(responses[0]!.partitions[0]!.records).length
  }

  it('is the most that is answered, whatever the client allows', async () => {
    const { client } = await start({ fetchMaxBytes: 4096 })
    const batch = buildBatch([{ value: Buffer.alloc(1000) }])
    for (let i = 0; i < 10; i++) await produce(client, batch)
    expect(await fetched(client, 1 << 20)).toBe(3)
    expect(await fetched(client, 2 * batch.length)).toBe(2)
  })

  it('lets one batch pass that is larger, so that the consumer gets on', async () => {
    const { client } = await start({ fetchMaxBytes: 1024 })
    for (let i = 0; i < 3; i++) await produce(client, buildBatch([{ value: Buffer.alloc(5000) }]))
    expect(await fetched(client, 1 << 20)).toBe(1)
  })
})

describe('max-fetch-sessions', () => {
  it('gives no session beyond it, and answers the fetch all the same', async () => {
    const { client } = await start({ maxFetchSessions: 2 })
    await produce(client, buildBatch([{ value: 'here' }]))
    const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20 }]
    const body = { maxWaitMs: 0, minBytes: 1, sessionEpoch: 0, topics: [{ topic: TOPIC, partitions }] }
    const answers = [await client.send('Fetch', 12, body), await client.send('Fetch', 12, body)]
    for (const { sessionId } of answers) expect(sessionId).toBeGreaterThan(0)
    const beyond = await client.send('Fetch', 12, body)
    expect(beyond.sessionId).toBe(0)
    expect(readBatches(beyond.responses[0]!.partitions[0]!.records)).toHaveLength(1)

    const close = { ...body, sessionId: answers[0]!.sessionId, sessionEpoch: -1, topics: [] }
    await client.send('Fetch', 12, close)
    expect((await client.send('Fetch', 12, body)).sessionId).toBeGreaterThan(0)
  })
})
