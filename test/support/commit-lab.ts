import type { ChronikError } from '#base/errors.ts'
import { CommitLog, type CommitOptions, type CommitOwner, type ResumePoint } from '#commit/commit.ts'
import type { CommitGroup } from '#commit/commit-group.ts'
import { type WalFile, WalFiles } from '#commit/wal-files.ts'
import { eachRecord, RECORD_HEADER_BYTES, writeRecord } from '#commit/wal-format.ts'
import { type RecoveredGroup, type RecoveredLog, recoverLog } from '#commit/wal-recovery.ts'
import { SimClock } from './sim/sim-clock.ts'
import type { SimDisk } from './sim/sim-disk.ts'

// A commit log of texts: a record names its text, the payload is the text in capitals. What the owner is told is written down.

export const WAL = '/data/wal'
const TEXT_RECORD = 7

export class TextOwner implements CommitOwner<string[]> {
  readonly events: string[] = []
  readonly committedTexts: string[] = []
  readonly refusals: ChronikError[] = []
  readonly rolls: { ended: WalFile; resume: ResumePoint }[] = []
  onCommitted: (group: CommitGroup<string[]>) => void = () => {}
  failure: ChronikError | null = null
  undecided: string[] = []

  open(): string[] {
    return []
  }

  seal(group: CommitGroup<string[]>): void {
    this.events.push(`seal ${group.attachment}`)
    for (const text of group.attachment) writeRecord(group.records, TEXT_RECORD, 1, Buffer.from(text))
  }

  committed(group: CommitGroup<string[]>): void {
    this.events.push(`commit ${group.attachment}`)
    this.committedTexts.push(...group.attachment)
    this.onCommitted(group)
  }

  refused(group: CommitGroup<string[]>, error: ChronikError): void {
    this.events.push(`refuse ${group.attachment}`)
    this.refusals.push(error)
  }

  failed(error: ChronikError, undecided: CommitGroup<string[]>[]): void {
    this.failure = error
    this.undecided = undecided.flatMap(group => group.attachment)
  }

  rolled(ended: WalFile, { position, sequence, previousChecksum }: ResumePoint): void {
    this.rolls.push({ ended, resume: { position, sequence, previousChecksum } })
  }
}

export interface CommitLab {
  readonly clock: SimClock
  readonly disk: SimDisk
  readonly owner: TextOwner
  readonly log: CommitLog<string[]>
  readonly recovered: RecoveredLog
  /** Texts that were read back. */
  readonly found: string[]
  readonly flushes: { batches: number; sizeBytes: number }[]
  stage(text: string): CommitGroup<string[]>
  /** Stages, and lets time pass until all of it is decided. */
  commit(...texts: string[]): Promise<void>
}

export type CommitLabOptions = Partial<CommitOptions> & { fileBytes?: number; resume?: ResumePoint }

export const BEGINNING: ResumePoint = { position: 0, sequence: 1, previousChecksum: 0 }

/** Opens the commit log of a disk, as it was left. */
export async function openCommitLab(disk: SimDisk, options: CommitLabOptions = {}): Promise<CommitLab> {
  const clock = (options.clock as SimClock | undefined) ?? new SimClock()
  const owner = new TextOwner()
  const found: string[] = []
  const flushes: CommitLab['flushes'] = []
  const opening = (async () => {
    await disk.makeDirectory(WAL)
    await disk.syncDirectory('/data')
    await disk.syncDirectory('')
    return recoverLog({
      disk,
      directory: WAL,
      resume: options.resume ?? BEGINNING,
      isIntact: group => payloadOf(group) === textsOf(group).join('').toUpperCase(),
      recovered: group => found.push(...textsOf(group)),
    })
  })()
  const recovered = await clock.run(opening)
  const { fileBytes = 4096 } = options
  const { files, position, sequence, previousChecksum } = recovered
  const log = new CommitLog<string[]>(owner, {
    clock,
    files: new WalFiles({ disk, directory: WAL, fileBytes, files, sequence }),
    position,
    previousChecksum,
    chunkBytes: 8192,
    cacheBytes: 32_768,
    firstFileBytes: fileBytes,
    gather: { batches: 100, delayMs: 2, whenIdle: false },
    sync: 'always',
    metrics: { flushed: (batches, sizeBytes) => flushes.push({ batches, sizeBytes }) },
    ...options,
  })
  const stage = (text: string): CommitGroup<string[]> => {
    const payload = Buffer.from(text.toUpperCase())
    const group = log.stage(payload, 0, payload.length, RECORD_HEADER_BYTES + text.length)
    group.attachment.push(text)
    return group
  }
  const commit = async (...texts: string[]): Promise<void> => {
    for (const text of texts) stage(text)
    await clock.run(log.drain())
  }
  return { clock, disk, owner, log, recovered, found, flushes, stage, commit }
}

function textsOf(group: RecoveredGroup): string[] {
  const texts: string[] = []
  eachRecord(group.bytes, group.recordsFrom, group.recordsTo, ({ body }) => texts.push(body.utf8(body.remaining)))
  return texts
}

function payloadOf(group: RecoveredGroup): string {
  return group.bytes.toString('utf8', group.payloadFrom, group.payloadTo)
}

/** The WAL files of a disk by sequence. */
export function walPaths(disk: SimDisk): string[] {
  return disk.paths.filter(path => path.endsWith('.wal'))
}
