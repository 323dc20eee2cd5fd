// What no client sends by mistake, to one broker after the other case.

import { once } from 'node:events'
import { connect } from 'node:net'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { compressFrameSync } from 'lz4-napi'
import { compressSync } from 'snappy'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildBatch, type Codec } from '#test/support/batch-builder.ts'
import { type BrokerProcess, startBrokerProcess } from '#test/support/broker-process.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { until } from '#test/support/until.ts'
import { requestFrame, WireClient } from '#test/support/wire-client.ts'
import { wireMessages } from '#test/support/wire-messages.ts'
import { ENVIRONMENT, mustAnswer, RSS_LIMIT_BYTES, rssBytes } from './fuzz.ts'

const CORRUPT_MESSAGE = 2
const MESSAGE_TOO_LARGE = 10
const INVALID_RECORD = 87
const MAX_REQUEST_BYTES = 16 << 20
const TOPIC = 'target'

let broker: BrokerProcess

beforeAll(async () => {
  broker = await startBrokerProcess({ environment: ENVIRONMENT })
  const client = await WireClient.connect(broker.kafka)
  await client.send('Metadata', 9, { topics: [{ name: TOPIC }] })
  client.close()
})

afterAll(async () => {
  expect(broker.output()).not.toMatch(/"level":"(error|fatal)"|a request failed/)
  await broker.stop()
})

function closedLines(): string[] {
  return broker.output().match(/.*"msg":"connection closed".*/g) ?? []
}

/** The broker hangs up on these bytes, and says so in one line. */
async function mustHangUp(bytes: Buffer, reason: string): Promise<void> {
  const before = closedLines().length
  const client = await WireClient.connect(broker.kafka)
  client.sendRaw(bytes)
  await client.expectClosed()
  await until('a line in the log', () => closedLines().length > before)
  expect(closedLines().slice(before)).toEqual([expect.stringMatching(reason)])
  await mustAnswer(broker)
}

function frameOf(bodyHex: string): Buffer {
  const body = Buffer.from(bodyHex, 'hex')
  const size = Buffer.alloc(4)
  size.writeInt32BE(body.length)
  return Buffer.concat([size, body])
}

function produceBody(records: Buffer) {
  return { acks: -1, timeoutMs: 1000, topicData: [{ name: TOPIC, partitionData: [{ index: 0, records }] }] }
}

async function produce(records: Buffer): Promise<number> {
  const client = await WireClient.connect(broker.kafka)
  const { responses } = await client.send('Produce', 9, produceBody(records))
  client.close()
  return responses[0]!.partitionResponses[0]!.errorCode
}

describe('a batch', () => {
  it('may have attributes that mean nothing, and brings nobody into a transaction with them', async () => {
    const client = await WireClient.connect(broker.kafka)
    const all = buildBatch([{ value: 'x' }], { attributes: -128 })
    const good = buildBatch([{ value: 'good' }])
    const partitionData = [good, all, good].map(records => ({ index: 0, records }))
    const body = { acks: -1, timeoutMs: 1000, topicData: [{ name: TOPIC, partitionData }] }
    const { responses } = await client.send('Produce', 9, body)
    expect(responses[0]!.partitionResponses.map(({ errorCode }) => errorCode)).toEqual([0, 0, 0])
    client.close()
    await mustAnswer(broker)
  })
})

describe('the size of a request', () => {
  it.each([0, -1, -(2 ** 31), 2 ** 31 - 1, MAX_REQUEST_BYTES + 1])('of %i closes the connection', async size => {
    const bytes = Buffer.alloc(8)
    bytes.writeInt32BE(size)
    await mustHangUp(bytes, `a request of ${size} bytes`)
  })
})

