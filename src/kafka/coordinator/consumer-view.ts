import type { ConsumerGroup } from '#core/consumer-groups.ts'
import type { KafkaErrorName } from '#kafka/protocol/protocol.ts'
import type { Caller } from './classic-requests.ts'
import type { TopicView } from './topic-view.ts'

// What others ask of a consumer group: what state it is in, and who may commit and fetch offsets.

export type ConsumerPhase = 'Empty' | 'Assigning' | 'Reconciling' | 'Stable'

export function consumerPhase({ members, epoch, targetEpoch }: ConsumerGroup): ConsumerPhase {
  if (members.size === 0) return 'Empty'
  if (epoch > targetEpoch) return 'Assigning'
  for (const member of members.values()) {
    if (member.state !== 'stable' || member.epoch !== targetEpoch) return 'Reconciling'
  }
  return 'Stable'
}

/** Names of all topics that members want; null: that is not known yet. */
export function consumerSubscriptions({ members }: ConsumerGroup, topics: TopicView): Set<string> | null {
  const names = new Set<string>()
  const regexes = new Set<string>()
  for (const { topicNames, topicRegex } of members.values()) {
    for (const name of topicNames) names.add(name)
    if (topicRegex !== '') regexes.add(topicRegex)
  }
  for (const regex of regexes) {
    const matching = topics.matchingNow(regex)
    if (matching === null) return null
    for (const name of matching) names.add(name)
  }
  return names
}

/** Says of a partition, by its topic's id, whether its offset may be committed. */
export type CommitRule = (topicId: string, partition: number) => KafkaErrorName

/** Version of OffsetCommit that knows member epochs. */
const EPOCHS_FROM = 9

/** `version` is that of the request; null: in a transaction. Kafka: ConsumerGroup.validateOffsetCommit */
export function consumerCommitRule(group: ConsumerGroup, caller: Caller, version: number | null): CommitRule {
  const { memberId, generation, instanceId } = caller
  if (generation < 0 && group.members.size === 0) return () => 'NONE'
  if (version === null && generation === -1 && memberId === '' && instanceId === null) return () => 'NONE'
  const member = group.members.get(memberId)
  if (member === undefined) return () => 'UNKNOWN_MEMBER_ID'
  if (member.classic === null && version !== null && version < EPOCHS_FROM) return () => 'UNSUPPORTED_VERSION'
  if (generation === member.epoch) return () => 'NONE'
  const stale = member.classic === null ? 'STALE_MEMBER_EPOCH' : 'ILLEGAL_GENERATION'
  if (generation > member.epoch) return () => stale
  // KIP-1251: an older epoch will do for what the member has had since.
  return (topicId, partition) => {
    const since = member.assigned.get(topicId)?.get(partition) ?? member.revoking.get(topicId)?.get(partition)
    return since !== undefined && generation >= since ? 'NONE' : stale
  }
}

/** Kafka: ConsumerGroup.validateOffsetFetch */
export function checkFetch(group: ConsumerGroup, memberId: string | null, memberEpoch: number): KafkaErrorName {
  if (memberId === null && memberEpoch < 0) return 'NONE'
  const member = group.members.get(memberId ?? '')
  if (member === undefined) return 'UNKNOWN_MEMBER_ID'
  if (memberEpoch === member.epoch) return 'NONE'
  return member.classic === null ? 'STALE_MEMBER_EPOCH' : 'ILLEGAL_GENERATION'
}
