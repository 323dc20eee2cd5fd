import { assert } from '#base/assert.ts'
import { messageOf } from '#base/errors.ts'
import type { Clock, Timer } from '#base/ports.ts'
import { encodeState } from '#core/checkpoint.ts'
import type { State } from '#core/state.ts'
import type { ObjectStore } from '#object-store/object-store.ts'
import { type ArchiveHeader, encodeArchived, type Packer } from './archive-format.ts'
import { checkpointKey, metalogKey } from './archive-names.ts'
import type { Catalogue } from './catalogue.ts'
import { Chore } from './chore.ts'
import type { Tape, TapePiece } from './tape.ts'

// Copies the log's records to the store while they come, and now and then the state: what a lost data directory is made anew from.
// One job after the other:
//
//   the record tail   payload of records that will not be in a segment soon     (record-tail.ts)
//   the piece         records of the groups that were committed since the last job; and of those that came meanwhile, if records
//                     were sealed or deleted before they could be copied
//   confirmed         if answers wait for it: nobody else owns the store
//   a checkpoint      if it is time for one
//
// What has become superfluous is deleted beside the jobs: the copies of records, as far as the store knew it when a job begins, and the
// rest of the archive behind a checkpoint.
//
// So whatever a piece speaks of is in the store before the piece is. A job that fails is tried again as it is; what comes meanwhile
// gathers on the tape. If that is full, the chain of pieces ends there, and begins anew with a checkpoint when the store is back.

/** A change is in the store about so long after it was committed, or earlier if its records shall be ... */
export const PIECE_MS = 1000
/** ... or when there is so much of them. */
const PIECE_BYTES = 1 << 20
/** A checkpoint for many records comes not more often. */
const CHECKPOINT_APART_MS = 10_000
/** Rounds of copying in a job, while more and more goes before it is copied. */
const MOST_COPIES = 8
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 5_000

export interface ArchiveMetrics {
  created(): void
  uploaded(): void
  failed(): void
}

export interface ArchiveSettings {
  /** A checkpoint after so many records, or after so long if there was one. */
  readonly checkpointRecords: number
  readonly checkpointMs: number
  readonly pieceMs: number
  /** Answers wait until what they answer for is in the store. */
  readonly isAwaited: boolean
}

export interface ArchiveOptions {
  readonly store: ObjectStore
  readonly clock: Clock
  readonly log: ArchivedLog
  readonly tape: Tape
  readonly generation: number
  readonly settings: ArchiveSettings
  readonly packer: Packer
  readonly catalogue: Catalogue
  readonly tail: RecordTail
  readonly metrics: ArchiveMetrics
  /** Throws if the store has another owner. */
  confirm(): Promise<void>
  /** All that there was when the process began is in the store. */
  caughtUp(): void
  report(level: 'info' | 'warn', message: string, fields?: Record<string, unknown>): void
}

export interface ArchivedLog {
  readonly state: State
  readonly commits: { sync(): Promise<void> }
  answerHeld(): void
}

/** Brings records into the store that are in no segment. */
export interface RecordTail {
  /** Behind it the payload of what was committed up to now is there, as far as it is to be; all of it if it `isLast`. */
  upload(position: number, isLast: boolean, signal: AbortSignal): Promise<void>
  /** Deletes copies that are not needed any more. */
  prune(signal: AbortSignal): Promise<void>
}

interface Job {
  /** None: there is nothing new, or the chain begins anew with the checkpoint. */
  readonly pieces: DatedPiece[]
  /** The store may have so many of them. */
  triedPieces: number
  checkpoint: Checkpoint | null
  /** They have asked for a checkpoint. Who comes later waits for the next one. */
  readonly waiters: readonly Waiter[]
  readonly isLast: boolean
  readonly beginsChain: boolean
  readonly position: number
  /** When the oldest change in it was committed. */
  readonly sinceMs: number
}

type DatedPiece = TapePiece & { readonly stateTimeMs: number }

