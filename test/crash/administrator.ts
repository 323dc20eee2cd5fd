// One administrator with one request under way at a time: creates, grows, changes and deletes topics, deletes old records, asks
// for producer ids. What it was answered must be there after a crash; of what it was not, all or nothing.

import type { Prng } from '#test/support/sim/prng.ts'
import { ConnectionClosed, type WireClient } from '#test/support/wire-client.ts'
import { BrokenPromise, type History } from './history.ts'

interface TopicModel {
  /** Null: not known, its creation was not answered. */
  readonly id: string | null
  readonly partitionCount: number
  readonly configs: Readonly<Record<string, string>>
}

type Topics = ReadonlyMap<string, TopicModel>

const TOPIC = 2
const TOPIC_SOURCE = 1
const SET = 0
const TIMEOUT_MS = 10_000
/** So many records of a partition are kept: what is under way is far from where logs start. */
const KEPT_RECORDS = 2000
const MOST_TOPICS = 8

export class Administrator {
  readonly #history: History
  readonly #prng: Prng
  #topics: Topics = new Map()
  /** What a change under way makes of them. */
  #changed: Topics | null = null
  #created = 0
  readonly #producerIds = new Set<number>()

  constructor(history: History, prng: Prng) {
    this.#history = history
    this.#prng = prng
  }

  /** Works until the connection closes. */
  async work(client: WireClient, isOver: () => boolean = () => false): Promise<void> {
    try {
      while (!isOver()) {
        const turn = this.#prng.fraction()
        if (turn < 0.25) await this.newProducer(client)
        else if (turn < 0.5) await this.#deleteRecords(client)
        else await this.#changeTopics(client)
      }
    } catch (thrown) {
      if (!(thrown instanceof ConnectionClosed)) throw thrown
    }
  }

  async newProducer(client: WireClient): Promise<{ id: number; epoch: number }> {
    const { errorCode, ...producer } = await client.send('InitProducerId', 4, {
      transactionalId: null,
      transactionTimeoutMs: TIMEOUT_MS,
    })
    succeeded('a producer id', errorCode)
    if (this.#producerIds.has(producer.producerId)) {
      throw new BrokenPromise(`the producer id ${producer.producerId} was given twice`)
    }
    this.#producerIds.add(producer.producerId)
    return { id: producer.producerId, epoch: producer.producerEpoch }
  }

  async createTopic(client: WireClient, name: string, partitionCount: number, configs: Record<string, string> = {}) {
    this.#changed = new Map([...this.#topics, [name, { id: null, partitionCount, configs }]])
    const given = Object.entries(configs).map(([config, value]) => ({ name: config, value }))
    const topic = { name, numPartitions: partitionCount, replicationFactor: 1, assignments: [], configs: given }
    const { topics } = await client.send('CreateTopics', 7, { topics: [topic], timeoutMs: TIMEOUT_MS })
    succeeded(`creation of ${name}`, topics[0]?.errorCode)
    this.#topics = new Map([...this.#topics, [name, { id: topics[0]!.topicId, partitionCount, configs }]])
    this.#changed = null
  }

  /** Compares the topics that are there with those that have to be. */
  async check(client: WireClient): Promise<void> {
    const found = await readTopics(client)
    const expected = this.#changed !== null && isAs(found, this.#changed) ? this.#changed : this.#topics
    if (!isAs(found, expected)) {
      throw new BrokenPromise(`topics are ${JSON.stringify([...found])}, not ${JSON.stringify([...expected])}`)
    }
    this.#topics = found
    this.#changed = null
  }

  // ---- what it does

