// Objects as files of a directory: the key is the path. A file is written aside, synced, and gets its name when it is whole; an
// object is answered for when the directory has its name, and the directories above have theirs, for good.
//
//   ROOT/.new/<number>    what is being written: whatever is found there at the start is of a process that is gone
//   ROOT/<key>            an object
//
// That `.new` is there also tells the store from a directory where it is not mounted. Directories that have become empty are
// removed. Making and removing them goes one at a time, writes into them do not: who finds its directory gone makes it again.

import { dirname, isAbsolute } from 'node:path'
import { assert } from '#base/assert.ts'
import { messageOf, systemCodeOf } from '#base/errors.ts'
import type { Disk, Random } from '#base/ports.ts'
import { assertKey, compareKeys, isKey } from './keys.ts'
import type { ObjectFacts, ObjectReader, ObjectStore } from './object-store.ts'
import { type OpenFile, OpenFiles } from './open-files.ts'
import { objectMissing, StoreError, type StoreErrorCode } from './store-errors.ts'
import { bytesOf } from './transfer.ts'

export interface LocalStoreOptions {
  readonly disk: Disk
  readonly random: Random
  readonly directory: string
}

const ASIDE = '.new'
const KEPT_OPEN_FILES = 64
/** What is overwritten by custom is smaller, so that another process that does so is noticed. */
const KEPT_OPEN_FROM_BYTES = 64 * 1024
const LARGE_BYTES = 1 << 20
const KNOWN_DIRECTORIES = 4096
const FACTS_AT_ONCE = 32
/** A directory that a write wants may be removed so often in between. */
const ATTEMPTS = 20

export async function openLocalStore(options: LocalStoreOptions): Promise<ObjectStore> {
  const store = new LocalStore(options)
  await store.open()
  return store
}

/** Changes nothing; a copy of a store may lack what is not an object. */
export async function openLocalStoreToRead(options: LocalStoreOptions): Promise<ObjectReader> {
  const store = new LocalStore(options)
  await store.openToRead()
  return store
}

class LocalStore implements ObjectStore {
  readonly place: string
  readonly #disk: Disk
  readonly #root: string
  readonly #name: string
  readonly #files: OpenFiles
  /** By which the store is known to be there. */
  #sign: string
  /** Directories that will be there after a power loss. */
  readonly #known = new Set<string>()
  #changes: Promise<unknown> = Promise.resolve()
  #lastLarge: Promise<void> = Promise.resolve()
  #written = 0

