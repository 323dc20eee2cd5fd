// A producer with several requests under way, as many partitions in each as it likes. An idempotent one sends what was not
// answered again, as it was, until it is.

import { type BatchFields, buildBatch, type Codec, type RecordFields } from '#test/support/batch-builder.ts'
import type { Prng } from '#test/support/sim/prng.ts'
import { ConnectionClosed, type WireClient } from '#test/support/wire-client.ts'
import { BrokenPromise, type History, type PartitionHistory, type SentBatch } from './history.ts'

// Kafka: a broker remembers the last five batches of a producer and partition.
const MAX_IN_FLIGHT = 5
const VERSIONS = [7, 9, 12]
const NO_SEQUENCE = -1
const TIMEOUT_MS = 30_000
/** Bytes of records that a codec has something to do with. */
const TEXT = Buffer.from('the quick brown fox jumps over the lazy dog, again and again; '.repeat(20_000))

export interface Producer {
  readonly id: number
  readonly epoch: number
}

interface Part {
  readonly partition: PartitionHistory
  readonly batch: SentBatch
  readonly bytes: Buffer
}

interface Request {
  readonly version: number
  readonly acks: number
  readonly parts: readonly Part[]
}

/** What retries came to. */
export interface Retried {
  recognised: number
  appended: number
}

export class Writer {
  readonly name: string
  readonly #history: History
  readonly #prng: Prng
  readonly #producer: Producer | null
  readonly #nextSequence = new Map<PartitionHistory, number>()
  /** In the order of sending. */
  readonly #unanswered = new Set<Request>()
  #lastAnswered: Request | null = null
  acknowledgedRequests = 0
  acknowledgedRecords = 0

  constructor(name: string, history: History, prng: Prng, producer: Producer | null) {
    this.name = name
    this.#history = history
    this.#prng = prng
    this.#producer = producer
  }

  /** Writes until the connection closes or `isOver` says so; then waits for what is under way. */
  async write(client: WireClient, isOver: () => boolean = () => false): Promise<void> {
    const underWay = new Set<Promise<void>>()
    while (!client.isClosed && !isOver()) {
      const sent: Promise<void> = this.#send(client, this.#next()).finally(() => underWay.delete(sent))
      underWay.add(sent)
      if (underWay.size >= MAX_IN_FLIGHT) await Promise.race(underWay)
    }
    await Promise.all(underWay)
  }

