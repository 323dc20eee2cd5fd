import { UNCOMPRESSED } from '#bytes/codecs.ts'
import {
  readVarint,
  readVarlong,
  varintEnd,
  varlongSizeBytes,
  writeVarint,
  writeVarlong,
} from '#bytes/varint.kernel.ts'
import { attributesOf, BATCH_HEADER_BYTES, batchSizeBytesOf, codecOf, recordCountOf } from '#records/batch.ts'
import { NOTED_KEYS, type OffsetMap } from './offset-map.kernel.ts'

// Kernel: the records of a batch, decompressed if need be, in the three ways in which compaction looks at them: which keys there
// are, which records stay, and the records that stay with other timestamp deltas. In place, without building anything; a batch
// can be looked at in several turns. Records were walked and found right before they were stored (walk.kernel.ts), so here it is
// only seen to that nothing outside of the batch is read. Budget: 25 ns a record of 100 bytes with a key and without headers
// beside what the map takes, 45 ns for one that is written anew (bench/kernel/compaction.bench.ts).
// The layout of a record is in walk.kernel.ts.

/** The length, and as many bytes as `walk.kernel.ts` says. */
export const MIN_RECORD_BYTES = 7

/** The place behind the number that was read last, or -1 if it was not whole. */
let next = 0

function varint(bytes: Uint8Array, at: number, to: number): number {
  const first = bytes[at]!
  if (first < 128) {
    next = at + 1
    return (first >>> 1) ^ -(first & 1)
  }
  const value = readVarint(bytes, at, to)
  next = varintEnd
  return value
}

/** The same for a timestamp delta; NaN from 2^52 on. */
function varlong(bytes: Uint8Array, at: number, to: number): number {
  const first = bytes[at]!
  if (first < 128) {
    next = at + 1
    return (first >>> 1) ^ -(first & 1)
  }
  const second = bytes[at + 1]!
  if (second < 128) {
    next = at + 2
    const raw = (first & 127) | (second << 7)
    return (raw >>> 1) ^ -(raw & 1)
  }
  const value = readVarlong(bytes, at, to)
  next = varintEnd
  return value
}

/** Where a look at the records is; owned and used again by who looks. */
export class Scan {
  /** The next record, and where it begins. */
  index = 0
  at = 0
  /** What it is about is not a record: nothing else means anything then. */
  isDamaged = false

  begin(at: number): void {
    this.index = 0
    this.at = at
    this.isDamaged = false
  }
}

/** A look for keys. */
export class KeyScan extends Scan {
  /** Of the batch. */
  baseOffset = 0
  /** Records before it are none of this pass. */
  fromOffset = 0
  /** The last record whose key was put into the map, or -1. */
  lastOffset = -1
  /** The map had no room for the key of the record `index`. */
  isFull = false
}

// Of the records that are looked at together: where each begins and ends, its offset, its time, what is odd about it.
const begins = new Int32Array(NOTED_KEYS)
const ends = new Int32Array(NOTED_KEYS)
const offsets = new Float64Array(NOTED_KEYS)
const deltas = new Float64Array(NOTED_KEYS)
const oddities = new Uint8Array(NOTED_KEYS)
const NO_KEY = 1
const TOMBSTONE = 2

/** Looks at records and notes their keys as those from `index` to `stop`; where the next one begins, or -1. */
function noteRecords(map: OffsetMap, bytes: Uint8Array, at: number, to: number, index: number, stop: number): number {
  for (let i = index; i < stop; i++) {
    const length = varint(bytes, at, to)
    const end = next + length
    if (next < 0 || length < 0 || end > to) return -1
    const delta = varlong(bytes, next + 1, end) // behind the attributes
    if (next < 0 || Number.isNaN(delta)) return -1
    const offsetDelta = varint(bytes, next, end)
    if (next < 0) return -1
    const keyLength = varint(bytes, next, end)
    const keyAt = next
    const keyEnd = keyLength < 0 ? keyAt : keyAt + keyLength
    if (keyAt < 0 || keyEnd >= end) return -1
    const valueLength = varint(bytes, keyEnd, end)
    if (next < 0 || next > end) return -1
    begins[i] = at
    ends[i] = end
    offsets[i] = offsetDelta
    deltas[i] = delta
    oddities[i] = (keyLength < 0 ? NO_KEY : 0) | (valueLength < 0 ? TOMBSTONE : 0)
    if (keyLength >= 0) map.note(i, bytes, keyAt, keyEnd)
    at = end
  }
  return at
}

const FEW_RECORDS = 16

/**
 * Fetches the keys of batches of few records together, from the one at (bytes, at) on, before they are looked at one by one, which
 * would wait for each. Returns where the next are not fetched. What it reads need not be right.
 */
export function fetchAhead(map: OffsetMap, bytes: Buffer, at: number): number {
  let noted = 0
  while (noted + FEW_RECORDS <= NOTED_KEYS && at + BATCH_HEADER_BYTES <= bytes.length) {
    const end = at + batchSizeBytesOf(bytes, at)
    const count = recordCountOf(bytes, at)
    const isFew = count >= 0 && count <= FEW_RECORDS && codecOf(attributesOf(bytes, at)) === UNCOMPRESSED
    if (end < at + BATCH_HEADER_BYTES || end > bytes.length || (!isFew && noted > 0)) break
    if (!isFew) return end
    if (noteRecords(map, bytes, at + BATCH_HEADER_BYTES, end, noted, noted + count) < 0) break
    noted += count
    at = end
  }
  map.fetch(noted)
  return at
}

