// A broker without sockets, on a simulated disk and clock: what a handler answers, sent through the codec of its version there
// and back.

import { assert } from '#base/assert.ts'
import type { ChronikError } from '#base/errors.ts'
import { BufferPool } from '#bytes/buffer-pool.ts'
import { ByteReader } from '#bytes/cursor.ts'
import { PiecePool } from '#bytes/piece-pool.ts'
import { settingsFrom } from '#config/load-settings.ts'
import type { Settings } from '#config/settings.ts'
import { ACCEPTED, DUPLICATE } from '#core/core.ts'
import { JOINS_TRANSACTION_BIT, newBatchEntry } from '#core/produce-record.kernel.ts'
import { OWN_OBJECT } from '#core/segments.ts'
import type { Partition } from '#core/state.ts'
import type { Broker, RequestContext } from '#kafka/broker.ts'
import { handlers } from '#kafka/handlers/handlers.ts'
import { ConnectionHub, createBroker } from '#kafka/kafka.ts'
import {
  type Decoded,
  decodeRequest,
  decodeRequestHeader,
  decodeResponse,
  type Encodable,
  encodeResponse,
  type Message,
  MessageWriter,
} from '#kafka/protocol/protocol.ts'
import { openLog, TopicRules, WITHOUT_COPY } from '#log/log.ts'
import { sourceOf } from '#object-store/range-source.ts'
import { createLogger } from '#observe/log.ts'
import { createMetrics } from '#observe/product-metrics.ts'
import * as batch from '#records/batch.ts'
import { sealSegment } from '#tier/seal-segment.ts'
import { type BatchFields, buildBatch, type RecordFields } from './batch-builder.ts'
import { NO_STORE } from './no-store.ts'
import { Prng } from './sim/prng.ts'
import { SimClock } from './sim/sim-clock.ts'
import { SimDisk } from './sim/sim-disk.ts'
import { SimBucket } from './sim/sim-object-store.ts'
import { requestFrame } from './wire-client.ts'
import { type ApiName, type RequestBody, type ResponseBody, wireMessages } from './wire-messages.ts'

const FRAME_SIZE_BYTES = 4
const DATA_DIR = '/data'
/** A simulated disk takes its memory from the test. */
const SMALL: Partial<Settings> = { walFileBytes: 2 ** 22, maxRequestBytes: 2 ** 21, logCacheBytes: 2 ** 20 }
export const CLUSTER_ID = 'AbCdEfGhIjKlMnOpQrStUg'

export const ADVERTISED = { host: 'broker.test', port: 9092 }

interface FixtureOptions {
  readonly overrides: Partial<Settings>
  /** How often the broker was started on its disk: each time it makes other ids. */
  readonly starts: number
  /** Where its segments are. */
  readonly bucket: SimBucket | null
}

export class BrokerFixture {
  readonly broker: Broker
  readonly clock: SimClock
  readonly disk: SimDisk
  readonly #options: FixtureOptions

  private constructor(broker: Broker, clock: SimClock, disk: SimDisk, options: FixtureOptions) {
    this.broker = broker
    this.clock = clock
    this.disk = disk
    this.#options = options
  }

  static start(overrides: Partial<Settings> = {}): Promise<BrokerFixture> {
    return BrokerFixture.#new(new SimClock(), overrides, null)
  }

  /** One whose records can be sealed. */
  static startWithBucket(overrides: Partial<Settings> = {}): Promise<BrokerFixture> {
    const clock = new SimClock()
    return BrokerFixture.#new(clock, overrides, new SimBucket({ clock, latencyMs: () => 5 }))
  }

