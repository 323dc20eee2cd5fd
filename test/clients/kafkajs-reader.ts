// kafkajs hands its consumer to members of a group only. The layers below it, which its consumer is built on and which decode
// every record, read any partition: a reader of assigned partitions is made of those.

import { createRequire } from 'node:module'
import { type Kafka, logLevel } from 'kafkajs'

export interface KafkaJsRecord {
  readonly offset: string
  readonly timestamp: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, Buffer | string | (Buffer | string)[] | undefined>>
}

export interface FetchedPartition {
  readonly errorCode: number
  readonly highWatermark: string
  readonly messages: readonly KafkaJsRecord[]
}

interface InnerBroker {
  fetch(options: {
    maxWaitTime: number
    minBytes: number
    maxBytes: number
    isolationLevel: number
    topics: { topic: string; partitions: { partition: number; fetchOffset: string; maxBytes: number }[] }[]
  }): Promise<{ responses: { topicName: string; partitions: (FetchedPartition & { partition: number })[] }[] }>
}

interface InnerCluster {
  connect(): Promise<void>
  disconnect(): Promise<void>
  addTargetTopic(topic: string): Promise<void>
  findLeaderForPartitions(topic: string, partitions: number[]): Record<string, number[]>
  findBroker(options: { nodeId: string }): Promise<InnerBroker>
}

const inner = createRequire(import.meta.url)
const Cluster = inner('kafkajs/src/cluster') as new (options: object) => InnerCluster
const createSocketFactory = inner('kafkajs/src/network/socketFactory') as () => unknown

const MAX_BYTES = 16 * 1024 * 1024

export class KafkaJsReader {
  readonly #cluster: InnerCluster

  private constructor(cluster: InnerCluster) {
    this.#cluster = cluster
  }

  static async open(kafka: Kafka, address: string): Promise<KafkaJsReader> {
    const cluster = new Cluster({
      logger: kafka.logger(),
      logLevel: logLevel.NOTHING,
      socketFactory: createSocketFactory(),
      brokers: [address],
      connectionTimeout: 1_000,
      metadataMaxAge: 300_000,
    })
    await cluster.connect()
    return new KafkaJsReader(cluster)
  }

  /** One request: waits up to `maxWaitMs` at the end of the partition. */
  async fetch(topic: string, partition: number, fromOffset: number, maxWaitMs: number): Promise<FetchedPartition> {
    await this.#cluster.addTargetTopic(topic)
    const [nodeId] = Object.keys(this.#cluster.findLeaderForPartitions(topic, [partition]))
    const broker = await this.#cluster.findBroker({ nodeId: nodeId! })
    const { responses } = await broker.fetch({
      maxWaitTime: maxWaitMs,
      minBytes: 1,
      maxBytes: MAX_BYTES,
      isolationLevel: 1,
      topics: [{ topic, partitions: [{ partition, fetchOffset: `${fromOffset}`, maxBytes: MAX_BYTES }] }],
    })
    return responses[0]!.partitions[0]!
  }

  /** The records from an offset to the end of the partition. */
  async readToEnd(topic: string, partition = 0, fromOffset = 0): Promise<KafkaJsRecord[]> {
    const records: KafkaJsRecord[] = []
    let nextOffset = fromOffset
    for (;;) {
      const fetched = await this.fetch(topic, partition, nextOffset, 100)
      // A batch comes whole: what precedes the wanted offset in it is dropped here, as every consumer does.
      const wanted = fetched.messages.filter(({ offset }) => Number(offset) >= nextOffset)
      records.push(...wanted)
      if (wanted.length > 0) nextOffset = Number(wanted.at(-1)!.offset) + 1
      if (nextOffset >= Number(fetched.highWatermark)) return records
    }
  }

  close(): Promise<void> {
    return this.#cluster.disconnect()
  }
}
