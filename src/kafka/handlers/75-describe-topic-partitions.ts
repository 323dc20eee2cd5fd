import type { Topic } from '#core/state.ts'
import { OPERATIONS_NOT_ASKED, TOPIC_OPERATIONS } from '#kafka/authorized-operations.ts'
import type { Broker } from '#kafka/broker.ts'
import { defineHandler } from '#kafka/handler.ts'
import {
  DescribeTopicPartitionsRequest,
  DescribeTopicPartitionsResponse,
} from '#kafka/protocol/apis/75-describe-topic-partitions.ts'
import { errorCode, type KafkaErrorName } from '#kafka/protocol/protocol.ts'
import { topicNameProblem } from '#kafka/topic-names.ts'

// DescribeTopicPartitions v0: topics in the order of their names, page by page (KIP-966).

type TopicAnswer = DescribeTopicPartitionsResponse['topics'][number]
type Cursor = DescribeTopicPartitionsRequest['cursor']

/** Kafka: max.request.partition.size.limit */
const PAGE_PARTITIONS = 2000
const NONE = errorCode('NONE')

export const describeTopicPartitions = defineHandler(
  { request: DescribeTopicPartitionsRequest, response: DescribeTopicPartitionsResponse, versions: [0, 0] },
  (request, { broker }) => {
    const asked = request.topics.map(({ name }) => name)
    const { cursor } = request
    const isInvalid = cursor !== null && (cursor.partitionIndex < 0 || !mayFollow(cursor.topicName, asked))
    if (isInvalid) return { topics: asked.map(invalid), nextCursor: null }
    const limit = Math.max(1, Math.min(PAGE_PARTITIONS, request.responsePartitionLimit))
    return page(broker, namesFrom(broker, asked, cursor), cursor, limit)
  },
)

/** All topics are asked for, or the one that the cursor names is among them. */
function mayFollow(topicName: string, asked: readonly string[]): boolean {
  return asked.length === 0 || asked.includes(topicName)
}

function namesFrom({ log }: Broker, asked: readonly string[], cursor: Cursor): string[] {
  const names = asked.length > 0 ? new Set(asked) : log.state.topics.keys()
  return [...names].filter(name => name >= (cursor?.topicName ?? '')).sort()
}

function page(
  { log, settings }: Broker,
  names: readonly string[],
  cursor: Cursor,
  limit: number,
): DescribeTopicPartitionsResponse {
  const topics: TopicAnswer[] = []
  let left = limit
  for (const topicName of names) {
    // What the next page begins with need not be there.
    if (left === 0) return { topics, nextCursor: { topicName, partitionIndex: 0 } }
    const topic = log.state.topics.get(topicName)
    if (topic === undefined) {
      topics.push(missing(topicName))
      continue
    }
    const first = topicName === cursor?.topicName ? cursor.partitionIndex : 0
    const described = describe(topic, first, left, settings.nodeId)
    topics.push(described)
    left -= described.partitions.length
    const next = first + described.partitions.length
    if (next < topic.partitions.length) return { topics, nextCursor: { topicName, partitionIndex: next } }
  }
  return { topics, nextCursor: null }
}

function describe(topic: Topic, first: number, limit: number, nodeId: number): TopicAnswer {
  const replicas = [nodeId]
  return {
    errorCode: NONE,
    name: topic.name,
    topicId: topic.id,
    partitions: topic.partitions.slice(first, first + limit).map(({ index, leaderEpoch }) => ({
      errorCode: NONE,
      partitionIndex: index,
      leaderId: nodeId,
      leaderEpoch,
      replicaNodes: replicas,
      isrNodes: replicas,
      eligibleLeaderReplicas: [],
      lastKnownElr: [],
      offlineReplicas: [],
    })),
    topicAuthorizedOperations: TOPIC_OPERATIONS,
  }
}

function missing(name: string): TopicAnswer {
  const error: KafkaErrorName =
    topicNameProblem(name) === null ? 'UNKNOWN_TOPIC_OR_PARTITION' : 'INVALID_TOPIC_EXCEPTION'
  return { errorCode: errorCode(error), name, topicId: '', partitions: [], topicAuthorizedOperations: TOPIC_OPERATIONS }
}

function invalid(name: string): TopicAnswer {
  const topicAuthorizedOperations = OPERATIONS_NOT_ASKED
  return { errorCode: errorCode('INVALID_REQUEST'), name, topicId: '', partitions: [], topicAuthorizedOperations }
}
