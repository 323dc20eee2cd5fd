// Segments by the book, and what they are made of: field after field, with core's own rules for producers. What
// src/segments/segment-writer.ts makes fast has to be this.

import { crc32c } from '@node-rs/crc32'
import fc from 'fast-check'
import { ByteWriter } from '#bytes/cursor.ts'
import { writeProducers } from '#core/packed-fields.ts'
import { NO_PRODUCER, type Producer, rememberBatch, rememberMarker, sequenceAfter } from '#core/producers.ts'
import { CONTROL_BIT, TRANSACTIONAL_BIT, writeBatchHeader } from '#records/batch.ts'
import type { PartFacts } from '#segments/segment-index.ts'
import type { SegmentWriter } from '#segments/segment-writer.ts'

export interface PlainBatch {
  readonly baseOffset: number
  readonly leaderEpoch: number
  readonly lastOffsetDelta: number
  readonly recordCount: number
  readonly maxTimestampMs: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly isMarker: boolean
  readonly sizeBytes: number
}

export interface PlainPart extends PartFacts {
  readonly batches: readonly PlainBatch[]
  readonly nextOffset: number
}

const HEADER_BYTES = 61
/** Repeats itself nowhere at a round distance. */
const NOISE_BYTES = 997
const NOISE = Buffer.from(Array.from({ length: 2 * NOISE_BYTES }, (_, i) => (i % NOISE_BYTES) * 31))

/** As its producer sent it. Its records are none: nobody here looks at them. */
export function storedBatch(batch: PlainBatch): Buffer {
  const bytes = Buffer.alloc(batch.sizeBytes)
  const from = batch.baseOffset % NOISE_BYTES
  bytes.fill(NOISE.subarray(from, from + NOISE_BYTES), HEADER_BYTES)
  const attributes = batch.isMarker ? TRANSACTIONAL_BIT | CONTROL_BIT : 0
  const sent = { ...batch, attributes, baseTimestampMs: batch.maxTimestampMs, baseOffset: 0, leaderEpoch: -1 }
  writeBatchHeader(bytes, 0, bytes.length, sent)
  return bytes
}

/** As consumers get it. */
export function servedBatch(batch: PlainBatch): Buffer {
  const bytes = storedBatch(batch)
  bytes.writeBigInt64BE(BigInt(batch.baseOffset), 0)
  bytes.writeInt32BE(batch.leaderEpoch, 12)
  return bytes
}

export function bodyOf(part: PlainPart): Buffer {
  return Buffer.concat(part.batches.map(servedBatch))
}

export function maxTimestampOf(batches: readonly PlainBatch[]): number {
  return batches.reduce((maxMs, { maxTimestampMs }) => Math.max(maxMs, maxTimestampMs), -1)
}

/** What batches do to the producers of a partition. */
export function applyBatches(
  producers: Map<number, Producer>,
  batches: readonly PlainBatch[],
  ofUnknown: 'markers are kept' | 'markers are nothing',
): Map<number, Producer> {
  for (const batch of batches) {
    const { producerId: id, producerEpoch: epoch, baseSequence, baseOffset, maxTimestampMs: timestampMs } = batch
    if (id === NO_PRODUCER || (batch.isMarker && !producers.has(id) && ofUnknown === 'markers are nothing')) continue
    const producer = producers.get(id) ?? { epoch, lastAppendMs: -1, batches: [] }
    producers.set(id, producer)
    if (batch.isMarker) {
      rememberMarker(producer, epoch)
      continue
    }
    const lastSequence = sequenceAfter(baseSequence, batch.lastOffsetDelta)
    const kept = { firstSequence: baseSequence, lastSequence, baseOffset, timestampMs }
    rememberBatch(producer, epoch, kept, Math.max(0, timestampMs))
  }
  return producers
}

/** The sparse index: offset, place and largest timestamp up to the next entry. */
export function entriesOf(part: PlainPart): number[][] {
  const entries: number[][] = []
  let place = 0
  for (const { baseOffset, maxTimestampMs, sizeBytes } of part.batches) {
    const last = entries.at(-1)
    const isFar = last === undefined || place - last[1]! >= 65536
    if (isFar) entries.push([baseOffset - part.baseOffset, place, -1])
    const entry = entries.at(-1)!
    entry[2] = Math.max(entry[2]!, maxTimestampMs)
    place += sizeBytes
  }
  return entries
}

