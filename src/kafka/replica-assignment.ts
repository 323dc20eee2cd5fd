import { type Refusal, refusal } from './refusal.ts'

// Assignments of replicas to brokers by hand (Kafka: ReplicationControlManager). There is one broker, so there is one right
// answer; what else is asked for is refused as Kafka would with one broker.

/** Of a new topic: partition by partition, from 0. */
export function checkAssignments(
  assignments: readonly { partitionIndex: number; brokerIds: readonly number[] }[],
  nodeId: number,
): Refusal | null {
  const seen = new Set<number>()
  for (const { partitionIndex, brokerIds } of assignments) {
    if (seen.has(partitionIndex)) {
      return invalid(`Found multiple manual partition assignments for partition ${partitionIndex}`)
    }
    seen.add(partitionIndex)
    const problem = checkReplicas(brokerIds, nodeId)
    if (problem !== null) return problem
  }
  for (let index = 0; index < seen.size; index++) {
    if (!seen.has(index)) return invalid('partitions should be a consecutive 0-based integer sequence')
  }
  return null
}

/** Of one partition. */
export function checkReplicas(brokerIds: readonly number[], nodeId: number): Refusal | null {
  if (brokerIds.length === 0) return invalid('The manual partition assignment includes an empty replica list.')
  const stranger = brokerIds.find(id => id !== nodeId)
  if (stranger !== undefined) {
    return invalid(`The manual partition assignment includes broker ${stranger}, but no such broker is registered.`)
  }
  if (brokerIds.length === 1) return null
  return invalid(`The manual partition assignment includes the broker ${nodeId} more than once.`)
}

function invalid(message: string): Refusal {
  return refusal('INVALID_REPLICA_ASSIGNMENT', message)
}
