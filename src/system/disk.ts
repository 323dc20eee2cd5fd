// The real disk. Errors are the system's own: they keep their code (ENOSPC, EIO, ...) and name the file.
//
// A descriptor number is used again by the system as soon as it is closed, so a late write to a closed file would land in
// another one. Hence: a call on a closed file is a bug, and `close` waits for the calls that are under way.

import * as fs from 'node:fs'
import { dirname, resolve } from 'node:path'
import { assert } from '#base/assert.ts'
import type { Disk, DiskFile } from '#base/ports.ts'
import { isInPageMemory, PIECE_BYTES, PiecePool } from '#bytes/piece-pool.ts'

// One system call moves less than 2 GiB whatever it is asked for.
const LARGEST_CALL_BYTES = 2 ** 30

const flagsOf = { create: 'wx+', write: 'r+', read: 'r' } as const

export const systemDisk: Disk = {
  open: async (path, mode) => new SystemFile(path, await call<number>(done => fs.open(path, flagsOf[mode], done))),
  createFilled,
  createFrom,
  list: async directory => {
    try {
      return (await fs.promises.readdir(directory)).sort()
    } catch (error) {
      if (isNowhere(error)) return []
      throw error
    }
  },
  facts: async path => {
    try {
      const stats = await fs.promises.stat(path)
      return { isDirectory: stats.isDirectory(), sizeBytes: stats.size, modifiedMs: Math.floor(stats.mtimeMs) }
    } catch (error) {
      if (isNowhere(error)) return null
      throw error
    }
  },
  makeDirectory: async path => {
    const wanted = resolve(path)
    const first = await fs.promises.mkdir(wanted, { recursive: true })
    if (first === undefined) return
    // Above a data directory nobody else syncs.
    for (let made = wanted; made.length >= first.length; made = dirname(made)) await syncDirectory(dirname(made))
  },
  removeDirectory: async path => {
    try {
      await fs.promises.rmdir(path)
      return true
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOENT') return true
      // Which of the two it is depends on the system.
      if (code === 'ENOTEMPTY' || code === 'EEXIST') return false
      throw error
    }
  },
  rename: (from, to) => fs.promises.rename(from, to),
  link: (path, name) => fs.promises.link(path, name),
  remove: path => fs.promises.rm(path, { force: true }),
  syncDirectory,
  space: async path => {
    const { bsize, blocks, bavail } = await fs.promises.statfs(path)
    return { totalBytes: blocks * bsize, freeBytes: bavail * bsize }
  },
}

/** What is asked for is not there, or below a file. */
function isNowhere(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOENT' || code === 'ENOTDIR'
}

