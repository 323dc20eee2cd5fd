import { ChronikError } from '#base/errors.ts'
import type { Clock } from '#base/ports.ts'
import { PiecePool } from '#bytes/piece-pool.ts'
import { NO_NUMBERS } from '#core/packed-fields.ts'
import { TAIL_REVISION } from '#core/segments.ts'
import type { Partition, State } from '#core/state.ts'
import { copyBatches } from '#log/copy-batches.ts'
import type { Log } from '#log/log.ts'
import type { ObjectStore } from '#object-store/object-store.ts'
import type { SegmentPart } from '#segments/segment-format.ts'
import { segmentKey } from '#segments/segment-names.ts'
import { type SealedSegment, SegmentWriter } from '#segments/segment-writer.ts'
import type { CopyWish } from '#tier/seal-plan.ts'
import { PIECE_MS, type RecordTail } from './archive.ts'
import { DELETES_AT_ONCE, mapAtOnce } from './map-at-once.ts'
import { RecoveryProgress } from './progress.ts'
import { readTailObjects, type TailObject } from './tail-objects.ts'

// Copies records that are in no segment into the store, so that they survive the disk: of each partition what came since the last
// time, many partitions in one object, in the format of shared segments. An object goes when everything in it is in segments and the
// store knows it. Whoever seals says what will be in a segment so soon that a copy is not worth it.

/** Of one object: its bodies are in memory. */
const OBJECT_BYTES = 8 << 20
const OBJECT_PARTS = 4096
/**
 * Of what is sealed as soon as the store takes it, copies are no more than so much of all that comes: a store that is slow because it
 * has much to do would be slower still, and so would be who seals.
 */
const SPARE_SHARE = 1 / 16
const SPARE_BYTES = OBJECT_BYTES
const KEPT_PIECES_BYTES = 16 << 20
/** Pieces of the archive come about as often: one that is a little early does not go without its records. */
const EARLY_MS = 200
/** Topics may go while their records are copied. */
const ATTEMPTS = 5

export interface RecordTailOptions {
  readonly log: Log
  readonly store: ObjectStore
  readonly clock: Clock
  /** Not more often than this, unless it is no more than what pieces of the archive are apart: then with each. Infinity: in the end. */
  readonly intervalMs: number
  /** Copies of what was deleted with its topic, and is in no segment, are kept for so long. */
  readonly restoreWindowMs: number
  readonly metrics: RecordTailMetrics
  copyWish(partition: Partition): CopyWish
  /** Would a restore know what happened before the position? */
  isArchived(position: number): boolean
  /** Rejects if somebody else owns the store by now. */
  confirm(): Promise<void>
  report(level: 'info' | 'warn', message: string, fields?: Record<string, unknown>): void
}

export interface RecordTailMetrics {
  copied(sizeBytes: number): void
}

/** An object, and what of it is in no segment yet. */
interface LivingObject {
  readonly key: string
  readonly parts: readonly { readonly partition: Partition | undefined; readonly nextOffset: number }[]
  /** Those before it are in segments, or deleted. */
  settled: number
  /** Of one the topic was deleted: perhaps its records are nowhere else. */
  hasDeleted: boolean
  /** Where the log stood when all of them were found so, and the time by the monotonic clock. */
  settledAt: { readonly position: number; readonly atMs: number } | null
}

export const EVERYTHING: CopyWish = { from: 0, isSealedNext: false }

export class StoreRecordTail implements RecordTail {
  readonly #options: RecordTailOptions
  readonly #pool = new PiecePool(KEPT_PIECES_BYTES)
  /** The newest records of a partition that are copied. */
  readonly #copied = new Map<Partition, { readonly from: number; readonly to: number }>()
  readonly #objects = new Set<LivingObject>()
  /**
   * They have records that the log lost: what came in their place must not be taken from them. Or they are perhaps there: of those
   * the store has said nothing good.
   */
  readonly #stale = new Set<string>()
  #copiedMs = Number.NEGATIVE_INFINITY
  #spareBytes = SPARE_BYTES
  #position: number
  /** Of them not everything that there was is copied. */
  #behind: Partition[] = []

