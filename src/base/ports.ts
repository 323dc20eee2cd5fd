// What the product asks of the machine. `src/system` has the real ones, `test/simulation` the simulated ones.

export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Wall time: for timestamps that users see and for retention. May jump. */
  nowMs(): number
  /** Never goes back: for durations, deadlines and latencies. Has a fractional part. */
  monotonicMs(): number
  /** Calls once after the delay. A pending timer does not keep the process alive. */
  after(delayMs: number, call: () => void): Timer
  /** Calls once, after all input that is readable now has been read. */
  soon(call: () => void): void
}

export interface Random {
  /** Bytes that nobody can guess. */
  bytes(count: number): Buffer
}

/** A descriptor. Synchronous calls are for reads and writes that are known to be short. */
export interface DiskFile {
  readonly path: string
  sizeBytes(): Promise<number>
  /** Fills `into[from, from + length)` from `position` on; returns the bytes read, fewer only at the end of the file. */
  read(into: Uint8Array, from: number, length: number, position: number): Promise<number>
  /** Writes all of `bytes[from, from + length)`; throws the system's error if it cannot. */
  write(bytes: Uint8Array, from: number, length: number, position: number): Promise<void>
  /** Writes the pieces one behind the other. */
  writePieces(pieces: readonly Uint8Array[], position: number): Promise<void>
  writePiecesSync(pieces: readonly Uint8Array[], position: number): void
  /** fdatasync: what was written before this call survives a power loss after it. */
  sync(): Promise<void>
  syncSync(): void
  truncate(sizeBytes: number): Promise<void>
  close(): Promise<void>
}

export interface FileFacts {
  readonly isDirectory: boolean
  readonly sizeBytes: number
  readonly modifiedMs: number
}

export interface DirectoryLock {
  release(): Promise<void>
}

export interface Disk {
  /** `create`: new and empty, fails if it exists. `write`: exists, read and write. */
  open(path: string, mode: 'create' | 'write' | 'read'): Promise<DiskFile>
  /** A new file of zeros, written and synced: later syncs of writes into it need not change the file system's metadata. */
  createFilled(path: string, sizeBytes: number): Promise<void>
  /** A new file of the pieces, written and synced. As little as possible of it stands in the way of writes that somebody waits for. */
  createFrom(path: string, pieces: readonly Uint8Array[]): Promise<void>
  /** Names in a directory, sorted; [] if there is no such directory. */
  list(directory: string): Promise<string[]>
  /** Null if there is nothing of that name. */
  facts(path: string): Promise<FileFacts | null>
  /** With those above it that are missing. */
  makeDirectory(path: string): Promise<void>
  /** False if something is in it; true if it is gone. */
  removeDirectory(path: string): Promise<boolean>
  /** At once, also over a file that has the name. Between two directories both need a sync, the new one first. */
  rename(from: string, to: string): Promise<void>
  /** Gives a file a second name, EEXIST if something has it: of several at once one succeeds. Not every file system can. */
  link(path: string, name: string): Promise<void>
  /** Removes a file; nothing if it is not there. */
  remove(path: string): Promise<void>
  /** Makes creations, renames and removals in the directory survive a power loss. */
  syncDirectory(path: string): Promise<void>
  /** Bytes of the file system of `path`. */
  space(path: string): Promise<{ totalBytes: number; freeBytes: number }>
}
