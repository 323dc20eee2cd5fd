import { assert } from '#base/assert.ts'
import type { Disk, DiskFile } from '#base/ports.ts'

// Files that are read again and again stay open, the least recently read one being closed for the next. A file is closed when
// nobody reads it; one whose name now stands for something else is forgotten at once and closed then.

export interface OpenFile {
  readonly file: DiskFile
  readonly sizeBytes: number
}

interface Entry {
  readonly opened: Promise<OpenFile>
  readers: number
  isKept: boolean
}

export interface OpenFilesOptions {
  readonly disk: Disk
  readonly maxKept: number
  /** Smaller ones are opened each time: they are read once or twice. */
  readonly keptFromBytes: number
}

export class OpenFiles {
  readonly #options: OpenFilesOptions
  readonly #entries = new Map<string, Entry>()
  readonly #reads = new Set<Promise<unknown>>()

  constructor(options: OpenFilesOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#entries.size
  }

  reading<T>(path: string, read: (file: OpenFile) => Promise<T>): Promise<T> {
    const reading = this.#read(path, read).finally(() => this.#reads.delete(reading))
    this.#reads.add(reading)
    return reading
  }

  async #read<T>(path: string, read: (file: OpenFile) => Promise<T>): Promise<T> {
    const entry = this.#entryFor(path)
    entry.readers++
    try {
      const opened = await entry.opened
      if (opened.sizeBytes < this.#options.keptFromBytes) this.#drop(path, entry)
      else if (this.#entries.size > this.#options.maxKept) this.#makeRoom()
      return await read(opened)
    } catch (error) {
      this.#drop(path, entry)
      throw error
    } finally {
      entry.readers--
      if (!entry.isKept && entry.readers === 0) await close(entry)
    }
  }

  /** What is opened by this name from now on is another file. */
  async forget(path: string): Promise<void> {
    const entry = this.#entries.get(path)
    if (entry === undefined) return
    this.#drop(path, entry)
    if (entry.readers === 0) await close(entry)
  }

  /** All of them are closed when it is done, also those that are read now. */
  async forgetAll(): Promise<void> {
    for (const path of [...this.#entries.keys()]) await this.forget(path)
    await Promise.allSettled(this.#reads)
  }

  #entryFor(path: string): Entry {
    const known = this.#entries.get(path)
    if (known !== undefined) {
      this.#entries.delete(path)
      this.#entries.set(path, known)
      return known
    }
    const entry = { opened: this.#open(path), readers: 0, isKept: true }
    this.#entries.set(path, entry)
    return entry
  }

  async #open(path: string): Promise<OpenFile> {
    const file = await this.#options.disk.open(path, 'read')
    try {
      return { file, sizeBytes: await file.sizeBytes() }
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** One that is being read stays open for its readers, so for a while there are more. */
  #makeRoom(): void {
    const [path, entry] = this.#entries.entries().next().value!
    this.#drop(path, entry)
    if (entry.readers === 0) close(entry).catch(() => {})
  }

  #drop(path: string, entry: Entry): void {
    entry.isKept = false
    if (this.#entries.get(path) === entry) this.#entries.delete(path)
  }
}

async function close(entry: Entry): Promise<void> {
  assert(entry.readers === 0, 'a file is closed when nobody reads it')
  const opened = await entry.opened.catch(() => null)
  await opened?.file.close()
}