describe('a request', () => {
  it('of an API or a version that is not served closes the connection', async () => {
    await mustHangUp(frameOf('7fff000000000001ffff'), 'not served')
    await mustHangUp(frameOf('0003006300000001ffff'), 'not served')
    await mustHangUp(frameOf('ffff000000000001ffff'), 'not served')
  })

  it('too short for a header closes the connection', async () => {
    // What stands behind so short a request is not taken for a part of it.
    for (const hex of ['00', '0012', '001200']) await mustHangUp(frameOf(hex), 'api key -1 in version -1')
    for (const hex of ['00120000', '001200000000', '0012000000000001ff']) await mustHangUp(frameOf(hex), 'wanted')
  })

  it('with an absurd count closes the connection', async () => {
    await mustHangUp(frameOf('0003000100000001ffff7fffffff'), 'elements')
    await mustHangUp(frameOf('0003000900000001ffff00ffffffff0f'), 'elements')
    await mustHangUp(frameOf('0000000900000001ffff0000ffff00000000ffffffff0f'), 'elements')
  })

  it('with a million tags is read or refused in time', async () => {
    const head = Buffer.from('0012000300000001ffff', 'hex')
    const tags = Buffer.alloc(2_000_000)
    const body = Buffer.concat([
      head,
      Buffer.from('c0843d', 'hex'),
      tags,
      Buffer.from('02780278', 'hex'),
      Buffer.from([0]),
    ])
    const size = Buffer.alloc(4)
    size.writeInt32BE(body.length)
    const client = await WireClient.connect(broker.kafka)
    client.sendRaw(Buffer.concat([size, body]))
    expect((await client.receive()).readInt32BE(0)).toBe(1)
    client.close()
    await mustHangUp(frameOf('0012000300000001ffffffffffff0f'), 'wanted')
    await mustHangUp(frameOf('0012000300000001ffff0100ffffffff0f'), 'wanted')
  })

  it('that is cut short by the end of the connection is forgotten', async () => {
    const whole = requestFrame(wireMessages.Produce.request, 9, 1, produceBody(buildBatch([{ value: 'cut' }])))
    for (let bytes = 1; bytes < whole.length; bytes += 7) {
      const client = await WireClient.connect(broker.kafka)
      client.sendRaw(whole.subarray(0, bytes))
      client.close()
    }
    await mustAnswer(broker)
  })
})

describe('garbage', () => {
  it('closes the connection or waits for more', async () => {
    const prng = new Prng(3)
    for (let i = 0; i < 200; i++) {
      const client = await WireClient.connect(broker.kafka)
      client.sendRaw(Buffer.from(Array.from({ length: prng.between(1, 2000) }, () => prng.between(0, 255))))
      client.close()
    }
    await mustAnswer(broker)
  })
})

describe('a record batch', () => {
  it('with a wrong checksum is refused', async () => {
    expect(await produce(buildBatch([{ value: 'x' }], { crc: 1 }))).toBe(CORRUPT_MESSAGE)
  })

  const zeros = Buffer.alloc(64 << 20)
  const bombs: [Codec, () => Buffer][] = [
    ['gzip', () => gzipSync(zeros, { level: 1 })],
    ['snappy', () => compressSync(zeros)],
    ['lz4', () => compressFrameSync(zeros)],
    ['zstd', () => zstdCompressSync(zeros)],
  ]
  it.each(bombs)('that %s makes 64 MiB of is refused, and takes no such memory', async (codec, bomb) => {
    const batch = buildBatch([{ value: 'x' }], { codec, payload: bomb() })
    for (let i = 0; i < 4; i++) expect(await produce(batch)).toBe(MESSAGE_TOO_LARGE)
    expect(await rssBytes(broker)).toBeLessThan(RSS_LIMIT_BYTES)
  })

  const liars: [string, Codec, string][] = [
    ['a snappy block that says it holds 4 GiB', 'snappy', 'ffffffff0f00'],
    ['an LZ4 frame that says it holds 2^63 bytes', 'lz4', '04224d186840ffffffffffffff7f0000000000'],
    ['a zstd frame that says it holds 2^63 bytes', 'zstd', '28b52ffdc070ffffffffffffff7f010000'],
    ['a zstd frame with a window of 2 TiB', 'zstd', '28b52ffd00ff010000'],
    ['a gzip stream without an end', 'gzip', '1f8b0800000000000003'],
  ]
  it.each(liars)('with %s is refused', async (_, codec, hex) => {
    const batch = buildBatch([{ value: 'x' }], { codec, payload: Buffer.from(hex, 'hex') })
    expect([INVALID_RECORD, MESSAGE_TOO_LARGE]).toContain(await produce(batch))
    expect(await rssBytes(broker)).toBeLessThan(RSS_LIMIT_BYTES)
  })
})

