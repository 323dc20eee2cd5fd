// One case's talk with one broker: a connection of its own, topics of its own, and the requests that most cases make.

import { type BatchFields, buildBatch, type RecordFields } from '#test/support/batch-builder.ts'
import { until } from '#test/support/until.ts'
import { WireClient } from '#test/support/wire-client.ts'
import type { ApiName, RequestBody, ResponseBody } from '#test/support/wire-messages.ts'
import type { Identity } from './normalise.ts'

const MIB = 1024 * 1024
const NONE = 0

export interface Address {
  readonly host: string
  readonly port: number
}

export interface TopicOptions {
  readonly partitions?: number
  readonly configs?: Readonly<Record<string, string>>
}

export interface ProduceOptions extends BatchFields {
  readonly partition?: number
  readonly version?: number
  readonly acks?: number
}

export interface FetchOptions {
  readonly version?: number
  readonly maxWaitMs?: number
  readonly minBytes?: number
  readonly maxBytes?: number
  readonly isolationLevel?: number
  readonly sessionId?: number
  readonly sessionEpoch?: number
  readonly forgotten?: readonly { topic: string; partitions: number[] }[]
}

export interface FetchPartition {
  readonly topic: string
  readonly partition?: number
  readonly fetchOffset?: number
  readonly partitionMaxBytes?: number
  readonly currentLeaderEpoch?: number
  readonly lastFetchedEpoch?: number
}

export class Conversation {
  readonly wire: WireClient
  readonly identity: Identity
  readonly #address: Address
  readonly #opened: WireClient[] = []
  #topics = 0

  private constructor(wire: WireClient, identity: Identity, address: Address) {
    this.wire = wire
    this.identity = identity
    this.#address = address
  }

  static async open(address: Address, identity: Identity): Promise<Conversation> {
    return new Conversation(await WireClient.connect(address), identity, address)
  }

