import type { CommittedTopic } from '#core/groups.ts'
import type { Topic } from '#core/state.ts'
import type { Broker, RequestContext } from '#kafka/broker.ts'
import { defineHandler } from '#kafka/handler.ts'
import { OffsetCommitRequest, OffsetCommitResponse } from '#kafka/protocol/apis/08-offset-commit.ts'
import { errorCode, type KafkaErrorName } from '#kafka/protocol/protocol.ts'
import { propose } from '#kafka/refusal.ts'

// OffsetCommit v2-10. The answer comes when the offsets are durable. v10: topics by id.

const IDS_FROM = 10

type WantedTopic = OffsetCommitRequest['topics'][number]
type WantedPartition = WantedTopic['partitions'][number]
type TopicAnswer = OffsetCommitResponse['topics'][number]

export const offsetCommit = defineHandler(
  { request: OffsetCommitRequest, response: OffsetCommitResponse, versions: [2, 10] },
  async (request, context) => {
    const { broker } = context
    const { groupId, memberId, groupInstanceId } = request
    const caller = { memberId, instanceId: groupInstanceId, generation: request.generationIdOrMemberEpoch }
    const refused = broker.groups.mayCommit(groupId, caller)
    const expiresMs = request.retentionTimeMs < 0 ? -1 : broker.clock.nowMs() + request.retentionTimeMs
    const commits: CommittedTopic[] = []
    const answers = request.topics.map(wanted => {
      const topic = topicOf(wanted, context)
      const partitions: CommittedTopic['partitions'][number][] = []
      const errors = wanted.partitions.map(partition => {
        const problem = problemWith(topic, partition, context)
        const error = problem === 'NONE' ? refused : problem
        if (error === 'NONE') partitions.push(committed(partition, expiresMs))
        return { partitionIndex: partition.partitionIndex, error }
      })
      if (topic !== undefined && partitions.length > 0) commits.push({ topicId: topic.id, partitions })
      return { wanted, errors }
    })
    const failure = commits.length === 0 ? 'NONE' : await commit(broker, groupId, commits)
    return {
      topics: answers.map(
        ({ wanted: { name, topicId }, errors }): TopicAnswer => ({
          name,
          topicId,
          partitions: errors.map(({ partitionIndex, error }) => ({
            partitionIndex,
            errorCode: errorCode(error === 'NONE' ? failure : error),
          })),
        }),
      ),
    }
  },
)

function topicOf({ name, topicId }: WantedTopic, { broker, version }: RequestContext): Topic | undefined {
  const { topics, topicsById } = broker.log.state
  return version >= IDS_FROM ? topicsById.get(topicId) : topics.get(name)
}

function problemWith(
  topic: Topic | undefined,
  { partitionIndex, committedMetadata }: WantedPartition,
  { broker, version }: RequestContext,
): KafkaErrorName {
  if (topic === undefined && version >= IDS_FROM) return 'UNKNOWN_TOPIC_ID'
  if (topic?.partitions[partitionIndex] === undefined) return 'UNKNOWN_TOPIC_OR_PARTITION'
  const isTooLong = (committedMetadata?.length ?? 0) > broker.settings.offsetMetadataMaxBytes
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

async function commit(broker: Broker, groupId: string, topics: CommittedTopic[]): Promise<KafkaErrorName> {
  const problem = await propose(broker, { kind: 'offsets-committed', groupId, topics })
  // Kafka: a coordinator whose log cannot be written to is not available.
  return problem === null ? 'NONE' : 'COORDINATOR_NOT_AVAILABLE'
}
