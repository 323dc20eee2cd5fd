import type { Broker } from '#kafka/broker.ts'
import { defineHandler } from '#kafka/handler.ts'
import {
  AlterPartitionReassignmentsRequest,
  AlterPartitionReassignmentsResponse,
} from '#kafka/protocol/apis/45-alter-partition-reassignments.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'
import { type Refusal, refusal } from '#kafka/refusal.ts'
import { checkReplicas } from '#kafka/replica-assignment.ts'

// AlterPartitionReassignments v0-1: partitions can be moved to where they are, to the one broker.
export const alterPartitionReassignments = defineHandler(
  { request: AlterPartitionReassignmentsRequest, response: AlterPartitionReassignmentsResponse, versions: [0, 1] },
  ({ topics, allowReplicationFactorChange }, { broker }) => ({
    allowReplicationFactorChange,
    errorCode: errorCode('NONE'),
    errorMessage: null,
    responses: topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex, replicas }) => {
        const problem = reassign(broker, name, partitionIndex, replicas)
        const code = problem?.code ?? 'NONE'
        return { partitionIndex, errorCode: errorCode(code), errorMessage: problem?.message ?? null }
      }),
    })),
  }),
)

/** Null for replicas asks to cancel what is under way. */
function reassign(broker: Broker, name: string, index: number, replicas: readonly number[] | null): Refusal | null {
  const topic = broker.log.state.topics.get(name)
  if (topic === undefined) return refusal('UNKNOWN_TOPIC_OR_PARTITION', `Unable to find a topic named ${name}.`)
  if (topic.partitions[index] === undefined) {
    return refusal('UNKNOWN_TOPIC_OR_PARTITION', `Unable to find partition ${name}:${index}.`)
  }
  if (replicas === null) return refusal('NO_REASSIGNMENT_IN_PROGRESS')
  return checkReplicas(replicas, broker.settings.nodeId)
}
