// What compaction makes of a log, in plain steps over plain objects: Kafka's rules without its (or our) ways to be fast.

import { CODEC_NAMES } from '#bytes/codecs.ts'
import type { Producer } from '#core/producers.ts'
import * as header from '#records/batch.ts'
import { recordsOf } from '#records/read.ts'
import type { PlainBatch, PlainRecord, WrittenBatch } from './compaction-log.ts'

export interface PlainPass {
  readonly from: number
  readonly to: number
  /** Keys that the map has room for. */
  readonly capacity: number
  readonly nowMs: number
  readonly deleteRetentionMs: number
  readonly producers: ReadonlyMap<number, Producer>
}

export interface PlainResult {
  readonly batches: WrittenBatch[]
  /** What the map knows about ends here. */
  readonly mapTo: number
  readonly lastHorizonMs: number
}

/** The whole log after the pass: what begins at or behind `mapTo` is not touched. */
export function compactPlainly(log: readonly WrittenBatch[], pass: PlainPass): PlainResult {
  const { newest, mapTo } = newestOffsets(log, pass)
  const batches: WrittenBatch[] = []
  let lastHorizonMs = -1
  for (const [i, batch] of log.entries()) {
    if (batch.baseOffset >= mapTo) {
      batches.push(batch)
      continue
    }
    // Batches of this pass only see what was there before it.
    const isForgotten = batch.isMarker && !log.slice(0, i).some(other => other.transaction === batch.transaction)
    const { kept, waits } = stays(batch, { newest, mapTo, isForgotten, nowMs: pass.nowMs })
    if (kept.length === 0) {
      if (batch.lastOffset + 1 === mapTo || isNeeded(batch, pass)) batches.push(emptied(batch))
      continue
    }
    const horizonMs = batch.horizonMs ?? (waits ? pass.nowMs + pass.deleteRetentionMs : null)
    if (waits && horizonMs !== null) lastHorizonMs = Math.max(lastHorizonMs, horizonMs)
    const isSame = kept.length === batch.records.length && horizonMs === batch.horizonMs
    batches.push(isSame ? batch : rewritten(batch, kept, horizonMs))
  }
  return { batches, mapTo, lastHorizonMs }
}

function newestOffsets(log: readonly WrittenBatch[], { from, to, capacity }: PlainPass) {
  const newest = new Map<string, number>()
  let completed = from
  for (const batch of log) {
    if (batch.lastOffset < from || batch.baseOffset >= to) continue
    let last = -1
    for (const { offset, key } of batch.isMarker || batch.transaction?.isAborted ? [] : batch.records) {
      if (key === null || offset < from) continue
      if (!newest.has(key) && newest.size === capacity)
        return { newest, mapTo: completed > from ? completed : last + 1 }
      newest.set(key, offset)
      last = offset
    }
    completed = batch.lastOffset + 1
  }
  return { newest, mapTo: to }
}

function stays(
  batch: WrittenBatch,
  pass: { newest: Map<string, number>; mapTo: number; isForgotten: boolean; nowMs: number },
): { kept: readonly PlainRecord[]; waits: boolean } {
  const isOver = batch.horizonMs !== null && batch.horizonMs <= pass.nowMs
  if (batch.isMarker) return { kept: pass.isForgotten && isOver ? [] : batch.records, waits: pass.isForgotten }
  if (batch.transaction?.isAborted) return { kept: [], waits: false }
  const kept = batch.records.filter(({ offset, key, value }) => {
    if (offset >= pass.mapTo) return true
    if (key === null || (pass.newest.get(key) ?? -1) > offset) return false
    return value !== null || !isOver
  })
  return { kept, waits: kept.some(({ value }) => value === null) }
}

function isNeeded(batch: WrittenBatch, { to, producers }: PlainPass): boolean {
  if (batch.lastOffset + 1 === to) return true
  const producer = producers.get(batch.producerId)
  if (producer === undefined) return false
  const last = producer.batches.at(-1)
  if (last === undefined) return batch.isMarker && batch.producerEpoch === producer.epoch
  return batch.lastOffset === last.baseOffset + last.lastSequence - last.firstSequence
}

function emptied(batch: WrittenBatch): WrittenBatch {
  return { ...batch, codec: 'uncompressed', baseTimestampMs: -1, horizonMs: null, records: [] }
}

function rewritten(batch: WrittenBatch, records: readonly PlainRecord[], horizonMs: number | null): WrittenBatch {
  const maxTimestampMs = Math.max(-1, ...records.map(({ timestampMs }) => timestampMs))
  return { ...batch, records, horizonMs, baseTimestampMs: horizonMs ?? records[0]!.timestampMs, maxTimestampMs }
}

/** Of batches as bytes, one behind the other. */
export function plainBatches(bytes: Buffer): PlainBatch[] {
  const batches: PlainBatch[] = []
  for (let at = 0; at < bytes.length; at += header.batchSizeBytesOf(bytes, at)) batches.push(plainBatch(bytes, at))
  return batches
}

function plainBatch(bytes: Buffer, at: number): PlainBatch {
  if (header.computeCrc(bytes, at) !== header.crcOf(bytes, at)) throw new Error('a batch with a wrong CRC')
  const attributes = header.attributesOf(bytes, at)
  const baseTimestampMs = header.baseTimestampOf(bytes, at)
  return {
    baseOffset: header.baseOffsetOf(bytes, at),
    lastOffset: header.lastOffsetOf(bytes, at),
    leaderEpoch: header.leaderEpochOf(bytes, at),
    codec: CODEC_NAMES[header.codecOf(attributes)]!,
    isTransactional: header.isTransactional(attributes),
    isMarker: header.isControl(attributes),
    hasAppendTime: header.isLogAppendTime(attributes),
    producerId: header.producerIdOf(bytes, at),
    producerEpoch: header.producerEpochOf(bytes, at),
    baseSequence: header.baseSequenceOf(bytes, at),
    baseTimestampMs,
    maxTimestampMs: header.maxTimestampOf(bytes, at),
    horizonMs: header.hasDeleteHorizon(attributes) ? baseTimestampMs : null,
    records: [...recordsOf(bytes, at, 1 << 24)].map(({ offset, timestampMs, key, value }) => {
      return { offset, timestampMs, key: key?.toString() ?? null, value: value?.toString() ?? null }
    }),
  }
}

/** The same without what bytes do not say. */
export function withoutTransactions(batches: readonly WrittenBatch[]): PlainBatch[] {
  return batches.map(({ transaction, ...batch }) => batch)
}

/** What a reader of the whole log knows at the end: the last value of each key, by records that were not aborted. */
export function lastValues(batches: readonly WrittenBatch[]): Map<string, string> {
  const values = new Map<string, string>()
  for (const { isMarker, transaction, records } of batches) {
    if (isMarker || transaction?.isAborted) continue
    for (const { key, value } of records) {
      if (key === null) continue
      if (value === null) values.delete(key)
      else values.set(key, value)
    }
  }
  return values
}
