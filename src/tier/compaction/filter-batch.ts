import { CODEC_NAMES, UNCOMPRESSED } from '#bytes/codecs.ts'
import { compress, compressOffThread, INLINE_COMPRESSION_BYTES } from '#bytes/compression.ts'
import {
  attributesOf,
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  baseTimestampOf,
  codecOf,
  hasDeleteHorizon,
  isLogAppendTime,
  maxTimestampOf,
  recordCountOf,
} from '#records/batch.ts'
import { compactedBatch, type KeptRecords } from '#records/compacted.ts'
import { openRecords } from '#records/read.ts'
import { BYTES_PER_TURN, checkedRecordCount, damagedBatch, RECORDS_PER_TURN } from './checked-batch.ts'
import type { OffsetMap } from './offset-map.kernel.ts'
import { copyShifted, Judgement, judgeRecords, MAX_GROWTH_BYTES } from './records.kernel.ts'

export interface FilterOptions {
  readonly map: OffsetMap
  /** What the map knows about ends here. */
  readonly mapTo: number
  readonly nowMs: number
  /** `delete.retention.ms`; Infinity for Kafka's largest number. */
  readonly deleteRetentionMs: number
  /** The records of a batch may take this many bytes once decompressed. */
  readonly decompressLimitBytes: number
  /** Resolves when others have had their turn on this thread. */
  nextTurn(): Promise<void>
}

/** The batch stays as it is, or loses all records, or is this one now. */
export type Filtered = 'same' | 'emptied' | Buffer

const NO_HORIZON = -1
const NO_TIMESTAMP = -1
// No delta of two times is larger (varint.kernel.ts).
const MAX_DELTA_MS = 2 ** 52
const ALL_STAY = -1

const SCRATCH_STEP_BYTES = 64 * 1024

/** A copy that goes on range by range. */
interface Copy {
  /** The next one. */
  range: number
  /** Where it goes, in the scratch. */
  end: number
  /** What becomes of a timestamp delta: so many times itself, and so much more. */
  readonly factor: 0 | 1
  readonly shift: number
}

/** Takes those records out of a batch that are not the newest of their key (Kafka: MemoryRecords.filterTo). One at a time. */
export class BatchFilter {
  readonly #options: FilterOptions
  readonly #judgement = new Judgement()
  #scratch = Buffer.alloc(0)
  /** Records that went because they had no key. */
  nullKeys = 0
  /** When the last of the tombstones and markers that stayed for their time only may go; -1 if there is none. */
  lastHorizonMs = NO_HORIZON
  /** Of the records that `filterLater` looked at last, decompressed. */
  openedBytes = 0

  constructor(options: FilterOptions) {
    this.#options = options
  }

  /** `end` is where the batch ends. */
  filterNow(bytes: Buffer, at: number, end: number): Filtered | 'pending' {
    if (codecOf(attributesOf(bytes, at)) !== UNCOMPRESSED || recordCountOf(bytes, at) > RECORDS_PER_TURN)
      return 'pending'
    this.#judgeAll(bytes, at, end, this.#options.mapTo - 1)
    const kept = this.#verdict(bytes, at, this.#judgement.hasTombstone)
    return typeof kept === 'string' ? kept : compactedBatch(bytes, at, kept, this.#copyKept(bytes, bytes, at, kept))
  }

  /** The same for one that takes longer. */
  async filterLater(bytes: Buffer, at: number): Promise<Filtered> {
    const { map, mapTo, decompressLimitBytes, nextTurn } = this.#options
    const judgement = this.#judgement
    const records = await openRecords(bytes, at, decompressLimitBytes)
    this.openedBytes = records.length
    const count = checkedRecordCount(bytes, at, records.length)
    this.#begin(bytes, at, 0, mapTo - 1)
    for (;;) {
      judgeRecords(map, records, records.length, Math.min(count, judgement.index + RECORDS_PER_TURN), judgement)
      if (judgement.isDamaged || judgement.index === count) break
      await nextTurn()
    }
    this.#end(bytes, at, records.length)
    const kept = this.#verdict(bytes, at, judgement.hasTombstone)
    if (typeof kept === 'string') return kept
    const body = await this.#copyKeptInTurns(records, bytes, at, kept)
    const codec = CODEC_NAMES[codecOf(attributesOf(bytes, at))]!
    const isShort = body.length <= INLINE_COMPRESSION_BYTES
    return compactedBatch(bytes, at, kept, isShort ? compress(codec, body) : await compressOffThread(codec, body))
  }

  /** A marker of whose transaction nothing is left: it stays for its time, from when this is seen first. */
  delayMarker(bytes: Buffer, at: number, end: number): Filtered {
    this.#judgeAll(bytes, at, end, ALL_STAY)
    const kept = this.#verdict(bytes, at, true)
    return typeof kept === 'string' ? kept : compactedBatch(bytes, at, kept, this.#copyKept(bytes, bytes, at, kept))
  }

  #judgeAll(bytes: Buffer, at: number, end: number, latestOffset: number): void {
    const from = at + BATCH_HEADER_BYTES
    const count = checkedRecordCount(bytes, at, end - from)
    this.#begin(bytes, at, from, latestOffset)
    judgeRecords(this.#options.map, bytes, end, count, this.#judgement)
    this.#end(bytes, at, end)
  }

  #begin(bytes: Buffer, at: number, recordsAt: number, latestOffset: number): void {
    const judgement = this.#judgement
    judgement.begin(recordsAt)
    judgement.baseOffset = baseOffsetOf(bytes, at)
    judgement.baseTimestampMs = baseTimestampOf(bytes, at)
    judgement.latestOffset = latestOffset
    const horizonMs = hasDeleteHorizon(attributesOf(bytes, at)) ? judgement.baseTimestampMs : Number.POSITIVE_INFINITY
    judgement.keepsTombstones = this.#options.nowMs < horizonMs
  }

  #end(bytes: Buffer, at: number, recordsEnd: number): void {
    const judgement = this.#judgement
    if (judgement.isDamaged || judgement.at !== recordsEnd) {
      throw damagedBatch('a batch with damaged records', bytes, at)
    }
    this.nullKeys += judgement.nullKeys
  }

