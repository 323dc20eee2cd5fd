import { assert } from '#base/assert.ts'
import { ChronikError } from '#base/errors.ts'
import type { Disk, DiskFile } from '#base/ports.ts'

// The files of the write-ahead log, oldest first: numbered from 1 and dense in position as they are written; later, any file
// that nobody needs goes. The file behind the last one is prepared while that is being filled (zeros, or an old file again), so
// that a roll costs nothing. A file is removed, or becomes the next prepared one, only by `trim`.

const EXTENSION = '.wal'
const OPEN_FOR_READING = 64
/** An old file on its way to become the next one. */
export const SPARE_NAME = 'spare'

export interface WalFile {
  readonly sequence: number
  /** Of byte 0. */
  readonly position: number
  /** Room for header and groups; grows only for what the file system gave. */
  readonly sizeBytes: number
  /** Where its last group ends: Infinity while it is written. */
  endPosition: number
}

/** A file to write to. */
export interface ActiveFile extends WalFile {
  /** Rejects if the file could not be made: then nothing of it is used. */
  readonly disk: Promise<DiskFile>
  /** The same once it is there. */
  ready: DiskFile | null
  /** Of the group before the file: known when its first group is written. */
  previousChecksum: number
  /** Until the first group of this one is written. */
  before: ActiveFile | null
}

export function walFileName(sequence: number): string {
  return `${String(sequence).padStart(16, '0')}${EXTENSION}`
}

/** The sequence number in a file's name, 0 if it is no WAL file. */
export function sequenceOf(name: string): number {
  return /^\d{16}\.wal$/.test(name) ? Number(name.slice(0, 16)) : 0
}

export class WalFiles {
  readonly directory: string
  readonly #disk: Disk
  readonly #fileBytes: number
  readonly #files: WalFile[]
  #active: ActiveFile | null = null
  #next: { sequence: number; sizeBytes: number; disk: Promise<DiskFile> } | null = null
  /** An old file that nobody needs: the next one can be made of it. */
  #recyclable: string | null = null
  readonly #readers = new Map<number, Promise<DiskFile>>()
  readonly #reading = new Map<number, number>()

  constructor(options: { disk: Disk; directory: string; fileBytes: number; files: WalFile[] }) {
    this.directory = options.directory
    this.#disk = options.disk
    this.#fileBytes = options.fileBytes
    this.#files = options.files
  }

  get all(): readonly WalFile[] {
    return this.#files
  }

  get active(): ActiveFile {
    assert(this.#active !== null, 'a log that is open has an active file')
    return this.#active
  }

  get sizeBytes(): number {
    return this.#files.reduce((sum, file) => sum + file.sizeBytes, 0)
  }

  pathOf(sequence: number): string {
    return `${this.directory}/${walFileName(sequence)}`
  }

  /** The file that holds a position. */
  find(position: number): WalFile | undefined {
    let low = 0
    let high = this.#files.length - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      if (this.#files[middle]!.position <= position) low = middle + 1
      else high = middle - 1
    }
    return this.#files[high]
  }

