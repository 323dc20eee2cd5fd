import type { Topic } from '#core/state.ts'
import type { Broker } from '#kafka/broker.ts'
import type { IsSubscribed } from '#kafka/coordinator/group-coordinator.ts'
import { defineHandler } from '#kafka/handler.ts'
import { OffsetDeleteRequest, OffsetDeleteResponse } from '#kafka/protocol/apis/47-offset-delete.ts'
import { type Decoded, type Encodable, errorCode, type KafkaErrorName } from '#kafka/protocol/protocol.ts'
import { propose } from '#kafka/refusal.ts'

// OffsetDelete v0: committed offsets of topics that no member of the group is subscribed to.

/** Kafka says nothing of a topic that is there if nothing is asked of it. */
const NOT_ANSWERED = [] as const

export const offsetDelete = defineHandler(
  { request: OffsetDeleteRequest, response: OffsetDeleteResponse, versions: [0, 0] },
  (request, { broker }) => broker.groups.whenSettled(request.groupId, () => deleteOffsets(broker, request)),
)

async function deleteOffsets(
  broker: Broker,
  { groupId, topics }: Decoded<typeof OffsetDeleteRequest>,
): Promise<Encodable<typeof OffsetDeleteResponse>> {
  const allowed = broker.groups.mayDeleteOffsets(groupId)
  if (!allowed.ok) return { errorCode: errorCode(allowed.error), topics: [] }
  const removed: { topicId: string; partitions: number[] }[] = []
  const answers = topics.flatMap(({ name, partitions }) => {
    const topic = broker.log.state.topics.get(name)
    if (topic !== undefined && partitions.length === 0) return NOT_ANSWERED
    const ours: number[] = []
    const answer = partitions.map(({ partitionIndex }) => {
      const error = problemWith(topic, partitionIndex, allowed.isSubscribed)
      if (error === 'NONE') ours.push(partitionIndex)
      return { partitionIndex, errorCode: errorCode(error) }
    })
    if (topic !== undefined && ours.length > 0) removed.push({ topicId: topic.id, partitions: ours })
    return { name, partitions: answer }
  })
  const problem =
    removed.length === 0 ? null : await propose(broker, { kind: 'offsets-removed', groupId, topics: removed })
  if (problem !== null) return { errorCode: errorCode('COORDINATOR_NOT_AVAILABLE'), topics: [] }
  return { errorCode: errorCode('NONE'), topics: answers }
}

function problemWith(topic: Topic | undefined, index: number, isSubscribed: IsSubscribed): KafkaErrorName {
  if (topic?.partitions[index] === undefined) return 'UNKNOWN_TOPIC_OR_PARTITION'
  return isSubscribed(topic.name) ? 'GROUP_SUBSCRIBED_TO_TOPIC' : 'NONE'
}
