import { readVarint, readVarlong, varintEnd } from '#bytes/varint.kernel.ts'
import { type BatchFacts, type BatchRules, INVALID_RECORD, INVALID_TIMESTAMP, type RecordError } from './facts.ts'

// Which records a topic cannot accept, and why, in Kafka's words (Kafka: LogValidator): for a batch that has some, so that
// the client can tell its user which.

/** Records named in one answer; the client is told of all of them what the batch's own error says. */
export const MAX_RECORD_ERRORS = 1000

const NO_KEY = 'Compacted topic cannot accept message without key'
const MAX_I64 = 9223372036854775807n

/** Refuses the batch whose records begin at `bodyBytes[from]`, in which a walk found no fault. */
export function refuseRecords(
  bodyBytes: Uint8Array,
  from: number,
  rules: BatchRules,
  nowMs: number,
  facts: BatchFacts,
): void {
  const errors: RecordError[] = []
  let found = 0
  let timestamps = 0
  let at = from
  for (let index = 0; index < facts.recordCount; index++) {
    const length = readVarint(bodyBytes, at, bodyBytes.length)
    const end = varintEnd + length
    const timestampMs = facts.baseTimestampMs + readVarlong(bodyBytes, varintEnd + 1, end)
    readVarint(bodyBytes, varintEnd, end)
    const hasNoKey = rules.compacted && readVarint(bodyBytes, varintEnd, end) < 0
    at = end
    const isOutOfTime = !hasNoKey && isOutOfRange(timestampMs, rules, nowMs)
    if (!hasNoKey && !isOutOfTime) continue
    found++
    if (isOutOfTime) timestamps++
    if (found > MAX_RECORD_ERRORS) continue
    errors.push({ index, message: hasNoKey ? NO_KEY : rangeMessage(timestampMs, index, rules, nowMs) })
  }
  facts.recordErrors = errors
  facts.errorCode = timestamps > 0 ? INVALID_TIMESTAMP : INVALID_RECORD
  facts.errorMessage =
    timestamps > 0
      ? 'One or more records have been rejected due to invalid timestamp'
      : `One or more records have been rejected due to ${found} record errors in total`
}

function isOutOfRange(timestampMs: number, rules: BatchRules, nowMs: number): boolean {
  if (rules.timestampType === 'LogAppendTime' || timestampMs === -1) return false
  return nowMs - timestampMs > rules.timestampBeforeMaxMs || timestampMs - nowMs > rules.timestampAfterMaxMs
}

function rangeMessage(timestampMs: number, offset: number, rules: BatchRules, nowMs: number): string {
  const first = BigInt(nowMs) - wholeMs(rules.timestampBeforeMaxMs)
  const last = BigInt.asIntN(64, BigInt(nowMs) + wholeMs(rules.timestampAfterMaxMs))
  return (
    `Timestamp ${timestampMs} of message with offset ${offset} is out of range. ` +
    `The timestamp should be within [${first}, ${last}]`
  )
}

function wholeMs(limitMs: number): bigint {
  return Number.isSafeInteger(limitMs) ? BigInt(limitMs) : MAX_I64
}