/** The state where a piece ends. */
interface Checkpoint {
  readonly position: number
  readonly stateTimeMs: number
  readonly content: Buffer
}

interface Waiter {
  readonly isLast: boolean
  resolve(): void
  reject(thrown: unknown): void
}

export class Archive {
  readonly #options: ArchiveOptions
  readonly #ended = new AbortController()
  #archivedPosition: number
  #job: Job | null = null
  #running: Promise<void> | null = null
  #timer: Timer | null = null
  #pauseMs = 0
  #waiters: Waiter[] = []
  #changedMs = -1
  #checkpointMs: number
  #checkpointRecords = 0
  #isCaughtUp = false
  readonly #prunings: { readonly tail: Chore; readonly catalogue: Chore }

  constructor(options: ArchiveOptions) {
    this.#options = options
    const { tail, catalogue } = options
    this.#prunings = {
      tail: new Chore({
        ...options,
        what: 'copies of records that are in segments',
        work: signal => tail.prune(signal),
      }),
      catalogue: new Chore({ ...options, what: 'old objects of the archive', work: signal => catalogue.prune(signal) }),
    }
    this.#archivedPosition = options.tape.isBroken ? -1 : options.tape.endPosition
    this.#checkpointMs = options.clock.monotonicMs()
    options.tape.watch(this)
    // What is archived may have been said to be before all of it was copied.
    this.wake()
  }

  /** The store has everything up to here, and knows that it has it. */
  get archivedPosition(): number {
    return this.#archivedPosition
  }

  /** What is not there yet, and for how long. */
  get lag(): { bytes: number; ms: number } {
    const { tape, clock } = this.#options
    const sinceMs = this.#job?.sinceMs ?? this.#changedMs
    const bytes = Math.max(0, tape.endPosition - Math.max(0, this.#archivedPosition))
    return { bytes, ms: sinceMs < 0 || bytes === 0 ? 0 : clock.monotonicMs() - sinceMs }
  }

  /** Of the last checkpoint, compressed. */
  checkpointSizeBytes = 0
  /** Since when nothing can be archived, by the monotonic clock; null: it can. */
  failingSinceMs: number | null = null
  /** The same of checkpoints alone. */
  checkpointFailingSinceMs: number | null = null

  // ---- when

  wake(): void {
    const { tape, clock, settings } = this.#options
    if (this.#changedMs < 0) this.#changedMs = clock.monotonicMs()
    if (this.#running !== null || this.#pauseMs > 0 || this.#ended.signal.aborted) return
    const isUrgent = settings.isAwaited || tape.isBroken || tape.sizeBytes >= PIECE_BYTES || this.#waiters.length > 0
    if (isUrgent) this.#run()
    else this.#timer ??= clock.after(settings.pieceMs, () => this.#run())
  }

  /** What is committed now is in the store when this resolves, and a checkpoint of it. Rejects if an attempt fails. */
  checkpoint(): Promise<void> {
    return this.#waitFor(false)
  }

  /** The same, and copies of all records that are in no segment: nobody seals any more. */
  finish(): Promise<void> {
    return this.#waitFor(true)
  }

  #waitFor(isLast: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ isLast, resolve, reject })
      this.#pauseMs = 0
      this.wake()
    })
  }

  #run(): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#pauseMs = 0
    this.#running = this.#work()
      .then(() => this.#worked())
      .catch(thrown => this.#failed(thrown))
      .finally(() => {
        this.#running = null
        if (this.#isBehind || this.#waiters.length > 0) this.wake()
      })
  }

  get #isBehind(): boolean {
    const { tape } = this.#options
    return tape.isBroken || tape.endPosition > this.#archivedPosition
  }

  #worked(): void {
    if (this.failingSinceMs === null) return
    const forMs = Math.round(this.#options.clock.monotonicMs() - this.failingSinceMs)
    this.#options.report('info', 'the archive of the log is written again', { forMs })
    this.failingSinceMs = null
  }

  #failed(thrown: unknown): void {
    for (const { reject } of this.#waiters.splice(0)) reject(thrown)
    if (this.#ended.signal.aborted) return
    const { clock, report, settings } = this.#options
    if (this.failingSinceMs === null) {
      const works = settings.isAwaited ? 'nothing is acknowledged until it is' : 'records are taken and read meanwhile'
      report('warn', `the archive of the log cannot be written, it is tried again, ${works}: ${messageOf(thrown)}`)
      this.failingSinceMs = clock.monotonicMs()
    }
    const failingMs = clock.monotonicMs() - this.failingSinceMs
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, Math.max(FIRST_PAUSE_MS, failingMs))
    this.#timer = clock.after(this.#pauseMs, () => this.#run())
  }

  // ---- one job

  async #work(): Promise<void> {
    const { clock, log } = this.#options
    // Let the commit that brought us here answer first, and others come with it.
    await new Promise<void>(resolve => clock.soon(resolve))
    this.#job ??= this.#nextJob()
    // What is in the store must not be lost here: the log would go on with other records at the same positions.
    await log.commits.sync()
    await this.#do(this.#job, this.#ended.signal)
    this.#job = null
  }

  /** Synchronous: what the piece ends with and what the checkpoint has is the same. */
  #nextJob(): Job {
    const { tape, clock } = this.#options
    const nowMs = clock.monotonicMs()
    const waiters = [...this.#waiters]
    const isLast = waiters.some(waiter => waiter.isLast)
    const about = { waiters, isLast, position: tape.endPosition }
    const sinceMs = this.#changedMs < 0 ? nowMs : this.#changedMs
    this.#changedMs = -1
    const beginsChain = tape.isBroken
    const checkpoint = beginsChain || this.#isCheckpointDue(nowMs) ? this.#stateNow() : null
    if (beginsChain) tape.mend()
    const pieces = tape.isEmpty ? [] : [this.#cut()]
    if (checkpoint !== null) {
      this.#checkpointMs = nowMs
      this.#checkpointRecords = tape.recordCount
      this.#options.metrics.created()
    }
    return { ...about, pieces, triedPieces: 0, checkpoint, beginsChain, sinceMs }
  }

  #stateNow(): Checkpoint {
    const { tape, log } = this.#options
    return { position: tape.endPosition, stateTimeMs: log.state.timeMs, content: encodeState(log.state) }
  }

  #cut(): DatedPiece {
    const { tape, log } = this.#options
    return { ...tape.cut(), stateTimeMs: log.state.timeMs }
  }

  #isCheckpointDue(nowMs: number): boolean {
    const { tape, settings } = this.#options
    const records = tape.recordCount - this.#checkpointRecords
    const apartMs = nowMs - this.#checkpointMs
    if (this.#waiters.length > 0) return true
    if (this.checkpointFailingSinceMs !== null && apartMs >= CHECKPOINT_APART_MS) return true
    if (records >= settings.checkpointRecords && apartMs >= CHECKPOINT_APART_MS) return true
    return records > 0 && apartMs >= settings.checkpointMs
  }

  async #do(job: Job, signal: AbortSignal): Promise<void> {
    const { pieces, position, beginsChain } = job
    const { settings, catalogue, generation, report } = this.#options
    this.#prunings.tail.begin()
    if (!(await this.#copy(job, signal))) return
    for (const [i, { from, to, content, stateTimeMs }] of pieces.entries()) {
      job.triedPieces = Math.max(job.triedPieces, i + 1)
      await this.#put({ kind: 'metalog', from, to, stateTimeMs }, content, signal)
      catalogue.addedPiece({ generation, from, to })
    }
    // It stands for everything before it: without it nothing behind it can be restored.
    if (beginsChain) await this.#putCheckpoint(job, signal)
    if (settings.isAwaited) await this.#options.confirm()
    this.#archived(position)
    if (job.checkpoint === null) return
    try {
      if (!beginsChain) await this.#putCheckpoint(job, signal)
      this.#waiters = this.#waiters.filter(waiter => !job.waiters.includes(waiter))
      for (const { resolve } of job.waiters) resolve()
      catalogue.addedCheckpoint({ generation, position: job.checkpoint.position, beginsChain })
      this.#prunings.catalogue.begin()
    } catch (thrown) {
      // The pieces go on without it, and the next one comes at its time.
      report('warn', `the archive has no new checkpoint: ${messageOf(thrown)}`)
      for (const { reject } of this.#waiters.splice(0)) reject(thrown)
    }
  }

  /** False: not everything that would have to be said can be; nothing is, until the chain begins anew. */
  async #copy(job: Job, signal: AbortSignal): Promise<boolean> {
    const { pieces, position, isLast } = job
    const { log, tail, tape, settings } = this.#options
    for (let copies = 1; ; copies++) {
      const to = pieces.at(-1)?.to ?? position
      await tail.upload(to, isLast, signal)
      // What went into a segment, or was deleted, before it was copied: without saying so the store would miss it.
      if (tape.freedTo <= to) return true
      if (tape.isBroken) return false
      this.#lengthen(job)
      await log.commits.sync()
      // The new piece speaks of records that came meanwhile. If answers wait for the store a restore takes it for a loss that it has
      // no copies of them; so they are copied before, unless others go as fast.
      if (!settings.isAwaited || copies === MOST_COPIES) return true
    }
  }

  /** By what came meanwhile; in the same piece, if the store cannot have that yet: one half of it is never all that there is. */
  #lengthen(job: Job): void {
    const { pieces, triedPieces, checkpoint } = job
    const added = this.#cut()
    const last = pieces.length > triedPieces ? pieces.pop() : undefined
    if (last === undefined) {
      pieces.push(added)
      return
    }
    pieces.push({ ...added, from: last.from, content: Buffer.concat([last.content, added.content]) })
    // It would stand in the middle of the piece.
    if (checkpoint !== null && checkpoint.position > last.from) job.checkpoint = this.#stateNow()
  }

  #archived(position: number): void {
    assert(position >= this.#archivedPosition, 'what is archived stays so')
    this.#archivedPosition = position
    this.#options.log.answerHeld()
    if (this.#isCaughtUp) return
    this.#isCaughtUp = true
    this.#options.caughtUp()
  }

  async #putCheckpoint({ checkpoint }: Job, signal: AbortSignal): Promise<void> {
    const { metrics } = this.#options
    assert(checkpoint !== null, 'there is one to write')
    const { position, stateTimeMs, content } = checkpoint
    try {
      const about = { kind: 'checkpoint', from: position, to: position, stateTimeMs } as const
      this.checkpointSizeBytes = await this.#put(about, content, signal)
      metrics.uploaded()
      this.checkpointFailingSinceMs = null
    } catch (thrown) {
      metrics.failed()
      this.checkpointFailingSinceMs ??= this.#options.clock.monotonicMs()
      throw thrown
    }
  }

  async #put(
    about: Pick<ArchiveHeader, 'kind' | 'from' | 'to' | 'stateTimeMs'>,
    content: Buffer,
    signal: AbortSignal,
  ): Promise<number> {
    const { store, generation, clock, packer } = this.#options
    const header = { ...about, generation, writtenMs: clock.nowMs() }
    const bytes = await encodeArchived(header, content, packer)
    const key = about.kind === 'checkpoint' ? checkpointKey({ generation, position: about.to }) : metalogKey(header)
    await store.put(key, [bytes], signal)
    return bytes.length
  }

  /** What was begun ends; nothing more is written. */
  async close(): Promise<void> {
    this.#ended.abort()
    this.#timer?.cancel()
    await Promise.all([this.#running, this.#prunings.tail.close(), this.#prunings.catalogue.close()])
  }
}
