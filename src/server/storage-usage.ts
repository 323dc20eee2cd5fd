import { systemCodeOf } from '#base/errors.ts'
import type { Disk } from '#base/ports.ts'

// How much the files of some directories hold. Most of them never change: they are asked once. The newest of the files that
// are written, and the one behind it that is being made, are asked every time.

const WRITTEN = /\.wal$/
const LASTING = /\.(wal|idx|ckpt)$/
const CHANGING_FILES = 2

export class StorageUsage {
  /** As it was when it was measured last. */
  sizeBytes = 0
  readonly #disk: Disk
  readonly #directories: readonly string[]
  #known = new Map<string, number>()

  constructor(disk: Disk, directories: readonly string[]) {
    this.#disk = disk
    this.#directories = directories
  }

  async measure(): Promise<void> {
    const known = new Map<string, number>()
    let sumBytes = 0
    for (const directory of this.#directories) {
      const names = await this.#disk.list(directory)
      const changing = names.filter(name => WRITTEN.test(name)).slice(-CHANGING_FILES)
      for (const name of names) {
        const path = `${directory}/${name}`
        const sizeBytes = this.#known.get(path) ?? (await this.#sizeOf(path))
        if (LASTING.test(name) && !changing.includes(name)) known.set(path, sizeBytes)
        sumBytes += sizeBytes
      }
    }
    this.#known = known
    this.sizeBytes = sumBytes
  }

  async #sizeOf(path: string): Promise<number> {
    try {
      const file = await this.#disk.open(path, 'read')
      try {
        return await file.sizeBytes()
      } finally {
        await file.close()
      }
    } catch (thrown) {
      if (systemCodeOf(thrown) === 'ENOENT') return 0 // it was given up or renamed meanwhile
      throw thrown
    }
  }
}
