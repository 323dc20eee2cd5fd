import { UNCOMPRESSED, ZSTD } from '#bytes/codecs.ts'
import {
  attributesOf,
  BATCH_HEADER_BYTES,
  BATCH_LENGTH_ENDS_AT,
  BATCH_MAGIC_ENDS_AT,
  baseOffsetOf,
  baseSequenceOf,
  baseTimestampOf,
  batchSizeBytesOf,
  codecOf,
  computeCrc,
  crcOf,
  isControl,
  isLogAppendTime,
  LOG_APPEND_TIME_BIT,
  lastOffsetDeltaOf,
  MAGIC,
  magicOf,
  maxTimestampOf,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
  setMaxTimestamp,
} from './batch.ts'
import {
  type BatchFacts,
  type BatchRules,
  CORRUPT_MESSAGE,
  INVALID_RECORD,
  INVALID_TIMESTAMP,
  MESSAGE_TOO_LARGE,
  NO_ERROR,
  type ProduceContext,
  RECORD_LIST_TOO_LARGE,
  UNSUPPORTED_COMPRESSION_TYPE,
} from './facts.ts'
import { refuseRecords } from './record-errors.ts'
import { FAULT_NONE, FAULT_TIMESTAMP, WALK_FAULTS, Walk, walkRecords } from './walk.kernel.ts'

// Everything a broker checks about a batch before it stores it, in Kafka's order (Kafka: ProduceRequest.validateRecords,
// UnifiedLog.append, LogValidator). Nothing is allocated for an uncompressed batch in which all is well.

// An uncompressed batch of an older format counts its own header: no field of length may be smaller.
const LEAST_BATCH_LENGTH = 14

const walk = new Walk()

/** Looks at the records field `bytes[from, to)` of a produce request for one partition; the answer is in `facts`. */
export function inspectBatch(
  bytes: Buffer,
  from: number,
  to: number,
  rules: BatchRules,
  context: ProduceContext,
  facts: BatchFacts,
): void {
  begin(facts)
  if (!isOneBatch(bytes, from, to, context, facts)) return
  if (!isWhole(bytes, from, to, rules, facts)) return
  if (!isConsistent(bytes, from, facts)) return
  if (facts.attributes !== 0 && codecOf(facts.attributes) !== UNCOMPRESSED) {
    refuse(facts, UNSUPPORTED_COMPRESSION_TYPE, 'Compressed batches are not accepted')
    return
  }
  if (
    areRecordsValid(bytes, from + BATCH_HEADER_BYTES, to, baseTimestampOf(bytes, from), rules, context.nowMs, facts)
  ) {
    stampTime(bytes, from, to, rules, context.nowMs, facts)
    checkSegmentSize(rules, facts)
  }
}

function begin(facts: BatchFacts): void {
  facts.errorCode = NO_ERROR
  facts.errorMessage = null
  facts.recordErrors = null
  facts.replacement = null
  facts.logAppendTimeMs = -1
}

function refuse(facts: BatchFacts, errorCode: number, message: string): false {
  facts.errorCode = errorCode
  facts.errorMessage = message
  return false
}

/** Kafka: ProduceRequest.validateRecords. A batch of which bytes are missing is none. */
function isOneBatch(bytes: Buffer, from: number, to: number, context: ProduceContext, facts: BatchFacts): boolean {
  const version = context.produceVersion
  const sizeBytes = to - from
  if (sizeBytes >= BATCH_LENGTH_ENDS_AT) {
    const length = batchSizeBytesOf(bytes, from) - BATCH_LENGTH_ENDS_AT
    if (length < LEAST_BATCH_LENGTH) return refuse(facts, CORRUPT_MESSAGE, `A batch cannot be ${length} bytes long`)
  }
  if (sizeBytes >= BATCH_MAGIC_ENDS_AT) {
    const magic = magicOf(bytes, from)
    if (magic < 0 || magic > MAGIC) return refuse(facts, CORRUPT_MESSAGE, `There is no record format ${magic}`)
  }
  if (sizeBytes < BATCH_MAGIC_ENDS_AT || sizeBytes < batchSizeBytesOf(bytes, from)) {
    return refuse(
      facts,
      INVALID_RECORD,
      `Produce requests with version ${version} must have at least one record batch per partition`,
    )
  }
  if (magicOf(bytes, from) !== MAGIC) {
    return refuse(
      facts,
      INVALID_RECORD,
      `Produce requests with version ${version} are only allowed to contain record batches with magic version 2`,
    )
  }
  if (sizeBytes > batchSizeBytesOf(bytes, from)) {
    return refuse(
      facts,
      INVALID_RECORD,
      `Produce requests with version ${version} are only allowed to contain exactly one record batch per partition`,
    )
  }
  return true
}

