import { ChronikError } from '#base/errors.ts'
import type { Inspector, RecordRange } from '#base/inspection.ts'
import type { Disk } from '#base/ports.ts'
import { type Checkpoint, checkpointPath, listCheckpoints, readCheckpoint } from '#commit/checkpoint-files.ts'
import type { ResumePoint } from '#commit/commit.ts'
import { SPARE_NAME, walFileName } from '#commit/wal-files.ts'
import { eachRecord, FILE_HEADER_BYTES } from '#commit/wal-format.ts'
import { type FoundFile, findFiles, type RecoveredGroup, readGroups, scanLog } from '#commit/wal-recovery.ts'
import { decodeState } from '#core/checkpoint.ts'
import { apply, NO_EFFECTS } from '#core/core.ts'
import { State } from '#core/state.ts'
import { checkpointDirectory, walDirectory } from './directories.ts'
import { IndexFiles } from './index-file.ts'
import { BEGINNING } from './log.ts'
import { missingFiles } from './needed-files.ts'
import { payloadIsIntact } from './payload.ts'

// Checks all that a stopped broker has left of its log on the disk: every checkpoint, every group of every file of the
// write-ahead log, every index, and that the batches of each partition that it is to have are there. Changes nothing.

export interface VerifiedLog {
  /** What the log amounts to, as far as it can be read; null if no checkpoint can be. */
  readonly state: State | null
  readonly position: number
  readonly files: number
  readonly checkpoints: number
}

interface Place {
  readonly disk: Disk
  readonly dataDir: string
}

export async function verifyLog(place: Place, inspector: Inspector): Promise<VerifiedLog> {
  const files = await findFiles(place.disk, walDirectory(place.dataDir))
  const positions = await listCheckpoints(place.disk, checkpointDirectory(place.dataDir))
  inspector.begins('checkpoints on the disk', 0)
  const checkpoint = await checkCheckpoints(place, positions, inspector)
  inspector.begins(
    'write-ahead log',
    files.reduce((sum, file) => sum + file.sizeBytes, 0),
  )
  await checkNames(place, inspector)
  // Without any checkpoint the log is enough only if it is there from the beginning.
  const isWhole = positions.length === 0 || files[0]?.sequence === 1
  const resume = checkpoint ?? (isWhole ? BEGINNING : null)
  const indexes = new IndexFiles(place.disk, walDirectory(place.dataDir))
  try {
    const check = new LogCheck({ ...place, inspector, files, indexes })
    return { ...(await check.run(resume, checkpoint)), files: files.length, checkpoints: positions.length }
  } finally {
    await indexes.close()
  }
}

/** The newest that can be read. */
async function checkCheckpoints(
  { disk, dataDir }: Place,
  positions: readonly number[],
  inspector: Inspector,
): Promise<Checkpoint | null> {
  const directory = checkpointDirectory(dataDir)
  let newest: Checkpoint | null = null
  for (const position of positions) {
    inspector.signal.throwIfAborted()
    const where = checkpointPath(directory, position)
    const checkpoint = await readCheckpoint(disk, directory, position)
    if (checkpoint === null) {
      const message = `${where} is damaged. A start uses the one before it, if that is whole, and nothing is lost; see 'chronik repair'`
      inspector.found({ kind: 'damage', where, message, affected: [] })
      continue
    }
    newest = checkpoint
    inspector.passed(checkpoint.state.length)
  }
  return newest
}

const KNOWN_NAME = /^\d{16}\.(wal|idx)(\.new)?$/

async function checkNames({ disk, dataDir }: Place, { found }: Inspector): Promise<void> {
  const directory = walDirectory(dataDir)
  for (const name of await disk.list(directory)) {
    if (KNOWN_NAME.test(name) || name === SPARE_NAME) continue
    const where = `${directory}/${name}`
    found({ kind: 'notice', where, message: `${where} is no file of the log: nobody reads it`, affected: [] })
  }
}

interface LogCheckOptions extends Place {
  readonly inspector: Inspector
  readonly files: readonly FoundFile[]
  readonly indexes: IndexFiles
}

