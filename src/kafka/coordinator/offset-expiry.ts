import type { CommittedOffset, Group, RemovedTopic } from '#core/groups.ts'
import { CONSUMER_PROTOCOL } from './consumer-protocol.ts'
import type { DescribedGroup } from './group-coordinator.ts'

// Which committed offsets nobody needs any more (Kafka: offsets.retention.minutes, ClassicGroup.offsetExpirationCondition).

/** What of a group has expired; `removesGroup`: nothing of it is left then. */
export interface Expired {
  readonly topics: readonly RemovedTopic[]
  readonly removesGroup: boolean
}

export function expiredOffsets(
  group: Group,
  described: Pick<DescribedGroup, 'phase' | 'protocolType'>,
  isSubscribed: (topicId: string) => boolean,
  time: { nowMs: number; retentionMs: number },
): Expired {
  const isExpired = expiryOf(group, described, isSubscribed, time)
  const topics: RemovedTopic[] = []
  const pending = group.pendingPartitions()
  let leftCount = 0
  for (const [topicId, offsets] of group.offsets) {
    const partitions: number[] = []
    for (const [partition, committed] of offsets) {
      // What an open transaction is about to change stays until it has ended.
      if (isExpired(topicId, committed) && !pending.get(topicId)?.has(partition)) partitions.push(partition)
      else leftCount++
    }
    if (partitions.length > 0) topics.push({ topicId, partitions })
  }
  return { topics, removesGroup: described.phase === 'Empty' && leftCount === 0 && group.pending.size === 0 }
}

function expiryOf(
  group: Group,
  { phase, protocolType }: Pick<DescribedGroup, 'phase' | 'protocolType'>,
  isSubscribed: (topicId: string) => boolean,
  { nowMs, retentionMs }: { nowMs: number; retentionMs: number },
): (topicId: string, committed: CommittedOffset) => boolean {
  const isOver = ({ expiresMs }: CommittedOffset, sinceMs: number): boolean =>
    expiresMs >= 0 ? nowMs >= expiresMs : nowMs - sinceMs >= retentionMs
  // Kafka: ConsumerGroup.offsetExpirationCondition, which knows nothing of when the group became empty.
  if (group.consumer !== null) {
    return (topicId, committed) => !isSubscribed(topicId) && isOver(committed, committed.committedMs)
  }
  // Nobody manages the group: each offset counts for itself.
  if (protocolType === null) return (_, committed) => isOver(committed, committed.committedMs)
  switch (phase) {
    case 'Empty':
      return (_, committed) => isOver(committed, Math.max(group.savedMs, committed.committedMs))
    case 'Stable':
      // What members of another type want is known to them alone.
      if (protocolType !== CONSUMER_PROTOCOL) return () => false
      return (topicId, committed) => !isSubscribed(topicId) && isOver(committed, committed.committedMs)
    default:
      return () => false
  }
}
