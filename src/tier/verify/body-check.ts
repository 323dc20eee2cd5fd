import { assert } from '#base/assert.ts'
import { ByteWriter } from '#bytes/cursor.ts'
import { BATCH_HEADER_BYTES, computeCrc, crcOf, leaderEpochOf } from '#records/batch.ts'
import { BodyCopy, copyBatch, copyBytes } from '#segments/segment-batch.kernel.ts'
import { damagedSegment, type SegmentPart } from '#segments/segment-format.ts'
import { type PartIndex, writePartIndex } from '#segments/segment-index.ts'
import { BodyWalk, openBody, walkBody } from '#segments/segment-walk.kernel.ts'

// Checks the body of one part of a segment, block by block as they come: the checksum of each block, the CRC of each batch, and that
// their offsets follow each other. Then the part is sealed once more, without keeping it: what comes out depends on the batches alone,
// so the index must be the same, byte for byte. Memory: a block, and the largest batch.

const PIECE_BYTES = 1 << 20
const NO_BYTES = Buffer.alloc(0)

export interface PartToCheck {
  readonly key: string
  readonly part: SegmentPart
  readonly index: PartIndex
  /** The bytes of the index. */
  readonly indexBytes: Buffer
  /** It was never compacted: every offset of its range has a record. */
  readonly isDense: boolean
}

/** Owned and used again by who checks one part after the other. */
export class BodyCheck {
  readonly #piece = Buffer.allocUnsafeSlow(PIECE_BYTES)
  readonly #copy = new BodyCopy()
  #of: PartToCheck | null = null
  #walk: BodyWalk | null = null
  #block = 0
  /** Begin of a batch that goes on in the next block, and its place in the body. */
  #rest: Buffer = NO_BYTES
  #restPlace = 0
  #nextOffset = 0

  begin(of: PartToCheck): void {
    const { key, part } = of
    this.#of = of
    this.#walk = new BodyWalk(key, part)
    this.#block = 0
    this.#rest = NO_BYTES
    this.#restPlace = 0
    this.#nextOffset = part.baseOffset
    // What is left of a part that was damaged is forgotten.
    this.#copy.usedBytes = 0
    this.#copy.summedBytes = 0
    this.#copy.begin(part.baseOffset)
  }

  /** Throws what is wrong; then nothing more of the part is to be added. */
  add(bytes: Buffer): void {
    const [of, walk] = [this.#of, this.#walk]
    assert(of !== null && walk !== null, 'a part is begun')
    checkBlock(of, this.#block++, bytes)
    const joined = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    openBody(walk, joined, 0, joined.length, this.#restPlace)
    let end = 0
    while (walkBody(walk) && walk.nextAt <= joined.length) {
      this.#addBatch(of, walk)
      end = walk.nextAt
    }
    this.#rest = Buffer.from(joined.subarray(end))
    this.#restPlace += end
  }

  #addBatch({ key, part, isDense }: PartToCheck, { bytes, at, sizeBytes, baseOffset, lastOffset }: BodyWalk): void {
    const place = part.place + this.#restPlace + at
    if (computeCrc(bytes, at) !== crcOf(bytes, at)) {
      throw damagedSegment(key, place, `the CRC of the batch of offset ${baseOffset} is wrong`)
    }
    const isNext = isDense ? baseOffset === this.#nextOffset : baseOffset >= this.#nextOffset
    if (!isNext) throw damagedSegment(key, place, `offset ${this.#nextOffset} is expected, and there is ${baseOffset}`)
    this.#nextOffset = lastOffset + 1
    this.#seal(bytes, at, sizeBytes, baseOffset)
  }

  #seal(bytes: Buffer, at: number, sizeBytes: number, baseOffset: number): void {
    const copy = this.#copy
    if (copy.piece.length - copy.usedBytes < BATCH_HEADER_BYTES) copy.turn(this.#piece)
    let copiedBytes = copyBatch(copy, bytes, at, sizeBytes, baseOffset, leaderEpochOf(bytes, at))
    while (copiedBytes < sizeBytes) {
      copy.turn(this.#piece)
      copiedBytes += copyBytes(copy, bytes, at + copiedBytes, sizeBytes - copiedBytes)
    }
  }

  /** All blocks were added. */
  end(): void {
    assert(this.#of !== null, 'a part is begun')
    const { key, part, index, indexBytes, isDense } = this.#of
    const copy = this.#copy
    if (this.#rest.length > 0) {
      throw damagedSegment(key, part.place + this.#restPlace, 'a batch goes on behind the end of the part')
    }
    if (isDense && this.#nextOffset !== part.nextOffset) {
      const what = `the part ends with offset ${this.#nextOffset}, and not with ${part.nextOffset}`
      throw damagedSegment(key, part.place + part.sizeBytes, what)
    }
    copy.end()
    const into = new ByteWriter(indexBytes.length)
    writePartIndex(into, { ...factsOf(index), aborted: index.aborted().rows() }, part, copy)
    if (copy.maxTimestampMs === part.maxTimestampMs && into.written().equals(indexBytes)) return
    throw damagedSegment(key, part.indexPlace, 'the index does not say what the batches say')
  }
}

function checkBlock({ key, part, index }: PartToCheck, block: number, bytes: Buffer): void {
  if (index.blockIsIntact(block, bytes)) return
  throw damagedSegment(key, part.place + block * PIECE_BYTES, `the checksum of block ${block} is wrong`)
}

function factsOf({ topicId, topicName, partition, baseOffset, createdMs }: PartIndex) {
  return { topicId, topicName, partition, baseOffset, createdMs }
}