/** Kafka: UnifiedLog.analyzeAndValidateRecords. */
function isWhole(bytes: Buffer, from: number, to: number, rules: BatchRules, facts: BatchFacts): boolean {
  const sizeBytes = to - from
  const baseOffset = baseOffsetOf(bytes, from)
  if (baseOffset !== 0) {
    return refuse(facts, INVALID_RECORD, `The base offset of a record batch should be 0, but it is ${baseOffset}`)
  }
  if (sizeBytes > rules.maxMessageBytes) {
    return refuse(
      facts,
      MESSAGE_TOO_LARGE,
      `The record batch is ${sizeBytes} bytes, and max.message.bytes allows ${rules.maxMessageBytes}`,
    )
  }
  if (sizeBytes < BATCH_HEADER_BYTES) {
    return refuse(facts, CORRUPT_MESSAGE, `The record batch is ${sizeBytes} bytes, less than its header takes`)
  }
  facts.crc = crcOf(bytes, from)
  if (computeCrc(bytes, from) !== facts.crc) {
    return refuse(facts, CORRUPT_MESSAGE, 'The record batch was damaged on its way: its CRC is not that of its bytes')
  }
  return true
}

/** Kafka: LogValidator.validateBatch. */
function isConsistent(bytes: Buffer, from: number, facts: BatchFacts): boolean {
  const attributes = attributesOf(bytes, from)
  const lastOffsetDelta = lastOffsetDeltaOf(bytes, from)
  const recordCount = recordCountOf(bytes, from)
  facts.attributes = attributes
  facts.recordCount = recordCount
  facts.producerId = producerIdOf(bytes, from)
  facts.producerEpoch = producerEpochOf(bytes, from)
  facts.baseSequence = baseSequenceOf(bytes, from)
  if (codecOf(attributes) > ZSTD) {
    return refuse(facts, UNSUPPORTED_COMPRESSION_TYPE, `There is no compression codec ${codecOf(attributes)}`)
  }
  if (lastOffsetDelta < 0)
    return refuse(facts, INVALID_RECORD, `Batch has an invalid offset range: [0, ${lastOffsetDelta}]`)
  if (recordCount <= 0) return refuse(facts, INVALID_RECORD, `Invalid reported count for record batch: ${recordCount}`)
  if (lastOffsetDelta + 1 !== recordCount) {
    const message = `Inconsistent batch offset range [0, ${lastOffsetDelta}] and count of records ${recordCount}`
    return refuse(facts, INVALID_RECORD, message)
  }
  if (isControl(attributes)) return refuse(facts, INVALID_RECORD, 'Clients are not allowed to write control records')
  if (isLogAppendTime(attributes)) {
    return refuse(facts, INVALID_TIMESTAMP, 'Producer should not set timestamp type to LogAppendTime.')
  }
  if (facts.producerId >= 0 && facts.baseSequence < 0) {
    const message = `Invalid sequence number ${facts.baseSequence} in record batch with producerId ${facts.producerId}`
    return refuse(facts, INVALID_RECORD, message)
  }
  if (!Number.isSafeInteger(facts.producerId)) {
    return refuse(facts, INVALID_RECORD, 'No producer was ever given an id beyond 2^53')
  }
  if (!Number.isSafeInteger(baseTimestampOf(bytes, from))) {
    return refuse(facts, INVALID_TIMESTAMP, 'The base timestamp is not a number of milliseconds below 2^53')
  }
  return true
}

/** Walks the uncompressed records in `body[from, to)`. */
function areRecordsValid(
  body: Buffer,
  from: number,
  to: number,
  baseTimestampMs: number,
  rules: BatchRules,
  nowMs: number,
  facts: BatchFacts,
): boolean {
  walkRecords(body, from, to, facts.recordCount, baseTimestampMs, walk)
  if (walk.fault !== FAULT_NONE) {
    const errorCode = walk.fault === FAULT_TIMESTAMP ? INVALID_TIMESTAMP : INVALID_RECORD
    return refuse(facts, errorCode, `Record ${walk.faultIndex} of the batch: ${WALK_FAULTS[walk.fault]}`)
  }
  facts.maxTimestampMs = walk.maxTimestampMs
  const isOutOfRange =
    rules.timestampType === 'CreateTime' &&
    (nowMs - walk.minTimestampMs > rules.timestampBeforeMaxMs ||
      walk.maxTimestampMs - nowMs > rules.timestampAfterMaxMs)
  if (isOutOfRange || (rules.compacted && walk.firstNullKey >= 0)) {
    refuseRecords(body, from, facts.recordCount, baseTimestampMs, rules, nowMs, facts)
    return false
  }
  return true
}

/** Max timestamp and timestamp type are the broker's to say; the batch is copied only if it says something else. */
function stampTime(bytes: Buffer, from: number, to: number, rules: BatchRules, nowMs: number, facts: BatchFacts): void {
  facts.sizeBytes = to - from
  if (rules.timestampType === 'LogAppendTime') {
    facts.maxTimestampMs = nowMs
    facts.logAppendTimeMs = nowMs
    facts.attributes |= LOG_APPEND_TIME_BIT
  }
  const isAsItCame =
    facts.attributes === attributesOf(bytes, from) && facts.maxTimestampMs === maxTimestampOf(bytes, from)
  if (isAsItCame) return
  facts.replacement = Buffer.from(bytes.subarray(from, to))
  setMaxTimestamp(facts.replacement, 0, facts.maxTimestampMs, facts.attributes)
  facts.crc = crcOf(facts.replacement, 0)
}

function checkSegmentSize(rules: BatchRules, facts: BatchFacts): void {
  if (facts.sizeBytes <= rules.segmentBytes) return
  refuse(
    facts,
    RECORD_LIST_TOO_LARGE,
    `The record batch is ${facts.sizeBytes} bytes, and segment.bytes allows ${rules.segmentBytes}`,
  )
}
