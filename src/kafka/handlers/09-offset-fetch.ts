import type { CommittedOffset, Group, PendingPartitions } from '#core/groups.ts'
import type { RequestContext } from '#kafka/broker.ts'
import { checkFetch } from '#kafka/coordinator/consumer-view.ts'
import { defineHandler } from '#kafka/handler.ts'
import { OffsetFetchRequest, OffsetFetchResponse } from '#kafka/protocol/apis/09-offset-fetch.ts'
import { errorCode, type KafkaErrorName } from '#kafka/protocol/protocol.ts'

// OffsetFetch v1-10. v2: no topics means all. v7: what an open transaction is about to change need not be told (KIP-447). v8:
// several groups. v10: topics by id. What was never committed is answered with -1 and no error.

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
    const { log } = context.broker
    // An offset that is not answered may never have been committed.
    return log.gate.heldFrom === null
      ? answerAll(request, context)
      : log.answered().then(() => answerAll(request, context))
  },
)

function answerAll(request: OffsetFetchRequest, context: RequestContext): OffsetFetchResponse {
  const { groupId, topics, requireStable } = request
  const reading: Reading = { ...context, pending: requireStable ? new Map() : null }
  if (context.version >= SEVERAL_FROM) return { groups: request.groups.map(wanted => answerGroup(wanted, reading)) }
  const wanted: WantedGroup = {
    groupId,
    memberId: null,
    memberEpoch: -1,
    topics: topics?.map(topic => ({ ...topic, topicId: '' })) ?? null,
  }
  const answer = answerGroup(wanted, reading)
  return {
    topics: answer.topics.map(({ name, partitions }) => ({ name: name ?? '', partitions })),
    errorCode: answer.errorCode ?? NONE,
  }
}

/** `pending`: of groups that were asked for so far; what is in it is not told. Null: everything is. */
interface Reading extends Pick<RequestContext, 'broker' | 'version'> {
  readonly pending: Map<Group, PendingPartitions> | null
}

function answerGroup(wanted: WantedGroup, reading: Reading): GroupAnswer {
  const { groupId, memberId, memberEpoch } = wanted
  const group = reading.broker.log.state.groups.get(groupId)
  // KIP-848: who says that it is a member must be one.
  const consumer = reading.broker.groups.describeConsumer(groupId)
  const refused = consumer === null ? 'NONE' : checkFetch(consumer, memberId, memberEpoch)
  if (refused !== 'NONE') return { groupId, topics: [], errorCode: errorCode(refused) }
  const topics =
    wanted.topics === null ? allOf(group, reading) : wanted.topics.map(topic => answerTopic(group, topic, reading))
  return { groupId, topics, errorCode: NONE }
}

function answerTopic(
  group: Group | undefined,
  { name, topicId, partitionIndexes }: NonNullable<WantedGroup['topics']>[number],
  { broker, version, pending }: Reading,
): TopicAnswer {
  const { topics, topicsById } = broker.log.state
  const byId = version >= IDS_FROM
  const topic = byId ? topicsById.get(topicId) : topics.get(name)
  const offsets = topic === undefined ? undefined : group?.offsets.get(topic.id)
  const isUnknown = byId && topic === undefined
  const unstable = pendingIn(pending, group)?.get(topic?.id ?? '')
  const partitions = partitionIndexes.map(index => {
    if (isUnknown) return refusedPartition(index, 'UNKNOWN_TOPIC_ID')
    return unstable?.has(index)
      ? refusedPartition(index, 'UNSTABLE_OFFSET_COMMIT')
      : answerPartition(index, offsets?.get(index))
  })
  return { name, topicId, partitions }
}

/** What open transactions of the group are about to change: looked up once, however often a request names the group. */
function pendingIn(pending: Reading['pending'], group: Group | undefined): PendingPartitions | undefined {
  if (pending === null || group === undefined) return undefined
  let found = pending.get(group)
  if (found === undefined) {
    found = group.pendingPartitions()
    pending.set(group, found)
  }
  return found
}

function allOf(group: Group | undefined, { broker, pending }: Reading): TopicAnswer[] {
  const answers: TopicAnswer[] = []
  for (const [topicId, offsets] of group?.offsets ?? []) {
    const topic = broker.log.state.topicsById.get(topicId)
    if (topic === undefined) continue
    const unstable = pendingIn(pending, group)?.get(topicId)
    const partitions = [...offsets].map(([index, committed]) =>
      unstable?.has(index) ? refusedPartition(index, 'UNSTABLE_OFFSET_COMMIT') : answerPartition(index, committed),
    )
    answers.push({ name: topic.name, topicId, partitions })
  }
  return answers
}

function refusedPartition(partitionIndex: number, error: KafkaErrorName): PartitionAnswer {
  return { ...answerPartition(partitionIndex, undefined), errorCode: errorCode(error) }
}

function answerPartition(partitionIndex: number, committed: CommittedOffset | undefined): PartitionAnswer {
  return {
    partitionIndex,
    committedOffset: committed?.offset ?? -1,
    committedLeaderEpoch: committed?.leaderEpoch ?? -1,
    metadata: committed?.metadata ?? '',
    errorCode: NONE,
  }
}
