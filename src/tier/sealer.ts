import { ChronikError, messageOf } from '#base/errors.ts'
import { abortedWith } from '#base/linked-abort.ts'
import type { Clock, Timer } from '#base/ports.ts'
import { PiecePool } from '#bytes/piece-pool.ts'
import { OWN_OBJECT } from '#core/segments.ts'
import type { Partition } from '#core/state.ts'
import type { Log } from '#log/log.ts'
import { slowestMs } from '#object-store/object-store.ts'
import type { SegmentStore } from './rewrite.ts'
import { planSeals, type SealLimits, type SealWish } from './seal-plan.ts'
import { PartitionUnreadable, type SealJob, sealSegment } from './seal-segment.ts'

// Seals what is due, some objects at a time, in the background. It is woken when a partition begins to wait or is full, when a file of
// the log has ended, and by a timer when the oldest record is due. What fails is tried again as it was, with growing pauses: the
// store may have taken it. Meanwhile the write-ahead log keeps it. A partition that cannot be read pauses alone.

/** Objects in the making, and their bodies: they are in memory. A larger one is made alone. */
const SEALS_AT_ONCE = 4
const SEALING_BYTES = 64 << 20
/** Partitions that begin to wait in this time are looked at together. */
const GATHER_MS = 50
/** A store that takes longer for a small object does not answer: it is asked again. */
const PATIENCE_MS = 120_000
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 30_000

export interface SealerOptions {
  readonly log: Log
  readonly store: SegmentStore
  readonly clock: Clock
  readonly limits: SealLimits
  /** The write-ahead log should not be larger. */
  readonly walLimitBytes: number
  readonly metrics: SealMetrics
  report(level: 'info' | 'warn', message: string, fields?: Record<string, unknown>): void
}

export interface SealMetrics {
  sealed(segments: number, sizeBytes: number, seconds: number): void
  sealFailed(): void
}

export class Sealer {
  readonly #options: SealerOptions
  readonly #pieces = new PiecePool(SEALING_BYTES)
  readonly #busy = new Set<Partition>()
  readonly #jobs = new Map<Promise<void>, SealJob>()
  /** Those that failed, in the pause. */
  #failed: SealJob[] = []
  readonly #ended = new AbortController()
  /** Those that cannot be read, and until when they are left alone. */
  readonly #aside = new Map<Partition, number>()
  #timer: Timer | null = null
  #isLooking = false
  #pauseMs = 0
  #lastSharedAt = 0
  /** Somebody waits until there is nothing left to seal, whether it is due or not. */
  #drained: (() => void) | null = null

  /** Since when sealing fails; null: it does not. */
  failingSinceMs: number | null = null

  constructor(options: SealerOptions) {
    this.#options = options
    options.log.unsealed.watch(this)
    this.wake()
  }

