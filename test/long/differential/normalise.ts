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
const NONE = 0
// KIP-966: Kafka writes the default of this one down when it formats its disk, and so it comes from there.
const WRITTEN_DEFAULT = 'min.insync.replicas'
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
  'responses',
  'supportedFeatures',
  'finalizedFeatures',
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
    const fields = Object.entries(value).filter(([name]) => !isUnread(name, value))
    return Object.fromEntries(fields.map(([name, of]) => [name, normalise(of, identity, name)]))
  }
  if (typeof value === 'string' && value.includes(identity.topicSuffix))
    return value.replaceAll(identity.topicSuffix, '')
  if (ERRORS.has(field)) return errorName(value as number)
  if (NODES.has(field) && value === identity.nodeId) return '<the broker>'
  if (field === 'producerId' && Number(value) >= 0) return '<producerId>'
  // A client that reads committed records takes no list for an empty one.
  if (field === 'abortedTransactions' && value === null) return []
  // Absent is not the same as drawn: -1, 0, null and '' stay.
  if (DRAWN.has(field) && (typeof value === 'string' ? value !== '' : Number(value) > 0)) return `<${field}>`
  return value
}

/** Fields that no client looks at where they stand. */
function isUnread(field: string, of: object): boolean {
  const { errorCode, name } = of as { errorCode?: number; name?: string }
  if (field === 'logStartOffset') return errorCode !== undefined && errorCode !== NONE
  return name === WRITTEN_DEFAULT && (field === 'configSource' || field === 'synonyms')
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
  const { name, topic, resourceName, index } = item as Record<string, unknown>
  return String(name ?? (topic || resourceName) ?? index ?? '').padStart(10)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
