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
import { SegmentWriter } from '#segments/segment-writer.ts'
import { PIECE_MS, type RecordTail } from './archive.ts'
import { RecoveryProgress } from './progress.ts'
import { readTailObjects, type TailObject } from './tail-objects.ts'

// Copies records that are in no segment into the store, so that they survive the disk: of each partition what came since the last
// time, many partitions in one object, in the format of shared segments. An object goes when everything in it is in segments and the
// store knows it. Whoever seals says what will be in a segment so soon that a copy is not worth it.

/** Of one object: its bodies are in memory. */
const OBJECT_BYTES = 8 << 20
const OBJECT_PARTS = 4096
const KEPT_PIECES_BYTES = 16 << 20
/** Pieces of the archive come about as often: one that is a little early does not go without its records. */
const EARLY_MS = 200
/** Topics may go while their records are copied. */
const ATTEMPTS = 5

export interface RecordTailOptions {
  readonly log: Log
  readonly store: ObjectStore
  readonly clock: Clock
  /** Not more often than this, unless it is no more than what pieces of the archive are apart: then with each. */
  readonly intervalMs: number
  /** Copies of what was deleted with its topic, and is in no segment, are kept for so long. */
  readonly restoreWindowMs: number
  readonly metrics: RecordTailMetrics
  /** From which offset on records of the partition are to be copied: those before it will be in a segment soon. */
  tailedFrom(partition: Partition): number
  /** Would a restore know what happened before the position? */
  isArchived(position: number): boolean
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

export class StoreRecordTail implements RecordTail {
  readonly #options: RecordTailOptions
  readonly #pool = new PiecePool(KEPT_PIECES_BYTES)
  /** The newest records of a partition that are copied. */
  readonly #copied = new Map<Partition, { readonly from: number; readonly to: number }>()
  #objects: LivingObject[] = []
  /** They have records that the log lost: what came in their place must not be taken from them. */
  #stale: string[] = []
  #copiedMs = Number.NEGATIVE_INFINITY

  constructor(options: RecordTailOptions, found: readonly TailObject[]) {
    this.#options = options
    for (const { key, parts } of found) {
      if (parts.some(part => this.#isLost(part))) this.#stale.push(key)
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
    this.#objects.push({ key, parts: living, settled: 0, hasDeleted: false, settledAt: null })
  }

  #copiedOf(partition: Partition, from: number, to: number): void {
    const before = this.#copied.get(partition)
    const goesOn = before !== undefined && from >= before.from && from <= before.to
    this.#copied.set(partition, goesOn ? { from: before.from, to: Math.max(before.to, to) } : { from, to })
  }

  async upload(position: number, isLast: boolean, signal: AbortSignal): Promise<void> {
    const { clock, intervalMs, report } = this.#options
    await this.#prune(signal)
    const isEarly = intervalMs > PIECE_MS && clock.monotonicMs() - this.#copiedMs < intervalMs - EARLY_MS
    if (isEarly && !isLast) return
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
    for (const key of this.#stale) await this.#options.store.delete(key, signal)
    this.#stale = []
    this.#copiedMs = beganMs
  }

  async #copyAll(position: number, isLast: boolean, signal: AbortSignal): Promise<void> {
    const { log } = this.#options
    const waiting = [...log.unsealed.all].map(({ partition }) => partition)
    let filling = new Filling(this.#options, this.#pool, position)
    try {
      for (const partition of waiting) {
        for (let from = this.#beginOf(partition, isLast); from < partition.nextOffset; ) {
          from = await filling.addPart(partition, from)
          if (!filling.isFull) continue
          await this.#put(filling, signal)
          filling = new Filling(this.#options, this.#pool, position)
        }
      }
      await this.#put(filling, signal)
    } finally {
      filling.release()
    }
  }

  #beginOf(partition: Partition, isLast: boolean): number {
    // What is sealed is in a segment, what is deleted nobody wants. In the end nobody seals any more.
    const wanted = Math.max(isLast ? 0 : this.#options.tailedFrom(partition), partition.walStart)
    const copied = this.#copied.get(partition)
    return copied !== undefined && copied.from <= wanted ? Math.max(copied.to, wanted) : wanted
  }

  async #put(filling: Filling, signal: AbortSignal): Promise<void> {
    try {
      const put = await filling.put(signal)
      if (put === null) return
      this.#add(put.key, put.parts)
      this.#options.metrics.copied(put.sizeBytes)
    } finally {
      filling.release()
    }
  }

  /** Removes the objects of which everything is in segments, and the store knows it. */
  async #prune(signal: AbortSignal): Promise<void> {
    const { store } = this.#options
    const kept: LivingObject[] = []
    for (const object of this.#objects) {
      this.#settle(object)
      if (this.#mayGo(object)) await store.delete(object.key, signal)
      else kept.push(object)
    }
    this.#objects = kept
    for (const partition of this.#copied.keys()) {
      if (partition.extents.length === 0) this.#copied.delete(partition)
    }
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

  /** As much of the partition as there is room for, but at least a batch. Returns where it goes on. */
  async addPart(partition: Partition, from: number): Promise<number> {
    const { log } = this.#options
    const { topic, index, extents, leaderEpoch, nextOffset: endOffset } = partition
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
  async put(signal: AbortSignal): Promise<{ key: string; parts: readonly SegmentPart[]; sizeBytes: number } | null> {
    if (this.#parts === 0) return null
    const sealed = this.#writer.end()
    const { commits, state } = this.#options.log
    const { generation } = state
    // Records that came since the job began are in it, too: the log must not lose them and go on with others in their place.
    await commits.sync()
    const name = { generation, sharedAt: this.#position, hash: sealed.hash, revision: TAIL_REVISION }
    const key = segmentKey({ ...name, baseOffset: 0, nextOffset: 0, topicName: '', topicId: '', partition: 0 })
    await this.#options.store.put(key, sealed.pieces, signal)
    return { key, parts: sealed.parts, sizeBytes: sealed.sizeBytes }
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

/** Of a store of which nobody wants it. */
export const NO_RECORD_TAIL: RecordTail = { upload: async () => {} }
