// A whole pass over a log in memory, as its owner does it.

import { createHash } from 'node:crypto'
import { batchSizeBytesOf } from '#records/batch.ts'
import { buildOffsetMap } from '#tier/compaction/build-offset-map.ts'
import { Cleaner } from '#tier/compaction/clean.ts'
import { OffsetMap, SLOT_BYTES } from '#tier/compaction/offset-map.kernel.ts'
import type { WrittenLog } from './compaction-log.ts'
import type { PlainPass } from './compaction-model.ts'

export interface PassOptions extends Omit<PlainPass, 'capacity'> {
  /** Batches that are handed over at once. */
  readonly batchesInChunk: number
  /** Of the map. */
  readonly slots: number
  readonly seed: number
}

export interface PassResult {
  readonly mapTo: number
  readonly cleaner: Cleaner
  /** All batches of the log after it. */
  readonly bytes: Buffer[]
}

export async function compactLog(log: WrittenLog, options: PassOptions): Promise<PassResult> {
  const { from, to, batchesInChunk, slots, seed } = options
  const secret = createHash('md5').update(`${seed}`).digest()
  const map = new OffsetMap(slots * SLOT_BYTES, secret)
  const inRange = log.bytes.filter((_, i) => log.batches[i]!.lastOffset >= from && log.batches[i]!.baseOffset < to)
  const common = { map, to, aborted: log.aborted, decompressLimitBytes: 1 << 24, nextTurn: async () => {} }
  const mapTo = await buildOffsetMap(lazily(chunksOf(inRange, batchesInChunk)), { ...common, from })
  const cleaner = new Cleaner({ ...common, ...options, map, mapTo })
  const before = log.bytes.filter((_, i) => log.batches[i]!.baseOffset < mapTo)
  const pieces: Buffer[] = []
  for (const chunk of chunksOf(before, batchesInChunk)) pieces.push(...(await cleaner.clean(chunk)))
  return { mapTo, cleaner, bytes: [...splitBatches(Buffer.concat(pieces)), ...log.bytes.slice(before.length)] }
}

function chunksOf(batches: readonly Buffer[], batchesInChunk: number): Buffer[] {
  const chunks: Buffer[] = []
  for (let i = 0; i < batches.length; i += batchesInChunk)
    chunks.push(Buffer.concat(batches.slice(i, i + batchesInChunk)))
  return chunks
}

async function* lazily<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
}

export function splitBatches(bytes: Buffer): Buffer[] {
  const batches: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + batchSizeBytesOf(bytes, at)
    batches.push(bytes.subarray(at, end))
    at = end
  }
  return batches
}
