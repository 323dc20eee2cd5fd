import type { Broker } from '#kafka/broker.ts'
import { defineHandler } from '#kafka/handler.ts'
import { ElectLeadersRequest, ElectLeadersResponse } from '#kafka/protocol/apis/43-elect-leaders.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'
import { type Refusal, refusal } from '#kafka/refusal.ts'

// ElectLeaders v0-2: the one broker leads every partition already.

/** Preferred and unclean election. */
const ELECTION_TYPES: readonly number[] = [0, 1]

export const electLeaders = defineHandler(
  { request: ElectLeadersRequest, response: ElectLeadersResponse, versions: [0, 2] },
  ({ electionType, topicPartitions }, { broker }) => {
    const invalid = ELECTION_TYPES.includes(electionType)
      ? null
      : refusal('INVALID_REQUEST', `Unknown election type ${electionType}`)
    // Kafka: asked about all partitions, it answers those that had an election.
    const wanted = topicPartitions ?? [...broker.log.state.topics.keys()].map(topic => ({ topic, partitions: [] }))
    return {
      errorCode: errorCode(invalid?.code ?? 'NONE'),
      replicaElectionResults: wanted.map(({ topic, partitions }) => ({
        topic,
        partitionResult: partitions.map(partitionId => {
          const { code, message } = invalid ?? whyNone(broker, topic, partitionId)
          return { partitionId, errorCode: errorCode(code), errorMessage: message }
        }),
      })),
    }
  },
)

function whyNone({ log }: Broker, name: string, partitionId: number): Refusal {
  const topic = log.state.topics.get(name)
  if (topic === undefined) return refusal('UNKNOWN_TOPIC_OR_PARTITION', `No such topic as ${name}`)
  if (topic.partitions[partitionId] === undefined) {
    return refusal('UNKNOWN_TOPIC_OR_PARTITION', `No such partition as ${name}-${partitionId}`)
  }
  return refusal('ELECTION_NOT_NEEDED', 'Leader election not needed for topic partition.')
}