/** CRC-32C of each mebibyte. */
export function blocksOf(body: Buffer): number[] {
  const blocks: number[] = []
  for (let at = 0; at < body.length; at += 1 << 20) blocks.push(crc32c(body.subarray(at, at + (1 << 20))))
  return blocks
}

export function plainIndex(part: PlainPart, place: number): Buffer {
  const body = bodyOf(part)
  const writer = new ByteWriter()
  writer.u16(1)
  writer.u16(0)
  writer.u32(part.partition)
  writer.i64(part.baseOffset)
  writer.i64(part.nextOffset)
  writer.i64(place)
  writer.u32(body.length)
  writer.f64(maxTimestampOf(part.batches))
  writer.f64(part.createdMs)
  writer.i64(part.batches.reduce((sum, { recordCount }) => sum + recordCount, 0))
  for (const text of [part.topicId, part.topicName]) {
    writer.uvarint(text.length)
    writer.utf8(text)
  }
  const blocks = blocksOf(body)
  writer.u32(blocks.length)
  for (const sum of blocks) writer.u32(sum)
  const entries = entriesOf(part)
  writer.u32(entries.length)
  for (const [offset, entryPlace, timestampMs] of entries) {
    writer.f64(offset!)
    writer.u32(entryPlace!)
    writer.f64(timestampMs!)
  }
  writer.u32(part.aborted.length)
  for (const number of part.aborted) writer.raw(Buffer.from(Float64Array.of(number).buffer))
  const producers = applyBatches(new Map(), part.batches, 'markers are kept')
  writer.u32(producers.size)
  writeProducers(writer, producers)
  const head = Buffer.alloc(8)
  head.write('CHSI', 'latin1')
  head.writeUInt32BE(crc32c(writer.written()), 4)
  return Buffer.concat([head, writer.written()])
}

export function plainSegment(parts: readonly PlainPart[]): Buffer {
  const bodies = parts.map(bodyOf)
  const fence = new ByteWriter()
  fence.i64(-1)
  fence.i32(2 ** 31 - 1)
  fence.raw(Buffer.from('CHSG'))
  fence.u16(1)
  fence.u16(0)
  fence.u32(parts.length)
  const places = bodies.map((_, i) => sizeOf(bodies.slice(0, i)))
  const indexes = parts.map((part, i) => plainIndex(part, places[i]!))
  const indexesPlace = sizeOf(bodies) + 24
  const directory = new ByteWriter()
  for (const [i, part] of parts.entries()) {
    directory.raw(Buffer.from(part.topicId.padEnd(24, '\0')))
    directory.u32(part.partition)
    directory.i64(part.baseOffset)
    directory.i64(part.nextOffset)
    directory.i64(places[i]!)
    directory.u32(bodies[i]!.length)
    directory.i64(indexesPlace + sizeOf(indexes.slice(0, i)))
    directory.u32(indexes[i]!.length)
    directory.f64(maxTimestampOf(part.batches))
    directory.f64(part.createdMs)
  }
  const directoryPlace = indexesPlace + sizeOf(indexes)
  const trailer = new ByteWriter()
  trailer.i64(directoryPlace)
  trailer.u32(directory.offset)
  trailer.u16(1)
  trailer.u16(0)
  trailer.i64(directoryPlace + directory.offset + 32)
  const head = Buffer.alloc(8)
  head.write('CHSE', 'latin1')
  head.writeUInt32BE(crc32c(Buffer.concat([directory.written(), trailer.written()])), 4)
  return Buffer.concat([...bodies, fence.written(), ...indexes, directory.written(), head, trailer.written()])
}

function sizeOf(pieces: readonly Buffer[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0)
}

export function fill(writer: SegmentWriter, parts: readonly PlainPart[]): void {
  for (const part of parts) {
    writer.beginPart(part)
    for (const batch of part.batches) {
      const bytes = storedBatch(batch)
      writer.addBatch(bytes, 0, bytes.length, batch.baseOffset, batch.leaderEpoch)
    }
    writer.endPart(part.nextOffset, part.aborted)
  }
}