async function syncDirectory(path: string): Promise<void> {
  // Windows has no descriptors of directories, and its file systems journal their entries.
  if (process.platform === 'win32') return
  const directory = await fs.promises.open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

// Past the page cache where that is possible: what is dirty there, a sync of another file would wait for
// (docs/decisions/filling-files.md). Otherwise synced piece by piece.
const STEP_BYTES = PIECE_BYTES
/** Direct writes are of whole blocks, from memory that begins at one. */
const BLOCK_BYTES = 4096
/** Smaller files are written through the page cache: that is one call. */
const DIRECT_FROM_BYTES = 2 ** 20
/** Steps of several files at once. */
const steps = new PiecePool(4 * STEP_BYTES)

async function createFilled(path: string, sizeBytes: number): Promise<void> {
  await (await systemDisk.open(path, 'create')).close()
  try {
    if (!(await fillDirectly(path, sizeBytes))) await fillInSteps(path, sizeBytes)
  } catch (error) {
    await systemDisk.remove(path)
    throw error
  }
}

function fillDirectly(path: string, sizeBytes: number): Promise<boolean> {
  const step = steps.take().fill(0)
  const all = function* () {
    for (let at = 0; at < sizeBytes; at += STEP_BYTES) yield step
  }
  return writeDirectly(path, all(), sizeBytes).finally(() => steps.give(step))
}

async function createFrom(path: string, pieces: readonly Uint8Array[]): Promise<void> {
  const sizeBytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
  const file = await systemDisk.open(path, 'create')
  try {
    if (sizeBytes >= DIRECT_FROM_BYTES) {
      if (await copyDirectly(path, pieces, sizeBytes)) return
      await file.truncate(0)
    }
    await file.writePieces(pieces, 0)
    await file.sync()
  } catch (error) {
    await systemDisk.remove(path)
    throw error
  } finally {
    await file.close()
  }
}

function copyDirectly(path: string, pieces: readonly Uint8Array[], sizeBytes: number): Promise<boolean> {
  const step = steps.take()
  return writeDirectly(path, wholeBlocks(pieces, step), sizeBytes).finally(() => steps.give(step))
}

/**
 * The pieces as what can be written directly, one behind the other: as they are, or as far as that does not do in `step`, which is
 * used again. The last block has anything at its end.
 */
function* wholeBlocks(pieces: readonly Uint8Array[], step: Buffer): Generator<Uint8Array> {
  let usedBytes = 0
  for (const piece of pieces) {
    let at = 0
    if (usedBytes === 0 && isInPageMemory(piece) && piece.byteOffset % BLOCK_BYTES === 0) {
      at = piece.length - (piece.length % BLOCK_BYTES)
      if (at > 0) yield piece.subarray(0, at)
    }
    while (at < piece.length) {
      const end = Math.min(piece.length, at + step.length - usedBytes)
      step.set(piece.subarray(at, end), usedBytes)
      usedBytes += end - at
      at = end
      if (usedBytes < step.length) continue
      yield step
      usedBytes = 0
    }
  }
  if (usedBytes > 0) yield step.subarray(0, Math.ceil(usedBytes / BLOCK_BYTES) * BLOCK_BYTES)
}

/** Writes blocks, cuts the file to its size and syncs it; false where the system or the file system has no such way. */
async function writeDirectly(path: string, blocks: Iterable<Uint8Array>, sizeBytes: number): Promise<boolean> {
  const { O_RDWR, O_DIRECT } = fs.constants
  if (O_DIRECT === undefined) return false
  let file: SystemFile
  try {
    file = new SystemFile(path, await call<number>(done => fs.open(path, O_RDWR | O_DIRECT, done)))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EINVAL') return false
    throw error
  }
  try {
    let at = 0
    for (const block of blocks) {
      await file.write(block, 0, block.length, at)
      at += block.length
    }
    await file.truncate(sizeBytes)
    await file.sync()
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EINVAL') return false
    throw error
  } finally {
    await file.close()
  }
}

async function fillInSteps(path: string, sizeBytes: number): Promise<void> {
  const file = await systemDisk.open(path, 'write')
  try {
    const zeros = new Uint8Array(STEP_BYTES)
    for (let at = 0; at < sizeBytes; at += STEP_BYTES) {
      await file.write(zeros, 0, Math.min(STEP_BYTES, sizeBytes - at), at)
      await file.sync()
    }
  } finally {
    await file.close()
  }
}

type Done<T> = (error: NodeJS.ErrnoException | null, result?: T) => void

function call<T>(start: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, result) => (error === null || error === undefined ? resolve(result as T) : reject(error)))
  })
}

// A write that succeeds without taking a byte would be repeated for ever.
function progress(count: number): number {
  if (count > 0) return count
  throw Object.assign(new Error('EIO: the system took no byte, write'), { code: 'EIO' })
}

/** What is left of pieces that are not all empty must become less. */
function progressed(pieces: readonly Uint8Array[], writtenBytes: number): readonly Uint8Array[] {
  const left = behind(pieces, writtenBytes)
  if (left.length === pieces.length) progress(writtenBytes)
  return left
}

