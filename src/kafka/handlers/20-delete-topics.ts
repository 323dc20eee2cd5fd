import type { Broker } from '#kafka/broker.ts'
import { defineHandler } from '#kafka/handler.ts'
import { DeleteTopicsRequest, DeleteTopicsResponse } from '#kafka/protocol/apis/20-delete-topics.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'
import { propose, type Refusal, refusal } from '#kafka/refusal.ts'

// DeleteTopics v1-6. v6: by name or by id.

type Answer = DeleteTopicsResponse['responses'][number]

interface Wanted {
  readonly name: string | null
  readonly topicId: string
}

const IDS_FROM = 6

export const deleteTopics = defineHandler(
  { request: DeleteTopicsRequest, response: DeleteTopicsResponse, versions: [1, 6] },
  async (request, { broker, version }) => {
    const wanted =
      version >= IDS_FROM ? request.topics : request.topicNames.map((name): Wanted => ({ name, topicId: '' }))
    const answers = [...withoutRepeats(wanted)].map(([one, isRepeated]) => deleteTopic(broker, one, isRepeated))
    return { responses: await Promise.all(answers) }
  },
)

/** Each topic once, and whether it was named more often. */
function withoutRepeats(wanted: readonly Wanted[]): Map<Wanted, boolean> {
  const firsts = new Map<string, Wanted>()
  const repeated = new Map<Wanted, boolean>()
  for (const one of wanted) {
    const key = `${one.topicId}/${one.name ?? ''}`
    const first = firsts.get(key)
    if (first === undefined) firsts.set(key, one)
    repeated.set(first ?? one, first !== undefined)
  }
  return repeated
}

async function deleteTopic(broker: Broker, wanted: Wanted, isRepeated: boolean): Promise<Answer> {
  const { name, topicId } = wanted
  const invalid = problemWith(wanted, isRepeated)
  if (invalid !== null) return refused(wanted, invalid)
  const { topics, topicsById } = broker.log.state
  const topic = name === null ? topicsById.get(topicId) : topics.get(name)
  const unknown = refusal(name === null ? 'UNKNOWN_TOPIC_ID' : 'UNKNOWN_TOPIC_OR_PARTITION')
  if (topic === undefined) return refused(wanted, unknown)
  const problem = await propose(broker, { kind: 'topic-deleted', id: topic.id })
  // Another request was quicker.
  if (problem !== null) return refused(wanted, problem.code === 'UNKNOWN_TOPIC_ID' ? unknown : problem)
  return { name: topic.name, topicId: topic.id, errorCode: errorCode('NONE') }
}

function problemWith({ name, topicId }: Wanted, isRepeated: boolean): Refusal | null {
  const invalid = (message: string) => refusal('INVALID_REQUEST', message)
  if (name !== null && topicId !== '') return invalid('You may not specify both topic name and topic id.')
  if (name === null && topicId === '') return invalid('Neither topic name nor id were specified.')
  if (isRepeated) return invalid(`Duplicate topic ${name === null ? 'id' : 'name'}.`)
  return null
}

function refused({ name, topicId }: Wanted, { code, message }: Refusal): Answer {
  return { name, topicId, errorCode: errorCode(code), errorMessage: message }
}