  constructor(options: RecordTailOptions, found: readonly TailObject[]) {
    this.#options = options
    this.#position = options.log.commits.position
    for (const { key, parts } of found) {
      if (parts.some(part => this.#isLost(part))) this.#stale.add(key)
      else this.#add(key, parts)
    }
  }

  /** A disk that lost what it had promised to keep: the log ends before the copy does. */
  #isLost({ topicId, partition: index, nextOffset }: SegmentPart): boolean {
    const partition = this.#options.log.state.topicsById.get(topicId)?.partitions[index]
    return partition !== undefined && nextOffset > partition.nextOffset
  }

  #add(key: string, parts: readonly SegmentPart[]): void {
    const { state } = this.#options.log
    const living = parts.map(({ topicId, partition: index, baseOffset, nextOffset }) => {
      const partition = state.topicsById.get(topicId)?.partitions[index]
      if (partition !== undefined) this.#copiedOf(partition, baseOffset, nextOffset)
      return { partition, nextOffset }
    })
    this.#objects.add({ key, parts: living, settled: 0, hasDeleted: false, settledAt: null })
  }

  #copiedOf(partition: Partition, from: number, to: number): void {
    const before = this.#copied.get(partition)
    const goesOn = before !== undefined && from >= before.from && from <= before.to
    this.#copied.set(partition, goesOn ? { from: before.from, to: Math.max(before.to, to) } : { from, to })
  }

  async upload(position: number, isLast: boolean, signal: AbortSignal): Promise<void> {
    const { clock, report } = this.#options
    if (!isLast && !this.#isDue) return
    this.#spareBytes = Math.min(SPARE_BYTES, this.#spareBytes + (position - this.#position) * SPARE_SHARE)
    this.#position = position
    const beganMs = clock.monotonicMs()
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#copyAll(position, isLast, signal)
        break
      } catch (thrown) {
        const isGone = thrown instanceof ChronikError && thrown.code === 'LOG_TRIMMED'
        if (!isGone || attempt === ATTEMPTS) throw thrown
        report('info', 'records went while they were copied into the store, the others are copied again')
      }
    }
    // Only now: what else they have is copied again.
    await mapAtOnce([...this.#stale], DELETES_AT_ONCE, async key => {
      await this.#options.store.delete(key, signal)
      this.#stale.delete(key)
    })
    this.#copiedMs = beganMs
  }

  get #isDue(): boolean {
    const { clock, intervalMs } = this.#options
    if (intervalMs <= PIECE_MS) return true
    return intervalMs < Number.POSITIVE_INFINITY && clock.monotonicMs() - this.#copiedMs >= intervalMs - EARLY_MS
  }

  async #copyAll(position: number, isLast: boolean, signal: AbortSignal): Promise<void> {
    const behind: Partition[] = []
    // What comes meanwhile is for the next time.
    const waiting = [...this.#options.log.unsealed.all].map(({ partition }) => ({
      partition,
      end: partition.nextOffset,
    }))
    let filling = new Filling(this.#options, this.#pool, position)
    try {
      for (const { partition, end } of waiting) {
        // In the end nobody seals any more.
        const wish = isLast ? EVERYTHING : this.#options.copyWish(partition)
        let from = this.#beginOf(partition, wish.from)
        const isWanted = () =>
          from < end && partition.extents.length > 0 && (!wish.isSealedNext || this.#spareBytes > 0)
        // What is sealed meanwhile is passed over.
        for (; isWanted(); from = Math.max(from, partition.walStart)) {
          const { sizeBytes } = filling
          from = await filling.addPart(partition, from, end)
          if (wish.isSealedNext) this.#spareBytes -= filling.sizeBytes - sizeBytes
          if (!filling.isFull) continue
          await this.#put(filling, signal)
          filling = new Filling(this.#options, this.#pool, position)
        }
        if (wish.from > partition.walStart || from < end) behind.push(partition)
      }
      await this.#put(filling, signal)
    } finally {
      filling.release()
    }
    this.#behind = behind
  }

  #beginOf(partition: Partition, from: number): number {
    // What is sealed is in a segment, what is deleted nobody wants.
    const wanted = Math.max(from, partition.walStart)
    const copied = this.#copied.get(partition)
    return copied !== undefined && copied.from <= wanted ? Math.max(copied.to, wanted) : wanted
  }

  /** What is neither in a segment nor copied, as far as it was there the last time: how much at most, and since when. */
  get lag(): { bytes: number; ms: number } {
    const { log, clock } = this.#options
    let bytes = 0
    let sinceMs = Number.POSITIVE_INFINITY
    for (const { ordinal } of this.#behind) {
      const unsealed = log.unsealed.find(ordinal)
      if (unsealed === undefined) continue
      bytes += unsealed.sizeBytes
      sinceMs = Math.min(sinceMs, unsealed.sinceMs)
    }
    return { bytes, ms: Math.max(0, clock.monotonicMs() - sinceMs) }
  }

  async #put(filling: Filling, signal: AbortSignal): Promise<void> {
    const { log, store, metrics } = this.#options
    try {
      const object = filling.end()
      if (object === null) return
      const { key, pieces, parts, sizeBytes } = object
      // Records that came since the job began may be in it: the log must not lose them and go on with others in their place.
      await log.commits.sync()
      this.#stale.add(key)
      await store.put(key, pieces, signal)
      this.#stale.delete(key)
      this.#add(key, parts)
      metrics.copied(sizeBytes)
    } finally {
      filling.release()
    }
  }

  /** Removes the objects of which everything is in segments, and the store knows it by now. */
  async prune(signal: AbortSignal): Promise<void> {
    for (const object of this.#objects) this.#settle(object)
    for (const partition of this.#copied.keys()) {
      if (partition.extents.length === 0) this.#copied.delete(partition)
    }
    const superfluous = [...this.#objects].filter(object => this.#mayGo(object))
    if (superfluous.length > 0) await this.#options.confirm()
    await mapAtOnce(superfluous, DELETES_AT_ONCE, async object => {
      await this.#options.store.delete(object.key, signal)
      this.#objects.delete(object)
    })
  }

  #settle(object: LivingObject): void {
    const { log, clock } = this.#options
    for (; object.settled < object.parts.length; object.settled++) {
      const part = object.parts[object.settled]!
      if (!isSettled(part)) return
      object.hasDeleted ||= isDeleted(part.partition, log.state)
    }
    object.settledAt ??= { position: log.commits.position, atMs: clock.monotonicMs() }
  }

  #mayGo({ settledAt, hasDeleted }: LivingObject): boolean {
    const { clock, restoreWindowMs, isArchived } = this.#options
    if (settledAt === null || !isArchived(settledAt.position)) return false
    return !hasDeleted || clock.monotonicMs() - settledAt.atMs >= restoreWindowMs
  }
}