/** Puts the keys of the records `[scan.index, stop)` into the map; goes on at `scan.at`, and leaves there where it ended. */
export function mapKeys(map: OffsetMap, bytes: Uint8Array, to: number, stop: number, scan: KeyScan): void {
  const { baseOffset, fromOffset } = scan
  scan.isFull = false
  while (scan.index < stop) {
    const count = Math.min(NOTED_KEYS, stop - scan.index)
    const at = noteRecords(map, bytes, scan.at, to, 0, count)
    if (at < 0) {
      scan.isDamaged = true
      return
    }
    map.fetch(count)
    for (let i = 0; i < count; i++) {
      const offset = baseOffset + offsets[i]!
      if ((oddities[i]! & NO_KEY) !== 0 || offset < fromOffset) continue
      if (!map.put(i, offset)) {
        scan.isFull = true
        return
      }
      scan.lastOffset = offset
    }
    scan.at = at
    scan.index += count
  }
}

// What is copied in one go, so that others can have their turn between.
const RANGE_BYTES = 256 * 1024

/** What a batch's records are judged by, and the judgement; owned and used again by who judges. */
export class Judgement extends Scan {
  // Of the batch.
  baseOffset = 0
  baseTimestampMs = 0
  /** The map knows nothing of records behind it: they all stay. */
  latestOffset = 0
  /** Values that are null stay where they are the newest of their key. */
  keepsTombstones = true
  /** Records that stay, and where they are: pairs of a begin and an end. Neighbours are one range, up to a size. */
  keptCount = 0
  ranges = new Int32Array(128)
  rangeCount = 0
  /** A record without a value stays. */
  hasTombstone = false
  /** Records without a key that go. */
  nullKeys = 0
  // Of the records that stay.
  firstTimestampMs = 0
  minTimestampMs = Number.POSITIVE_INFINITY
  maxTimestampMs = Number.NEGATIVE_INFINITY

  override begin(at: number): void {
    super.begin(at)
    this.keptCount = 0
    this.rangeCount = 0
    this.hasTombstone = false
    this.nullKeys = 0
    this.minTimestampMs = Number.POSITIVE_INFINITY
    this.maxTimestampMs = Number.NEGATIVE_INFINITY
  }
}

/** Judges the records `[judgement.index, stop)`; goes on at `judgement.at`, and leaves there where it ended. */
export function judgeRecords(map: OffsetMap, bytes: Uint8Array, to: number, stop: number, judgement: Judgement): void {
  while (judgement.index < stop) {
    const count = Math.min(NOTED_KEYS, stop - judgement.index)
    const at = noteRecords(map, bytes, judgement.at, to, 0, count)
    if (at < 0) {
      judgement.isDamaged = true
      return
    }
    map.fetch(count)
    judgeNoted(map, count, judgement)
    judgement.at = at
    judgement.index += count
  }
}

function judgeNoted(map: OffsetMap, count: number, judgement: Judgement): void {
  const { baseOffset, baseTimestampMs, latestOffset, keepsTombstones } = judgement
  const ranges = roomForRanges(judgement, count)
  let { keptCount, rangeCount, minTimestampMs, maxTimestampMs } = judgement
  for (let i = 0; i < count; i++) {
    const offset = baseOffset + offsets[i]!
    const isTombstone = (oddities[i]! & TOMBSTONE) !== 0
    if (offset <= latestOffset) {
      if ((oddities[i]! & NO_KEY) !== 0) {
        judgement.nullKeys++
        continue
      }
      if ((isTombstone && !keepsTombstones) || offset < map.get(i)) continue
    }
    const timestampMs = baseTimestampMs + deltas[i]!
    if (keptCount === 0) judgement.firstTimestampMs = timestampMs
    if (timestampMs < minTimestampMs) minTimestampMs = timestampMs
    if (timestampMs > maxTimestampMs) maxTimestampMs = timestampMs
    if (isTombstone) judgement.hasTombstone = true
    keptCount++
    const at = begins[i]!
    const last = 2 * rangeCount - 1
    if (rangeCount > 0 && ranges[last] === at && at - ranges[last - 1]! < RANGE_BYTES) ranges[last] = ends[i]!
    else {
      ranges[last + 1] = at
      ranges[last + 2] = ends[i]!
      rangeCount++
    }
  }
  judgement.keptCount = keptCount
  judgement.rangeCount = rangeCount
  judgement.minTimestampMs = minTimestampMs
  judgement.maxTimestampMs = maxTimestampMs
}

function roomForRanges(judgement: Judgement, records: number): Int32Array {
  const needed = 2 * (judgement.rangeCount + records)
  if (needed > judgement.ranges.length) {
    const grown = new Int32Array(2 * needed)
    grown.set(judgement.ranges)
    judgement.ranges = grown
  }
  return judgement.ranges
}

/** How much longer a record gets at most by another timestamp delta: by the delta, and by the length that counts it. */
export const MAX_GROWTH_BYTES = 8

/**
 * Copies the records `bytes[from, to)` to `into[at]`, each with a timestamp delta that is `factor` times its own and `shift`, and
 * returns the place behind the last one. `into` has MAX_GROWTH_BYTES more room for each.
 */
export function copyShifted(
  bytes: Buffer,
  from: number,
  to: number,
  into: Buffer,
  at: number,
  factor: 0 | 1,
  shift: number,
): number {
  while (from < to) {
    const length = varint(bytes, from, to)
    const end = next + length
    const delta = varlong(bytes, next + 1, end) * factor + shift
    const offsetAt = next
    at = writeVarint(into, at, 1 + varlongSizeBytes(delta) + end - offsetAt)
    into[at] = 0 // attributes
    at = writeVarlong(into, at + 1, delta)
    bytes.copy(into, at, offsetAt, end)
    at += end - offsetAt
    from = end
  }
  return at
}
