// Producers of a real client, which go on through everything: what was not answered is sent again until it is, by an idempotent one
// under the same numbers, so that it is stored once.

import { Kafka, type KafkaJSError, logLevel, type Message, type Producer, type RecordMetadata } from 'kafkajs'
import { BrokenPromise } from '#test/crash/history.ts'
import type { Prng } from '#test/support/sim/prng.ts'
import type { Ledger, Sent, StreamKind } from './ledger.ts'
import type { Offsets } from './offsets.ts'
import { pause } from './pause.ts'

/** Small, so that the way through a fault is this suite's and not the client's. */
const RETRY = { retries: 2, initialRetryTime: 50, maxRetryTime: 500 }
const REQUEST_MS = 12_000
const TRANSACTION_MS = 20_000
const AGAIN_MS = 200
const ABORTS = 0.2
export const TRANSACTION_GROUP = 'transactional-readers'

export interface Client {
  readonly kafka: Kafka
  readonly ledger: Ledger
  readonly offsets: Offsets
  readonly prng: Prng
  readonly gate: Gate
}

export function clientOf(address: string, clientId: string): Kafka {
  return new Kafka({
    brokers: [address],
    clientId,
    logLevel: logLevel.NOTHING,
    connectionTimeout: 3000,
    requestTimeout: REQUEST_MS,
    retry: RETRY,
  })
}

/** Who works passes it before each thing; closed, it lets them finish what they have begun, and no more. */
export class Gate {
  #opening: PromiseWithResolvers<void> | null = null
  #passing = 0
  isOver = false

  /** Until it is over. */
  async *turns(): AsyncGenerator<void> {
    for (;;) {
      await this.#opening?.promise
      if (this.isOver) return
      this.#passing++
      try {
        yield
      } finally {
        this.#passing--
      }
    }
  }

  /** How many are about something. */
  get passing(): number {
    return this.#passing
  }

  get isShut(): boolean {
    return this.#opening !== null
  }

  shut(): void {
    this.#opening ??= Promise.withResolvers()
  }

  open(): void {
    this.#opening?.resolve()
    this.#opening = null
  }

  end(): void {
    this.isOver = true
    this.open()
  }
}

/** A broker that is gone, or cannot now; everything else is a mistake of somebody. */
function isPassing(thrown: unknown): boolean {
  const { name, message } = thrown as KafkaJSError
  if (/^KafkaJS(Connection|Request|Broker|Number|Lock|Metadata|Group|Timeout|Aggregate)/.test(name)) return true
  return /ECONN|not connected|disconnected|Closed connection|not host this topic|disk error|KAFKA_STORAGE/i.test(
    message,
  )
}

async function untilDone<T>(gate: Gate, work: () => Promise<T>): Promise<T | null> {
  for (;;) {
    try {
      return await work()
    } catch (thrown) {
      if (!isPassing(causeOf(thrown))) throw new BrokenPromise(`a producer got ${describe(thrown)}`, { cause: thrown })
      if (gate.isOver) return null
      await pause(AGAIN_MS)
    }
  }
}

/** What the client wrapped when it gave up. */
export function causeOf(thrown: unknown): unknown {
  const { name, cause } = thrown as { name: string; cause?: unknown }
  const isWrapped = name === 'KafkaJSNumberOfRetriesExceeded' || name === 'KafkaJSNonRetriableError'
  return isWrapped && cause instanceof Error && cause !== thrown ? causeOf(cause) : thrown
}

export function describe(thrown: unknown): string {
  const { name, message, type } = thrown as { name: string; message: string; type?: string }
  return `${name} ${type ?? ''} ${message}`
}

export interface LoadPlan {
  readonly name: string
  readonly topic: string
  readonly partitions: number
  readonly kind: StreamKind
  readonly valueBytes: readonly [number, number]
  /** In one request. */
  readonly records: readonly [number, number]
  readonly pauseMs: number
  /** Of a compacted topic. */
  readonly keys: number
}

interface Batch {
  readonly messages: Message[]
  readonly sent: { readonly partition: number; readonly key: string; readonly sent: Sent }[]
}

function makeBatch({ ledger, prng }: Client, plan: LoadPlan): Batch {
  const batch: Batch = { messages: [], sent: [] }
  const count = prng.between(...plan.records)
  for (let i = 0; i < count; i++) {
    const index = prng.between(0, plan.keys - 1)
    const [key, partition] = [`key-${index}`, index % plan.partitions]
    const stream = ledger.stream(plan.name, { topic: plan.topic, partition }, plan.kind)
    const { sent, value } = ledger.send(stream, prng.between(...plan.valueBytes))
    batch.messages.push({ key, partition, value, timestamp: `${Date.now()}` })
    batch.sent.push({ partition, key, sent })
  }
  return batch
}

