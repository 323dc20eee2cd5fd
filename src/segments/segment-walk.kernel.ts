import { assert } from '#base/assert.ts'
import {
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  batchSizeBytesOf,
  lastOffsetDeltaOf,
  MAGIC,
  magicOf,
  maxTimestampOf,
} from '#records/batch.ts'
import { damagedSegment, type PartPlace } from './segment-format.ts'

// Kernel: goes from batch to batch through a range of the body of a part by their headers. Budget: 40 ns a batch
// (bench/kernel/segment.bench.ts). Its plain twin is in its test.

const NO_BYTES = Buffer.alloc(0)

/** Where a walk is; owned and used again by who walks. */
export class BodyWalk {
  readonly key: string
  readonly part: PartPlace
  bytes: Buffer = NO_BYTES
  toAt = 0
  /** Of the byte `at` 0 in the body; negative if it is before the body. */
  placeOfBytes = 0
  /** The batch: where it begins in the bytes, what it has. `at + sizeBytes` may be behind them. */
  at = 0
  sizeBytes = 0
  baseOffset = -1
  lastOffset = -1
  maxTimestampMs = -1
  /** Where the next one begins: if that is behind the bytes, those have only a part of the last batch. */
  nextAt = 0

  constructor(key: string, part: PartPlace) {
    this.key = key
    this.part = part
  }
}

/** Begins anew in other bytes: at `from`, which is at `place` in the body, is the begin of a batch, and `to` is their end. */
export function openBody(walk: BodyWalk, bytes: Buffer, from: number, to: number, place: number): void {
  assert(from <= to && to <= bytes.length && place >= 0, 'a range of a body')
  walk.bytes = bytes
  walk.toAt = to
  walk.placeOfBytes = place - from
  walk.lastOffset = walk.part.baseOffset - 1
  walk.nextAt = from
}

/** Goes to the next batch whose header is there as a whole; false if there is none. */
export function walkBody(walk: BodyWalk): boolean {
  const { bytes, nextAt, part } = walk
  const leftBytes = part.sizeBytes - walk.placeOfBytes - nextAt
  if (leftBytes === 0) return false
  if (leftBytes < BATCH_HEADER_BYTES) throw damagedBody(walk)
  if (nextAt + BATCH_HEADER_BYTES > walk.toAt) return false
  const sizeBytes = batchSizeBytesOf(bytes, nextAt)
  const baseOffset = baseOffsetOf(bytes, nextAt)
  const lastOffset = baseOffset + lastOffsetDeltaOf(bytes, nextAt)
  const isBatch =
    sizeBytes >= BATCH_HEADER_BYTES &&
    sizeBytes <= leftBytes &&
    magicOf(bytes, nextAt) === MAGIC &&
    baseOffset > walk.lastOffset &&
    lastOffset >= baseOffset &&
    lastOffset < part.nextOffset
  if (!isBatch) throw damagedBody(walk)
  walk.at = nextAt
  walk.sizeBytes = sizeBytes
  walk.baseOffset = baseOffset
  walk.lastOffset = lastOffset
  walk.maxTimestampMs = maxTimestampOf(bytes, nextAt)
  walk.nextAt = nextAt + sizeBytes
  return true
}

function damagedBody({ key, part, placeOfBytes, nextAt }: BodyWalk): Error {
  return damagedSegment(key, part.place + placeOfBytes + nextAt, 'no batch of the part begins there')
}
