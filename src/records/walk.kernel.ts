import { readVarint, readVarlong, varintEnd } from '#bytes/varint.kernel.ts'

// Kernel: looks once at every record of a batch, decompressed if need be, without building anything. Every length must fit
// into what holds it, offset deltas must be 0, 1, 2, ..., the declared count of records must be there, and not a byte more.
// Budget: 15 ns a record of 100 bytes with a key and without headers (bench/kernel/walk.bench.ts). Its plain twin is in its test.
//
//   varint  length of the rest
//   i8      attributes, none of which mean anything
//   varlong timestamp - base timestamp
//   varint  offset - base offset
//   varint  key length, -1 without, and the key
//   varint  value length, -1 without, and the value
//   varint  count of headers; each: key length, key, value length or -1, value

// Attributes, time, offset, key length, value length and count of headers take a byte each at least.
const MIN_RECORD_BYTES = 6

/** What is wrong with a record: an index into `WALK_FAULTS`. */
export const WALK_FAULTS = [
  '',
  'its length is not that of a record or leads past the end of the batch',
  'its timestamp is not a number of milliseconds below 2^53',
  'its offset does not follow that of the record before it',
  'its key does not end within the record',
  'its value does not end within the record',
  'its headers do not end within the record',
  'bytes are left behind its last header',
  'bytes are left behind the last record of the batch',
] as const

export const FAULT_NONE = 0
export const FAULT_LENGTH = 1
export const FAULT_TIMESTAMP = 2
export const FAULT_OFFSET = 3
export const FAULT_KEY = 4
export const FAULT_VALUE = 5
export const FAULT_HEADERS = 6
export const FAULT_REST_OF_RECORD = 7
export const FAULT_REST_OF_BATCH = 8

/** Filled by a walk; owned and used again by who walks. */
export class Walk {
  /** The next record, and where it begins. */
  index = 0
  at = 0
  fault = FAULT_NONE
  /** The first record at fault, from 0. */
  faultIndex = -1
  /** Of all records, -1 (none) being the least (Kafka: LogValidator). */
  maxTimestampMs = -1
  /** Of the records that have one: Infinity if none has. */
  minTimestampMs = Number.POSITIVE_INFINITY
  /** The first record without a key, or -1. */
  firstNullKey = -1
}

// The length -1: no key, no value.
const NULL = 1

/** Walks `count` records in `bytes[from, to)`. The timestamps found are sure only if there is no fault. */
export function walkRecords(
  bytes: Uint8Array,
  from: number,
  to: number,
  count: number,
  baseTimestampMs: number,
  walk: Walk,
): void {
  beginWalk(walk, from)
  walkOn(bytes, to, count, baseTimestampMs, walk, count)
}

/** A walk that `walkOn` goes on with, as often as it takes. */
export function beginWalk(walk: Walk, from: number): void {
  walk.index = 0
  walk.at = from
  walk.fault = FAULT_NONE
  walk.faultIndex = -1
  walk.maxTimestampMs = -1
  walk.minTimestampMs = Number.POSITIVE_INFINITY
  walk.firstNullKey = -1
}

/** Walks up to record `stop`; true when the walk is over: behind the last record, or at a fault. */
export function walkOn(
  bytes: Uint8Array,
  to: number,
  count: number,
  baseTimestampMs: number,
  walk: Walk,
  stop: number,
): boolean {
  let { at, index, maxTimestampMs, minTimestampMs } = walk
  let fault = FAULT_NONE
  for (; index < stop; index++) {
    fault = FAULT_LENGTH
    const end = skipField(bytes, at, to)
    if (end < 0 || end > to) break
    at = skipVarint(bytes, at)
    if (at + MIN_RECORD_BYTES > end) break
    at++ // attributes

    fault = FAULT_TIMESTAMP
    let delta = bytes[at]!
    if (delta < 128) {
      delta = (delta >>> 1) ^ -(delta & 1)
      at++
    } else if (bytes[at + 1]! < 128) {
      delta = (delta & 127) | (bytes[at + 1]! << 7)
      delta = (delta >>> 1) ^ -(delta & 1)
      at += 2
    } else {
      delta = readVarlong(bytes, at, end)
      at = varintEnd
      if (at < 0 || Number.isNaN(delta)) break
    }
    const timestampMs = baseTimestampMs + delta
    if (timestampMs > maxTimestampMs) maxTimestampMs = timestampMs
    if (timestampMs < minTimestampMs && timestampMs !== -1) minTimestampMs = timestampMs

    fault = FAULT_OFFSET
    at = skipOffset(bytes, at, end, index)
    if (at < 0) break

    fault = FAULT_KEY
    if (bytes[at] === NULL && walk.firstNullKey < 0) walk.firstNullKey = index
    at = bytes[at] === NULL ? at + 1 : skipField(bytes, at, end)
    if (at < 0 || at >= end) break

    fault = FAULT_VALUE
    at = bytes[at] === NULL ? at + 1 : skipField(bytes, at, end)
    if (at < 0 || at >= end) break

    fault = FAULT_HEADERS
    at = bytes[at] === 0 ? at + 1 : skipHeaders(bytes, at, end)
    if (at < 0) break

    fault = FAULT_REST_OF_RECORD
    if (at !== end) break
    fault = FAULT_NONE
  }
  walk.at = at
  walk.index = index
  walk.maxTimestampMs = maxTimestampMs
  walk.minTimestampMs = minTimestampMs
  if (fault === FAULT_NONE && index >= count && at !== to) {
    fault = FAULT_REST_OF_BATCH
    index--
  }
  walk.fault = fault
  walk.faultIndex = fault === FAULT_NONE ? -1 : index
  return fault !== FAULT_NONE || walk.index >= count
}

/** The place behind a length and as many bytes, or -1 if the length is not whole or negative; it may be behind `end`. */
function skipField(bytes: Uint8Array, at: number, end: number): number {
  const first = bytes[at]!
  if (first < 128) return (first & 1) === 0 ? at + 1 + (first >>> 1) : -1
  const second = bytes[at + 1]!
  if (second < 128) return (first & 1) === 0 ? at + 2 + (((first & 127) | (second << 7)) >>> 1) : -1
  const length = readVarint(bytes, at, end)
  return varintEnd < 0 || length < 0 ? -1 : varintEnd + length
}

function skipVarint(bytes: Uint8Array, at: number): number {
  while (bytes[at]! > 127) at++
  return at + 1
}

/** The place behind an offset delta that must be `expected`, or -1. */
function skipOffset(bytes: Uint8Array, at: number, end: number, expected: number): number {
  if (expected < 64 && bytes[at] === expected << 1) return at + 1
  if (expected < 8192 && bytes[at] === (((expected << 1) & 127) | 128) && bytes[at + 1] === expected >>> 6)
    return at + 2
  return readVarint(bytes, at, end) === expected ? varintEnd : -1
}

/** The place behind the headers, or -1 if they are not whole. */
function skipHeaders(bytes: Uint8Array, at: number, end: number): number {
  const count = readVarint(bytes, at, end)
  at = varintEnd
  if (count < 0) return -1
  for (let i = 0; i < count && at >= 0; i++) {
    at = skipField(bytes, at, end)
    if (at < 0 || at >= end) return -1
    at = bytes[at] === NULL ? at + 1 : skipField(bytes, at, end)
  }
  return at
}