  constructor({ disk, random, directory }: LocalStoreOptions) {
    this.#disk = disk
    this.#root = directory.replace(/(?<=.)\/+$/, '')
    this.place = isAbsolute(this.#root) ? `file://${this.#root}` : this.#root
    this.#name = random.bytes(4).toString('hex')
    this.#sign = `${this.#root}/${ASIDE}`
    this.#files = new OpenFiles({ disk, maxKept: KEPT_OPEN_FILES, keptFromBytes: KEPT_OPEN_FROM_BYTES })
  }

  async open(): Promise<void> {
    await this.#named(async () => {
      await this.#disk.makeDirectory(`${this.#root}/${ASIDE}`)
      await this.#disk.syncDirectory(this.#root)
      // Who made it may have died before this was done.
      await this.#disk.syncDirectory(dirname(this.#root)).catch(unlessDenied)
      for (const name of await this.#disk.list(`${this.#root}/${ASIDE}`)) {
        await this.#disk.remove(`${this.#root}/${ASIDE}/${name}`)
      }
    })
  }

  async openToRead(): Promise<void> {
    const isMarked = (await this.#named(() => this.#disk.facts(this.#sign))) !== null
    if (!isMarked) this.#sign = this.#root
    await this.#mustBeThere()
  }

  async put(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
    const path = this.#pathOf(key)
    await this.#write(pieces, signal, async aside => {
      await this.#inDirectory(parentOf(path), () => this.#disk.rename(aside, path))
      await this.#files.forget(path)
    })
  }

  async putIfAbsent(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<boolean> {
    const path = this.#pathOf(key)
    signal.throwIfAborted()
    if ((await this.#named(() => this.#disk.facts(path))) !== null) return false
    return this.#write(pieces, signal, async aside => {
      try {
        await this.#inDirectory(parentOf(path), () => this.#giveName(aside, path))
        return true
      } catch (error) {
        if (systemCodeOf(error) === 'EEXIST') return false
        throw error
      }
    })
  }

  async getRange(key: string, from: number, length: number, signal: AbortSignal): Promise<Buffer> {
    assert(length > 0 && from >= 0, 'a range has a byte at least')
    return this.#read(key, signal, async ({ file, sizeBytes }) => {
      const into = Buffer.allocUnsafeSlow(Math.max(0, Math.min(length, sizeBytes - from)))
      return (await file.read(into, 0, into.length, from)) === into.length ? into : null
    })
  }

  async readInto(key: string, from: number, into: Buffer, signal: AbortSignal): Promise<number> {
    return this.#read(key, signal, async ({ file, sizeBytes }) => {
      const length = Math.max(0, Math.min(into.length, sizeBytes - from))
      return (await file.read(into, 0, length, from)) === length ? length : null
    })
  }

  /** `read` is null if the file has not the size that it had when it was opened. */
  async #read<T>(key: string, signal: AbortSignal, read: (opened: OpenFile) => Promise<T | null>): Promise<T> {
    const path = this.#pathOf(key)
    signal.throwIfAborted()
    const found = await this.#orMissing(key, () =>
      this.#files.reading(path, async opened => {
        const found = await read(opened)
        if (found !== null) return found
        throw new StoreError('STORE_UNAVAILABLE', `${path} has become shorter while it was read: try again`)
      }),
    )
    signal.throwIfAborted()
    return found
  }

  async head(key: string, signal: AbortSignal): Promise<ObjectFacts | null> {
    const path = this.#pathOf(key)
    signal.throwIfAborted()
    const facts = await this.#named(() => this.#disk.facts(path))
    if (facts === null) await this.#mustBeThere()
    signal.throwIfAborted()
    if (facts === null || facts.isDirectory) return null
    return { key, sizeBytes: facts.sizeBytes, modifiedMs: facts.modifiedMs }
  }

  async *list(prefix: string, after: string, signal: AbortSignal): AsyncIterable<ObjectFacts> {
    signal.throwIfAborted()
    await this.#mustBeThere()
    yield* this.#listWithin(prefix.slice(0, prefix.lastIndexOf('/') + 1), { prefix, after, signal })
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    const path = this.#pathOf(key)
    signal.throwIfAborted()
    await this.#named(async () => {
      const facts = await this.#disk.facts(path)
      if (facts === null) await this.#mustBeThere()
      if (facts === null || facts.isDirectory) return
      await this.#disk.remove(path)
      await this.#files.forget(path)
      await this.#disk.syncDirectory(parentOf(path)).catch(unlessMissing)
      for (let above = parentOf(path); above !== this.#root; above = parentOf(above)) {
        if (!(await this.#removeIfEmpty(above))) break
      }
    })
  }

  async close(): Promise<void> {
    await this.#files.forgetAll()
  }

  // ---- writing

  /** Writes the pieces aside and lets them be named. Nothing stays aside. */
  async #write<T>(
    pieces: readonly Uint8Array[],
    signal: AbortSignal,
    finish: (aside: string) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted()
    const aside = `${this.#root}/${ASIDE}/${this.#name}-${++this.#written}`
    return this.#named(async () => {
      try {
        await this.#inTurn(pieces, async () => {
          signal.throwIfAborted()
          await this.#disk.createFrom(aside, pieces)
        }).catch(async (error: unknown) => {
          await this.#mustBeThere()
          throw error
        })
        signal.throwIfAborted()
        return await finish(aside)
      } finally {
        // What of it remains when this fails as well goes at the next start.
        await this.#disk.remove(aside).catch(() => {})
      }
    })
  }

  /** Large ones one after the other: a disk that makes writers wait keeps one thread of the pool busy and not all. */
  #inTurn(pieces: readonly Uint8Array[], write: () => Promise<void>): Promise<void> {
    if (bytesOf(pieces) < LARGE_BYTES) return write()
    const written = this.#lastLarge.then(write)
    this.#lastLarge = written.catch(() => {})
    return written
  }

  async #giveName(aside: string, path: string): Promise<void> {
    try {
      await this.#disk.link(aside, path)
    } catch (error) {
      if (!WITHOUT_LINKS.has(systemCodeOf(error))) throw error
      // A file system without them: of several at once more than one may be told true, which the probe finds out.
      if ((await this.#disk.facts(path)) !== null) throw Object.assign(new Error('EEXIST'), { code: 'EEXIST' })
      await this.#disk.rename(aside, path)
    }
  }

  /** Gives a file its name in a directory, for good. */
  async #inDirectory(directory: string, giveName: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      if (!this.#known.has(directory)) await this.#makeDirectory(directory)
      try {
        await giveName()
        await this.#disk.syncDirectory(directory)
        break
      } catch (error) {
        // Removed since; or it is the file that is gone, and no other attempt will have it.
        if (systemCodeOf(error) !== 'ENOENT' || attempt === ATTEMPTS) throw error
        this.#known.delete(directory)
      }
    }
    // It may have been removed and made again since, by somebody who has not synced it yet.
    if (!this.#known.has(directory)) await this.#makeDirectory(directory)
  }

  #makeDirectory(directory: string): Promise<void> {
    return this.#alone(async () => {
      await this.#disk.makeDirectory(directory)
      for (let made = directory; made !== this.#root && !this.#known.has(made); made = parentOf(made)) {
        await this.#disk.syncDirectory(parentOf(made))
      }
      for (let made = directory; made !== this.#root; made = parentOf(made)) this.#know(made)
    })
  }

  #removeIfEmpty(directory: string): Promise<boolean> {
    return this.#alone(async () => {
      const wasKnown = this.#known.delete(directory)
      if (await this.#disk.removeDirectory(directory)) return true
      if (wasKnown) this.#know(directory)
      return false
    })
  }

  /** One after the other. */
  #alone<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#changes.then(change)
    this.#changes = done.catch(() => {})
    return done
  }

  #know(directory: string): void {
    this.#known.add(directory)
    if (this.#known.size > KNOWN_DIRECTORIES) this.#known.delete(this.#known.values().next().value!)
  }

  // ---- listing

  /** `within` is '' or ends with a slash. */
  async *#listWithin(within: string, wanted: Wanted): AsyncIterable<ObjectFacts> {
    for (const { key, isDirectory, sizeBytes, modifiedMs } of await this.#entriesOf(within, wanted)) {
      wanted.signal.throwIfAborted()
      if (isDirectory) yield* this.#listWithin(key, wanted)
      else if (isWanted(key, wanted)) yield { key, sizeBytes, modifiedMs }
    }
    wanted.signal.throwIfAborted()
  }

  /** In the order of the keys, where that of a directory ends with a slash. */
  async #entriesOf(within: string, { prefix, after }: Wanted): Promise<Entry[]> {
    const directory = `${this.#root}/${within}`.slice(0, -1)
    const names = await this.#named(() => this.#disk.list(directory))
    const keys = names.map(name => within + name).filter(key => mayLeadTo(key, prefix, after) && key !== ASIDE)
    const entries: Entry[] = []
    for (let from = 0; from < keys.length; from += FACTS_AT_ONCE) {
      const slice = keys.slice(from, from + FACTS_AT_ONCE)
      entries.push(...(await Promise.all(slice.map(key => this.#entryOf(key)))).filter(entry => entry !== null))
    }
    return entries.sort((one, other) => compareKeys(one.key, other.key))
  }

  async #entryOf(key: string): Promise<Entry | null> {
    const facts = await this.#named(() => this.#disk.facts(`${this.#root}/${key}`))
    return facts === null ? null : { ...facts, key: facts.isDirectory ? `${key}/` : key }
  }

  // ---- errors

  #pathOf(key: string): string {
    assertKey(key)
    assert(key !== ASIDE && !key.startsWith(`${ASIDE}/`), `${ASIDE} is not for objects`)
    return `${this.#root}/${key}`
  }

  async #orMissing<T>(key: string, act: () => Promise<T>): Promise<T> {
    try {
      return await this.#named(act)
    } catch (error) {
      const { cause } = error as { cause?: unknown }
      if (!MISSING.has(systemCodeOf(cause))) throw error
      await this.#mustBeThere()
      throw objectMissing(this.place, key, cause)
    }
  }

  async #mustBeThere(): Promise<void> {
    if ((await this.#named(() => this.#disk.facts(this.#sign))) !== null) return
    throw new StoreError('BUCKET_MISSING', `the directory ${this.#root} is gone: is its file system mounted?`)
  }

  /** Errors of the disk as those of a store. */
  async #named<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act()
    } catch (error) {
      const code = systemCodeOf(error)
      if (!/^E[A-Z0-9]+$/.test(code)) throw error
      const [known, advice] = ADVICE[code] ?? ['STORE_UNAVAILABLE', 'see to the disk']
      throw new StoreError(known, `the store in ${this.#root} failed (${messageOf(error)}): ${advice}`, error)
    }
  }
}

