import { PiecePool } from '#bytes/piece-pool.ts'
import { buildBatch, buildEndMarker } from '#records/build.ts'
import type { PartFacts } from '#segments/segment-index.ts'
import { SegmentWriter } from '#segments/segment-writer.ts'

// Segments with everything that can be in one: plain, idempotent and transactional batches, markers of both kinds, offsets that
// compaction took away. They are among the stored formats, and Kafka's own tools have to read them.

const TIME_MS = 1_800_000_000_000

interface FixtureBatch {
  readonly baseOffset: number
  readonly leaderEpoch: number
  readonly bytes: Buffer
}

export interface FixturePart extends PartFacts {
  readonly batches: readonly FixtureBatch[]
  readonly nextOffset: number
}

const NONE = new Float64Array(0)
const COPIER = { producerId: 7, transactional: true }

function records(count: number, fromMs: number) {
  return Array.from({ length: count }, (_, i) => ({
    timestampMs: TIME_MS + fromMs + i,
    key: Buffer.from(`key-${i}`),
    value: Buffer.from(`value-${fromMs + i}`),
  }))
}

function marker(type: 'commit' | 'abort', producerEpoch: number, afterMs: number): Buffer {
  return buildEndMarker(type, { producerId: 7, producerEpoch, coordinatorEpoch: 0, timestampMs: TIME_MS + afterMs })
}

/** Offsets 1200 to 1216. */
const ORDERS: FixturePart = {
  topicId: 'AQIDBAUGBwgJCgsMDQ4PEA',
  topicName: 'orders',
  partition: 3,
  baseOffset: 1200,
  createdMs: TIME_MS - 5,
  aborted: Float64Array.of(7, 1205, 1207, 1205),
  batches: [
    { baseOffset: 1200, leaderEpoch: 0, bytes: buildBatch(records(3, 0)) },
    {
      baseOffset: 1203,
      leaderEpoch: 0,
      bytes: buildBatch(records(2, 10), { producerId: 9, producerEpoch: 0, baseSequence: 40 }),
    },
    {
      baseOffset: 1205,
      leaderEpoch: 0,
      bytes: buildBatch(records(2, 20), { ...COPIER, producerEpoch: 1, baseSequence: 0 }),
    },
    { baseOffset: 1207, leaderEpoch: 0, bytes: marker('abort', 2, 30) },
    {
      baseOffset: 1208,
      leaderEpoch: 1,
      bytes: buildBatch(records(1, 5), { ...COPIER, producerEpoch: 2, baseSequence: 0 }),
    },
    { baseOffset: 1209, leaderEpoch: 1, bytes: marker('commit', 3, 40) },
    // 1210 and 1211 are gone.
    { baseOffset: 1212, leaderEpoch: 1, bytes: buildBatch([{ key: Buffer.from('k'), value: null }]) },
    {
      baseOffset: 1213,
      leaderEpoch: 1,
      bytes: buildBatch(records(2, 50), { producerId: 9, producerEpoch: 0, baseSequence: 42 }),
    },
  ],
  nextOffset: 1216,
}

export const OWN_SEGMENT: readonly FixturePart[] = [ORDERS]

/** Small parts; one of them is empty. */
export const SHARED_SEGMENT: readonly FixturePart[] = [
  {
    topicId: '_____________________w',
    topicName: 'audit',
    partition: 0,
    baseOffset: 0,
    createdMs: TIME_MS,
    aborted: NONE,
    batches: [{ baseOffset: 0, leaderEpoch: 0, bytes: buildBatch(records(2, 0)) }],
    nextOffset: 2,
  },
  { ...ORDERS, partition: 4, baseOffset: 70, batches: [], nextOffset: 75, aborted: NONE },
  ORDERS,
]

export function sealedBytes(parts: readonly FixturePart[]): Buffer {
  const writer = new SegmentWriter(new PiecePool(0))
  for (const part of parts) {
    writer.beginPart(part)
    for (const { bytes, baseOffset, leaderEpoch } of part.batches) {
      writer.addBatch(bytes, 0, bytes.length, baseOffset, leaderEpoch)
    }
    writer.endPart(part.nextOffset, part.aborted)
  }
  return Buffer.concat(writer.end().pieces)
}

/** A batch as consumers get it. */
export function servedBytes({ bytes, baseOffset, leaderEpoch }: FixtureBatch): Buffer {
  const served = Buffer.from(bytes)
  served.writeBigInt64BE(BigInt(baseOffset), 0)
  served.writeInt32BE(leaderEpoch, 12)
  return served
}
