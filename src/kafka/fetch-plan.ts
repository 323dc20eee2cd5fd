import type { Broker } from './broker.ts'
import { type FetchPartition, type FetchSession, partitionKey, type SessionPartition } from './fetch-sessions.ts'
import type { FetchRequest } from './protocol/apis/01-fetch.ts'
import type { KafkaErrorName } from './protocol/protocol.ts'

// Which partitions a fetch is about: those of the request, or those of its session with what the request changes
// (Kafka: FetchManager.newContext; KIP-227 has the table).

export interface FetchPlan {
  partitions: Map<string, SessionPartition>
  /** Answers of an incremental fetch leave out what did not change. */
  incremental: boolean
  session: FetchSession | null
}

const SESSIONLESS_EPOCH = -1
const NEW_SESSION_EPOCH = 0
const TOPIC_IDS_FROM = 13
/** A consumer was not told anything yet. */
const UNKNOWN = -1

export function planFetch(
  broker: Broker,
  request: FetchRequest,
  version: number,
): FetchPlan | { error: KafkaErrorName } {
  const { fetchSessions } = broker
  const { sessionId, sessionEpoch } = request
  if (sessionEpoch === SESSIONLESS_EPOCH || sessionEpoch === NEW_SESSION_EPOCH) {
    if (sessionId !== 0) fetchSessions.remove(sessionId)
    const partitions = new Map<string, SessionPartition>()
    addPartitions(partitions, request)
    const wantsSession = sessionEpoch === NEW_SESSION_EPOCH && partitions.size > 0
    const session = wantsSession ? fetchSessions.create(version >= TOPIC_IDS_FROM, partitions) : null
    return { partitions, incremental: false, session }
  }
  const session = fetchSessions.get(sessionId)
  if (session === undefined) return { error: 'FETCH_SESSION_ID_NOT_FOUND' }
  if (session.epoch !== sessionEpoch) return { error: 'INVALID_FETCH_SESSION_EPOCH' }
  if (session.usesTopicIds !== version >= TOPIC_IDS_FROM) return { error: 'FETCH_SESSION_TOPIC_ID_ERROR' }
  addPartitions(session.partitions, request)
  for (const { topic, topicId, partitions } of request.forgottenTopicsData) {
    for (const partition of partitions) session.partitions.delete(partitionKey({ topic, topicId, partition }))
  }
  if (session.partitions.size === 0) {
    fetchSessions.remove(sessionId)
    return { partitions: session.partitions, incremental: false, session: null }
  }
  // The consumer then asks for all it reads, and gets a session again if there is room for one.
  if (!fetchSessions.advance(session)) return { error: 'FETCH_SESSION_ID_NOT_FOUND' }
  return { partitions: session.partitions, incremental: true, session }
}

function addPartitions(into: Map<string, SessionPartition>, request: FetchRequest): void {
  for (const { topic, topicId, partitions } of request.topics) {
    for (const wanted of partitions) {
      const changed: FetchPartition = {
        topic,
        topicId,
        partition: wanted.partition,
        fetchOffset: wanted.fetchOffset,
        maxBytes: wanted.partitionMaxBytes,
        currentLeaderEpoch: wanted.currentLeaderEpoch,
        lastFetchedEpoch: wanted.lastFetchedEpoch,
      }
      const key = partitionKey(changed)
      const known = into.get(key)
      if (known === undefined) into.set(key, { ...changed, highWatermark: UNKNOWN, logStartOffset: UNKNOWN })
      else Object.assign(known, changed)
    }
  }
}
