import { messageOf } from '#base/errors.ts'
import type { Clock, Disk, Timer } from '#base/ports.ts'
import { removeOldCheckpoints, writeCheckpoint } from '#commit/checkpoint-files.ts'
import type { CommitLog, ResumePoint } from '#commit/commit.ts'
import type { WalFile } from '#commit/wal-files.ts'
import { encodeState } from '#core/checkpoint.ts'
import type { State } from '#core/state.ts'
import type { BatchTail } from './batch-tail.ts'
import { checkpointDirectory, walDirectory } from './directories.ts'
import { type IndexFiles, writeIndexFile } from './index-file.ts'

// What follows when a WAL file has ended, in the background, one step after the other: its index is written, then a checkpoint
// of the state as it was at the file's end, then files that nobody needs any more go. A step that fails (the disk is full) is
// tried again; until then the log only grows.

const RETRY_MS = 10_000
/**
 * More files than these are not kept for the older of two checkpoints alone. Many end between two if the disk is slow: with a full
 * log, which takes nothing more, no further checkpoint would ever let them go.
 */
const HELD_FILES = 2

/** What of the log is maintained. */
interface MaintainedLog {
  readonly state: State
  readonly clock: Clock
  readonly tails: (BatchTail | undefined)[]
  readonly indexes: IndexFiles
  readonly commits: Pick<CommitLog<unknown>, 'image' | 'files' | 'failure' | 'sync'>
  readonly options: {
    readonly disk: Disk
    readonly clock: Clock
    readonly dataDir: string
    report(level: 'warn', message: string): void
  }
}

type EndLog = () => Promise<{ resume: ResumePoint; ended: WalFile | null }>

/** A checkpoint, by the size of its state. */
interface CheckpointFacts {
  readonly position: number
  readonly sizeBytes: number
  readonly writtenMs: number
}

/** The checkpoints that a log was opened with. */
export interface FoundCheckpoints {
  /** Of an empty state, now, if there is none. */
  readonly newest: CheckpointFacts
  /** A later start may need the log from here on. */
  readonly oldestPosition: number
}

export interface Maintenance {
  rolled(ended: WalFile, resume: ResumePoint): void
  /** Something of the log may not be needed any more. */
  freed(): void
  /** The newest one. */
  readonly checkpoint: CheckpointFacts
  /** The tails have every batch from this position on. */
  readonly tailsFrom: number
  /** Does what is left to do, ends the log's files and writes the last checkpoint. */
  close(endLog: EndLog): Promise<void>
}

export function startMaintenance(
  log: MaintainedLog,
  unindexed: WalFile[],
  resume: ResumePoint,
  found: FoundCheckpoints,
): Maintenance {
  const maintenance = new LogMaintenance(log, unindexed, resume.position, found)
  if (unindexed.length > 0) maintenance.checkpointAt({ ...resume, sequence: log.commits.files.active.sequence })
  // What the last process freed, and did not come to take away.
  else maintenance.freed()
  return maintenance
}

class LogMaintenance implements Maintenance {
  checkpoint: CheckpointFacts
  tailsFrom: number
  readonly #log: MaintainedLog
  readonly #unindexed: WalFile[]
  /** The newest state that waits to be written. */
  #due: (ResumePoint & { state: Buffer }) | null = null
  #running: Promise<void> | null = null
  /** There is something to do that the work under way may have passed already. */
  #again = false
  #retry: Timer | null = null
  #trimPosition: number
  #indexedTo: number
  #closing = false

  constructor(log: MaintainedLog, unindexed: WalFile[], position: number, found: FoundCheckpoints) {
    this.#log = log
    this.#unindexed = [...unindexed]
    this.#indexedTo = unindexed[0]?.position ?? position
    this.tailsFrom = this.#indexedTo
    this.checkpoint = found.newest
    this.#trimPosition = found.oldestPosition
  }

  rolled(ended: WalFile, resume: ResumePoint): void {
    this.#unindexed.push(ended)
    this.checkpointAt(resume)
  }

