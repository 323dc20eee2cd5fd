import { CODEC_NAMES, type CodecName, UNCOMPRESSED, ZSTD } from '#bytes/codecs.ts'
import {
  compress,
  compressOffThread,
  decompress,
  decompressOffThread,
  INLINE_COMPRESSION_BYTES,
  INLINE_INPUT_BYTES,
  INLINE_OUTPUT_BYTES,
} from '#bytes/compression.ts'
import { InvalidCompression, OutputTooLarge } from '#bytes/errors.ts'
import {
  attributesOf,
  BATCH_HEADER_BYTES,
  BATCH_LENGTH_ENDS_AT,
  BATCH_MAGIC_ENDS_AT,
  baseOffsetOf,
  baseSequenceOf,
  baseTimestampOf,
  batchLengthOf,
  batchSizeBytesOf,
  batchWithBody,
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
  withCodec,
} from './batch.ts'
import {
  BatchFacts,
  type BatchRules,
  CORRUPT_MESSAGE,
  INVALID_RECORD,
  INVALID_TIMESTAMP,
  type LongContext,
  MESSAGE_TOO_LARGE,
  NO_ERROR,
  type ProduceContext,
  RECORD_LIST_TOO_LARGE,
  UNSUPPORTED_COMPRESSION_TYPE,
} from './facts.ts'
import { refuseRecords } from './record-errors.ts'
import { beginWalk, FAULT_NONE, FAULT_TIMESTAMP, WALK_FAULTS, Walk, walkOn, walkRecords } from './walk.kernel.ts'

// Everything a broker checks about a batch before it stores it, in Kafka's order (Kafka: ProduceRequest.validateRecords,
// UnifiedLog.append, LogValidator). Nothing is allocated for an uncompressed batch in which all is well. `inspectBatch` says
// 'pending' if all but the records is well and to open or walk them would hold up the calling thread: `inspectLarge` goes on
// from there. Parameters are positional because this is the hot path; (bytes, from, to) is the records field everywhere.

// A batch of the oldest format counts its own header: no field of length may be smaller.
const LEAST_BATCH_LENGTH = 14

const FIRST_ZSTD_VERSION = 7

// Larger batches are walked in turns, so many records in each: some 0.2 ms (bench/kernel/walk.bench.ts).
const INLINE_WALK_BYTES = 2 * 1024 * 1024
const RECORDS_PER_TURN = 10_000

const inlineWalk = new Walk()

/** Looks at the records field of a produce request for one partition; if 'done', the answer is in `facts`. */
export function inspectBatch(
  bytes: Buffer,
  from: number,
  to: number,
  rules: BatchRules,
  context: ProduceContext,
  facts: BatchFacts,
): 'done' | 'pending' {
  begin(facts)
  if (!isOneBatch(bytes, from, to, context, facts)) return 'done'
  if (!isWhole(bytes, from, to, rules, facts)) return 'done'
  if (!isConsistent(bytes, from, facts)) return 'done'
  if (codecOf(facts.attributes) !== UNCOMPRESSED || targetCodec(rules, 'uncompressed') !== 'uncompressed') {
    return inspectInline(bytes, from, to, rules, context, facts)
  }
  if (to - from > INLINE_WALK_BYTES) return 'pending'
  const bodyAt = from + BATCH_HEADER_BYTES
  walkRecords(bytes, bodyAt, to, facts.recordCount, facts.baseTimestampMs, inlineWalk)
  if (areRecordsValid(inlineWalk, bytes, bodyAt, rules, context, facts)) {
    conclude(bytes, from, to, rules, context, facts)
  }
  return 'done'
}

/** Goes on where `inspectBatch` said 'pending' and left `checked`. `bytes` must not change before it is done; the rest may. */
export async function inspectLarge(
  bytes: Buffer,
  from: number,
  to: number,
  rules: BatchRules,
  context: LongContext,
  checked: BatchFacts,
): Promise<BatchFacts> {
  const facts = Object.assign(new BatchFacts(), checked)
  const moment = { ...context }
  const codec = codecNameOf(facts)
  const target = targetCodec(rules, codec)
  let body: Buffer
  try {
    const bodyAt = from + BATCH_HEADER_BYTES
    if (codec === 'uncompressed') body = bytes.subarray(bodyAt, to)
    else body = await decompressOffThread(codec, bytes, bodyAt, to, rules.decompressLimitBytes)
  } catch (thrown) {
    refuseCompression(thrown, rules, facts)
    return facts
  }
  const walk = new Walk()
  beginWalk(walk, 0)
  while (!walkOn(body, body.length, facts.recordCount, facts.baseTimestampMs, walk, stopOf(walk, facts))) {
    await moment.nextTurn()
  }
  if (!areRecordsValid(walk, body, 0, rules, moment, facts)) return facts
  if (target !== codec) {
    replaceBody(bytes, from, target, await compressOffThread(target, body, rules.compressionLevel), facts)
  }
  conclude(bytes, from, to, rules, moment, facts)
  return facts
}