/** Its topic is not there any more, or was not at the start. */
function isDeleted(partition: Partition | undefined, { topicsById }: State): boolean {
  return partition === undefined || topicsById.get(partition.topic.id) !== partition.topic
}

/** A partition that was deleted with its topic has nothing in the log. */
function isSettled({ partition, nextOffset }: LivingObject['parts'][number]): boolean {
  return partition === undefined || partition.extents.length === 0 || partition.walStart >= nextOffset
}

/** An object in the making. */
class Filling {
  readonly #options: RecordTailOptions
  readonly #writer: SegmentWriter
  readonly #position: number
  #parts = 0

  constructor(options: RecordTailOptions, pool: PiecePool, position: number) {
    this.#options = options
    this.#writer = new SegmentWriter(pool)
    this.#position = position
  }

  get isFull(): boolean {
    return this.#parts === OBJECT_PARTS || this.#writer.sizeBytes >= OBJECT_BYTES
  }

  get sizeBytes(): number {
    return this.#writer.sizeBytes
  }

  /** As much of the partition, up to an end, as there is room for, but at least a batch. Returns where it goes on. */
  async addPart(partition: Partition, from: number, endOffset: number): Promise<number> {
    const { log } = this.#options
    const { topic, index, extents, leaderEpoch } = partition
    const { createdMs } = extents.at(Math.max(0, extents.indexOf(from)))
    const about = { topicId: topic.id, topicName: topic.name, partition: index, baseOffset: from, createdMs }
    this.#writer.beginPart(about)
    this.#parts++
    const range = { offset: from, endOffset, maxBytes: OBJECT_BYTES - this.#writer.sizeBytes }
    const nextOffset = await copyBatches(log, partition, range, (bytes, at, batch) =>
      this.#writer.addBatch(bytes, at, batch.sizeBytes, batch.baseOffset, leaderEpoch),
    )
    this.#writer.endPart(nextOffset, partition.aborted?.rowsBetween(from, nextOffset) ?? NO_NUMBERS)
    return nextOffset
  }

  /** Null: there is nothing in it. */
  end(): (SealedSegment & { readonly key: string }) | null {
    if (this.#parts === 0) return null
    const sealed = this.#writer.end()
    const { generation } = this.#options.log.state
    const name = { generation, sharedAt: this.#position, hash: sealed.hash, revision: TAIL_REVISION }
    const key = segmentKey({ ...name, baseOffset: 0, nextOffset: 0, topicName: '', topicId: '', partition: 0 })
    return { ...sealed, key }
  }

  release(): void {
    this.#writer.release()
  }
}

/** Goes on with the objects that the last process of this owner left. */
export async function openRecordTail(
  options: RecordTailOptions,
  generation: number,
  signal: AbortSignal,
): Promise<StoreRecordTail> {
  const progress = new RecoveryProgress()
  const found = await readTailObjects({ store: options.store, signal, progress }, generation, () => {})
  return new StoreRecordTail(options, found)
}
