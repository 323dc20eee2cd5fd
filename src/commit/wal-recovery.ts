import { ChronikError } from '#base/errors.ts'
import type { Disk, DiskFile } from '#base/ports.ts'
import type { ResumePoint } from './commit.ts'
import { SPARE_NAME, sequenceOf, type WalFile, walFileName } from './wal-files.ts'
import {
  checksum,
  decodeFileHeader,
  decodeGroupHeader,
  FILE_HEADER_BYTES,
  type FileHeader,
  GROUP_HEADER_BYTES,
  GROUP_MAGIC,
  groupBytes,
} from './wal-format.ts'

// Reading the log back after a restart: from the checkpoint's position group by group, over all files, up to the first group
// that is not whole. Each group says up to where the log was synced when it was written. If any group, in whatever file, says
// that the log had been synced beyond the place where reading stopped, acknowledged records are damaged: refuse. Otherwise what
// stands there was never acknowledged, a torn tail: cut it.

export interface RecoveredGroup {
  file: WalFile
  position: number
  bytes: Buffer
  payloadFrom: number
  payloadTo: number
  recordsFrom: number
  recordsTo: number
}

export interface RecoveryOptions {
  disk: Disk
  directory: string
  resume: ResumePoint
  /** Is the payload what its records say? Checksums of batches are the owner's business. */
  isIntact(group: RecoveredGroup): boolean
  recovered(group: RecoveredGroup): void
}

export interface RecoveredLog extends ResumePoint {
  /** All files with a readable header, oldest first: whether the older ones are complete is for the owner to say. */
  files: WalFile[]
  /** Bytes of groups that were begun behind the end and never acknowledged. */
  tornBytes: number
  /** What lies before is surely on the disk. What lies between here and the end was read, which proves nothing. */
  syncedPosition: number
}

/** A file as it stands on disk; without a header it is prepared, left over or damaged. */
export interface FoundFile extends WalFile {
  readonly header: FileHeader | null
}

export class DamagedLog extends ChronikError {
  readonly position: number
  readonly path: string
  readonly syncedPosition: number

  constructor(path: string, position: number, fileOffset: number, syncedPosition: number) {
    super(
      'WAL_DAMAGED',
      'corrupt',
      `the log is damaged in ${path} at byte ${fileOffset} (position ${position}), before position ${syncedPosition} that was ` +
        `synced: acknowledged records are affected. Run 'chronik repair' to see what can be done`,
    )
    this.path = path
    this.position = position
    this.syncedPosition = syncedPosition
  }
}

/** Reads the log without changing anything. `damage` is what a start must refuse on. */
export async function scanLog(options: RecoveryOptions): Promise<RecoveredLog & { damage: DamagedLog | null }> {
  const found = await findFiles(options.disk, options.directory)
  const end: ResumePoint = { ...options.resume }
  let syncedPosition = end.position
  let tail: FoundFile | undefined
  for (;;) {
    const file = found.find(candidate => candidate.sequence === end.sequence)
    const header = file?.header
    if (!file || !header || header.position !== end.position || header.previousChecksum !== end.previousChecksum) break
    tail = file
    end.position += FILE_HEADER_BYTES
    syncedPosition = Math.max(syncedPosition, await readGroups(options, file, end))
    file.endPosition = end.position
    end.sequence++
  }
  const evidence = await laterEvidence(options, found, end, tail)
  const damage = evidence.syncedPosition > end.position ? damageAt(options.directory, found, end, evidence) : null
  const files = found.filter(file => file.header !== null && file.sequence < end.sequence)
  return { ...end, files, tornBytes: evidence.tornBytes, syncedPosition, damage }
}

/** In the file that was read last if that goes on or should, else at the begin of the one that should follow. */
function damageAt(directory: string, found: FoundFile[], end: ResumePoint, evidence: Evidence): DamagedLog {
  const last = found.find(file => file.sequence === end.sequence - 1)
  const next = found.find(file => file.sequence === end.sequence)?.header
  const isInLast = last !== undefined && (evidence.isInTail || (next != null && next.position > end.position))
  const sequence = isInLast ? last.sequence : end.sequence
  const at = isInLast ? end.position - last.position : 0
  return new DamagedLog(`${directory}/${walFileName(sequence)}`, end.position, at, evidence.syncedPosition)
}