/** What is left of pieces when their first bytes are written. */
function behind(pieces: readonly Uint8Array[], writtenBytes: number): readonly Uint8Array[] {
  let [first, skip] = [0, writtenBytes]
  while (first < pieces.length && skip >= pieces[first]!.length) skip -= pieces[first++]!.length
  if (first === pieces.length) return []
  return [pieces[first]!.subarray(skip), ...pieces.slice(first + 1)]
}

const CLOSED = -1

class SystemFile implements DiskFile {
  readonly path: string
  #descriptor: number
  #callsUnderWay = 0
  #whenIdle: (() => void) | null = null

  constructor(path: string, descriptor: number) {
    this.path = path
    this.#descriptor = descriptor
  }

  async sizeBytes(): Promise<number> {
    return (await this.#run(fd => call<fs.Stats>(done => fs.fstat(fd, done)))).size
  }

  read(into: Uint8Array, from: number, length: number, position: number): Promise<number> {
    return this.#run(async fd => {
      let filled = 0
      while (filled < length) {
        const wanted = Math.min(length - filled, LARGEST_CALL_BYTES)
        const count = await call<number>(done => fs.read(fd, into, from + filled, wanted, position + filled, done))
        if (count === 0) break
        filled += count
      }
      return filled
    })
  }

  write(bytes: Uint8Array, from: number, length: number, position: number): Promise<void> {
    return this.#run(async fd => {
      let written = 0
      while (written < length) {
        const wanted = Math.min(length - written, LARGEST_CALL_BYTES)
        written += progress(
          await call<number>(done => fs.write(fd, bytes, from + written, wanted, position + written, done)),
        )
      }
    })
  }

  writePieces(pieces: readonly Uint8Array[], position: number): Promise<void> {
    return this.#run(async fd => {
      let [left, at] = [pieces, position]
      while (left.length > 0) {
        const count = await call<number>(done => fs.writev(fd, left, at, done))
        at += count
        left = progressed(left, count)
      }
    })
  }

  writePiecesSync(pieces: readonly Uint8Array[], position: number): void {
    this.#runSync(fd => {
      let [left, at] = [pieces, position]
      while (left.length > 0) {
        const count = fs.writevSync(fd, left, at)
        at += count
        left = progressed(left, count)
      }
    })
  }

  sync(): Promise<void> {
    return this.#run(fd => call<void>(done => fs.fdatasync(fd, done)))
  }

  syncSync(): void {
    this.#runSync(fd => fs.fdatasyncSync(fd))
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#run(fd => call<void>(done => fs.ftruncate(fd, sizeBytes, done)))
  }

  async close(): Promise<void> {
    const descriptor = this.#open()
    this.#descriptor = CLOSED
    if (this.#callsUnderWay > 0) {
      await new Promise<void>(resolve => {
        this.#whenIdle = resolve
      })
    }
    await call<void>(done => fs.close(descriptor, done))
  }

  async #run<T>(act: (fd: number) => Promise<T>): Promise<T> {
    const descriptor = this.#open()
    this.#callsUnderWay++
    try {
      return await act(descriptor)
    } catch (error) {
      throw this.#named(error)
    } finally {
      this.#callsUnderWay--
      if (this.#callsUnderWay === 0) this.#whenIdle?.()
    }
  }

  #runSync<T>(act: (fd: number) => T): T {
    const descriptor = this.#open()
    try {
      return act(descriptor)
    } catch (error) {
      throw this.#named(error)
    }
  }

  #open(): number {
    assert(this.#descriptor !== CLOSED, 'a file is used only while it is open')
    return this.#descriptor
  }

  // The errors of calls on a descriptor do not say which file it was.
  #named(error: unknown): unknown {
    if (error instanceof Error && 'code' in error) {
      error.message = `${error.message} '${this.path}'`
      Object.assign(error, { path: this.path })
    }
    return error
  }
}
