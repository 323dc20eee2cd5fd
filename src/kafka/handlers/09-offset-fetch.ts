import type { CommittedOffset, Group } from '#core/groups.ts'
import type { Broker, RequestContext } from '#kafka/broker.ts'
import { defineHandler } from '#kafka/handler.ts'
import { OffsetFetchRequest, OffsetFetchResponse } from '#kafka/protocol/apis/09-offset-fetch.ts'
import { errorCode, type KafkaErrorName } from '#kafka/protocol/protocol.ts'

// OffsetFetch v1-10. v2: no topics means all. v8: several groups. v10: topics by id. What was never committed is answered with
// -1 and no error.

const SEVERAL_FROM = 8
const IDS_FROM = 10
const NONE = errorCode('NONE')

type WantedGroup = OffsetFetchRequest['groups'][number]
type GroupAnswer = NonNullable<OffsetFetchResponse['groups']>[number]
type TopicAnswer = GroupAnswer['topics'][number]
type PartitionAnswer = TopicAnswer['partitions'][number]

export const offsetFetch = defineHandler(
  { request: OffsetFetchRequest, response: OffsetFetchResponse, versions: [1, 10] },
  (request, context) => {
    if (context.version >= SEVERAL_FROM) return { groups: request.groups.map(wanted => answerGroup(wanted, context)) }
    const { groupId, topics } = request
    const wanted: WantedGroup = {
      groupId,
      memberId: null,
      memberEpoch: -1,
      topics: topics?.map(topic => ({ ...topic, topicId: '' })) ?? null,
    }
    const answer = answerGroup(wanted, context)
    return {
      topics: answer.topics.map(({ name, partitions }) => ({ name: name ?? '', partitions })),
      errorCode: answer.errorCode ?? NONE,
    }
  },
)

function answerGroup(wanted: WantedGroup, context: RequestContext): GroupAnswer {
  const { groupId } = wanted
  const group = context.broker.log.state.groups.get(groupId)
  const error = problemWith(wanted, group)
  if (error !== 'NONE') return { groupId, topics: [], errorCode: errorCode(error) }
  const topics =
    wanted.topics === null
      ? allOf(group, context.broker)
      : wanted.topics.map(topic => answerTopic(group, topic, context))
  return { groupId, topics, errorCode: NONE }
}

function problemWith({ groupId, memberId, memberEpoch }: WantedGroup, group: Group | undefined): KafkaErrorName {
  if (groupId === '') return 'INVALID_GROUP_ID'
  // KIP-848: who says that it is a member must be one.
  const isMember = (memberId ?? '') !== '' && memberEpoch >= 0
  return isMember && group === undefined ? 'UNKNOWN_MEMBER_ID' : 'NONE'
}

function answerTopic(
  group: Group | undefined,
  { name, topicId, partitionIndexes }: NonNullable<WantedGroup['topics']>[number],
  { broker, version }: RequestContext,
): TopicAnswer {
  const { topics, topicsById } = broker.log.state
  const byId = version >= IDS_FROM
  const topic = byId ? topicsById.get(topicId) : topics.get(name)
  const offsets = topic === undefined ? undefined : group?.offsets.get(topic.id)
  const error: KafkaErrorName = byId && topic === undefined ? 'UNKNOWN_TOPIC_ID' : 'NONE'
  const partitions = partitionIndexes.map(index => answerPartition(index, offsets?.get(index), error))
  return { name, topicId, partitions }
}

function allOf(group: Group | undefined, broker: Broker): TopicAnswer[] {
  const answers: TopicAnswer[] = []
  for (const [topicId, offsets] of group?.offsets ?? []) {
    const topic = broker.log.state.topicsById.get(topicId)
    if (topic === undefined) continue
    const partitions = [...offsets].map(([index, committed]) => answerPartition(index, committed, 'NONE'))
    answers.push({ name: topic.name, topicId, partitions })
  }
  return answers
}

function answerPartition(
  partitionIndex: number,
  committed: CommittedOffset | undefined,
  error: KafkaErrorName,
): PartitionAnswer {
  return {
    partitionIndex,
    committedOffset: committed?.offset ?? -1,
    committedLeaderEpoch: committed?.leaderEpoch ?? -1,
    metadata: committed?.metadata ?? '',
    errorCode: errorCode(error),
  }
}
