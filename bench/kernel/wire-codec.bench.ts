import { ByteReader } from '#bytes/cursor.ts'
import { ProduceRequest, ProduceResponse } from '#kafka/protocol/apis/00-produce.ts'
import { FetchRequest, FetchResponse } from '#kafka/protocol/apis/01-fetch.ts'
import { MetadataResponse } from '#kafka/protocol/apis/03-metadata.ts'
import { HeartbeatRequest } from '#kafka/protocol/apis/12-heartbeat.ts'
import { decodeMessage, encodeMessage } from '#kafka/protocol/codec.ts'
import { type Encodable, type Message, MessageWriter } from '#kafka/protocol/protocol.ts'
import { measure } from './kernel-bench.ts'

// An item is a message.

const TOPIC_ID = 'ABEiM0RVZneImaq7zN3u_w'

function many<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index))
}

function measureMessage<M extends Message>(what: string, message: M, version: number, value: Encodable<M>): void {
  const writer = new MessageWriter()
  encodeMessage(message, version, value, writer)
  const bytes = Buffer.from(writer.written())
  const work = { items: 1, bytes: bytes.length }
  measure(`decode ${message.name} v${version}, ${what}`, work, () => {
    decodeMessage(message, version, new ByteReader(bytes))
  })
  measure(`encode ${message.name} v${version}, ${what}`, work, () => {
    writer.offset = 0
    encodeMessage(message, version, value, writer)
  })
}

measureMessage('one member', HeartbeatRequest, 4, {
  groupId: 'group',
  generationId: 4,
  memberId: 'consumer-1-0a1b2c3d',
})
for (const [topics, partitions] of [
  [1, 1],
  [10, 10],
] as const) {
  const what = `${topics} x ${partitions} partitions`
  measureMessage(what, FetchRequest, 13, {
    maxWaitMs: 500,
    minBytes: 1,
    topics: many(topics, () => ({
      topic: '',
      topicId: TOPIC_ID,
      partitions: many(partitions, partition => ({ partition, fetchOffset: 1_234_567, partitionMaxBytes: 1 << 20 })),
    })),
  })
  measureMessage(what, FetchResponse, 13, {
    errorCode: 0,
    responses: many(topics, () => ({
      topic: '',
      topicId: TOPIC_ID,
      partitions: many(partitions, partitionIndex => ({
        partitionIndex,
        errorCode: 0,
        highWatermark: 1_234_567,
        abortedTransactions: null,
        records: Buffer.alloc(100),
      })),
    })),
  })
  measureMessage(what, ProduceRequest, 9, {
    acks: -1,
    timeoutMs: 30_000,
    topicData: many(topics, topic => ({
      name: `topic-${topic}`,
      topicId: '',
      partitionData: many(partitions, index => ({ index, records: Buffer.alloc(100) })),
    })),
  })
  measureMessage(what, ProduceResponse, 9, {
    responses: many(topics, topic => ({
      name: `topic-${topic}`,
      topicId: '',
      partitionResponses: many(partitions, index => ({ index, errorCode: 0, baseOffset: 1_234_567, recordErrors: [] })),
    })),
  })
}
measureMessage('500 x 3 partitions', MetadataResponse, 12, {
  brokers: [{ nodeId: 1, host: 'localhost', port: 9092 }],
  errorCode: 0,
  topics: many(500, topic => ({
    errorCode: 0,
    name: `topic-${topic}`,
    topicId: TOPIC_ID,
    partitions: many(3, partitionIndex => ({
      errorCode: 0,
      partitionIndex,
      leaderId: 1,
      replicaNodes: [1],
      isrNodes: [1],
      offlineReplicas: [],
    })),
  })),
})
