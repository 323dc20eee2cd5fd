import { randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { ByteReader } from '#bytes/cursor.ts'
import type { KafkaConnection } from '#kafka/connection.ts'
import { OpeningBudget } from '#kafka/opening-budget.ts'
import { produce, TopicLookup } from '#kafka/produce.ts'
import type { ProduceTicket } from '#kafka/produce-ticket.ts'
import { decodeRequestHeader } from '#kafka/protocol/protocol.ts'
import { INVALID_RECORD, MESSAGE_TOO_LARGE } from '#records/facts.ts'
import { buildBatch } from '#test/support/batch-builder.ts'
import { BrokerFixture } from '#test/support/broker-fixture.ts'
import { requestFrame } from '#test/support/wire-client.ts'
import { wireMessages } from '#test/support/wire-messages.ts'

const MIB = 2 ** 20

/** A budget that writes down what is open. */
class WatchedBudget extends OpeningBudget {
  openBytes = 0
  mostBytes = 0
  readonly reserved: number[] = []

  override use<T>(sizeBytes: number, work: () => Promise<T>): Promise<T> {
    this.reserved.push(sizeBytes)
    return super.use(sizeBytes, async () => {
      this.openBytes += sizeBytes
      this.mostBytes = Math.max(this.mostBytes, this.openBytes)
      try {
        return await work()
      } finally {
        this.openBytes -= sizeBytes
      }
    })
  }
}

/** Waits until it is told to go on. */
function step() {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { work: () => promise, end: () => resolve() }
}

const settle = () => new Promise<void>(resolve => setImmediate(resolve))

describe('work within a budget', () => {
  it('goes on in the order of the calls, as far as there is room', async () => {
    const budget = new WatchedBudget({ limitBytes: 10 })
    const began: string[] = []
    const begin = (name: string, sizeBytes: number) => {
      const { work, end } = step()
      const done = budget.use(sizeBytes, () => {
        began.push(name)
        return work()
      })
      return { end, done }
    }
    const [a, b] = [begin('a', 6), begin('b', 4)]
    const waiting = [begin('c', 5), begin('d', 1)]
    expect(began).toEqual(['a', 'b'])
    b.end()
    await settle()
    expect(began).toEqual(['a', 'b'])
    a.end()
    await settle()
    expect(began).toEqual(['a', 'b', 'c', 'd'])
    for (const { end } of waiting) end()
    await Promise.all([a, b, ...waiting].map(({ done }) => done))
    expect(budget.mostBytes).toBe(10)
  })

  it('that is larger than all of it is done alone', async () => {
    const budget = new OpeningBudget({ limitBytes: 10 })
    const large = step()
    const first = budget.use(1000, large.work)
    let began = false
    const second = budget.use(1, async () => {
      began = true
    })
    await settle()
    expect(began).toBe(false)
    large.end()
    await Promise.all([first, second])
    expect(began).toBe(true)
  })

  it('gives back its room when it fails', async () => {
    const budget = new OpeningBudget({ limitBytes: 10 })
    const failing = budget.use(10, () => Promise.reject(new Error('broken')))
    const next = budget.use(10, async () => 'done')
    await expect(failing).rejects.toThrow('broken')
    expect(await next).toBe('done')
  })
})

describe('batches that many connections send compressed', () => {
  const LIMITS = { maxInflightBytes: 8 * MIB, maxDecompressedBytes: 3 * MIB }

  /** Produces one batch on a connection of its own; resolves to its errors when it is decided. */
  async function start() {
    const { broker } = await BrokerFixture.start(LIMITS).then(async fixture => {
      await fixture.createTopic('orders')
      return fixture
    })
    const opening = new WatchedBudget({ limitBytes: LIMITS.maxInflightBytes })
    const watched = { ...broker, opening }
    const send = async (payload: Buffer) => {
      const tickets: ProduceTicket[] = []
      const connection = {
        broker: watched,
        topics: new TopicLookup(watched),
        enqueue: (ticket: ProduceTicket) => tickets.push(ticket),
        produceDecided: () => {},
      } as unknown as KafkaConnection
      const records = buildBatch([{ value: 'x' }], { codec: 'gzip', payload })
      const body = {
        acks: -1,
        timeoutMs: 1000,
        topicData: [{ name: 'orders', partitionData: [{ index: 0, records }] }],
      }
      const bytes = requestFrame(wireMessages.Produce.request, 9, 1, body)
      const reader = new ByteReader(bytes, 4)
      const header = decodeRequestHeader(reader)
      await produce(connection, { bytes, from: 4, to: bytes.length, owned: true }, header, reader)
      expect(tickets[0]?.isDecided).toBe(true)
      return tickets[0]!.parts[0]!
    }
    return { opening, send }
  }

  it('are all answered, and never open to more than max-inflight-bytes at once', async () => {
    const { opening, send } = await start()
    const bombs = Array.from({ length: 12 }, (_, i) => gzipSync(Buffer.alloc((i % 2 === 0 ? 2 : 5) * MIB)))
    const parts = await Promise.all(bombs.map(send))
    expect(parts.map(part => part.errorCode)).toEqual(
      bombs.map((_, i) => (i % 2 === 0 ? INVALID_RECORD : MESSAGE_TOO_LARGE)),
    )
    expect(parts[1]?.message).toContain(`larger than the ${LIMITS.maxDecompressedBytes} bytes`)
    expect(opening.mostBytes).toBeGreaterThan(LIMITS.maxDecompressedBytes)
    expect(opening.mostBytes).toBeLessThanOrEqual(LIMITS.maxInflightBytes)
    expect(opening.openBytes).toBe(0)
  })

  it('take as much as a batch of their size is likely to, and more only if they turn out larger', async () => {
    const { opening, send } = await start()
    const payload = gzipSync(Buffer.concat([randomBytes(MIB / 16), Buffer.alloc((7 * MIB) / 16)]))
    await send(payload)
    expect(opening.reserved).toHaveLength(1)
    expect(opening.reserved[0]).toBeLessThan(2 * MIB)
    await send(gzipSync(Buffer.alloc(2 * MIB)))
    expect(opening.reserved.slice(2)).toEqual([LIMITS.maxDecompressedBytes])
  })
})