  /** The state now is the state at `resume`. */
  checkpointAt(resume: ResumePoint): void {
    const { position, sequence, previousChecksum } = resume
    this.#due = { position, sequence, previousChecksum, state: encodeState(this.#log.state) }
    this.#run()
  }

  freed(): void {
    this.#run()
  }

  #run(): void {
    if (this.#closing) return
    this.#again = this.#running !== null
    if (this.#again) return
    this.#retry?.cancel()
    this.#retry = null
    this.#running = this.#work()
      .catch(thrown => {
        this.#log.options.report('warn', `log maintenance failed, it is tried again: ${messageOf(thrown)}`)
        this.#retryLater()
      })
      .finally(() => {
        this.#running = null
        if (this.#again) this.#run()
      })
  }

  #retryLater(): void {
    if (!this.#closing) this.#retry = this.#log.clock.after(RETRY_MS, () => this.#run())
  }

  async #work(): Promise<void> {
    // Let the commit that brought us here answer first.
    await new Promise<void>(resolve => this.#log.clock.soon(resolve))
    await this.#writeIndexes()
    await this.#writeCheckpoint()
    await this.#trim()
  }

  async #writeIndexes(): Promise<void> {
    const { options, tails, commits, state } = this.#log
    for (let file = this.#unindexed[0]; file !== undefined; file = this.#unindexed[0]) {
      await writeIndexFile(options, walDirectory(options.dataDir), file, tails)
      this.#unindexed.shift()
      this.#indexedTo = file.endPosition
    }
    // The index on disk answers for them now, unless their bytes are still in memory.
    this.tailsFrom = Math.min(commits.image.from, this.#indexedTo)
    for (const [ordinal, tail] of tails.entries()) {
      if (state.partitions[ordinal] === undefined) tails[ordinal] = undefined
      else tail?.dropBefore(this.tailsFrom)
    }
  }

  async #writeCheckpoint(): Promise<void> {
    const due = this.#due
    if (due === null) return
    const { disk, dataDir } = this.#log.options
    const writtenMs = this.#log.clock.nowMs()
    await writeCheckpoint(disk, checkpointDirectory(dataDir), { ...due, writtenMs })
    if (this.#due === due) this.#due = null
    this.checkpoint = { position: due.position, sizeBytes: due.state.length, writtenMs }
    this.#trimPosition = await removeOldCheckpoints(disk, checkpointDirectory(dataDir))
  }

  /** A file goes when every kept checkpoint is behind it and no extent needs it. */
  async #trim(): Promise<void> {
    const { state, commits, indexes, options } = this.#log
    const sealed = commits.files.all.filter(file => !state.extentsOfFile.has(file.position))
    const held = sealed.filter(
      ({ endPosition }) => endPosition > this.#trimPosition && endPosition <= this.checkpoint.position,
    )
    if (held.length > HELD_FILES) {
      this.#trimPosition = await removeOldCheckpoints(options.disk, checkpointDirectory(options.dataDir), 1)
    }
    const unneeded = sealed.filter(({ endPosition }) => endPosition <= this.#trimPosition)
    if (unneeded.length === 0) return
    // The records that freed them must not be lost when they are gone.
    await commits.sync()
    const trimmed: WalFile[] = []
    for (const file of unneeded) if (await commits.files.trim(file)) trimmed.push(file)
    // One that is being read will not be for long.
    if (trimmed.length < unneeded.length) this.#retryLater()
    if (trimmed.length === 0) return
    // A file that comes back after a power loss comes with its index.
    await options.disk.syncDirectory(commits.files.directory)
    for (const file of trimmed) await indexes.remove(file.sequence)
  }

  async close(endLog: EndLog): Promise<void> {
    this.#closing = true
    this.#retry?.cancel()
    await this.#running
    const { failure } = this.#log.commits
    const { resume, ended } = await endLog()
    if (failure !== null) return
    if (ended !== null) this.#unindexed.push(ended)
    this.#due = { ...resume, state: encodeState(this.#log.state) }
    await this.#writeIndexes()
    await this.#writeCheckpoint()
  }
}
