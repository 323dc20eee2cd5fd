import { PiecePool } from '#bytes/piece-pool.ts'
import { baseOffsetOf, recordCountOf, writeBatchHeader } from '#records/batch.ts'
import { BodyCopy, copyBatch } from '#segments/segment-batch.kernel.ts'
import { BodyWalk, openBody, walkBody } from '#segments/segment-walk.kernel.ts'
import { type SealedSegment, SegmentWriter } from '#segments/segment-writer.ts'
import { measure } from './kernel-bench.ts'

// A body that is larger than the caches of a core, as the log is: what sealing costs besides reading and uploading. An item is a
// batch.

const BODY_BYTES = 1 << 24
const pool = new PiecePool(BODY_BYTES * 2)

function logOf(batchBytes: number, producers: number): Buffer {
  const log = Buffer.alloc(BODY_BYTES, 0xa5)
  for (let at = 0, i = 0; at < log.length; at += batchBytes, i++) {
    writeBatchHeader(log, at, at + batchBytes, {
      baseOffset: 0,
      leaderEpoch: -1,
      attributes: 0,
      lastOffsetDelta: 9,
      baseTimestampMs: 1_700_000_000_000 + i,
      maxTimestampMs: 1_700_000_000_000 + i,
      producerId: producers === 0 ? -1 : 1000 + (i % producers),
      producerEpoch: 0,
      baseSequence: i * 10,
      recordCount: 10,
    })
  }
  return log
}

function seal(log: Buffer, batchBytes: number, partBytes: number): SealedSegment {
  const writer = new SegmentWriter(pool)
  const about = { topicId: 'AAAAAAAAAAAAAAAAAAAAAA', topicName: 'bench', baseOffset: 0, createdMs: 0 }
  for (let at = 0, partition = 0; at < log.length; partition++) {
    writer.beginPart({ ...about, partition })
    let offset = 0
    for (const end = at + partBytes; at < end; at += batchBytes, offset += 10) {
      writer.addBatch(log, at, batchBytes, offset, 0)
    }
    writer.endPart(offset, new Float64Array(0))
  }
  const sealed = writer.end()
  writer.release()
  return sealed
}

for (const [batchBytes, producers] of [
  [256, 0],
  [1024, 0],
  [1024, 1],
  [1024, 100],
  [65536, 1],
  [1048576, 1],
] as const) {
  const log = logOf(batchBytes, producers)
  const work = { items: BODY_BYTES / batchBytes, bytes: BODY_BYTES }
  measure(`seal, batches of ${batchBytes} B, ${producers} producers`, work, () => seal(log, batchBytes, BODY_BYTES))
}

const log = logOf(1024, 0)
const work = { items: BODY_BYTES / 1024, bytes: BODY_BYTES }
measure('seal, batches of 1024 B, parts of 8 KiB', work, () => seal(log, 1024, 8192))
const piece = Buffer.alloc(1 << 20)
measure('copy of batches of 1024 B, without pieces to care for', work, () => {
  const copy = new BodyCopy()
  copy.begin(0)
  for (let at = 0; at < log.length; at += 1024) {
    if (at % piece.length === 0) copy.turn(piece)
    copyBatch(copy, log, at, 1024, at, 0)
  }
  copy.end()
})
measure('a plain copy of 1024 B each', work, () => {
  for (let at = 0; at < log.length; at += 1024) log.copy(piece, at % piece.length, at, at + 1024)
})

const { pieces, parts } = seal(log, 1024, BODY_BYTES)
const body = Buffer.concat(pieces)
const walk = new BodyWalk('bench', parts[0]!)
measure('walk through batches of 1024 B', work, () => {
  openBody(walk, body, 0, BODY_BYTES, 0)
  let count = 0
  while (walkBody(walk)) count++
  if (count !== work.items || recordCountOf(body, 0) + baseOffsetOf(body, 0) !== 10) throw new Error('a wrong walk')
})
