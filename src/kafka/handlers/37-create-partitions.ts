import type { Broker } from '#kafka/broker.ts'
import { defineHandler } from '#kafka/handler.ts'
import { inTurn } from '#kafka/in-turn.ts'
import { CreatePartitionsRequest, CreatePartitionsResponse } from '#kafka/protocol/apis/37-create-partitions.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'
import { propose, type Refusal, refusal } from '#kafka/refusal.ts'
import { checkReplicas } from '#kafka/replica-assignment.ts'
import { PartitionRoom } from '#kafka/topic-creation.ts'

// CreatePartitions v0-3: topics grow, one result for each.

type Wanted = CreatePartitionsRequest['topics'][number]

export const createPartitions = defineHandler(
  { request: CreatePartitionsRequest, response: CreatePartitionsResponse, versions: [0, 3] },
  ({ topics, validateOnly }, { broker }) =>
    inTurn(broker, async () => {
      const room = new PartitionRoom(broker)
      const results: CreatePartitionsResponse['results'][number][] = []
      for (const [name, topic] of byName(topics)) {
        const problem =
          topic === 'repeated'
            ? refusal('INVALID_REQUEST', 'Duplicate topic name.')
            : await grow(broker, room, topic, validateOnly)
        results.push({ name, errorCode: errorCode(problem?.code ?? 'NONE'), errorMessage: problem?.message ?? null })
      }
      return { results }
    }),
)

function byName(topics: readonly Wanted[]): Map<string, Wanted | 'repeated'> {
  const named = new Map<string, Wanted | 'repeated'>()
  for (const topic of topics) named.set(topic.name, named.has(topic.name) ? 'repeated' : topic)
  return named
}

async function grow(
  broker: Broker,
  room: PartitionRoom,
  wanted: Wanted,
  validateOnly: boolean,
): Promise<Refusal | null> {
  const topic = broker.log.state.topics.get(wanted.name)
  if (topic === undefined) return refusal('UNKNOWN_TOPIC_OR_PARTITION')
  const problem =
    problemWith(broker, wanted, topic.partitions.length) ?? room.take(wanted.count - topic.partitions.length)
  if (problem !== null || validateOnly) return problem
  const refused = await propose(broker, { kind: 'partitions-added', id: topic.id, partitionCount: wanted.count })
  return refused?.code === 'UNKNOWN_TOPIC_ID' ? refusal('UNKNOWN_TOPIC_OR_PARTITION') : refused
}

function problemWith(broker: Broker, { name, count, assignments }: Wanted, current: number): Refusal | null {
  const more = count - current
  if (more === 0) return refusal('INVALID_PARTITIONS', `Topic already has ${current} partition(s).`)
  if (more < 0) {
    const message = `The topic ${name} currently has ${current} partition(s); ${count} would not be an increase.`
    return refusal('INVALID_PARTITIONS', message)
  }
  if (assignments !== null && assignments.length !== more) {
    return refusal(
      'INVALID_REPLICA_ASSIGNMENT',
      `Attempted to add ${more} additional partition(s), but only ${assignments.length} assignment(s) were specified.`,
    )
  }
  for (const { brokerIds } of assignments ?? []) {
    const refused = checkReplicas(brokerIds, broker.settings.nodeId)
    if (refused !== null) return refused
  }
  return null
}
