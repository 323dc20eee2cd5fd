import { assert } from '#base/assert.ts'
import { isWhole } from '#base/numbers.ts'
import { crc32c } from '#bytes/crc32c.kernel.ts'
import { ByteWriter } from '#bytes/cursor.ts'
import type { PiecePool } from '#bytes/piece-pool.ts'
import { BATCH_HEADER_BYTES } from '#records/batch.ts'
import { BodyCopy, copyBatch, copyBytes, patchAside } from './segment-batch.kernel.ts'
import {
  FENCE_BYTES,
  fenceOf,
  isTopicId,
  MAX_BODY_BYTES,
  MAX_PARTS,
  type SegmentPart,
  TRAILER_BYTES,
  writeDirectory,
} from './segment-format.ts'
import { ABORTED_NUMBERS, type PartFacts, writePartIndex } from './segment-index.ts'

// Makes a segment object of batches that are handed in one by one:
//
//   beginPart  addBatch ...  endPart     for each part
//   end                                  the object, in pieces
//   release                              when nobody looks at the pieces any more, or to give up
//
// What comes out depends on what is handed in and on nothing else: the same range sealed twice gives the same bytes. The bodies
// are copied once, into pieces out of the pool; their checksums are taken while they are still in the cache. That the batches are
// what was stored, by their own checksums, is up to the caller.

/** What is behind the bodies is small, unless there are many parts. */
const TAIL_BYTES = 1 << 14

export interface SealedSegment {
  /** One behind the other they are the object. */
  readonly pieces: readonly Uint8Array[]
  readonly sizeBytes: number
  readonly parts: readonly SegmentPart[]
  /** CRC-32C of everything that describes the bodies, their checksums among it: tells objects with different records apart. */
  readonly hash: number
}

export class SegmentWriter {
  readonly #pool: PiecePool
  readonly #taken: Buffer[] = []
  readonly #pieces: Buffer[] = []
  readonly #body = new BodyCopy()
  /** Fence, indexes, directory and trailer. */
  readonly #tail = new ByteWriter(TAIL_BYTES)
  /** Without the place of their indexes. */
  readonly #parts: (Omit<SegmentPart, 'indexPlace'> & { indexPlace: number })[] = []
  #part: Omit<PartFacts, 'aborted'> | null = null
  #bodiesBytes = 0
  #isOver = false

  constructor(pool: PiecePool) {
    this.#pool = pool
    this.#tail.reserve(FENCE_BYTES)
  }

  /** Of the bodies so far. */
  get sizeBytes(): number {
    return this.#bodiesBytes + this.partBytes
  }

  /** Of the body that is being written. */
  get partBytes(): number {
    return this.#part === null ? 0 : this.#body.sizeBytes
  }

  get partCount(): number {
    return this.#parts.length
  }

  beginPart(facts: Omit<PartFacts, 'aborted'>): void {
    assert(!this.#isOver && this.#part === null && this.#parts.length < MAX_PARTS, 'a segment takes one part at a time')
    assert(isTopicId(facts.topicId), 'a topic id is short and without odd characters')
    assert(
      isWhole(facts.baseOffset) && Number.isFinite(facts.createdMs),
      'a part begins somewhere and was begun sometime',
    )
    this.#part = facts
    this.#body.begin(facts.baseOffset)
  }

  /** Copies a batch as its producer sent it: (bytes, at) is where it begins. */
  addBatch(bytes: Buffer, at: number, sizeBytes: number, baseOffset: number, leaderEpoch: number): void {
    const body = this.#body
    assert(this.#part !== null && body.sizeBytes + sizeBytes <= MAX_BODY_BYTES, 'a body is begun, and has a limit')
    let copiedBytes: number
    if (body.roomBytes >= BATCH_HEADER_BYTES) {
      copiedBytes = copyBatch(body, bytes, at, sizeBytes, baseOffset, leaderEpoch)
    } else {
      // Pieces are full, as direct writes want them: the header goes on in the next one.
      copiedBytes = patchAside(body, bytes, at, sizeBytes, baseOffset, leaderEpoch)
      this.#addBytes(body.aside, 0, copiedBytes)
    }
    this.#addBytes(bytes, at + copiedBytes, sizeBytes - copiedBytes)
  }

  #addBytes(bytes: Buffer, from: number, sizeBytes: number): void {
    for (let copiedBytes = 0; copiedBytes < sizeBytes; ) {
      if (this.#body.roomBytes === 0) this.#turn()
      copiedBytes += copyBytes(this.#body, bytes, from + copiedBytes, sizeBytes - copiedBytes)
    }
  }

  /**
   * `nextOffset`: where the part behind it begins, if that is not where the last batch ends. `aborted`: rows of the transactions
   * whose records are among the part's, and are not to be read.
   */
  endPart(nextOffset: number, aborted: Float64Array): void {
    const [body, facts] = [this.#body, this.#part]
    assert(facts !== null && nextOffset >= body.nextOffset && isWhole(nextOffset), 'a part ends behind its last batch')
    assert(aborted.length % ABORTED_NUMBERS === 0, 'aborted transactions come whole')
    body.end()
    const { topicId, partition, baseOffset, createdMs } = facts
    const { sizeBytes, maxTimestampMs } = body
    const about = { topicId, partition, baseOffset, nextOffset, createdMs, sizeBytes, maxTimestampMs }
    const part = { ...about, place: this.#bodiesBytes }
    const indexBytes = writePartIndex(this.#tail, { ...facts, aborted }, part, body)
    this.#parts.push({ ...part, indexPlace: -1, indexBytes })
    this.#bodiesBytes += sizeBytes
    this.#part = null
  }

  end(): SealedSegment {
    assert(!this.#isOver && this.#part === null, 'a segment ends once, with its last part')
    this.#isOver = true
    this.#keepPiece()
    const [tail, parts, fencePlace] = [this.#tail, this.#parts, this.#bodiesBytes]
    let place = fencePlace + FENCE_BYTES
    for (const part of parts) {
      part.indexPlace = place
      place += part.indexBytes
    }
    tail.bytes.set(fenceOf(parts.length), 0)
    writeDirectory(tail, parts, place)
    const bytes = tail.written()
    const hash = crc32c(bytes, 0, bytes.length - TRAILER_BYTES)
    return { pieces: [...this.#pieces, bytes], sizeBytes: fencePlace + bytes.length, parts, hash }
  }

  /** Gives back the memory of the pieces. */
  release(): void {
    this.#isOver = true
    this.#part = null
    for (const buffer of this.#taken.splice(0)) this.#pool.give(buffer)
  }

  #turn(): void {
    this.#keepPiece()
    const piece = this.#pool.take()
    this.#taken.push(piece)
    this.#body.turn(piece)
  }

  #keepPiece(): void {
    const { piece, usedBytes } = this.#body
    if (usedBytes > 0) this.#pieces.push(piece.subarray(0, usedBytes))
  }
}
