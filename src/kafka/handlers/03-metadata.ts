import type { Topic } from '#core/state.ts'
import { CLUSTER_OPERATIONS, OPERATIONS_NOT_ASKED, TOPIC_OPERATIONS } from '#kafka/authorized-operations.ts'
import type { Broker } from '#kafka/broker.ts'
import { defineHandler } from '#kafka/handler.ts'
import { inTurn } from '#kafka/in-turn.ts'
import { MetadataRequest, MetadataResponse } from '#kafka/protocol/apis/03-metadata.ts'
import { errorCode, type KafkaErrorName } from '#kafka/protocol/protocol.ts'
import { createTopic, type NewTopic, NewTopics, newTopicId } from '#kafka/topic-creation.ts'
import { topicNameProblem } from '#kafka/topic-names.ts'

// Metadata v0-13: the one broker there is, and topics by name or (from v12) by id. Where Kafka answers that a topic is unknown
// while it creates it, and the client asks again, here the topic is there when the answer is.

type TopicAnswer = MetadataResponse['topics'][number]

const NAMES_MAY_BE_MISSING_FROM = 12
const NONE = errorCode('NONE')

export const metadata = defineHandler(
  { request: MetadataRequest, response: MetadataResponse, versions: [0, 13] },
  (request, { broker, version, advertised }) => {
    const { settings, log } = broker
    if (isInvalid(request, version)) return refuseAll(request)
    const operations = request.includeTopicAuthorizedOperations ? TOPIC_OPERATIONS : OPERATIONS_NOT_ASKED
    const answer = (refused: ReadonlyMap<string, KafkaErrorName>): MetadataResponse => ({
      brokers: [{ nodeId: settings.nodeId, host: advertised.host, port: advertised.port }],
      clusterId: log.state.clusterId,
      controllerId: settings.nodeId,
      topics: wantedTopics(broker, request, version, refused).map(topic => ({
        ...topic,
        topicAuthorizedOperations: topic.errorCode === UNKNOWN_TOPIC_ID ? OPERATIONS_NOT_ASKED : operations,
      })),
      clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
        ? CLUSTER_OPERATIONS
        : OPERATIONS_NOT_ASKED,
      errorCode: NONE,
    })
    const toCreate = namesToCreate(broker, request, version)
    return toCreate.length === 0 ? answer(new Map()) : createTopics(broker, toCreate).then(answer)
  },
)

const UNKNOWN_TOPIC_ID = errorCode('UNKNOWN_TOPIC_ID')

// ---- what is asked

/** v0 has no null: there an empty list means all topics. */
function asksForAll({ topics }: MetadataRequest, version: number): boolean {
  return topics === null || (version === 0 && topics.length === 0)
}

function isInvalid({ topics }: MetadataRequest, version: number): boolean {
  if (topics === null) return false
  if (version >= NAMES_MAY_BE_MISSING_FROM) {
    return topics.some(({ name, topicId }) => name === null && topicId === '')
  }
  return topics.some(({ name, topicId }) => name === null || topicId !== '')
}

function idsOf({ topics }: MetadataRequest): string[] {
  return [...new Set((topics ?? []).map(topic => topic.topicId).filter(id => id !== ''))]
}

function namesOf({ topics }: MetadataRequest): string[] {
  return [...new Set((topics ?? []).map(topic => topic.name).filter(name => name !== null))]
}

// ---- topics that are not there yet

function namesToCreate({ settings, log }: Broker, request: MetadataRequest, version: number): string[] {
  const mayCreate = settings.autoCreateTopics && request.allowAutoTopicCreation && !asksForAll(request, version)
  if (!mayCreate || idsOf(request).length > 0) return []
  return namesOf(request).filter(name => !log.state.topics.has(name))
}

/** Answers which of them could not be created, and why. */
function createTopics(broker: Broker, names: readonly string[]): Promise<Map<string, KafkaErrorName>> {
  return inTurn(broker, async () => {
    const refused = new Map<string, KafkaErrorName>()
    const planned: NewTopic[] = []
    const checks = new NewTopics(broker)
    const { numPartitions: partitionCount } = broker.settings
    for (const name of names) {
      const problem = checks.checkName(name) ?? checks.plan(name, partitionCount)
      if (problem !== null) refused.set(name, problem.code)
      else planned.push({ id: newTopicId(broker.random), name, partitionCount, configs: new Map() })
    }
    const creations = planned.map(async topic => {
      const problem = await createTopic(broker, topic)
      if (problem !== null) refused.set(topic.name, problem.code)
    })
    await Promise.all(creations)
    return refused
  })
}

// ---- the answer

function wantedTopics(
  { settings, log }: Broker,
  request: MetadataRequest,
  version: number,
  refused: ReadonlyMap<string, KafkaErrorName>,
): TopicAnswer[] {
  const { topics, topicsById } = log.state
  const found = (topic: Topic) => describeTopic(topic, settings.nodeId)
  if (asksForAll(request, version)) return [...topics.values()].map(found)
  const ids = idsOf(request)
  // Kafka: as soon as there is an id, names do not count.
  if (ids.length > 0) {
    return ids.map(id => {
      const topic = topicsById.get(id)
      return topic === undefined ? missing(null, id, 'UNKNOWN_TOPIC_ID') : found(topic)
    })
  }
  return namesOf(request).map(name => {
    const topic = topics.get(name)
    return topic === undefined ? missing(name, '', refused.get(name) ?? unknownName(name)) : found(topic)
  })
}

function unknownName(name: string): KafkaErrorName {
  return topicNameProblem(name) === null ? 'UNKNOWN_TOPIC_OR_PARTITION' : 'INVALID_TOPIC_EXCEPTION'
}

function describeTopic(topic: Topic, nodeId: number): TopicAnswer {
  const replicas = [nodeId]
  return {
    errorCode: NONE,
    name: topic.name,
    topicId: topic.id,
    partitions: topic.partitions.map(({ index, leaderEpoch }) => ({
      errorCode: NONE,
      partitionIndex: index,
      leaderId: nodeId,
      leaderEpoch,
      replicaNodes: replicas,
      isrNodes: replicas,
      offlineReplicas: [],
    })),
  }
}

function missing(name: string | null, topicId: string, error: KafkaErrorName): TopicAnswer {
  return { errorCode: errorCode(error), name, topicId, partitions: [] }
}

function refuseAll({ topics }: MetadataRequest): MetadataResponse {
  const code = errorCode('INVALID_REQUEST')
  return {
    brokers: [],
    topics: (topics ?? []).map(({ name, topicId }) => ({ errorCode: code, name: name ?? '', topicId, partitions: [] })),
    errorCode: code,
  }
}