/** Where each record of a batch is, by the answer: in each partition they lie one behind the other. */
function told(ledger: Ledger, batch: Batch, answer: readonly RecordMetadata[]): void {
  const next = new Map(answer.map(({ partition, baseOffset }) => [partition, Number(baseOffset)]))
  const nowMs = performance.now()
  for (const { partition, key, sent } of batch.sent) {
    const offset = next.get(partition)
    if (offset === undefined) throw new BrokenPromise(`${sent.stream.name}: no answer for partition ${partition}`)
    ledger.stored(sent, offset, nowMs)
    sent.stream.newest.set(key, sent.number)
    if (offset >= 0) next.set(partition, offset + 1)
  }
}

/** Idempotent, unless its records may be repeated. */
export async function produce(client: Client, plan: LoadPlan): Promise<void> {
  const { kafka, ledger, gate } = client
  const producer = kafka.producer({ idempotent: plan.kind !== 'repeated', maxInFlightRequests: 1, retry: RETRY })
  if ((await untilDone(gate, () => connected(producer))) === null) return
  for await (const _ of gate.turns()) {
    const batch = makeBatch(client, plan)
    const answer = await untilDone(gate, () => producer.send({ topic: plan.topic, acks: -1, messages: batch.messages }))
    if (answer !== null) told(ledger, batch, answer)
    await pause(plan.pauseMs)
  }
  await producer.disconnect()
}

async function connected(producer: Producer): Promise<Producer> {
  await producer.connect()
  return producer
}

/** Each transaction is over several partitions, and commits an offset for a group as well. */
export async function transact(client: Client, plan: LoadPlan): Promise<void> {
  const { kafka, gate } = client
  const open = () => {
    const made = kafka.producer({
      transactionalId: plan.name,
      idempotent: true,
      maxInFlightRequests: 1,
      transactionTimeout: TRANSACTION_MS,
      retry: RETRY,
    })
    return untilDone(gate, () => connected(made))
  }
  let producer = await open()
  for await (const _ of gate.turns()) {
    if (producer === null) return
    const goesOn = await oneTransaction(client, plan, producer)
    if (!goesOn) {
      await producer.disconnect().catch(() => {})
      producer = await open()
    }
    await pause(plan.pauseMs)
  }
  await producer?.disconnect()
}

/** False: its producer does not know where it is, and the next one of its name ends what it has left. */
async function oneTransaction(client: Client, plan: LoadPlan, producer: Producer): Promise<boolean> {
  const { ledger, offsets, prng, gate } = client
  const transaction = await untilDone(gate, () => producer.transaction())
  if (transaction === null) return false
  const batches = Array.from({ length: prng.between(1, 3) }, () => makeBatch(client, plan))
  const sent = batches.flatMap(batch => batch.sent.map(one => one.sent))
  const offset = offsets.next(plan.name)
  const place = { topic: plan.topic, partition: 0 }
  try {
    for (const { messages } of batches) await transaction.send({ topic: plan.topic, acks: -1, messages })
    await transaction.sendOffsets({
      consumerGroupId: `${TRANSACTION_GROUP}-${plan.name}`,
      topics: [{ topic: plan.topic, partitions: [{ partition: 0, offset: `${offset}` }] }],
    })
    if (prng.chance(ABORTS)) throw new Unwanted()
  } catch (thrown) {
    // It was not committed: nobody will see it, however it ends.
    for (const one of sent) ledger.aborted(one)
    if (!(thrown instanceof Unwanted) && !mayFailTransaction(causeOf(thrown), ledger)) {
      throw new BrokenPromise(`${plan.name} got ${describe(thrown)}`, { cause: thrown })
    }
    return transaction.abort().then(
      () => true,
      () => false,
    )
  }
  offsets.asked(`${TRANSACTION_GROUP}-${plan.name}`, place, offset)
  try {
    await transaction.commit()
  } catch (thrown) {
    if (!mayFailTransaction(causeOf(thrown), ledger)) {
      throw new BrokenPromise(`${plan.name} got ${describe(thrown)}`, { cause: thrown })
    }
    ledger.undecided(sent)
    return false
  }
  const nowMs = performance.now()
  for (const one of sent) ledger.stored(one, -1, nowMs)
  offsets.stored(`${TRANSACTION_GROUP}-${plan.name}`, place, offset)
  return true
}

class Unwanted extends Error {
  override readonly name = 'Unwanted'
}

/** One that was not ended for so long that the broker did it, or that the broker ends at the moment. */
function mayFailTransaction(thrown: unknown, { mayHaveLost }: Ledger): boolean {
  const { type } = thrown as { type?: string }
  // Of a lost disk nobody knows how many ends of transactions were on it: all producers of them have another id.
  if (mayHaveLost && type === 'INVALID_PRODUCER_ID_MAPPING') return true
  return (
    isPassing(thrown) || ['INVALID_TXN_STATE', 'INVALID_PRODUCER_EPOCH', 'CONCURRENT_TRANSACTIONS'].includes(type ?? '')
  )
}