  static async #new(clock: SimClock, overrides: Partial<Settings>, bucket: SimBucket | null): Promise<BrokerFixture> {
    const disk = new SimDisk({ clock, latencyMs: () => 0.1, prng: new Prng(7) })
    const fixture = await BrokerFixture.#on(bucket === null ? new SimDisk({ clock }) : disk, clock, {
      overrides,
      starts: 1,
      bucket,
    })
    await fixture.propose({ kind: 'cluster-created', clusterId: CLUSTER_ID })
    return fixture
  }

  static async #on(disk: SimDisk, clock: SimClock, options: FixtureOptions): Promise<BrokerFixture> {
    const { overrides, starts, bucket } = options
    const loaded = settingsFrom({ ...SMALL, ...overrides })
    if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
    const { settings, sources } = loaded
    const hub = new ConnectionHub()
    const opening = openLog({
      disk,
      clock,
      dataDir: DATA_DIR,
      walFileBytes: settings.walFileBytes,
      cacheBytes: settings.logCacheBytes,
      gather: { batches: 1, delayMs: 0, whenIdle: false },
      sync: 'always',
      walLimitBytes: Number.POSITIVE_INFINITY,
      segments: bucket === null ? NO_STORE : sourceOf(bucket.connect(), new BufferPool(0)),
      metrics: { flushed() {}, applied() {}, stored() {} },
      report() {},
      failed() {},
      afterCommit: () => hub.settle(),
      ...WITHOUT_COPY,
    })
    const prng = new Prng(starts)
    const log = await clock.run(opening)
    const broker = createBroker({
      settings,
      sources,
      clock,
      random: { bytes: count => Buffer.from(Array.from({ length: count }, () => prng.between(0, 255))) },
      logger: createLogger({ level: 'silent', pretty: false, output: { write() {}, flush: async () => {} } }),
      metrics: createMetrics({ apiNames: [], commitRecordTypes: [] }),
      log,
      topicRules: new TopicRules(log.state, settings, sources),
      hub,
    })
    return new BrokerFixture(broker, clock, disk, options)
  }

  /** The same broker after an orderly stop and a start. */
  async restart(): Promise<BrokerFixture> {
    await this.clock.run(this.broker.log.close())
    return BrokerFixture.#on(this.disk.copy(), this.clock, this.#afterThis)
  }

  /** The same broker after kill -9 and a start, with some other settings. */
  async kill(changed: Partial<Settings> = {}): Promise<BrokerFixture> {
    this.clock.forgetAll()
    const { overrides, ...rest } = this.#afterThis
    return BrokerFixture.#on(this.disk.kill(), this.clock, { ...rest, overrides: { ...overrides, ...changed } })
  }

  get #afterThis(): FixtureOptions {
    return { ...this.#options, starts: this.#options.starts + 1 }
  }

  get state() {
    return this.broker.log.state
  }

  /** Of one that was started with it. */
  get bucket(): SimBucket {
    assert(this.#options.bucket !== null, 'the broker has a bucket')
    return this.#options.bucket
  }

  /** Makes a segment of all that a partition has. */
  async seal(partition: Partition): Promise<void> {
    const parts = { log: this.broker.log, store: this.bucket.connect(), pieces: new PiecePool(0) }
    const job = { wishes: [{ partition, maxBytes: 64 << 20, partBytes: 64 << 20 }], sharedAt: OWN_OBJECT }
    await this.clock.run(sealSegment(parts, job, new AbortController().signal))
  }

  /** What the broker answers to a request. */
  async ask<N extends ApiName>(api: N, version: number, body: RequestBody<N>): Promise<ResponseBody<N>> {
    return this.clock.run(this.begin(api, version, body))
  }

  /** The same, while others are under way. */
  async begin<N extends ApiName>(
    api: N,
    version: number,
    body: RequestBody<N>,
    connection: Partial<RequestContext> = {},
  ): Promise<ResponseBody<N>> {
    const { request, response } = wireMessages[api] as { request: Message; response: Message }
    const reader = new ByteReader(requestFrame(request, version, 1, body), FRAME_SIZE_BYTES)
    const header = decodeRequestHeader(reader)
    const handler = handlers.get(header.apiKey)
    assert(handler !== undefined, `${api} has a handler`)
    assert(version >= handler.versions.min && version <= handler.versions.max, `${api} is served in version ${version}`)
    const handle = handler.handle as (request: Decoded<Message>, context: RequestContext) => unknown
    const answer = await handle(decodeRequest(request, version, reader), {
      broker: this.broker,
      version,
      clientId: header.clientId,
      clientHost: '/127.0.0.1',
      advertised: ADVERTISED,
      onSent: () => {},
      onGone: () => {},
      ...connection,
    })
    const writer = new MessageWriter()
    encodeResponse(response, header, answer as Encodable<Message>, writer)
    const bytes = Buffer.concat(writer.takeChunks())
    return decodeResponse(response, version, new ByteReader(bytes, FRAME_SIZE_BYTES)).value as ResponseBody<N>
  }

  propose(change: Parameters<Broker['log']['propose']>[0]) {
    return this.clock.run(this.broker.log.propose(change))
  }

  async createTopic(
    name: string,
    options: { partitions?: number; configs?: Readonly<Record<string, string>> } = {},
  ): Promise<void> {
    const configs = Object.entries(options.configs ?? {}).map(([config, value]) => ({ name: config, value }))
    const topic = { name, numPartitions: options.partitions ?? 1, replicationFactor: 1, assignments: [], configs }
    const { topics } = await this.ask('CreateTopics', 7, { topics: [topic], timeoutMs: 1000 })
    assert(topics[0]?.errorCode === 0, `${name} can be created: ${topics[0]?.errorMessage}`)
  }

  partition(topic: string, index = 0): Partition {
    const partition = this.state.topics.get(topic)?.partitions[index]
    assert(partition !== undefined, `there is a partition ${topic}-${index}`)
    return partition
  }

  /** Stores a batch as it is, and resolves to its base offset. */
  append(
    topic: string,
    records: readonly RecordFields[],
    fields: BatchFields & { partition?: number; joinsTransaction?: boolean } = {},
  ): Promise<number> {
    const bytes = buildBatch(records, fields)
    const entry = newBatchEntry()
    entry.crc = batch.crcOf(bytes, 0)
    entry.recordCount = batch.recordCountOf(bytes, 0)
    entry.maxTimestampMs = batch.maxTimestampOf(bytes, 0)
    entry.producerId = batch.producerIdOf(bytes, 0)
    entry.producerEpoch = batch.producerEpochOf(bytes, 0)
    entry.baseSequence = batch.baseSequenceOf(bytes, 0)
    entry.attributes = batch.attributesOf(bytes, 0) | (fields.joinsTransaction ? JOINS_TRANSACTION_BIT : 0)
    entry.appendTimeMs = -1
    const partition = this.partition(topic, fields.partition)
    const appended = new Promise<number>((resolve, reject) => {
      const ticket = {
        settled: (_slot: number, verdict: number, baseOffset: number) => {
          const transaction = this.state.transactionOfProducer.get(entry.producerId)
          if (transaction !== undefined) this.broker.transactions.produced(transaction.id)
          if (verdict === ACCEPTED || verdict === DUPLICATE) resolve(baseOffset)
          else reject(new Error(`the batch was turned away: ${verdict}`))
        },
        refused: (_slot: number, error: ChronikError) => reject(error),
      }
      this.broker.log.append(Object.assign(entry, { ordinal: partition.ordinal }), bytes, 0, bytes.length, ticket, 0)
    })
    return this.clock.run(appended)
  }

  /** From now on the disk takes no more. */
  fillDisk(): void {
    this.disk.onCall = ({ kind }) => (kind === 'write' ? 'ENOSPC' : null)
  }

  freeDisk(): void {
    this.disk.onCall = () => null
  }
}