describe('clients that stall', () => {
  it('with 500 requests begun and not ended hold up nobody', async () => {
    const frame = requestFrame(
      wireMessages.Produce.request,
      9,
      1,
      produceBody(buildBatch([{ value: 'x'.repeat(5000) }])),
    )
    const clients = await connectMany(500)
    for (const client of clients) client.sendRaw(frame.subarray(0, frame.length - 1))
    await mustAnswer(broker)
    expect(await produce(buildBatch([{ value: 'other' }]))).toBe(0)
    expect(await rssBytes(broker)).toBeLessThan(RSS_LIMIT_BYTES)
    for (const client of clients) client.sendRaw(frame.subarray(frame.length - 1))
    for (const client of clients) await client.receive()
    for (const client of clients) client.close()
  })

  it('with large requests announced take no more memory than all may', async () => {
    const clients = await connectMany(50)
    const begun = Buffer.alloc(1 << 20)
    begun.writeInt32BE(MAX_REQUEST_BYTES)
    for (const client of clients) client.sendRaw(begun)
    await mustAnswer(broker)
    expect(await produce(buildBatch([{ value: 'other' }]))).toBe(0)
    expect(await rssBytes(broker)).toBeLessThan(RSS_LIMIT_BYTES)
    for (const client of clients) client.close()
    // Their room is free again.
    expect(await produce(buildBatch([{ value: Buffer.alloc(7 << 20, 1) }]))).toBe(0)
  })

  it('that fetch and never read take no more memory than all may', async () => {
    for (let i = 0; i < 60; i++) expect(await produce(buildBatch([{ value: Buffer.alloc(1_000_000, i) }]))).toBe(0)
    const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 64 << 20 }]
    const body = { maxWaitMs: 0, minBytes: 1, maxBytes: 64 << 20, topics: [{ topic: TOPIC, partitions }] }
    const fetches = Array.from({ length: 20 }, (_, i) => requestFrame(wireMessages.Fetch.request, 12, i, body))
    // Sockets that nobody reads from.
    const clients = Array.from({ length: 30 }, () => connect(broker.kafka))
    for (const client of clients) client.on('error', () => {}).write(Buffer.concat(fetches))
    await Promise.all(clients.map(client => once(client, 'readable')))
    await mustAnswer(broker)
    expect(await rssBytes(broker)).toBeLessThan(RSS_LIMIT_BYTES)
    const other = await WireClient.connect(broker.kafka)
    const { responses } = await other.send('Fetch', 12, { ...body, maxBytes: 1 })
    expect(responses[0]!.partitions[0]!.records!.length).toBeGreaterThan(0)
    other.close()
    for (const client of clients) client.destroy()
  })
})

describe('a flood', () => {
  it('of 20,000 small requests on one connection is answered in order', async () => {
    const client = await WireClient.connect(broker.kafka)
    const requests = Array.from({ length: 20_000 }, (_, i) => requestFrame(wireMessages.ApiVersions.request, 0, i, {}))
    client.sendRaw(Buffer.concat(requests))
    for (let i = 0; i < requests.length; i++) expect((await client.receive()).readInt32BE(0)).toBe(i)
    client.close()
  })

  it('of 5,000 batches on one connection is stored in order', async () => {
    const client = await WireClient.connect(broker.kafka)
    const body = produceBody(buildBatch([{ value: 'x'.repeat(1000) }]))
    const answers = Array.from({ length: 5000 }, () => client.send('Produce', 9, body))
    const offsets = (await Promise.all(answers)).map(({ responses }) => responses[0]!.partitionResponses[0]!.baseOffset)
    expect(offsets).toEqual(offsets.map((_, i) => offsets[0]! + i))
    client.close()
  })
})

function connectMany(count: number): Promise<WireClient[]> {
  return Promise.all(Array.from({ length: count }, () => WireClient.connect(broker.kafka)))
}