  /** What becomes of the batch whose records were judged. `waits`: something in it stays for its time only. */
  #verdict(bytes: Buffer, at: number, waits: boolean): KeptRecords | 'same' | 'emptied' {
    const judgement = this.#judgement
    if (judgement.keptCount === 0) return 'emptied'
    const attributes = attributesOf(bytes, at)
    const hasHorizon = hasDeleteHorizon(attributes)
    const hadHorizonMs = hasHorizon ? judgement.baseTimestampMs : NO_HORIZON
    const horizonMs = waits && !hasHorizon ? this.#newHorizonMs(bytes, at) : hadHorizonMs
    if (waits) this.lastHorizonMs = Math.max(this.lastHorizonMs, horizonMs)
    if (judgement.keptCount === recordCountOf(bytes, at) && horizonMs === hadHorizonMs) return 'same'
    const hasAppendTime = isLogAppendTime(attributes)
    let baseTimestampMs = hasAppendTime ? maxTimestampOf(bytes, at) : judgement.firstTimestampMs
    if (horizonMs >= 0) baseTimestampMs = horizonMs
    return {
      recordCount: judgement.keptCount,
      baseTimestampMs: this.#isInReach(bytes, at, baseTimestampMs) ? baseTimestampMs : judgement.baseTimestampMs,
      maxTimestampMs: hasAppendTime ? maxTimestampOf(bytes, at) : Math.max(judgement.maxTimestampMs, NO_TIMESTAMP),
      hasDeleteHorizon: horizonMs >= 0,
    }
  }

  /** Where the sum is beyond what is a time, Kafka's overflows and it does as here: what waits, waits for ever. */
  #newHorizonMs(bytes: Buffer, at: number): number {
    const horizonMs = this.#options.nowMs + this.#options.deleteRetentionMs
    return horizonMs < MAX_DELTA_MS && this.#isInReach(bytes, at, horizonMs) ? horizonMs : NO_HORIZON
  }

  /** Can the times of the records that stay be told from this one on? */
  #isInReach(bytes: Buffer, at: number, baseTimestampMs: number): boolean {
    const { minTimestampMs, maxTimestampMs } = this.#judgement
    const hasAppendTime = isLogAppendTime(attributesOf(bytes, at))
    const first = hasAppendTime ? maxTimestampOf(bytes, at) : minTimestampMs
    const last = hasAppendTime ? first : maxTimestampMs
    return baseTimestampMs - first < MAX_DELTA_MS && last - baseTimestampMs < MAX_DELTA_MS
  }

  /** The records that stay, out of all the `records` of the batch at (bytes, at). A view that the next call changes. */
  #copyKept(records: Buffer, bytes: Buffer, at: number, kept: KeptRecords): Buffer {
    const copy = this.#beginCopy(bytes, at, kept)
    while (copy.range < this.#judgement.rangeCount) this.#copyRange(records, copy)
    return this.#scratch.subarray(0, copy.end)
  }

  async #copyKeptInTurns(records: Buffer, bytes: Buffer, at: number, kept: KeptRecords): Promise<Buffer> {
    const copy = this.#beginCopy(bytes, at, kept)
    for (let turnEnd = BYTES_PER_TURN; copy.range < this.#judgement.rangeCount; ) {
      this.#copyRange(records, copy)
      if (copy.end < turnEnd) continue
      turnEnd = copy.end + BYTES_PER_TURN
      await this.#options.nextTurn()
    }
    return this.#scratch.subarray(0, copy.end)
  }

  #beginCopy(bytes: Buffer, at: number, kept: KeptRecords): Copy {
    const { ranges, rangeCount, keptCount, baseTimestampMs } = this.#judgement
    let keptBytes = 0
    for (let i = 0; i < rangeCount; i++) keptBytes += ranges[2 * i + 1]! - ranges[2 * i]!
    const needed = keptBytes + MAX_GROWTH_BYTES * keptCount
    if (this.#scratch.length < needed) this.#scratch = Buffer.allocUnsafeSlow(needed + SCRATCH_STEP_BYTES)
    // A time of appending is the batch's, and of the records' own nothing is told any more.
    const hasAppendTime = isLogAppendTime(attributesOf(bytes, at))
    const shift = (hasAppendTime ? maxTimestampOf(bytes, at) : baseTimestampMs) - kept.baseTimestampMs
    return { range: 0, end: 0, factor: hasAppendTime ? 0 : 1, shift }
  }

  #copyRange(records: Buffer, copy: Copy): void {
    const { ranges } = this.#judgement
    const from = ranges[2 * copy.range]!
    const to = ranges[2 * copy.range + 1]!
    copy.range++
    const isSame = copy.factor === 1 && copy.shift === 0
    if (isSame) copy.end += records.copy(this.#scratch, copy.end, from, to)
    else copy.end = copyShifted(records, from, to, this.#scratch, copy.end, copy.factor, copy.shift)
  }
}