  wake(): void {
    if (this.#isLooking || this.#ended.signal.aborted || this.#pauseMs > 0) return
    this.#isLooking = true
    this.#options.clock.after(GATHER_MS, () => {
      this.#isLooking = false
      this.#look()
    })
  }

  #look(): void {
    const { log, clock, limits } = this.#options
    if (this.#ended.signal.aborted || log.commits.failure !== null) this.#drained?.()
    if (this.#ended.signal.aborted || log.commits.failure !== null || this.#pauseMs > 0) return
    const nowMs = clock.monotonicMs()
    for (const [partition, untilMs] of this.#aside) if (untilMs <= nowMs) this.#aside.delete(partition)
    while (this.#failed.length > 0) {
      if (!this.#hasRoomFor(this.#failed[0]!.wishes)) return
      this.#begin(this.#failed.shift()!)
    }
    const { objects, nextDueMs } = planSeals(log.unsealed.all, {
      nowMs,
      limits: this.#drained === null ? limits : { ...limits, segmentMs: 0 },
      isBusy: partition => this.#busy.has(partition) || this.#aside.has(partition),
      pressedBefore: this.#pressedBefore(),
    })
    for (const object of objects) {
      // The next ones are looked for when one of these is done.
      if (!this.#hasRoomFor(object)) return
      this.#begin(this.#jobOf(object))
    }
    if (this.#jobs.size === 0) {
      // Nothing is left of what failed.
      this.failingSinceMs = null
      this.#drained?.()
    }
    const nextMs = Math.min(nextDueMs, ...this.#aside.values())
    if (nextMs < Number.POSITIVE_INFINITY) this.#lookIn(nextMs - nowMs)
  }

  #lookIn(delayMs: number): void {
    this.#timer?.cancel()
    this.#timer = this.#options.clock.after(Math.max(1, delayMs), () => {
      this.#pauseMs = 0
      this.wake()
    })
  }

  /** Files that begin before it are to go. */
  #pressedBefore(): number {
    const { files } = this.#options.log.commits
    let leftBytes = files.sizeBytes - this.#options.walLimitBytes / 2
    for (const file of files.all) {
      if (leftBytes <= 0) return file.position
      leftBytes -= file.sizeBytes
    }
    return 0
  }

  #hasRoomFor(object: readonly SealWish[]): boolean {
    if (this.#jobs.size === 0) return true
    let sizeBytes = bytesOf(object)
    for (const { wishes } of this.#jobs.values()) sizeBytes += bytesOf(wishes)
    return this.#jobs.size < SEALS_AT_ONCE && sizeBytes <= SEALING_BYTES
  }

  #jobOf(wishes: readonly SealWish[]): SealJob {
    const [first] = wishes
    const isOwn = wishes.length === 1 && first!.maxBytes <= first!.partBytes
    // Two that are begun at once have different names, whatever their hashes.
    if (!isOwn) this.#lastSharedAt = Math.max(this.#lastSharedAt + 1, this.#options.log.commits.position)
    return { wishes, sharedAt: isOwn ? OWN_OBJECT : this.#lastSharedAt }
  }

  #begin(job: SealJob): void {
    const { log, clock } = this.#options
    const { wishes } = job
    for (const { partition, maxBytes } of wishes) {
      this.#busy.add(partition)
      const unsealed = log.unsealed.find(partition.ordinal)
      if (unsealed !== undefined) {
        unsealed.sealingSinceMs = clock.monotonicMs()
        unsealed.sealingBytes = maxBytes
      }
    }
    const work = this.#seal(job).finally(() => {
      for (const { partition } of wishes) {
        this.#busy.delete(partition)
        const unsealed = log.unsealed.find(partition.ordinal)
        if (unsealed !== undefined) unsealed.sealingSinceMs = -1
      }
      this.#jobs.delete(work)
      this.wake()
    })
    this.#jobs.set(work, job)
  }

  /** Where the log stood when the oldest shared object was begun that is not done yet; Infinity if there is none. */
  get oldestSharedAt(): number {
    let oldest = Number.POSITIVE_INFINITY
    for (const { sharedAt } of [...this.#jobs.values(), ...this.#failed]) {
      if (sharedAt !== OWN_OBJECT) oldest = Math.min(oldest, sharedAt)
    }
    return oldest
  }

  async #seal(job: SealJob): Promise<void> {
    const { log, store, clock, metrics, report } = this.#options
    const beganMs = clock.monotonicMs()
    const patience = abortedWith(this.#ended.signal)
    const patienceMs = PATIENCE_MS + slowestMs(bytesOf(job.wishes))
    const timer = clock.after(patienceMs, () => patience.abort(slowStore(store, patienceMs)))
    try {
      const { parts, sizeBytes } = await sealSegment({ log, store, pieces: this.#pieces }, job, patience.signal)
      // All of it has gone meanwhile, and the store was not asked.
      if (sizeBytes === 0) return
      metrics.sealed(parts, sizeBytes, (clock.monotonicMs() - beganMs) / 1000)
      if (this.failingSinceMs !== null) report('info', 'sealing works again')
      this.failingSinceMs = null
    } catch (thrown) {
      if (this.#ended.signal.aborted || log.commits.failure !== null) return
      // Its records, or its topic, have gone meanwhile.
      if (thrown instanceof ChronikError && thrown.code === 'LOG_TRIMMED') return
      metrics.sealFailed()
      if (thrown instanceof PartitionUnreadable) this.#putAside(thrown)
      else this.#pause(job, thrown, beganMs)
    } finally {
      timer.cancel()
      patience.letGo()
    }
  }

  #putAside({ partition, message }: PartitionUnreadable): void {
    this.#options.report('warn', `${message}; it is tried again`)
    this.#aside.set(partition, this.#options.clock.monotonicMs() + LONGEST_PAUSE_MS)
  }

  #pause(job: SealJob, thrown: unknown, beganMs: number): void {
    const { clock, report } = this.#options
    this.#failed.push(job)
    if (this.failingSinceMs === null) report('warn', `sealing failed, it is tried again: ${messageOf(thrown)}`)
    this.failingSinceMs ??= beganMs
    const failingMs = clock.monotonicMs() - this.failingSinceMs
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, failingMs))
    this.#lookIn(this.#pauseMs)
  }

  /** Seals what there is, as far as it comes within so long; returns how many bytes stay behind. */
  async drain(deadlineMs: number): Promise<number> {
    const { log, clock } = this.#options
    const timer = clock.after(deadlineMs, () => {
      this.#ended.abort()
      this.#look()
    })
    await new Promise<void>(resolve => {
      this.#drained = resolve
      this.#pauseMs = 0
      this.#look()
    })
    timer.cancel()
    return log.unsealed.sizeBytes
  }

  async close(): Promise<void> {
    this.#ended.abort()
    this.#timer?.cancel()
    await Promise.all(this.#jobs.keys())
  }
}

function bytesOf(wishes: readonly SealWish[]): number {
  return wishes.reduce((sum, { maxBytes }) => sum + maxBytes, 0)
}

function slowStore({ place }: SegmentStore, patienceMs: number): ChronikError {
  const message = `${place} did not take an object within ${Math.round(patienceMs / 1000)} s`
  return new ChronikError('STORE_UNAVAILABLE', 'unavailable', message)
}
