import { readVarint, readVarlong, varintEnd } from '#bytes/varint.kernel.ts'

// Kernel: looks once at every record of a batch, decompressed if need be, without building anything. Every length must fit
// into what holds it, offset deltas must be 0, 1, 2, ..., the declared count of records must be there, and not a byte more.
// Budget: 12 ns a record of 100 bytes with one key and no headers (bench/kernel/walk.bench.ts). Plain twin: read.ts.
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

/** Walks `count` records in `bytes[from, to)`. The timestamps found are sure only if there is no fault. */
export function walkRecords(
  bytes: Uint8Array,
  from: number,
  to: number,
  count: number,
  baseTimestampMs: number,
  walk: Walk,
): void {
  let at = from
  let index = 0
  let fault = FAULT_NONE
  let maxTimestampMs = -1
  let minTimestampMs = Number.POSITIVE_INFINITY
  let firstNullKey = -1
  for (; index < count; index++) {
    // A field of one or two bytes, as nearly all are, is read here; any other by the function. `end` bounds both.
    if (at + MIN_RECORD_BYTES >= to) {
      fault = FAULT_LENGTH
      break
    }
    let length = bytes[at]!
    if (length < 128) {
      length = (length >>> 1) ^ -(length & 1)
      at++
    } else if (bytes[at + 1]! < 128) {
      length = (length & 127) | (bytes[at + 1]! << 7)
      length = (length >>> 1) ^ -(length & 1)
      at += 2
    } else {
      length = readVarint(bytes, at, to)
      at = varintEnd
    }
    const end = at + length
    if (at < 0 || length < MIN_RECORD_BYTES || end > to) {
      fault = FAULT_LENGTH
      break
    }
    at++

    let delta = bytes[at]!
    if (delta < 128) {
      delta = (delta >>> 1) ^ -(delta & 1)
      at++
    } else {
      delta = readVarlong(bytes, at, end)
      at = varintEnd
      if (at < 0 || Number.isNaN(delta)) {
        fault = FAULT_TIMESTAMP
        break
      }
    }
    const timestampMs = baseTimestampMs + delta
    if (timestampMs > maxTimestampMs) maxTimestampMs = timestampMs
    if (timestampMs < minTimestampMs && timestampMs !== -1) minTimestampMs = timestampMs

    if (at + 4 > end) {
      fault = FAULT_OFFSET
      break
    }
    if (index < 64 && bytes[at] === index << 1) at++
    else if (index < 8192 && bytes[at] === (((index << 1) & 127) | 128) && bytes[at + 1] === index >>> 6) at += 2
    else {
      const offsetDelta = readVarint(bytes, at, end)
      at = varintEnd
      if (at < 0 || offsetDelta !== index) {
        fault = FAULT_OFFSET
        break
      }
    }

    let size = bytes[at]!
    if (size < 128) {
      size = (size >>> 1) ^ -(size & 1)
      at++
    } else {
      size = readVarint(bytes, at, end)
      at = varintEnd
    }
    if (size < 0) {
      if (firstNullKey < 0) firstNullKey = index
      if (size === -1) size = 0
    }
    if (at < 0 || size < 0 || at + size >= end) {
      fault = FAULT_KEY
      break
    }
    at += size

    size = bytes[at]!
    if (size < 128) {
      size = (size >>> 1) ^ -(size & 1)
      at++
    } else if (bytes[at + 1]! < 128) {
      size = (size & 127) | (bytes[at + 1]! << 7)
      size = (size >>> 1) ^ -(size & 1)
      at += 2
    } else {
      size = readVarint(bytes, at, end)
      at = varintEnd
    }
    if (size === -1) size = 0
    if (at < 0 || size < 0 || at + size >= end) {
      fault = FAULT_VALUE
      break
    }
    at += size

    const headers = bytes[at]!
    if (headers === 0) at++
    else {
      at = skipHeaders(bytes, at, end)
      if (at < 0) {
        fault = FAULT_HEADERS
        break
      }
    }
    if (at !== end) {
      fault = FAULT_REST_OF_RECORD
      break
    }
  }
  if (fault === FAULT_NONE && at !== to) {
    fault = FAULT_REST_OF_BATCH
    index--
  }
  walk.fault = fault
  walk.faultIndex = fault === FAULT_NONE ? -1 : index
  walk.maxTimestampMs = maxTimestampMs
  walk.minTimestampMs = minTimestampMs
  walk.firstNullKey = firstNullKey
}

/** The place behind the headers, or -1 if they are not whole. */
function skipHeaders(bytes: Uint8Array, at: number, end: number): number {
  const count = readVarint(bytes, at, end)
  at = varintEnd
  if (at < 0 || count < 0) return -1
  for (let i = 0; i < count; i++) {
    const keyLength = readVarint(bytes, at, end)
    if (varintEnd < 0 || keyLength < 0 || varintEnd + keyLength >= end) return -1
    at = varintEnd + keyLength
    const valueLength = readVarint(bytes, at, end)
    if (varintEnd < 0 || valueLength < -1) return -1
    at = varintEnd + Math.max(0, valueLength)
    if (at > end) return -1
  }
  return at
}