  /**
   * After the restarted broker was read: an idempotent writer sends again what was not answered, and the last that was. Each of
   * its batches that is there has its old offset, the others are appended. A plain writer gives up.
   */
  async retry(client: WireClient, retried: Retried): Promise<void> {
    const requests = [...this.#unanswered]
    this.#unanswered.clear()
    if (this.#producer === null) return
    if (this.#lastAnswered !== null && this.#isRemembered(this.#lastAnswered, requests)) {
      requests.unshift(this.#lastAnswered)
    }
    for (const { parts } of requests) {
      for (const { partition, batch } of parts) {
        // One that was not found had been struck off; it is sent once more.
        partition.batches.set(batch.id, batch)
        if (batch.baseOffset === null) retried.appended++
        else retried.recognised++
      }
    }
    await Promise.all(requests.map(request => this.#send(client, request)))
    if (this.#unanswered.size > 0) throw new BrokenPromise(`${this.name}: a retry was not answered`)
  }

  /** A broker need not know it any more if so many others may be behind it, or if it is deleted. */
  #isRemembered({ parts }: Request, behind: readonly Request[]): boolean {
    const isThere = parts.every(({ partition, batch }) => partition.batches.has(batch.id))
    return isThere && behind.length < MAX_IN_FLIGHT
  }

  async #send(client: WireClient, request: Request): Promise<void> {
    this.#unanswered.add(request)
    const topics = Map.groupBy(request.parts, part => part.partition.topic)
    const topicData = [...topics].map(([name, parts]) => ({
      name,
      partitionData: parts.map(({ partition, bytes }) => ({ index: partition.index, records: bytes })),
    }))
    try {
      const body = { acks: request.acks, timeoutMs: TIMEOUT_MS, topicData }
      const { responses } = await client.send('Produce', request.version, body)
      for (const { name, partitionResponses } of responses) {
        for (const answer of partitionResponses) this.#answered(request, name, answer)
      }
    } catch (thrown) {
      if (thrown instanceof ConnectionClosed) return
      throw thrown
    }
    this.#unanswered.delete(request)
    this.#lastAnswered = request
    this.acknowledgedRequests++
  }

  #answered(
    request: Request,
    topic: string,
    answer: { index: number; errorCode: number; baseOffset: number; errorMessage: string | null },
  ): void {
    const part = request.parts.find(({ partition }) => partition.topic === topic && partition.index === answer.index)
    if (part === undefined || answer.errorCode !== 0) {
      throw new BrokenPromise(
        `${this.name}: ${topic}-${answer.index}: error ${answer.errorCode} ${answer.errorMessage}`,
      )
    }
    const { partition, batch } = part
    this.acknowledgedRecords += batch.recordCount
    partition.stored(batch.id, answer.baseOffset)
  }

  #next(): Request {
    const partitions = this.#pickPartitions()
    const parts = partitions.map(partition => {
      const id = this.#history.newId()
      const records = makeRecords(this.#prng, id)
      const bytes = buildBatch(records, this.#fieldsOf(partition, id, records.length))
      const { length } = bytes
      const batch = {
        id,
        writer: this.name,
        crc: bytes.readUInt32BE(17),
        sizeBytes: length,
        recordCount: records.length,
      }
      const sent = { ...batch, baseOffset: null }
      partition.batches.set(id, sent)
      return { partition, batch: sent, bytes }
    })
    return { version: this.#prng.pick(VERSIONS), acks: this.#prng.chance(0.5) ? 1 : -1, parts }
  }

  #pickPartitions(): PartitionHistory[] {
    const { partitions } = this.#history
    const count = this.#prng.chance(0.6) ? 1 : this.#prng.between(2, partitions.length)
    const first = this.#prng.between(0, partitions.length - 1)
    return Array.from({ length: count }, (_, i) => partitions[(first + i) % partitions.length]!)
  }

  #fieldsOf(partition: PartitionHistory, id: number, recordCount: number): BatchFields {
    const codec = this.#prng.pick<Codec>(['none', 'none', 'none', 'gzip', 'snappy', 'lz4', 'zstd'])
    const baseTimestampMs = this.#history.firstTimeMs + id
    if (this.#producer === null) return { codec, baseTimestampMs, baseSequence: NO_SEQUENCE }
    const baseSequence = this.#nextSequence.get(partition) ?? 0
    this.#nextSequence.set(partition, baseSequence + recordCount)
    return { codec, baseTimestampMs, baseSequence, producerId: this.#producer.id, producerEpoch: this.#producer.epoch }
  }
}

/** Mostly small; now and then a batch near the largest that is accepted. */
function makeRecords(prng: Prng, id: number): RecordFields[] {
  const sizes = prng.fraction()
  if (sizes < 0.75) return valuesOf(prng, id, prng.between(1, 5), 200)
  if (sizes < 0.95) return valuesOf(prng, id, prng.between(20, 100), 400)
  if (sizes < 0.99) return valuesOf(prng, id, 2, 60_000)
  return valuesOf(prng, id, 1, 900_000)
}

function valuesOf(prng: Prng, id: number, count: number, mostBytes: number): RecordFields[] {
  return Array.from({ length: count }, (_, i) => {
    const from = prng.between(0, 1000)
    const value = TEXT.subarray(from, from + prng.between(mostBytes >> 1, mostBytes))
    return { key: `${id}.${i}`, value }
  })
}