function stopOf(walk: Walk, facts: BatchFacts): number {
  return Math.min(facts.recordCount, walk.index + RECORDS_PER_TURN)
}

/** The same on this thread, unless that takes too long. */
function inspectInline(
  bytes: Buffer,
  from: number,
  to: number,
  rules: BatchRules,
  context: ProduceContext,
  facts: BatchFacts,
): 'done' | 'pending' {
  if (to - from > INLINE_INPUT_BYTES) return 'pending'
  const codec = codecNameOf(facts)
  const target = targetCodec(rules, codec)
  const inlineBytes = target === codec ? INLINE_OUTPUT_BYTES : INLINE_COMPRESSION_BYTES
  const maxOutputBytes = Math.min(inlineBytes, rules.decompressLimitBytes)
  let body: Buffer
  try {
    body = decompress(codec, bytes, from + BATCH_HEADER_BYTES, to, maxOutputBytes)
  } catch (thrown) {
    if (thrown instanceof OutputTooLarge) return 'pending'
    refuseCompression(thrown, rules, facts)
    return 'done'
  }
  walkRecords(body, 0, body.length, facts.recordCount, facts.baseTimestampMs, inlineWalk)
  if (!areRecordsValid(inlineWalk, body, 0, rules, context, facts)) return 'done'
  if (target !== codec) replaceBody(bytes, from, target, compress(target, body, rules.compressionLevel), facts)
  conclude(bytes, from, to, rules, context, facts)
  return 'done'
}

function codecNameOf(facts: BatchFacts): CodecName {
  return CODEC_NAMES[codecOf(facts.attributes)]!
}

function targetCodec(rules: BatchRules, codec: CodecName): CodecName {
  return rules.compression === 'producer' ? codec : rules.compression
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

/** Kafka: ProduceRequest.validateRecords, and what it reads batches with. A batch of which bytes are missing is none. */
function isOneBatch(bytes: Buffer, from: number, to: number, context: ProduceContext, facts: BatchFacts): boolean {
  const sizeBytes = to - from
  if (sizeBytes >= BATCH_LENGTH_ENDS_AT && batchLengthOf(bytes, from) < LEAST_BATCH_LENGTH) {
    return refuse(facts, CORRUPT_MESSAGE, `A record batch cannot be ${batchLengthOf(bytes, from)} bytes long`)
  }
  if (sizeBytes >= BATCH_MAGIC_ENDS_AT && (magicOf(bytes, from) < 0 || magicOf(bytes, from) > MAGIC)) {
    return refuse(facts, CORRUPT_MESSAGE, `There is no record format with magic ${magicOf(bytes, from)}`)
  }
  if (sizeBytes < BATCH_MAGIC_ENDS_AT || sizeBytes < batchSizeBytesOf(bytes, from)) {
    return refuseRequest(facts, INVALID_RECORD, context, 'must have at least one record batch per partition')
  }
  if (magicOf(bytes, from) !== MAGIC) {
    return refuseRequest(
      facts,
      INVALID_RECORD,
      context,
      'are only allowed to contain record batches with magic version 2',
    )
  }
  // KIP-110: a producer that old may be heard by consumers as old, which cannot read it.
  const isZstd = sizeBytes >= BATCH_HEADER_BYTES && codecOf(attributesOf(bytes, from)) === ZSTD
  if (isZstd && context.produceVersion < FIRST_ZSTD_VERSION) {
    return refuseRequest(facts, UNSUPPORTED_COMPRESSION_TYPE, context, 'are not allowed to use ZStandard compression')
  }
  if (sizeBytes > batchSizeBytesOf(bytes, from)) {
    const rule = 'are only allowed to contain exactly one record batch per partition'
    return refuseRequest(facts, INVALID_RECORD, context, rule)
  }
  return true
}

function refuseRequest(facts: BatchFacts, errorCode: number, context: ProduceContext, rule: string): false {
  return refuse(facts, errorCode, `Produce requests with version ${context.produceVersion} ${rule}`)
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
  facts.sizeBytes = sizeBytes
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
  facts.baseTimestampMs = baseTimestampOf(bytes, from)
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
  if (facts.producerId >= 0 && facts.baseSequence < 0) {
    const message = `Invalid sequence number ${facts.baseSequence} in record batch with producerId ${facts.producerId}`
    return refuse(facts, INVALID_RECORD, message)
  }
  if (!Number.isSafeInteger(facts.producerId)) {
    return refuse(facts, INVALID_RECORD, 'No producer was ever given an id beyond 2^53')
  }
  if (!Number.isSafeInteger(facts.baseTimestampMs)) {
    return refuse(facts, INVALID_TIMESTAMP, 'The base timestamp is not a number of milliseconds below 2^53')
  }
  return true
}

/** Judges what a walk found in the uncompressed records of `bodyBytes`, from `from` on. */
function areRecordsValid(
  walk: Walk,
  bodyBytes: Buffer,
  from: number,
  rules: BatchRules,
  context: ProduceContext,
  facts: BatchFacts,
): boolean {
  const nowMs = context.nowMs
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
    refuseRecords(bodyBytes, from, rules, nowMs, facts)
    return false
  }
  return true
}

