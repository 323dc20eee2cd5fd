// Consumers that read on through everything: members of a group, of a real client, that commit what they have read; and readers that
// go from the beginning to the end, and again.

import type { Consumer } from 'kafkajs'
import { BrokenPromise } from '#test/crash/history.ts'
import { Line, Stopped } from '#test/crash/line.ts'
import type { Prng } from '#test/support/sim/prng.ts'
import { type Ledger, nameOf } from './ledger.ts'
import { PartitionReader } from './partition-reader.ts'
import { pause } from './pause.ts'
import { type Client, causeOf, describe } from './producers.ts'
import type { Topic } from './topics.ts'

const GROUP = 'readers'
const COMMITS_EVERY = 20
const CONNECT_AGAIN_MS = 500
const LONG_POLL_MS = 200
/** Between two rounds of a reader. */
const REST_MS = 50

/** A group with one member, which commits offsets while it reads. */
export class GroupReader {
  readonly #client: Client
  readonly #topic: string
  #consumer: Consumer | null = null
  #isOver = false
  #failure: unknown = null
  readCount = 0
  commitCount = 0

  constructor(client: Client, topic: string) {
    this.#client = client
    this.#topic = topic
  }

  async run(): Promise<void> {
    while (!this.#isOver) {
      const crashed = Promise.withResolvers<void>()
      const consumer = this.#client.kafka.consumer({ groupId: GROUP, sessionTimeout: 10_000, retry: { retries: 3 } })
      consumer.on('consumer.crash', () => crashed.resolve())
      consumer.on('consumer.stop', () => crashed.resolve())
      this.#consumer = consumer
      try {
        await consumer.connect()
        await consumer.subscribe({ topics: [this.#topic], fromBeginning: true })
        await this.#read(consumer)
        await crashed.promise
      } catch {
        // There is no broker at the moment.
        await pause(CONNECT_AGAIN_MS)
      }
      await consumer.disconnect().catch(() => {})
      if (this.#failure !== null) throw this.#failure
    }
  }

  async close(): Promise<void> {
    this.#isOver = true
    await this.#consumer?.disconnect().catch(() => {})
  }

  async #read(consumer: Consumer): Promise<void> {
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch, heartbeat, isRunning, isStale }) => {
        const place = { topic: batch.topic, partition: batch.partition }
        for (const { offset, key, value } of batch.messages) {
          if (!isRunning() || isStale()) return
          this.#saw(nameOf(place), { offset: Number(offset), key: `${key}`, value: value ?? Buffer.alloc(0) })
          if (++this.readCount % COMMITS_EVERY === 0) await this.#commit(consumer, place, Number(offset) + 1)
        }
        await heartbeat()
      },
    })
  }

  #saw(place: string, found: { offset: number; key: string; value: Buffer }): void {
    try {
      this.#client.ledger.saw(place, found)
    } catch (thrown) {
      // The client would try again for ever.
      this.#failure = thrown
      this.#isOver = true
      void this.#consumer?.stop()
      throw thrown
    }
  }

  async #commit(consumer: Consumer, place: { topic: string; partition: number }, offset: number): Promise<void> {
    const { offsets, gate } = this.#client
    // What is under way when everything is compared could be there or not.
    if (gate.isShut) return
    offsets.asked(GROUP, place, offset)
    await consumer.commitOffsets([{ ...place, offset: `${offset}` }])
    offsets.stored(GROUP, place, offset)
    this.commitCount++
  }
}

/** Again and again from the beginning, all partitions of some topics by turns. */
export class Rereader {
  readonly #line: Line
  readonly #ledger: Ledger
  readonly #topics: readonly Topic[]
  readonly #prng: Prng
  rounds = 0
  readCount = 0
  storageErrors = 0
  lateAnswers = 0

  constructor(of: { address: { host: string; port: number }; ledger: Ledger; topics: readonly Topic[]; prng: Prng }) {
    this.#line = new Line(of.address, of.prng)
    this.#ledger = of.ledger
    this.#topics = of.topics
    this.#prng = of.prng
  }

  async run(): Promise<void> {
    try {
      for (;;) {
        await this.#round()
        this.rounds++
      }
    } catch (thrown) {
      if (!(thrown instanceof Stopped)) throw thrown
    }
  }

  stop(): void {
    this.#line.stop()
  }

  async #round(): Promise<void> {
    const { name, partitions, isCompacted } = this.#prng.pick(this.#topics)
    const place = { topic: name, partition: this.#prng.between(0, partitions - 1) }
    const reader = new PartitionReader(this.#line, place, !isCompacted)
    let last = -1
    do {
      for (const record of await this.#read(reader)) {
        if (record.offset <= last) throw new BrokenPromise(`${nameOf(place)}: ${record.offset} after ${last}`)
        last = record.offset
        this.#ledger.saw(nameOf(place), { ...record, key: `${record.key}` })
        this.readCount++
      }
    } while (!reader.isAtEnd)
    this.storageErrors += reader.storageErrors
    await pause(REST_MS)
  }

  async #read(reader: PartitionReader) {
    try {
      return await reader.read(LONG_POLL_MS)
    } catch (thrown) {
      // A machine that does much else is slow to answer: counted, and asked again.
      if ((thrown as Error).message.startsWith('no answer within')) {
        this.lateAnswers++
        return []
      }
      throw thrown instanceof Stopped
        ? thrown
        : new BrokenPromise(`a reader got ${describe(causeOf(thrown))}`, { cause: thrown })
    }
  }
}
