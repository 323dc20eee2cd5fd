import { ChronikError } from '#base/errors.ts'
import { type HttpRequest, jsonAnswer, type Route } from '#http/http.ts'
import type { Broker } from './broker.ts'
import { deleteGroup, describeGroup, listGroups, type TopicChoice } from './group-admin.ts'
import { type ResetRequest, type ResetTarget, resetOffsets } from './group-reset.ts'

// Groups on the control socket. What comes in is checked here, whoever sends it.

type Fields = Readonly<Record<string, unknown>>

export function groupRoutes(broker: Broker): Route[] {
  return [
    {
      method: 'GET',
      path: '/groups',
      handle: async ({ query }) =>
        jsonAnswer(200, await listGroups(broker, whole(Number(query.get('from') ?? 0), 'from'))),
    },
    {
      method: 'GET',
      path: '/groups/describe',
      handle: ({ query }) => jsonAnswer(200, describeGroup(broker, text(query.get('group'), 'group'))),
    },
    {
      method: 'POST',
      path: '/groups/reset-offsets',
      handle: async request =>
        jsonAnswer(200, await resetOffsets(broker, resetRequest(fieldsOf(request)), request.signal)),
    },
    {
      method: 'POST',
      path: '/groups/delete',
      handle: async request => {
        const { group, choice } = fieldsOf(request)
        await deleteGroup(broker, text(group, 'group'), topicChoice(choice))
        return jsonAnswer(200, {})
      },
    },
  ]
}

function resetRequest({ group, target, choice, dryRun }: Fields): ResetRequest {
  if (typeof dryRun !== 'boolean') throw invalid('dryRun must be true or false')
  return {
    group: text(group, 'group'),
    target: resetTarget(record(target, 'target')),
    choice: topicChoice(choice),
    dryRun,
  }
}

function resetTarget({ kind, offset, timestampMs, ageMs, by }: Fields): ResetTarget {
  switch (kind) {
    case 'earliest':
    case 'latest':
      return { kind }
    case 'offset':
      return { kind, offset: whole(offset, 'offset') }
    case 'time':
      return { kind, timestampMs: whole(timestampMs, 'timestampMs') }
    case 'age':
      return { kind, ageMs: whole(ageMs, 'ageMs') }
    case 'shift':
      if (Number.isSafeInteger(by)) return { kind, by: by as number }
      throw invalid('by must be a whole number')
    default:
      throw invalid('the kind of the target must be earliest, latest, offset, time, age or shift')
  }
}

function topicChoice(value: unknown): TopicChoice | null {
  if (value === null || value === undefined) return null
  const { topic, partitions } = record(value, 'choice')
  if (partitions === null || partitions === undefined) return { topic: text(topic, 'topic'), partitions: null }
  if (!Array.isArray(partitions)) throw invalid('partitions must be an array')
  return { topic: text(topic, 'topic'), partitions: partitions.map(partition => whole(partition, 'a partition')) }
}

function fieldsOf({ body }: HttpRequest): Fields {
  try {
    return record(JSON.parse(body.toString()), 'the body')
  } catch (thrown) {
    throw thrown instanceof ChronikError ? thrown : invalid('the body must be JSON')
  }
}

function record(value: unknown, what: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
  throw invalid(`${what} must be an object`)
}

function text(value: unknown, what: string): string {
  if (typeof value === 'string' && value !== '') return value
  throw invalid(`${what} must be a text that is not empty`)
}

function whole(value: unknown, what: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number
  throw invalid(`${what} must be a whole number from 0`)
}

function invalid(message: string): ChronikError {
  return new ChronikError('INVALID_REQUEST', 'invalid', message)
}
