// What two brokers that behave alike may still answer differently: ids that they draw, times, addresses, texts for people.

import { errorName } from '#kafka/protocol/protocol.ts'
import { type ReadBatch, readBatches } from '#test/support/batch-reader.ts'

export interface Identity {
  /** Ends the name of every topic made for this broker, so that two runs do not meet. */
  readonly topicSuffix: string
  readonly nodeId: number
  /** What the members of groups are called by the case, by the ids that the broker drew for them. */
  readonly memberNames: Map<string, string>
}

const LOG_APPEND_TIME = 8
// Texts differ from one release of Kafka to the next; throttling depends on the machine.
const IGNORED = new Set(['throttleTimeMs', 'errorMessage', 'batchIndexErrorMessage', 'documentation', 'nodeEndpoints'])
const NONE = 0
// KIP-966: Kafka writes the default of this one down when it formats its disk, and so it comes from there.
const WRITTEN_DEFAULT = 'min.insync.replicas'
const NODES = new Set(['nodeId', 'leaderId', 'controllerId', 'brokerId', 'replicaNodes', 'isrNodes', 'replicaId'])
const DRAWN = new Set([
  'topicId',
  'clusterId',
  'host',
  'port',
  'sessionId',
  'logAppendTimeMs',
  'logDir',
  'transactionStartTimeMs',
])
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
  'members',
  'groups',
  'transactionStates',
  'unknownStateFilters',
  'resultsByTopicV3AndBelow',
  'resultsByPartition',
])
const ERRORS = new Set(['errorCode', 'topicConfigErrorCode', 'partitionErrorCode'])
// Bytes that only the members of a group understand.
const OPAQUE = new Set(['metadata', 'assignment', 'memberMetadata', 'memberAssignment'])
const DRAWN_MEMBER_ID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** The answer as both should give it: errors by name, record sets as batches, and what may differ as its field's name. */
export function normalise(value: unknown, identity: Identity, field = ''): unknown {
  if (IGNORED.has(field)) return undefined
  if (Buffer.isBuffer(value)) {
    return OPAQUE.has(field) ? value.toString('latin1') : readBatches(value).map(describeBatch)
  }
  if (Array.isArray(value)) {
    const items = value.map(item => normalise(item, identity, NODES.has(field) ? field : ''))
    return UNORDERED.has(field) || typeof items[0] === 'number'
      ? items.sort((a, b) => compare(sortKey(a), sortKey(b)))
      : items
  }
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).filter(([name]) => !isUnread(name, value))
    return Object.fromEntries(fields.map(([name, of]) => [name, normalise(of, identity, name)]))
  }
  if (typeof value === 'string') return normaliseText(value, field, identity)
  if (ERRORS.has(field)) return errorName(value as number)
  if (NODES.has(field) && value === identity.nodeId) return '<the broker>'
  if (field === 'producerId' && Number(value) >= 0) return '<producerId>'
  // A client that reads committed records takes no list for an empty one.
  if (field === 'abortedTransactions' && value === null) return []
  // Absent is not the same as drawn: -1, 0, null and '' stay.
  if (DRAWN.has(field) && Number(value) > 0) return `<${field}>`
  return value
}

function normaliseText(value: string, field: string, { topicSuffix, memberNames }: Identity): string {
  if (value.includes(topicSuffix)) return value.replaceAll(topicSuffix, '')
  if (DRAWN.has(field) && value !== '') return `<${field}>`
  // An id is drawn behind the name that the client gave itself, or the instance.
  return value.replace(DRAWN_MEMBER_ID, () => `<${memberNames.get(value) ?? 'somebody'}>`)
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
    producerId: batch.producerId < 0 ? batch.producerId : '<producerId>',
    maxTimestampMs: isStampedByBroker ? '<now>' : batch.maxTimestampMs,
    records: batch.records.toString('hex'),
  }
}

function sortKey(item: unknown): string {
  if (typeof item !== 'object') return String(item)
  const { name, topic, resourceName, index, partitionIndex, groupId, groupInstanceId, memberId, transactionalId } =
    item as Record<string, unknown>
  const member = memberId === undefined ? undefined : `${groupInstanceId ?? ''} ${memberId}`
  return String(
    name ?? (topic || resourceName) ?? index ?? partitionIndex ?? groupId ?? transactionalId ?? member ?? '',
  ).padStart(10)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
