import type { Partition } from '#core/state.ts'
import type { Broker } from './broker.ts'
import type { KafkaErrorName } from './protocol/protocol.ts'

/** A partition by the name of its topic. */
export function partitionNamed(broker: Broker, topic: string, index: number): Partition | undefined {
  return broker.log.state.topics.get(topic)?.partitions[index]
}

const EPOCH_NOT_KNOWN = -1

/** What a client believes of the leader of a partition (KIP-320): null if it is right, or believes nothing. */
export function checkLeaderEpoch({ leaderEpoch }: Partition, believed: number): KafkaErrorName | null {
  if (believed === EPOCH_NOT_KNOWN || believed === leaderEpoch) return null
  return believed < leaderEpoch ? 'FENCED_LEADER_EPOCH' : 'UNKNOWN_LEADER_EPOCH'
}
