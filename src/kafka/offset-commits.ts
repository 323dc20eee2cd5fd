import type { CommittedTopic } from '#core/groups.ts'
import type { Topic } from '#core/state.ts'
import type { Broker } from './broker.ts'
import type { CommitRule } from './coordinator/consumer-view.ts'
import { errorCode, type KafkaErrorName } from './protocol/protocol.ts'

// What a request asks to commit: which of its offsets can be, and how each is answered. OffsetCommit and TxnOffsetCommit name them
// alike.

/** Kafka says nothing of a topic that is there if nothing is asked of it. */
const NOT_ANSWERED = [] as const

export interface WantedTopic {
  readonly name: string
  readonly topicId: string
  readonly partitions: readonly WantedPartition[]
}

export interface WantedPartition {
  readonly partitionIndex: number
  readonly committedOffset: number
  readonly committedLeaderEpoch: number
  readonly committedMetadata: string | null
}

interface AnsweredTopic {
  readonly name: string
  readonly topicId: string
  readonly partitions: { readonly partitionIndex: number; readonly errorCode: number }[]
}

export interface CommitRules {
  /** Topics are named by id. */
  readonly byId: boolean
  readonly mayCommit: CommitRule
  /** -1: as the broker's retention says. */
  readonly expiresMs: number
}

export interface SortedCommits {
  readonly commits: readonly CommittedTopic[]
  /** `failure`: what became of those that could be committed. */
  answer(failure: KafkaErrorName): AnsweredTopic[]
}

export function sortCommits(broker: Broker, topics: readonly WantedTopic[], rules: CommitRules): SortedCommits {
  const commits: CommittedTopic[] = []
  const sorted = topics.flatMap(wanted => {
    const { topics: byName, topicsById } = broker.log.state
    const topic = rules.byId ? topicsById.get(wanted.topicId) : byName.get(wanted.name)
    if (topic !== undefined && wanted.partitions.length === 0) return NOT_ANSWERED
    const partitions: CommittedTopic['partitions'][number][] = []
    const errors = wanted.partitions.map(partition => {
      const problem = problemWith(broker, topic, partition, rules)
      if (problem === 'NONE') partitions.push(committed(partition, rules.expiresMs))
      return { partitionIndex: partition.partitionIndex, error: problem }
    })
    if (topic !== undefined && partitions.length > 0) commits.push({ topicId: topic.id, partitions })
    return { wanted, errors }
  })
  const answer = (failure: KafkaErrorName): AnsweredTopic[] =>
    sorted.map(({ wanted: { name, topicId }, errors }) => ({
      name,
      topicId,
      partitions: errors.map(({ partitionIndex, error }) => ({
        partitionIndex,
        errorCode: errorCode(error === 'NONE' ? failure : error),
      })),
    }))
  return { commits, answer }
}

function problemWith(
  { settings }: Broker,
  topic: Topic | undefined,
  { partitionIndex, committedMetadata }: WantedPartition,
  { byId, mayCommit }: CommitRules,
): KafkaErrorName {
  if (topic === undefined && byId) return 'UNKNOWN_TOPIC_ID'
  if (topic?.partitions[partitionIndex] === undefined) return 'UNKNOWN_TOPIC_OR_PARTITION'
  const refused = mayCommit(topic.id, partitionIndex)
  if (refused !== 'NONE') return refused
  const isTooLong = (committedMetadata?.length ?? 0) > settings.offsetMetadataMaxBytes
  return isTooLong ? 'OFFSET_METADATA_TOO_LARGE' : 'NONE'
}

function committed(partition: WantedPartition, expiresMs: number): CommittedTopic['partitions'][number] {
  return {
    partition: partition.partitionIndex,
    offset: partition.committedOffset,
    leaderEpoch: partition.committedLeaderEpoch,
    metadata: partition.committedMetadata ?? '',
    expiresMs,
  }
}