  /** Ends the active file at a position and goes on in the next one. */
  roll(position: number, sizeBytes = this.#fileBytes): ActiveFile {
    const sequence = this.#nextSequence()
    const made = this.#next?.sequence === sequence ? this.#next : this.#make(sequence, sizeBytes)
    this.#next = null
    if (this.#active !== null) this.#active.endPosition = position
    const file: ActiveFile = {
      ...made,
      position,
      endPosition: Number.POSITIVE_INFINITY,
      previousChecksum: 0,
      ready: null,
      before: this.#active,
    }
    file.disk.then(
      disk => {
        file.ready = disk
      },
      () => {}, // whoever writes to the file meets the error
    )
    this.#active = file
    this.#files.push(file)
    return file
  }

  /** The first group of `file` is written: the file before it is done with. Returns that, if this process wrote it. */
  started(file: ActiveFile): ActiveFile | null {
    const ended = file.before
    if (ended !== null) this.#keepReader(ended.sequence, ended.disk)
    file.before = null
    return ended
  }

  /** What was to be written from `file` on is given up: the log goes on there, or before it if the file could not be made. */
  takeBack(file: ActiveFile): void {
    const on = file.ready === null && file.before !== null ? file.before : file
    while (this.#files.at(-1) !== on) this.#files.pop()
    on.endPosition = Number.POSITIVE_INFINITY
    this.#active = on
    this.#next = null
  }

  /** Syncs what was written before `file`. */
  async syncBefore(file: ActiveFile): Promise<void> {
    if (file.before !== null) await (await file.before.disk).sync()
  }

  /** Makes the file behind the active one, unless that is done or under way. A failure shows at the roll. */
  prepareNext(): void {
    if (this.#next !== null) return
    const next = this.#make(this.#nextSequence(), this.#fileBytes)
    this.#next = next
    next.disk.catch(() => {
      if (this.#next === next) this.#next = null
    })
  }

  #nextSequence(): number {
    return (this.#files.at(-1)?.sequence ?? 0) + 1
  }

  #make(sequence: number, sizeBytes: number): { sequence: number; sizeBytes: number; disk: Promise<DiskFile> } {
    return { sequence, sizeBytes, disk: this.#makeFile(this.pathOf(sequence), sizeBytes) }
  }

  async #makeFile(path: string, sizeBytes: number): Promise<DiskFile> {
    const old = this.#recyclable
    this.#recyclable = null
    if (old !== null && sizeBytes === this.#fileBytes) {
      await this.#disk.rename(old, path)
    } else {
      if (old !== null) await this.#disk.remove(old)
      await this.#disk.remove(path)
      await this.#disk.createFilled(path, sizeBytes)
    }
    await this.#disk.syncDirectory(this.directory)
    return this.#disk.open(path, 'write')
  }

  /** Reads `length` bytes at a position; all of them lie in one file. */
  async read(position: number, length: number, into: Uint8Array, from: number): Promise<void> {
    const file = this.find(position)
    if (file === undefined || position + length > file.endPosition) throw goneError(position)
    this.#reading.set(file.sequence, (this.#reading.get(file.sequence) ?? 0) + 1)
    try {
      const disk = await this.#reader(file)
      const read = await disk.read(into, from, length, position - file.position)
      if (read !== length) {
        throw new ChronikError('WAL_SHORT', 'corrupt', `${disk.path} ends before position ${position + length}`)
      }
    } finally {
      const left = this.#reading.get(file.sequence)! - 1
      if (left > 0) this.#reading.set(file.sequence, left)
      else this.#reading.delete(file.sequence)
    }
  }

  #reader(file: WalFile): Promise<DiskFile> {
    if (file === this.#active) return this.#active.disk
    let reader = this.#readers.get(file.sequence)
    if (reader === undefined) {
      reader = this.#disk.open(this.pathOf(file.sequence), 'read')
      this.#keepReader(file.sequence, reader)
    }
    return reader
  }

  #keepReader(of: number, reader: Promise<DiskFile>): void {
    this.#readers.set(of, reader)
    reader.catch(() => this.#readers.delete(of))
    for (const [sequence, reader] of this.#readers) {
      if (this.#readers.size <= OPEN_FOR_READING) return
      if (this.#reading.has(sequence)) continue
      this.#readers.delete(sequence)
      void reader.then(disk => disk.close())
    }
  }

  /** Takes away the files that `unneeded` names and nobody reads; returns them. */
  async trim(unneeded: (file: WalFile) => boolean): Promise<WalFile[]> {
    const trimmed = this.#files.filter(
      file => file !== this.#active && !this.#reading.has(file.sequence) && unneeded(file),
    )
    for (const file of trimmed) {
      this.#files.splice(this.#files.indexOf(file), 1)
      const reader = this.#readers.get(file.sequence)
      this.#readers.delete(file.sequence)
      await (await reader)?.close()
      await this.#retire(file)
    }
    if (trimmed.length > 0) await this.#disk.syncDirectory(this.directory)
    return trimmed
  }

  async #retire(file: WalFile): Promise<void> {
    const path = this.pathOf(file.sequence)
    if (this.#recyclable !== null || file.sizeBytes !== this.#fileBytes) {
      await this.#disk.remove(path)
      return
    }
    // Under another name, so that nobody takes it for a part of the log.
    const spare = `${this.directory}/${SPARE_NAME}`
    await this.#disk.rename(path, spare)
    this.#recyclable = spare
  }

  /** Cuts the active file to what was written, and closes all. */
  async close(endPosition: number): Promise<void> {
    const active = this.active
    const disk = await active.disk.catch(() => null)
    if (disk !== null) {
      await disk.truncate(endPosition - active.position)
      await disk.sync()
      await disk.close()
      if (endPosition === active.position) await this.#disk.remove(disk.path)
    }
    const next = await this.#next?.disk.catch(() => null)
    if (next) {
      await next.close()
      await this.#disk.remove(next.path)
    }
    for (const reader of this.#readers.values()) await (await reader).close()
    this.#readers.clear()
  }
}

function goneError(position: number): ChronikError {
  return new ChronikError('LOG_TRIMMED', 'retry', `the log no longer holds position ${position}`)
}
