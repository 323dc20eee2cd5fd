import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Chronik, startChronik } from '#server/embed.ts'
import { buildBatch } from '#test/support/batch-builder.ts'
import { until } from '#test/support/until.ts'
import { requestFrame, WireClient } from '#test/support/wire-client.ts'
import { wireMessages } from '#test/support/wire-messages.ts'

// What a connection that ends does to others, and to what was asked on it before.

const LIMIT_BYTES = 4 << 20
const TOPIC = 'closing'
const DEADLINE_MS = 10_000
const small = buildBatch([{ value: 'x' }])
const large = buildBatch([{ value: Buffer.alloc(900_000, 1) }])

let chronik: Chronik
let client: WireClient

function produce(correlationId: number, topic: string, records: Buffer, acks = -1): Buffer {
  const topicData = [{ name: topic, partitionData: [{ index: 0, records }] }]
  const body = { transactionalId: null, acks, timeoutMs: 1000, topicData }
  return requestFrame(wireMessages.Produce.request, 7, correlationId, body)
}

/** The error code in an answer to `produce`. */
function errorIn(answer: Buffer): number {
  const partitionsAt = 4 + 4 + 2 + TOPIC.length
  return answer.readInt16BE(partitionsAt + 4 + 4)
}

beforeAll(async () => {
  chronik = await startChronik({ maxInflightBytes: LIMIT_BYTES, maxRequestBytes: LIMIT_BYTES })
  client = await WireClient.connect(chronik.kafka)
  await client.send('Metadata', 4, { topics: [{ name: TOPIC }], allowAutoTopicCreation: true })
})

afterAll(async () => {
  client.close()
  await chronik.close()
})

describe('a connection that is closed', () => {
  it('does not write what it still receives into the request of another', async () => {
    for (let round = 0; round < 3; round++) {
      const closing = connect({ ...chronik.kafka, noDelay: true, allowHalfOpen: true }).on('error', () => {})
      let sawEnd = false
      closing
        .on('data', () => {})
        .on('end', () => {
          sawEnd = true
        })
      // A request without acks fails while the beginning of a large one stands behind it.
      const begun = produce(3, TOPIC, large).subarray(0, 1000)
      closing.write(Buffer.concat([produce(1, TOPIC, small), produce(2, 'nowhere', small, 0), begun]))
      await until('the end', () => sawEnd)
      const other = await WireClient.connect(chronik.kafka)
      const frame = produce(4, TOPIC, large)
      other.sendRaw(frame.subarray(0, 500_000))
      closing.write(Buffer.alloc(300_000, 0x58))
      await new Promise(resolve => closing.write('', resolve))
      other.sendRaw(frame.subarray(500_000))
      expect(errorIn(await other.receive(DEADLINE_MS))).toBe(0)
      closing.destroy()
      other.close()
    }
  })

  it('is first told what became of the requests before the one that ends it', async () => {
    const pipelined = await WireClient.connect(chronik.kafka)
    pipelined.sendRaw(Buffer.concat([produce(100, TOPIC, small), produce(101, 'nowhere', small, 0)]))
    const answer = await pipelined.receive(DEADLINE_MS)
    expect([answer.readInt32BE(0), errorIn(answer)]).toEqual([100, 0])
    await pipelined.expectClosed(DEADLINE_MS)
  })

  it('is first told so, too, if what ends it cannot be read', async () => {
    const pipelined = await WireClient.connect(chronik.kafka)
    const malformed = produce(103, TOPIC, small)
    malformed.writeInt32BE(0x7fffffff, malformed.length - small.length - 4)
    pipelined.sendRaw(Buffer.concat([produce(102, TOPIC, small), malformed]))
    const answer = await pipelined.receive(DEADLINE_MS)
    expect([answer.readInt32BE(0), errorIn(answer)]).toEqual([102, 0])
    await pipelined.expectClosed(DEADLINE_MS)
  })

  it('gives back the memory of a large request that is not served', async () => {
    const unserved = Buffer.alloc(4 + 3_000_000)
    unserved.writeInt32BE(3_000_000, 0)
    unserved.writeInt16BE(8, 4)
    unserved.writeInt16BE(1, 6)
    for (let i = 0; i < 3; i++) {
      const refused = await WireClient.connect(chronik.kafka)
      refused.sendRaw(unserved)
      await refused.expectClosed(DEADLINE_MS)
    }
    const other = await WireClient.connect(chronik.kafka)
    other.sendRaw(produce(5, TOPIC, large))
    expect(errorIn(await other.receive(DEADLINE_MS))).toBe(0)
    other.close()
  })
})

describe('a connection on which nothing happens', () => {
  it('is closed after its time, and one that waits for records is not', async () => {
    const idle = await startChronik({ connectionsMaxIdleMs: 1000 })
    const silent = await WireClient.connect(idle.kafka)
    const waiting = await WireClient.connect(idle.kafka)
    await waiting.send('Metadata', 4, { topics: [{ name: TOPIC }], allowAutoTopicCreation: true })
    const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1000 }]
    const wanted = { maxWaitMs: 3000, minBytes: 1, maxBytes: 1000, topics: [{ topic: TOPIC, partitions }] }
    const fetched = waiting.send('Fetch', 11, wanted)
    await silent.expectClosed(DEADLINE_MS)
    expect(await fetched).toMatchObject({ errorCode: 0 })
    await idle.close()
  })
})
