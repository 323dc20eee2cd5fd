import { assert } from '#base/assert.ts'
import type { Disk, DiskFile, FileFacts } from '#base/ports.ts'
import { Directories } from './directories.ts'
import { Inode } from './inode.ts'
import { Prng } from './prng.ts'
import type { SimClock } from './sim-clock.ts'

// A disk in memory that keeps only what Disk promises. What was written and not synced may be there after a power loss, or
// not, or in part, whatever was written later; the same goes for names in directories. What a killed process wrote is there,
// what it was writing in part. Every call goes through `onCall`, which may make it fail or may end the process in it.

export type CallKind =
  | 'open'
  | 'create'
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'close'
  | 'list'
  | 'facts'
  | 'make-directory'
  | 'remove-directory'
  | 'rename'
  | 'link'
  | 'remove'
  | 'sync-directory'

export interface DiskCall {
  readonly kind: CallKind
  readonly path: string
  readonly sizeBytes: number
}

/** 'die': the process ends in this call; nothing of it goes on. Else the code of the system's error. */
export type Fault = 'die' | 'EIO' | 'ENOSPC'

export interface SimDiskOptions {
  prng?: Prng
  /** Without one, calls take no time. */
  clock?: SimClock
  /** How long a call takes. */
  latencyMs?: (call: DiskCall, prng: Prng) => number
  capacityBytes?: number
}

/** Thrown out of a call that blocks, when the process dies in it. */
export class ProcessDied extends Error {}

export class SimDisk implements Disk {
  capacityBytes: number
  onCall: (call: DiskCall) => Fault | null = () => null
  readonly #prng: Prng
  readonly #clock: SimClock | null
  readonly #latencyMs: (call: DiskCall, prng: Prng) => number
  readonly #directories: Directories
  readonly #open = new Set<SimFile>()
  #isDead = false

  constructor(options: SimDiskOptions = {}, directories = new Directories()) {
    this.#prng = options.prng ?? new Prng(0)
    this.#clock = options.clock ?? null
    this.#latencyMs = options.latencyMs ?? (() => 0.1)
    this.capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY
    this.#directories = directories
  }

  // ---- what tests do

  get isDead(): boolean {
    return this.#isDead
  }

