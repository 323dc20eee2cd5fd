// What two brokers that behave alike may still answer differently: ids that they draw, times, addresses, texts for people.

import { errorName } from '#kafka/protocol/protocol.ts'
import { type ReadBatch, readBatches } from '#test/support/batch-reader.ts'

export interface Identity {
  /** Ends the name of every topic made for this broker, so that two runs do not meet. */
  readonly topicSuffix: string
  readonly nodeId: number
}

const LOG_APPEND_TIME = 8
// Texts differ from one release of Kafka to the next; throttling depends on the machine.
const IGNORED = new Set(['throttleTimeMs', 'errorMessage', 'batchIndexErrorMessage', 'documentation', 'nodeEndpoints'])
const NODES = new Set(['nodeId', 'leaderId', 'controllerId', 'brokerId', 'replicaNodes', 'isrNodes', 'replicaId'])
const DRAWN = new Set(['topicId', 'clusterId', 'host', 'port', 'sessionId', 'logAppendTimeMs', 'logDir'])
// Lists whose order says nothing: Kafka answers in the order of its hash tables.
const UNORDERED = new Set([
  'topics',
  'partitionResponses',
  'results',
  'configs',
  'brokers',
  'configResources',
  'apiKeys',
])
const ERRORS = new Set(['errorCode', 'topicConfigErrorCode'])

/** The answer as both should give it: errors by name, record sets as batches, and what may differ as its field's name. */
export function normalise(value: unknown, identity: Identity, field = ''): unknown {
  if (IGNORED.has(field)) return undefined
  if (Buffer.isBuffer(value)) return readBatches(value).map(describeBatch)
  if (Array.isArray(value)) {
    const items = value.map(item => normalise(item, identity, NODES.has(field) ? field : ''))
    return UNORDERED.has(field) ? items.sort((a, b) => compare(sortKey(a), sortKey(b))) : items
  }
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, of]) => [name, normalise(of, identity, name)]))
  }
  if (typeof value === 'string' && value.includes(identity.topicSuffix))
    return value.replaceAll(identity.topicSuffix, '')
  if (ERRORS.has(field)) return errorName(value as number)
  if (NODES.has(field) && value === identity.nodeId) return '<the broker>'
  if (field === 'producerId' && Number(value) >= 0) return '<producerId>'
  // Absent is not the same as drawn: -1, 0, null and '' stay.
  if (DRAWN.has(field) && (typeof value === 'string' ? value !== '' : Number(value) > 0)) return `<${field}>`
  return value
}

function describeBatch(batch: ReadBatch) {
  const isStampedByBroker = (batch.attributes & LOG_APPEND_TIME) !== 0
  return {
    ...batch,
    maxTimestampMs: isStampedByBroker ? '<now>' : batch.maxTimestampMs,
    records: batch.records.toString('hex'),
  }
}

function sortKey(item: unknown): string {
  const { name, topic, resourceName, index, apiKey } = item as Record<string, unknown>
  return String(name ?? topic ?? resourceName ?? index ?? apiKey ?? '').padStart(10)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