// ---- random ones

const TIME_MS = 1_800_000_000_000

/** What a batch is, before it has offsets. */
const someBatch = fc.record({
  kind: fc.constantFrom('plain', 'plain', 'sequence', 'sequence', 'sequence', 'marker', 'later-marker', 'later-epoch'),
  sizeBytes: fc.oneof(
    { weight: 20, arbitrary: fc.integer({ min: HEADER_BYTES, max: 400 }) },
    { weight: 5, arbitrary: fc.integer({ min: 1000, max: 90_000 }) },
    { weight: 1, arbitrary: fc.integer({ min: 300_000, max: 2_500_000 }) },
  ),
  recordCount: fc.integer({ min: 1, max: 20 }),
  /** Compaction takes records out, and whole batches. */
  compactedRecords: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.nat(20)),
  gap: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.nat(5), fc.constant(2 ** 33)),
  maxTimestampMs: fc.oneof(fc.constant(-1), fc.integer({ min: TIME_MS, max: TIME_MS + 1000 })),
  producerId: fc.constantFrom(0, 1, 2 ** 45, 2 ** 45 + 1),
  leaderEpoch: fc.integer({ min: 0, max: 3 }),
})

const somePart = fc.record({
  topicId: fc.constantFrom('AQIDBAUGBwgJCgsMDQ4PEA', '--------------------_w'),
  topicName: fc.stringMatching(/^[\w.-]{1,20}$/),
  partition: fc.nat(2 ** 31 - 1),
  baseOffset: fc.nat(2 ** 40),
  createdMs: fc.nat(TIME_MS),
  aborted: fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat(), fc.nat()), { maxLength: 3 }),
  batches: fc.oneof(fc.array(someBatch, { maxLength: 6 }), fc.array(someBatch, { maxLength: 60, size: 'large' })),
  gap: fc.oneof(fc.constant(0), fc.nat(9)),
})

type Wish = ReturnType<(typeof someBatch)['generate']>['value']

/** Parts of a segment; what is in each is what a partition could have. */
export const someParts: fc.Arbitrary<PlainPart[]> = fc
  .array(somePart, { minLength: 1, maxLength: 4 })
  .map(parts => parts.map(({ aborted, batches: wishes, gap, ...facts }) => laidOut(facts, wishes, aborted, gap)))

function laidOut(
  facts: Omit<PartFacts, 'aborted'>,
  wishes: readonly Wish[],
  aborted: number[][],
  gap: number,
): PlainPart {
  const producers = new Map<number, { epoch: number; sequence: number }>()
  const batches: PlainBatch[] = []
  let nextOffset = facts.baseOffset
  for (const wish of wishes) {
    const baseOffset = nextOffset + wish.gap
    const batch = { ...wish, ...sender(producers, wish), baseOffset }
    const isMarker = wish.kind.endsWith('marker')
    const recordCount = isMarker ? 1 : wish.recordCount
    const lastOffsetDelta = isMarker ? 0 : recordCount - 1 + wish.compactedRecords
    const { kind: _kind, gap: _gap, compactedRecords: _compacted, ...fields } = batch
    batches.push({ ...fields, isMarker, recordCount, lastOffsetDelta })
    nextOffset = baseOffset + lastOffsetDelta + 1
  }
  return { ...facts, batches, nextOffset: nextOffset + gap, aborted: Float64Array.from(aborted.flat()) }
}

function sender(producers: Map<number, { epoch: number; sequence: number }>, wish: Wish) {
  if (wish.kind === 'plain') return { producerId: NO_PRODUCER, producerEpoch: -1, baseSequence: -1 }
  const known = producers.get(wish.producerId) ?? { epoch: 0, sequence: 2 ** 31 - 30 }
  if (wish.kind.startsWith('later')) Object.assign(known, { epoch: known.epoch + 1, sequence: 0 })
  producers.set(wish.producerId, known)
  const isMarker = wish.kind.endsWith('marker')
  const baseSequence = isMarker ? -1 : known.sequence
  const next = wish.recordCount + wish.compactedRecords
  if (!isMarker) known.sequence = sequenceAfter(known.sequence, next)
  return { producerEpoch: known.epoch, baseSequence }
}