  /** Paths of the files that somebody has open. */
  get openPaths(): string[] {
    return [...this.#open].map(file => file.path)
  }

  get paths(): string[] {
    return this.#directories.filePaths()
  }

  /** The disk as it is found after the power was cut now. */
  crash(): SimDisk {
    this.#isDead = true
    return this.#successor(this.#directories.afterPowerLoss(this.#prng))
  }

  /** The disk as it is found after the process was killed now. */
  kill(): SimDisk {
    this.#isDead = true
    return this.#successor(this.#directories.afterKill(this.#prng))
  }

  /** The same again, for somebody else: what is written is durable. */
  copy(): SimDisk {
    return this.#successor(this.#directories.copy())
  }

  /** A copy to try something with: calls take no time. */
  copyAtRest(): SimDisk {
    return new SimDisk({ prng: this.#prng.fork() }, this.#directories.copy())
  }

  peek(path: string): Buffer {
    return this.#inodeOf(path).bytes()
  }

  /** Puts a file there, durably, whatever was there. */
  poke(path: string, bytes: Uint8Array): void {
    this.#directories.place(path, Inode.of(bytes))
  }

  #successor(directories: Directories): SimDisk {
    const clock = this.#clock
    const options = { prng: this.#prng.fork(), latencyMs: this.#latencyMs, capacityBytes: this.capacityBytes }
    return new SimDisk(clock === null ? options : { ...options, clock }, directories)
  }

  // ---- Disk

  async open(path: string, mode: 'create' | 'write' | 'read'): Promise<DiskFile> {
    await this.pass({ kind: mode === 'create' ? 'create' : 'open', path, sizeBytes: 0 })
    if (mode === 'create') {
      if (this.#directories.find(path) !== undefined) throw systemError('EEXIST', path)
      if (!this.#directories.hasParent(path)) throw systemError('ENOENT', path)
      this.#directories.create(path, new Inode())
      this.touch(this.#inodeOf(path))
    }
    const file = new SimFile(this, path, this.#inodeOf(path), mode !== 'read')
    this.#open.add(file)
    return file
  }

  async createFilled(path: string, sizeBytes: number): Promise<void> {
    const file = await this.open(path, 'create')
    const stepBytes = Math.max(FILL_STEP_BYTES, Math.ceil(sizeBytes / FILL_STEPS))
    try {
      const zeros = new Uint8Array(stepBytes)
      for (let at = 0; at < sizeBytes; at += stepBytes) {
        await file.write(zeros, 0, Math.min(stepBytes, sizeBytes - at), at)
        await file.sync()
      }
      await file.close()
    } catch (error) {
      await file.close()
      await this.remove(path)
      throw error
    }
  }

  async createFrom(path: string, pieces: readonly Uint8Array[]): Promise<void> {
    const file = await this.open(path, 'create')
    try {
      await file.writePieces(pieces, 0)
      await file.sync()
    } finally {
      await file.close()
    }
  }

  async list(directory: string): Promise<string[]> {
    await this.pass({ kind: 'list', path: directory, sizeBytes: 0 })
    return this.#directories.list(directory)
  }

  async makeDirectory(path: string): Promise<void> {
    await this.pass({ kind: 'make-directory', path, sizeBytes: 0 })
    this.#directories.make(path)
  }

  async facts(path: string): Promise<FileFacts | null> {
    await this.pass({ kind: 'facts', path, sizeBytes: 0 })
    if (this.#directories.isDirectory(path)) return { isDirectory: true, sizeBytes: 0, modifiedMs: 0 }
    const inode = this.#directories.find(path)
    return inode === undefined ? null : { isDirectory: false, sizeBytes: inode.sizeBytes, modifiedMs: inode.modifiedMs }
  }

  async removeDirectory(path: string): Promise<boolean> {
    await this.pass({ kind: 'remove-directory', path, sizeBytes: 0 })
    if (this.#directories.list(path).length > 0) return false
    if (this.#directories.isDirectory(path)) this.#directories.remove(path)
    return true
  }

  async rename(from: string, to: string): Promise<void> {
    await this.pass({ kind: 'rename', path: from, sizeBytes: 0 })
    if (this.#directories.find(from) === undefined) throw systemError('ENOENT', from)
    if (!this.#directories.hasParent(to)) throw systemError('ENOENT', to)
    this.#directories.rename(from, to)
  }

  async link(path: string, name: string): Promise<void> {
    await this.pass({ kind: 'link', path, sizeBytes: 0 })
    if (this.#directories.find(path) === undefined) throw systemError('ENOENT', path)
    if (!this.#directories.hasParent(name)) throw systemError('ENOENT', name)
    if (this.#directories.find(name) !== undefined) throw systemError('EEXIST', name)
    this.#directories.link(path, name)
  }

  async remove(path: string): Promise<void> {
    await this.pass({ kind: 'remove', path, sizeBytes: 0 })
    if (this.#directories.find(path) !== undefined) this.#directories.remove(path)
  }

  async syncDirectory(path: string): Promise<void> {
    const until = this.#directories.now
    await this.pass({ kind: 'sync-directory', path, sizeBytes: 0 })
    this.#directories.sync(path, until)
  }

  async space(): Promise<{ totalBytes: number; freeBytes: number }> {
    const totalBytes = Number.isFinite(this.capacityBytes) ? this.capacityBytes : 2 ** 40
    return { totalBytes, freeBytes: Math.max(0, totalBytes - this.#usedBytes()) }
  }

  // ---- what its files need

  /** A call takes its time, or fails. Never comes back to a process that is dead. */
  async pass(call: DiskCall): Promise<void> {
    const fault = this.#isDead ? 'die' : this.onCall(call)
    if (fault === 'die') {
      this.#isDead = true
      return never()
    }
    const clock = this.#clock
    if (clock !== null) await new Promise<void>(resolve => clock.after(this.#latencyMs(call, this.#prng), resolve))
    if (this.#isDead) return never()
    if (fault !== null) throw systemError(fault, call.path)
  }

  passSync(call: DiskCall): void {
    const fault = this.#isDead ? 'die' : this.onCall(call)
    if (fault === 'die') {
      this.#isDead = true
      throw new ProcessDied()
    }
    this.#clock?.elapse(this.#latencyMs(call, this.#prng))
    if (fault !== null) throw systemError(fault, call.path)
  }

  /** How much of something was done when it failed. */
  partOf(sizeBytes: number): number {
    return this.#prng.between(0, sizeBytes)
  }

  /** How many bytes of a write there is room for. */
  roomFor(inode: Inode, endBytes: number): number {
    const moreBytes = endBytes - inode.sizeBytes
    if (moreBytes <= 0 || this.#usedBytes() + moreBytes <= this.capacityBytes) return endBytes
    return inode.sizeBytes + Math.max(0, this.capacityBytes - this.#usedBytes())
  }

  touch(inode: Inode): void {
    inode.modifiedMs = this.#clock?.nowMs() ?? 0
  }

  closed(file: SimFile): void {
    this.#open.delete(file)
  }

  #inodeOf(path: string): Inode {
    const inode = this.#directories.find(path)
    if (inode === undefined) throw systemError('ENOENT', path)
    return inode
  }

  #usedBytes(): number {
    const inodes = new Set<Inode>(this.#directories.inodes())
    for (const file of this.#open) inodes.add(file.inode)
    let sizeBytes = 0
    for (const inode of inodes) sizeBytes += inode.sizeBytes
    return sizeBytes
  }
}

const FILL_STEP_BYTES = 65536
const FILL_STEPS = 4

class SimFile implements DiskFile {
  readonly path: string
  readonly inode: Inode
  readonly #disk: SimDisk
  readonly #mayWrite: boolean
  #isClosed = false
  #underWay: Promise<unknown> = Promise.resolve()

  constructor(disk: SimDisk, path: string, inode: Inode, mayWrite: boolean) {
    this.#disk = disk
    this.path = path
    this.inode = inode
    this.#mayWrite = mayWrite
  }

  sizeBytes(): Promise<number> {
    return this.#run('open', 0, () => this.inode.sizeBytes)
  }

  read(into: Uint8Array, from: number, length: number, position: number): Promise<number> {
    return this.#run('read', length, () => this.inode.read(into, from, length, position))
  }

  write(bytes: Uint8Array, from: number, length: number, position: number): Promise<void> {
    return this.#write(() => Buffer.from(bytes.subarray(from, from + length)), position)
  }

  async #write(bytes: () => Buffer, position: number): Promise<void> {
    this.#mustBeWritable()
    const given = bytes()
    const write = this.inode.begin(given, position)
    try {
      await this.#run('write', given.length, () => {})
    } catch (error) {
      this.inode.write(given.subarray(0, this.#disk.partOf(given.length)), position)
      throw error
    } finally {
      this.inode.end(write)
    }
    assert(given.equals(bytes()), 'bytes stay as they are while they are written')
    this.#put(given, position)
  }

  writePieces(pieces: readonly Uint8Array[], position: number): Promise<void> {
    return this.#write(() => Buffer.concat(pieces), position)
  }

  writePiecesSync(pieces: readonly Uint8Array[], position: number): void {
    this.#mustBeWritable()
    const given = Buffer.concat(pieces)
    const write = this.inode.begin(given, position)
    try {
      this.#runSync('write', given.length)
    } catch (error) {
      if (error instanceof ProcessDied) throw error
      this.inode.end(write)
      this.inode.write(given.subarray(0, this.#disk.partOf(given.length)), position)
      throw error
    }
    this.inode.end(write)
    this.#put(given, position)
  }

  async sync(): Promise<void> {
    const { now } = this.inode
    try {
      await this.#run('sync', 0, () => this.inode.sync(now))
    } catch (error) {
      this.inode.loseUntil(now)
      throw error
    }
  }

  syncSync(): void {
    try {
      this.#runSync('sync', 0)
    } catch (error) {
      if (!(error instanceof ProcessDied)) this.inode.loseUntil(this.inode.now)
      throw error
    }
    this.inode.sync(this.inode.now)
  }

  async truncate(sizeBytes: number): Promise<void> {
    this.#mustBeWritable()
    await this.#run('truncate', sizeBytes, () => this.inode.truncate(sizeBytes))
    this.#disk.touch(this.inode)
  }

  async close(): Promise<void> {
    this.#mustBeOpen()
    this.#isClosed = true
    await this.#underWay
    await this.#disk.pass({ kind: 'close', path: this.path, sizeBytes: 0 })
    this.#disk.closed(this)
  }

  /** As much as there is room for. */
  #put(bytes: Buffer, position: number): void {
    this.#disk.touch(this.inode)
    const endBytes = position + bytes.length
    const roomBytes = this.#disk.roomFor(this.inode, endBytes)
    if (roomBytes > position) this.inode.write(bytes.subarray(0, roomBytes - position), position)
    if (roomBytes < endBytes) throw systemError('ENOSPC', this.path)
  }

  #run<T>(kind: CallKind, sizeBytes: number, act: () => T): Promise<T> {
    this.#mustBeOpen()
    const done = this.#disk.pass({ kind, path: this.path, sizeBytes }).then(act)
    this.#underWay = Promise.allSettled([this.#underWay, done])
    return done
  }

  #runSync(kind: CallKind, sizeBytes: number): void {
    this.#mustBeOpen()
    this.#disk.passSync({ kind, path: this.path, sizeBytes })
  }

  #mustBeOpen(): void {
    assert(!this.#isClosed, 'a file is used only while it is open')
  }

  #mustBeWritable(): void {
    if (!this.#mayWrite) throw systemError('EBADF', this.path)
  }
}

function systemError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: simulated '${path}'`), { code, path })
}

function never(): Promise<never> {
  return new Promise(() => {})
}