function refuseCompression(thrown: unknown, rules: BatchRules, facts: BatchFacts): void {
  if (thrown instanceof OutputTooLarge) {
    const message = `The records of the batch are larger than the ${rules.decompressLimitBytes} bytes that are decompressed`
    refuse(facts, MESSAGE_TOO_LARGE, message)
  } else if (thrown instanceof InvalidCompression) refuse(facts, INVALID_RECORD, thrown.message)
  else throw thrown
}

/** The topic wants another codec than the producer used. */
function replaceBody(bytes: Buffer, from: number, codec: CodecName, body: Buffer, facts: BatchFacts): void {
  facts.attributes = withCodec(facts.attributes, CODEC_NAMES.indexOf(codec))
  facts.replacement = batchWithBody(bytes, from, body)
}

/** What the broker itself says: the max timestamp and the timestamp type. The batch is copied only if it says otherwise. */
function conclude(
  bytes: Buffer,
  from: number,
  to: number,
  rules: BatchRules,
  context: ProduceContext,
  facts: BatchFacts,
): void {
  if (rules.timestampType === 'LogAppendTime') {
    facts.maxTimestampMs = context.nowMs
    facts.logAppendTimeMs = context.nowMs
    facts.attributes |= LOG_APPEND_TIME_BIT
  } else if (isLogAppendTime(facts.attributes)) {
    // Kafka takes the batch at its word, so that its largest timestamp is that of every record, and clears the bit.
    facts.attributes &= ~LOG_APPEND_TIME_BIT
    facts.maxTimestampMs = maxTimestampOf(bytes, from)
    if (!Number.isSafeInteger(facts.maxTimestampMs) || facts.maxTimestampMs < 0) {
      const message = 'Without a largest timestamp a record cannot have the time of its appending'
      facts.recordErrors = [{ index: 0, message }]
      refuse(facts, INVALID_TIMESTAMP, message)
      return
    }
  }
  const isAsItCame =
    facts.attributes === attributesOf(bytes, from) && facts.maxTimestampMs === maxTimestampOf(bytes, from)
  if (!isAsItCame) {
    facts.replacement ??= Buffer.from(bytes.subarray(from, to))
    setMaxTimestamp(facts.replacement, 0, facts.maxTimestampMs, facts.attributes)
    facts.crc = crcOf(facts.replacement, 0)
    facts.sizeBytes = facts.replacement.length
  }
  if (facts.sizeBytes > rules.maxMessageBytes) {
    refuse(
      facts,
      MESSAGE_TOO_LARGE,
      `The record batch is ${facts.sizeBytes} bytes as this topic compresses it, too many`,
    )
  } else if (facts.sizeBytes > rules.segmentBytes) {
    const message = `The record batch is ${facts.sizeBytes} bytes, and segment.bytes allows ${rules.segmentBytes}`
    refuse(facts, RECORD_LIST_TOO_LARGE, message)
  }
}
