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
  /** Rejects if the file could not be made: then nothing of it is used, and `make` tries again. */
  disk: Promise<DiskFile>
  /** The same once it is there. */
  ready: DiskFile | null
  hasFailed: boolean
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
  #sizeBytes = 0
  /** Of the first file that is made here. */
  readonly #firstSequence: number
  #active: ActiveFile | null = null
  #next: { sequence: number; sizeBytes: number; disk: Promise<DiskFile> } | null = null
  /** Files are made and given up one after the other: two that have the same name never meet. */
  #making: Promise<unknown> = Promise.resolve()
  /** An old file that nobody needs: the next one can be made of it. */
  #recyclable: string | null = null
  readonly #readers = new Map<number, Promise<DiskFile>>()
  readonly #reading = new Map<number, number>()
  #isClosed = false

  constructor(options: { disk: Disk; directory: string; fileBytes: number; files: WalFile[]; sequence: number }) {
    this.directory = options.directory
    this.#firstSequence = options.sequence
    this.#disk = options.disk
    this.#fileBytes = options.fileBytes
    this.#files = options.files
    for (const { sizeBytes } of options.files) this.#sizeBytes += sizeBytes
  }

  get all(): readonly WalFile[] {
    return this.#files
  }

  get active(): ActiveFile {
    assert(this.#active !== null, 'a log that is open has an active file')
    return this.#active
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** What they take at most when what comes next is written: with the next file, the one made ahead of it and the spare one. */
  get mostBytes(): number {
    return this.#sizeBytes + 3 * this.#fileBytes
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
      hasFailed: false,
      before: this.#active,
    }
    noteWhenReady(file)
    this.#active = file
    this.#files.push(file)
    this.#sizeBytes += file.sizeBytes
    return file
  }

  /** The disk of a file that is to be written. If it could not be made, it is tried again. */
  make(file: ActiveFile): Promise<DiskFile> {
    if (file.hasFailed) {
      file.hasFailed = false
      file.disk = this.#make(file.sequence, file.sizeBytes).disk
      noteWhenReady(file)
    }
    return file.disk
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
    if (this.#next !== null) this.#giveUp(this.#next.sequence, this.#next.disk)
    this.#next = null
    while (this.active !== on) {
      const { sequence, sizeBytes, disk, before } = this.active
      this.#giveUp(sequence, disk)
      this.#files.pop()
      this.#sizeBytes -= sizeBytes
      assert(before !== null, 'what is taken back was begun behind what stays')
      this.#active = before
    }
    on.endPosition = Number.POSITIVE_INFINITY
  }

  #giveUp(sequence: number, made: Promise<DiskFile>): void {
    void this.#inTurn(async () => {
      const disk = await made.catch(() => null)
      if (disk === null) return
      await disk.close()
      await this.#disk.remove(this.pathOf(sequence))
    }).catch(() => {}) // whoever makes a file of this name meets the error
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
    return this.#active === null ? this.#firstSequence : this.#active.sequence + 1
  }

  #make(sequence: number, sizeBytes: number): { sequence: number; sizeBytes: number; disk: Promise<DiskFile> } {
    return { sequence, sizeBytes, disk: this.#inTurn(() => this.#makeFile(this.pathOf(sequence), sizeBytes)) }
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#making.then(act)
    this.#making = done.catch(() => {})
    return done
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
    if (this.#isClosed) throw new ChronikError('LOG_CLOSED', 'closed', 'the log was closed while it was read')
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
    for (let written = this.#active; written !== null; written = written.before) {
      if (written === file) return written.disk
    }
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
      void closeIfOpen(reader)
    }
  }

  /** Takes away a file that nobody needs; false if somebody reads it or it is still written. */
  async trim(file: WalFile): Promise<boolean> {
    const at = this.#files.indexOf(file)
    if (file.endPosition > this.active.position || this.#reading.has(file.sequence) || at < 0) return false
    this.#files.splice(at, 1)
    this.#sizeBytes -= file.sizeBytes
    const reader = this.#readers.get(file.sequence)
    this.#readers.delete(file.sequence)
    await closeIfOpen(reader)
    try {
      await this.#inTurn(() => this.#retire(file))
    } catch (thrown) {
      this.#files.splice(at, 0, file)
      this.#sizeBytes += file.sizeBytes
      throw thrown
    }
    return true
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

  /** Cuts the log to what was written, and closes all. `endPosition` null: what was written nobody knows, leave it. */
  async close(endPosition: number | null): Promise<void> {
    this.#isClosed = true
    if (this.#next !== null) this.#giveUp(this.#next.sequence, this.#next.disk)
    this.#next = null
    try {
      if (endPosition !== null) await this.#cutTo(endPosition)
    } finally {
      for (let file = this.#active; file !== null; file = file.before) await closeIfOpen(file.disk)
      for (const [sequence, reader] of this.#readers) {
        this.#readers.delete(sequence)
        await closeIfOpen(reader)
      }
      await this.#making
    }
  }

  async #cutTo(endPosition: number): Promise<void> {
    const { position, disk: made, before, sequence } = this.active
    if (endPosition === position) {
      this.#giveUp(sequence, made)
      this.#active = before
      await (await before?.disk)?.sync()
      return
    }
    const disk = await made
    await disk.truncate(endPosition - position)
    await disk.sync()
  }
}

function noteWhenReady(file: ActiveFile): void {
  file.disk.then(
    disk => {
      file.ready = disk
    },
    () => {
      file.hasFailed = true // whoever writes to the file meets the error
    },
  )
}

async function closeIfOpen(disk: Promise<DiskFile> | undefined): Promise<void> {
  await disk?.then(
    opened => opened.close(),
    () => {},
  )
}

function goneError(position: number): ChronikError {
  return new ChronikError('LOG_TRIMMED', 'retry', `the log no longer holds position ${position}`)
}