  async #changeTopics(client: WireClient): Promise<void> {
    const own = [...this.#topics].filter(([name]) => name.startsWith('made-'))
    const [name, topic] = own.length === 0 ? [] : this.#prng.pick(own)
    if (name === undefined || topic === undefined || (own.length < MOST_TOPICS && this.#prng.chance(0.4))) {
      const configs = { 'retention.ms': `${this.#prng.between(1e9, 2e9)}` }
      await this.createTopic(client, `made-${++this.#created}`, this.#prng.between(1, 3), configs)
    } else if (this.#prng.chance(0.4)) await this.#deleteTopic(client, name)
    else if (this.#prng.chance(0.5)) await this.#grow(client, name, topic)
    else await this.#configure(client, name, topic)
  }

  async #deleteTopic(client: WireClient, name: string): Promise<void> {
    await this.#change(without(this.#topics, name), async () => {
      const { responses } = await client.send('DeleteTopics', 6, { topics: [{ name }], timeoutMs: TIMEOUT_MS })
      succeeded(`deletion of ${name}`, responses[0]?.errorCode)
    })
  }

  async #grow(client: WireClient, name: string, topic: TopicModel): Promise<void> {
    const count = topic.partitionCount + 1
    await this.#change(new Map([...this.#topics, [name, { ...topic, partitionCount: count }]]), async () => {
      const topics = [{ name, count, assignments: null }]
      const { results } = await client.send('CreatePartitions', 3, {
        topics,
        timeoutMs: TIMEOUT_MS,
        validateOnly: false,
      })
      succeeded(`growth of ${name}`, results[0]?.errorCode)
    })
  }

  async #configure(client: WireClient, name: string, topic: TopicModel): Promise<void> {
    const [config, value] = ['segment.bytes', `${this.#prng.between(1 << 20, 1 << 30)}`]
    const changed = { ...topic, configs: { ...topic.configs, [config]: value } }
    await this.#change(new Map([...this.#topics, [name, changed]]), async () => {
      const configs = [{ name: config, configOperation: SET, value }]
      const resources = [{ resourceType: TOPIC, resourceName: name, configs }]
      const { responses } = await client.send('IncrementalAlterConfigs', 1, { resources, validateOnly: false })
      succeeded(`configuration of ${name}`, responses[0]?.errorCode)
    })
  }

  async #change(to: Topics, send: () => Promise<void>): Promise<void> {
    this.#changed = to
    await send()
    this.#topics = to
    this.#changed = null
  }

  async #deleteRecords(client: WireClient): Promise<void> {
    const partition = this.#prng.pick(this.#history.partitions)
    const offset = partition.watermark - KEPT_RECORDS
    if (offset <= partition.logStart) return this.#changeTopics(client)
    partition.wantedLogStart = Math.max(partition.wantedLogStart, offset)
    const topics = [{ name: partition.topic, partitions: [{ partitionIndex: partition.index, offset }] }]
    const answer = await client.send('DeleteRecords', 2, { topics, timeoutMs: TIMEOUT_MS })
    const deleted = answer.topics[0]?.partitions[0]
    succeeded(`deletion of records of ${partition.name}`, deleted?.errorCode)
    partition.logStartMoved(deleted!.lowWatermark)
  }
}

function succeeded(what: string, errorCode: number | undefined): void {
  if (errorCode !== 0) throw new BrokenPromise(`${what}: error ${errorCode}`)
}

function without(topics: Topics, name: string): Topics {
  return new Map([...topics].filter(([other]) => other !== name))
}

async function readTopics(client: WireClient): Promise<Topics> {
  const metadata = await client.send('Metadata', 12, { topics: null, allowAutoTopicCreation: false })
  const resources = metadata.topics.map(topic => ({
    resourceType: TOPIC,
    resourceName: topic.name ?? '',
    configurationKeys: null,
  }))
  const { results } = await client.send('DescribeConfigs', 4, { resources })
  return new Map(
    metadata.topics.map((topic, i) => {
      succeeded(`configs of ${topic.name}`, results[i]?.errorCode)
      const own = results[i]!.configs.filter(config => config.configSource === TOPIC_SOURCE)
      const configs = Object.fromEntries(own.map(config => [config.name, config.value ?? '']))
      return [topic.name ?? '', { id: topic.topicId, partitionCount: topic.partitions.length, configs }]
    }),
  )
}

function isAs(found: Topics, expected: Topics): boolean {
  return (
    found.size === expected.size &&
    [...expected].every(([name, topic]) => {
      const other = found.get(name)
      return other !== undefined && (topic.id ?? other.id) === other.id && describe(topic) === describe(other)
    })
  )
}

function describe({ partitionCount, configs }: TopicModel): string {
  return JSON.stringify([partitionCount, Object.entries(configs).sort()])
}