/** Reads the log and cuts its torn tail. Throws on damage, with nothing changed. */
export async function recoverLog(options: RecoveryOptions): Promise<RecoveredLog> {
  const log = await scanLog(options)
  if (log.damage !== null) throw log.damage
  await cutLog(options.disk, options.directory, log)
  return log
}

/** Makes the log that was found the log on disk. */
export async function cutLog(disk: Disk, directory: string, log: RecoveredLog): Promise<void> {
  for (const name of (await disk.list(directory)).toReversed()) {
    if (sequenceOf(name) >= log.sequence || name === SPARE_NAME) await disk.remove(`${directory}/${name}`)
  }
  const last = log.files.at(-1)
  if (last !== undefined && last.sequence === log.sequence - 1) {
    const file = await disk.open(`${directory}/${walFileName(last.sequence)}`, 'write')
    try {
      await rewrite(file, Math.max(0, log.syncedPosition - last.position), log.position - last.position)
      await file.truncate(log.position - last.position)
      await file.sync()
    } finally {
      await file.close()
    }
  }
  await disk.syncDirectory(directory)
}

/**
 * Writes bytes over themselves. If a sync of them failed in the last life of the broker, the system holds them for written, and
 * no sync would bring them to the disk.
 */
async function rewrite(file: DiskFile, from: number, to: number): Promise<void> {
  const bytes = Buffer.allocUnsafeSlow(Math.min(to - from, WINDOW_BYTES))
  for (let at = from; at < to; at += bytes.length) {
    const read = await file.read(bytes, 0, Math.min(bytes.length, to - at), at)
    await file.write(bytes, 0, read, at)
  }
}

/** All WAL files of a directory, oldest first. */
export async function findFiles(disk: Disk, directory: string): Promise<FoundFile[]> {
  const found: FoundFile[] = []
  const bytes = Buffer.alloc(FILE_HEADER_BYTES)
  for (const name of await disk.list(directory)) {
    const sequence = sequenceOf(name)
    if (sequence === 0) continue
    const path = `${directory}/${name}`
    const file = await disk.open(path, 'read')
    try {
      const read = await file.read(bytes, 0, FILE_HEADER_BYTES, 0)
      const header = decodeFileHeader(bytes.subarray(0, read), sequence, path)
      const sizeBytes = await file.sizeBytes()
      const position = header?.position ?? 0
      found.push({ sequence, position, sizeBytes, endPosition: position + sizeBytes, header })
    } finally {
      await file.close()
    }
  }
  for (const [index, file] of found.entries()) {
    const next = found[index + 1]
    if (next?.header && next.sequence === file.sequence + 1) file.endPosition = next.position
  }
  return found
}

/**
 * Hands on the groups of a file from `end.position` on, and moves `end` behind the last whole one. Returns the highest position
 * that they say was synced.
 */
export async function readGroups(
  options: Omit<RecoveryOptions, 'resume'>,
  file: FoundFile,
  end: ResumePoint,
): Promise<number> {
  let syncedPosition = 0
  const disk = await options.disk.open(`${options.directory}/${walFileName(file.sequence)}`, 'read')
  try {
    const window = new FileWindow(disk)
    for (;;) {
      const at = end.position - file.position
      const headerAt = await window.load(at, GROUP_HEADER_BYTES)
      const header = headerAt < 0 ? null : decodeGroupHeader(window.bytes, headerAt, file.sequence)
      if (header === null || header.position !== end.position || header.previousChecksum !== end.previousChecksum)
        return syncedPosition
      const from = await window.load(at, groupBytes(header))
      if (from < 0) return syncedPosition
      const payloadFrom = from + GROUP_HEADER_BYTES
      const recordsFrom = payloadFrom + header.payloadBytes
      const recordsTo = recordsFrom + header.recordsBytes
      if (checksum(window.bytes, recordsFrom, recordsTo, file.sequence) !== header.recordsChecksum)
        return syncedPosition
      const { position } = header
      const payloadTo = recordsFrom
      const group = { file, position, bytes: window.bytes, payloadFrom, payloadTo, recordsFrom, recordsTo }
      if (!options.isIntact(group)) return syncedPosition
      options.recovered(group)
      end.position = position + groupBytes(header)
      end.previousChecksum = header.checksum
      syncedPosition = Math.max(syncedPosition, header.syncedPosition)
    }
  } finally {
    await disk.close()
  }
}