interface Wanted {
  readonly prefix: string
  readonly after: string
  readonly signal: AbortSignal
}

interface Entry extends ObjectFacts {
  readonly isDirectory: boolean
}

/** What is no key of ours is not ours. */
function isWanted(key: string, { prefix, after }: Wanted): boolean {
  return key > after && key.startsWith(prefix) && isKey(key)
}

/** Whether it, or what is in it if it is a directory, can be among what is wanted. */
function mayLeadTo(key: string, prefix: string, after: string): boolean {
  const within = `${key}/`
  return (key.startsWith(prefix) || prefix.startsWith(within)) && (within > after || after.startsWith(within))
}

/** What the disk says where there is no such file, or a directory. */
const MISSING: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EISDIR'])
/** And where it has no links. */
const WITHOUT_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EINVAL'])

const ADVICE: Readonly<Record<string, readonly [StoreErrorCode, string]>> = {
  ENOSPC: ['STORE_FULL', 'make room on its disk'],
  EDQUOT: ['STORE_FULL', 'make room, or raise the quota'],
  EACCES: ['STORE_DENIED', 'let this user read and write it'],
  EPERM: ['STORE_DENIED', 'let this user read and write it'],
  EROFS: ['STORE_DENIED', 'mount its file system for writing'],
  ENOTDIR: ['STORE_REFUSED', 'what should be a directory is a file'],
  EISDIR: ['STORE_REFUSED', 'what should be a file is a directory'],
  EXDEV: ['STORE_REFUSED', 'all of it must be on one file system'],
  EMFILE: ['STORE_UNAVAILABLE', 'let this process open more files'],
  ENAMETOOLONG: ['STORE_REFUSED', 'choose a directory with a shorter path'],
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

/** Whose directory that is somebody else must see to it. */
function unlessDenied(error: unknown): void {
  if (systemCodeOf(error) !== 'EACCES') throw error
}

function unlessMissing(error: unknown): void {
  if (systemCodeOf(error) !== 'ENOENT') throw error
}