  /** A further connection. */
  async connect(): Promise<WireClient> {
    const wire = await WireClient.connect(this.#address)
    this.#opened.push(wire)
    return wire
  }

  close(): void {
    this.wire.close()
    for (const wire of this.#opened) wire.close()
  }

  send<N extends ApiName>(api: N, version: number, body: RequestBody<N>): Promise<ResponseBody<N>> {
    return this.wire.send(api, version, body)
  }

  /** The first answer that satisfies: Kafka's broker follows its controller, and so sees a change a moment after its answer. */
  async sendUntil<N extends ApiName>(
    api: N,
    version: number,
    body: RequestBody<N>,
    satisfies: (answer: ResponseBody<N>) => boolean,
  ): Promise<ResponseBody<N>> {
    let answer: ResponseBody<N> | undefined
    await until(`the awaited answer to ${api}`, async () => {
      answer = await this.send(api, version, body)
      return satisfies(answer)
    })
    return answer!
  }

  /** A name that nobody has used, to be created or not. */
  topicName(purpose: string): string {
    this.#topics++
    return `${purpose}-${this.#topics}${this.identity.topicSuffix}`
  }

  /** A topic whose partitions all have their leader. */
  async topic(purpose: string, { partitions = 1, configs = {} }: TopicOptions = {}): Promise<string> {
    const name = this.topicName(purpose)
    const entries = Object.entries(configs).map(([config, value]) => ({ name: config, value }))
    const created = await this.send('CreateTopics', 7, {
      topics: [{ name, numPartitions: partitions, replicationFactor: 1, assignments: [], configs: entries }],
      timeoutMs: 10_000,
    })
    if (created.topics[0]!.errorCode !== NONE) throw new Error(`no topic ${name}: ${JSON.stringify(created.topics[0])}`)
    await this.settled(name, partitions)
    return name
  }

  /** Waits until all partitions of a topic answer. */
  async settled(topic: string, partitions: number): Promise<void> {
    const asked = Array.from({ length: partitions }, (_, i) => ({ partitionIndex: i, timestamp: -1 }))
    await this.sendUntil('ListOffsets', 7, { replicaId: -1, topics: [{ name: topic, partitions: asked }] }, answer =>
      answer.topics[0]!.partitions.every(({ errorCode }) => errorCode === NONE),
    )
  }

  async topicId(topic: string): Promise<string> {
    const body = { topics: [{ name: topic }], allowAutoTopicCreation: false }
    return (await this.send('Metadata', 12, body)).topics[0]!.topicId
  }

  /** The answer for one batch in one partition. */
  async produce(topic: string, records: readonly RecordFields[], options: ProduceOptions = {}) {
    return this.produceBytes(topic, buildBatch(records, options), options)
  }

  async produceBytes(topic: string, records: Buffer | null, options: ProduceOptions = {}) {
    const { partition = 0, version = 12, acks = -1 } = options
    const answer = await this.send('Produce', version, {
      acks,
      timeoutMs: 10_000,
      topicData: [{ name: topic, partitionData: [{ index: partition, records }] }],
    })
    return answer.responses[0]!.partitionResponses[0]!
  }

  /** Fetches by name, without waiting unless told to. */
  fetch(partitions: readonly FetchPartition[], options: FetchOptions = {}) {
    const topics = partitions.map(({ topic, ...of }) => ({ topic, partitions: [fetchPartition(of)] }))
    return this.#fetch(topics, options.forgotten ?? [], { version: 12, ...options })
  }

  /** Fetches by topic id. */
  fetchById(partitions: readonly FetchPartition[], options: FetchOptions = {}) {
    const topics = partitions.map(({ topic, ...of }) => ({ topicId: topic, partitions: [fetchPartition(of)] }))
    const forgotten = (options.forgotten ?? []).map(({ topic, partitions: of }) => ({ topicId: topic, partitions: of }))
    return this.#fetch(topics, forgotten, { version: 17, ...options })
  }

  #fetch(
    topics: NonNullable<RequestBody<'Fetch'>['topics']>,
    forgottenTopicsData: NonNullable<RequestBody<'Fetch'>['forgottenTopicsData']>,
    options: FetchOptions & { version: number },
  ) {
    return this.send('Fetch', options.version, {
      maxWaitMs: options.maxWaitMs ?? 0,
      minBytes: options.minBytes ?? 1,
      maxBytes: options.maxBytes ?? 50 * MIB,
      isolationLevel: options.isolationLevel ?? 0,
      sessionId: options.sessionId ?? 0,
      sessionEpoch: options.sessionEpoch ?? -1,
      topics,
      forgottenTopicsData,
    })
  }

  /** The answer for one partition and timestamp. */
  async offsetAt(
    topic: string,
    timestamp: number,
    options: { version?: number; partition?: number; epoch?: number } = {},
  ) {
    const { version = 11, partition = 0, epoch = -1 } = options
    const partitions = [{ partitionIndex: partition, timestamp, currentLeaderEpoch: epoch }]
    const answer = await this.send('ListOffsets', version, { replicaId: -1, topics: [{ name: topic, partitions }] })
    return answer.topics[0]!.partitions[0]!
  }

  /** Whether the broker answers or hangs up, with the answer. */
  async outcome<T>(talk: Promise<T>): Promise<T | 'closed'> {
    return talk.catch((error: Error) => {
      if (error.name === 'ConnectionClosed') return 'closed'
      throw error
    })
  }
}

function fetchPartition(of: Omit<FetchPartition, 'topic'>) {
  return {
    partition: of.partition ?? 0,
    fetchOffset: of.fetchOffset ?? 0,
    partitionMaxBytes: of.partitionMaxBytes ?? MIB,
    currentLeaderEpoch: of.currentLeaderEpoch ?? -1,
    lastFetchedEpoch: of.lastFetchedEpoch ?? -1,
  }
}