/** What group headers behind the end say. */
interface Evidence {
  /** How far the log was synced. */
  syncedPosition: number
  /** How many bytes were begun. */
  tornBytes: number
  /** Some of them are in the file that was read last. */
  isInTail: boolean
}

async function laterEvidence(
  options: RecoveryOptions,
  found: FoundFile[],
  end: ResumePoint,
  tail: FoundFile | undefined,
): Promise<Evidence> {
  const evidence = { syncedPosition: 0, tornBytes: 0, isInTail: false }
  for (const file of found) {
    if (file.sequence < (tail?.sequence ?? end.sequence)) continue
    const position = file === tail ? file.position : (file.header?.position ?? null)
    const from = file === tail ? end.position - file.position : 0
    const disk = await options.disk.open(`${options.directory}/${walFileName(file.sequence)}`, 'read')
    try {
      await eachGroupHeader(disk, from, file.sequence, (header, at) => {
        // A damaged file header leaves only the group's own word for its place.
        if (position !== null && header.position !== position + at) return
        if (header.position < end.position) return
        evidence.syncedPosition = Math.max(evidence.syncedPosition, header.syncedPosition)
        evidence.tornBytes += groupBytes(header)
        evidence.isInTail ||= file === tail
      })
    } finally {
      await disk.close()
    }
  }
  return evidence
}

async function eachGroupHeader(
  disk: DiskFile,
  from: number,
  sequence: number,
  call: (header: NonNullable<ReturnType<typeof decodeGroupHeader>>, at: number) => void,
): Promise<void> {
  const magic = Buffer.alloc(4)
  magic.writeUInt32BE(GROUP_MAGIC)
  const window = Buffer.allocUnsafeSlow(WINDOW_BYTES)
  for (let at = from; ; at += WINDOW_BYTES - GROUP_HEADER_BYTES + 1) {
    const read = await disk.read(window, 0, WINDOW_BYTES, at)
    const bytes = window.subarray(0, read)
    for (let hit = bytes.indexOf(magic); hit >= 0; hit = bytes.indexOf(magic, hit + 1)) {
      const header = decodeGroupHeader(bytes, hit, sequence)
      if (header !== null) call(header, at + hit)
    }
    if (read < WINDOW_BYTES) return
  }
}

const WINDOW_BYTES = 4 << 20

/** A part of a file in memory that moves forward. */
class FileWindow {
  bytes: Buffer = Buffer.allocUnsafeSlow(WINDOW_BYTES)
  readonly #disk: DiskFile
  #from = 0
  #filled = 0

  constructor(disk: DiskFile) {
    this.#disk = disk
  }

  /** Index in `bytes` of the file's byte `at`, with `length` bytes behind it; -1 if the file is shorter. */
  async load(at: number, length: number): Promise<number> {
    if (at >= this.#from && at + length <= this.#from + this.#filled) return at - this.#from
    if (length > this.bytes.length) {
      if (at + length > (await this.#disk.sizeBytes())) return -1
      this.bytes = Buffer.allocUnsafeSlow(length * 2)
    }
    this.#from = at
    this.#filled = await this.#disk.read(this.bytes, 0, this.bytes.length, at)
    return this.#filled >= length ? 0 : -1
  }
}