class LogCheck {
  readonly #options: LogCheckOptions
  readonly #directory: string
  /** Files that have an index that can be read: where that says that they end. */
  readonly #indexedEnds = new Map<number, number>()

  constructor(options: LogCheckOptions) {
    this.#options = options
    this.#directory = walDirectory(options.dataDir)
  }

  async run(
    resume: ResumePoint | null,
    checkpoint: Checkpoint | null,
  ): Promise<Pick<VerifiedLog, 'state' | 'position'>> {
    const { files } = this.#options
    const state = checkpoint === null ? new State() : decodeState(checkpoint.state)
    const position = resume === null ? 0 : await this.#checkNewer(resume, state)
    const lastWritten = files.findLast(({ header }) => header !== null)?.sequence ?? 0
    const older = files.filter(file => file.sequence < (resume?.sequence ?? lastWritten + 1))
    for (const file of older) await this.#checkIndex(file, state)
    for (const file of older) await this.#checkOlder(file, resume, state)
    if (resume === null) return { state: null, position: 0 }
    const readable = files.filter(({ header }) => header !== null)
    for (const missing of missingFiles(state, readable)) this.#tellMissing(missing, state)
    for (const file of older) await this.#checkExtents(file, state)
    return { state, position }
  }

  /** What a start reads, on top of the checkpoint; returns where it ends. */
  async #checkNewer(resume: ResumePoint, state: State): Promise<number> {
    const { disk, inspector } = this.#options
    const log = await scanLog({
      disk,
      directory: this.#directory,
      resume,
      isIntact: payloadIsIntact,
      recovered: group => {
        this.#passed(group)
        eachRecord(group.bytes, group.recordsFrom, group.recordsTo, record => apply(state, record, NO_EFFECTS))
      },
    })
    const { damage, tornBytes, position } = log
    if (damage !== null) {
      inspector.found({ kind: 'damage', where: damage.path, message: damage.message, affected: [] })
    } else if (tornBytes > 0) {
      const where = `${this.#directory}/${walFileName(log.sequence - 1)}`
      const message = `${where} ends with ${tornBytes} bytes that were never acknowledged: they are cut at the next start`
      inspector.found({ kind: 'notice', where, message, affected: [] })
    }
    return position
  }

  /** A file before the checkpoint: it must be whole, up to where it is known to end. */
  async #checkOlder(file: FoundFile, resume: ResumePoint | null, state: State): Promise<void> {
    const { disk, files, inspector } = this.#options
    const where = `${this.#directory}/${walFileName(file.sequence)}`
    const damaged = (what: string): void => {
      const affected = file.header === null ? [] : rangesOfFile(state, file.position)
      const isNeeded = file.header === null || affected.length > 0
      const advice = isNeeded ? 'Put it back from a backup' : 'No record in it is needed any more: nothing is lost'
      inspector.found({ kind: 'damage', where, message: `${where} is damaged${what}. ${advice}`, affected })
    }
    if (file.header === null) return damaged(': its header cannot be read')
    const end = {
      sequence: file.sequence,
      position: file.position + FILE_HEADER_BYTES,
      previousChecksum: file.header.previousChecksum,
    }
    const recovered = (group: RecoveredGroup): void => this.#passed(group)
    await readGroups({ disk, directory: this.#directory, isIntact: payloadIsIntact, recovered }, file, end)
    const next = files.find(({ sequence }) => sequence === file.sequence + 1)?.header
    const behind = resume?.sequence === file.sequence + 1 ? resume : null
    const endPosition = behind?.position ?? next?.position ?? this.#indexedEnds.get(file.sequence)
    const checksum = behind?.previousChecksum ?? next?.previousChecksum ?? end.previousChecksum
    if (endPosition === undefined) return
    const at = `at byte ${end.position - file.position} (position ${end.position})`
    if (end.position !== endPosition) return damaged(` ${at}, before its end at position ${endPosition}`)
    if (end.previousChecksum !== checksum) damaged(` ${at}: what follows it was written behind another group`)
  }

  async #checkIndex(file: FoundFile, state: State): Promise<void> {
    const { disk, indexes, inspector } = this.#options
    const where = `${this.#directory}/${walFileName(file.sequence).replace('.wal', '.idx')}`
    const affected = file.header === null ? [] : rangesOfFile(state, file.position)
    const damaged = (message: string): void => inspector.found({ kind: 'damage', where, message, affected })
    if ((await disk.facts(where)) === null) return damaged(`the index ${where} is missing: put it back from a backup`)
    try {
      const { position, endPosition } = await indexes.check(file.sequence)
      this.#indexedEnds.set(file.sequence, endPosition)
      if (file.header === null || position === file.position) return
      damaged(
        `the index ${where} is that of another file, at position ${position}: put the right one back from a backup`,
      )
    } catch (thrown) {
      if (!(thrown instanceof ChronikError) || thrown.kind !== 'corrupt') throw thrown
      damaged(thrown.message)
    }
  }

  /** Does the index of a file have the batches that partitions are to have there? */
  async #checkExtents(file: FoundFile, state: State): Promise<void> {
    const { inspector } = this.#options
    if (!this.#indexedEnds.has(file.sequence)) return
    const where = `${this.#directory}/${walFileName(file.sequence)}`
    for (const partition of state.partitions) {
      if (partition === undefined) continue
      const { extents, ordinal, topic, index } = partition
      for (let i = 0; i < extents.length; i++) {
        if (extents.fileAt(i) !== file.position) continue
        const { baseOffset, nextOffset, sizeBytes } = extents.at(i)
        const foundBytes = await this.#indexedBytes(file.sequence, ordinal, { from: baseOffset, to: nextOffset })
        if (foundBytes === sizeBytes) continue
        const affected = [{ topic: topic.name, partition: index, fromOffset: baseOffset, toOffset: nextOffset }]
        const message = `the index of ${where} has ${foundBytes} bytes of batches where there are to be ${sizeBytes}: put both back from a backup`
        inspector.found({ kind: 'damage', where, message, affected })
      }
    }
  }

  /** Of the batches that begin within a range of offsets. */
  async #indexedBytes(sequence: number, ordinal: number, range: { from: number; to: number }): Promise<number> {
    const { indexes, inspector } = this.#options
    let sizeBytes = 0
    for (let offset = range.from; offset < range.to; ) {
      inspector.signal.throwIfAborted()
      const batches = await indexes.batchesFrom(sequence, ordinal, offset)
      const wanted = batches.filter(batch => batch.baseOffset >= offset && batch.baseOffset < range.to)
      if (wanted.length === 0) break
      for (const batch of wanted) sizeBytes += batch.sizeBytes
      offset = wanted.at(-1)!.baseOffset + 1
    }
    return sizeBytes
  }

  #tellMissing(position: number, state: State): void {
    const where = `the file at position ${position}`
    const message =
      `a file of the log in ${this.#directory} is missing: the one that begins at position ${position}. Put it back from a backup, ` +
      'together with its .idx file'
    this.#options.inspector.found({ kind: 'damage', where, message, affected: rangesOfFile(state, position) })
  }

  #passed({ payloadFrom, recordsTo }: RecoveredGroup): void {
    const { inspector } = this.#options
    inspector.signal.throwIfAborted()
    inspector.passed(recordsTo - payloadFrom)
  }
}

/** What partitions have in the file that begins there. */
function rangesOfFile({ partitions }: State, position: number): RecordRange[] {
  const ranges: RecordRange[] = []
  for (const partition of partitions) {
    if (partition === undefined) continue
    const { extents, topic, index } = partition
    for (let i = 0; i < extents.length; i++) {
      if (extents.fileAt(i) !== position) continue
      const { baseOffset, nextOffset } = extents.at(i)
      ranges.push({ topic: topic.name, partition: index, fromOffset: baseOffset, toOffset: nextOffset })
    }
  }
  return ranges
}
