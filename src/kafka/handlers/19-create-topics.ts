import { describeTopicConfigs, newTopicConfigs } from '#config/topic-config.ts'
import type { Broker } from '#kafka/broker.ts'
import { defineHandler } from '#kafka/handler.ts'
import { inTurn } from '#kafka/in-turn.ts'
import { CreateTopicsRequest, CreateTopicsResponse } from '#kafka/protocol/apis/19-create-topics.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'
import { type Refusal, refusal } from '#kafka/refusal.ts'
import { checkAssignments } from '#kafka/replica-assignment.ts'
import { createTopic, type NewTopic, NewTopics, newTopicId, REPLICATION_FACTOR } from '#kafka/topic-creation.ts'

// CreateTopics v2-7. v4: -1 for the default of partitions and replicas. v5: the configs in the answer. v7: the id.
// Any replication factor is taken: programs ask for three, and one replica is all there is.

type WantedTopic = CreateTopicsRequest['topics'][number]
type TopicAnswer = CreateTopicsResponse['topics'][number]

const DEFAULT = -1

export const createTopics = defineHandler(
  { request: CreateTopicsRequest, response: CreateTopicsResponse, versions: [2, 7] },
  ({ topics, validateOnly }, { broker }) =>
    inTurn(broker, async () => {
      const wanted = new Map<string, WantedTopic | Refusal>()
      for (const topic of topics) {
        wanted.set(topic.name, wanted.has(topic.name) ? refusal('INVALID_REQUEST', 'Duplicate topic name.') : topic)
      }
      const checks = new NewTopics(broker)
      const answers = [...wanted].map(async ([name, topic]): Promise<TopicAnswer> => {
        const plan = 'ok' in topic ? topic : planTopic(broker, topic, checks)
        if ('ok' in plan) return refusedTopic(name, plan)
        const problem = validateOnly ? null : await createTopic(broker, plan)
        return problem === null ? createdTopic(broker, plan) : refusedTopic(name, problem)
      })
      return { topics: await Promise.all(answers) }
    }),
)

/** What the topic will be, or the first thing that stands against it in Kafka's order. */
function planTopic(broker: Broker, topic: WantedTopic, checks: NewTopics): NewTopic | Refusal {
  const nameProblem = checks.checkName(topic.name)
  if (nameProblem !== null) return nameProblem
  const altered = newTopicConfigs(topic.configs, broker.topicRules.layers())
  if (!altered.ok) return altered
  const partitionCount = plannedPartitions(broker, topic)
  if (typeof partitionCount !== 'number') return partitionCount
  const limitProblem = checks.plan(topic.name, partitionCount)
  if (limitProblem !== null) return limitProblem
  return { id: newTopicId(broker.random), name: topic.name, partitionCount, configs: altered.configs }
}

function plannedPartitions({ settings }: Broker, topic: WantedTopic): number | Refusal {
  const { numPartitions, replicationFactor, assignments } = topic
  if (assignments.length > 0) {
    const given = (what: string) =>
      refusal('INVALID_REQUEST', `A manual partition assignment was specified, but ${what} was not set to -1.`)
    if (replicationFactor !== DEFAULT) return given('replication factor')
    if (numPartitions !== DEFAULT) return given('numPartitions')
    return checkAssignments(assignments, settings.nodeId) ?? assignments.length
  }
  if (replicationFactor < DEFAULT || replicationFactor === 0) {
    return refusal(
      'INVALID_REPLICATION_FACTOR',
      'Replication factor must be larger than 0, or -1 to use the default value.',
    )
  }
  if (numPartitions < DEFAULT || numPartitions === 0) {
    return refusal('INVALID_PARTITIONS', 'Number of partitions was set to an invalid non-positive value.')
  }
  return numPartitions === DEFAULT ? settings.numPartitions : numPartitions
}

function createdTopic(broker: Broker, { id, name, partitionCount, configs }: NewTopic): TopicAnswer {
  return {
    name,
    topicId: id,
    errorCode: errorCode('NONE'),
    errorMessage: null,
    numPartitions: partitionCount,
    replicationFactor: REPLICATION_FACTOR,
    configs: describeTopicConfigs(configs, broker.topicRules.layers()).map(config => ({
      name: config.name,
      value: config.isSensitive ? null : config.value,
      readOnly: config.isReadOnly,
      configSource: config.source,
      isSensitive: config.isSensitive,
    })),
  }
}

function refusedTopic(name: string, { code, message }: Refusal): TopicAnswer {
  return { name, topicId: '', errorCode: errorCode(code), errorMessage: message, configs: [] }
}
