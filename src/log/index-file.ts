import { assert } from '#base/assert.ts'
import { ChronikError, writtenByNewer } from '#base/errors.ts'
import type { Clock, Disk, DiskFile } from '#base/ports.ts'
import { crc32c } from '#bytes/crc32c.kernel.ts'
import { writeWholeFile } from '#commit/checkpoint-files.ts'
import type { WalFile } from '#commit/wal-files.ts'
import type { BatchTail } from './batch-tail.ts'

// The index beside a WAL file that is no longer written: every accepted batch of the file, by partition and offset. It is made
// once, before a checkpoint lets the log forget how the file's records were applied.
//
//   0  u32  magic "CHIX"
//   4  u32  CRC-32C of what follows, up to the entries
//   8  u16  version
//  10  u16  zero
//  12  u32  count of partitions
//  16  i64  position of the WAL file
//  24  i64  position at which it ends
//  32  u32  count of entries
//  36  directory, 24 bytes a partition, by ordinal:  u32 ordinal, u32 first entry, u32 count, u32 zero, i64 base offset
//      CRC-32C of each 512 entries, u32
//      entries, 20 bytes a batch:  u32 offset from the base offset, u32 place in the WAL file, u32 bytes, f64 max timestamp

const MAGIC = 0x43484958
const VERSION = 1
const HEADER_BYTES = 36
const DIRECTORY_BYTES = 24
const ENTRY_BYTES = 20
const OFFSET_AT = 0
const PLACE_AT = 4
const CHECKED_FROM = 8
/** Entries encoded in one go: about a millisecond. */
const ENTRIES_PER_TURN = 16384
/** Entries read and checked at once. */
const WINDOW_ENTRIES = 512
const WINDOW_BYTES = WINDOW_ENTRIES * ENTRY_BYTES
const CHECKSUM_BYTES = 4

export function indexFileName(sequence: number): string {
  return `${String(sequence).padStart(16, '0')}.idx`
}

/** The batches of one partition in the WAL file, as they stand in memory. */
interface TailPart {
  ordinal: number
  tail: BatchTail
  first: number
  end: number
}

/** Writes the index of a WAL file from what is in memory, in turns that leave the thread to others. */
export async function writeIndexFile(
  ports: { disk: Disk; clock: Clock },
  directory: string,
  file: WalFile,
  tails: readonly (BatchTail | undefined)[],
): Promise<void> {
  const parts = partsOf(file, tails)
  const entryCount = parts.reduce((sum, part) => sum + part.end - part.first, 0)
  const checksumsAt = HEADER_BYTES + parts.length * DIRECTORY_BYTES
  const entriesAt = checksumsAt + Math.ceil(entryCount / WINDOW_ENTRIES) * CHECKSUM_BYTES
  const bytes = Buffer.alloc(entriesAt + entryCount * ENTRY_BYTES)
  bytes.writeUInt32BE(MAGIC, 0)
  bytes.writeUInt16BE(VERSION, 8)
  bytes.writeUInt32BE(parts.length, 12)
  bytes.writeBigInt64BE(BigInt(file.position), 16)
  bytes.writeBigInt64BE(BigInt(file.endPosition), 24)
  bytes.writeUInt32BE(entryCount, 32)
  let directoryAt = HEADER_BYTES
  let entry = 0
  let turnEnd = ENTRIES_PER_TURN
  for (const part of parts) {
    const baseOffset = part.tail.baseOffset(part.first)
    bytes.writeUInt32BE(part.ordinal, directoryAt)
    bytes.writeUInt32BE(entry, directoryAt + 4)
    bytes.writeUInt32BE(part.end - part.first, directoryAt + 8)
    bytes.writeBigInt64BE(BigInt(baseOffset), directoryAt + 16)
    directoryAt += DIRECTORY_BYTES
    for (let i = part.first; i < part.end; i++, entry++) {
      const at = entriesAt + entry * ENTRY_BYTES
      bytes.writeUInt32BE(part.tail.baseOffset(i) - baseOffset, at + OFFSET_AT)
      bytes.writeUInt32BE(part.tail.position(i) - file.position, at + PLACE_AT)
      bytes.writeUInt32BE(part.tail.sizeBytes(i), at + 8)
      bytes.writeDoubleBE(part.tail.maxTimestampMs(i), at + 12)
      if (entry < turnEnd) continue
      turnEnd += ENTRIES_PER_TURN
      await new Promise<void>(resolve => ports.clock.soon(resolve))
    }
  }
  for (let window = 0; window * WINDOW_ENTRIES < entryCount; window++) {
    const at = entriesAt + window * WINDOW_BYTES
    const sum = crc32c(bytes, at, Math.min(at + WINDOW_BYTES, bytes.length))
    bytes.writeUInt32BE(sum, checksumsAt + window * CHECKSUM_BYTES)
  }
  bytes.writeUInt32BE(crc32c(bytes, CHECKED_FROM, entriesAt), 4)
  await writeWholeFile(ports.disk, directory, indexFileName(file.sequence), bytes)
}

function partsOf(file: WalFile, tails: readonly (BatchTail | undefined)[]): TailPart[] {
  const parts: TailPart[] = []
  for (const [ordinal, tail] of tails.entries()) {
    if (tail === undefined) continue
    const first = tail.indexOfPosition(file.position - 1) + 1
    const end = tail.indexOfPosition(file.endPosition - 1) + 1
    if (end > first) parts.push({ ordinal, tail, first, end })
  }
  return parts
}

export interface IndexedBatch {
  baseOffset: number
  position: number
  sizeBytes: number
  maxTimestampMs: number
}

interface OpenIndex {
  readonly sequence: number
  readonly disk: DiskFile
  readonly position: number
  readonly endPosition: number
  readonly entryCount: number
  readonly directory: Buffer
  readonly checksums: Buffer
  users: number
  /** Closed when its last user is done. */
  forgotten: boolean
}

/** The entries of one partition. */
interface Part {
  firstEntry: number
  count: number
  baseOffset: number
}

const OPEN_INDEXES = 64
const CACHED_WINDOWS = 512

/** Reads index files; keeps some open, and the windows of entries that were read last. */
export class IndexFiles {
  readonly #disk: Disk
  readonly #directory: string
  readonly #open = new Map<number, Promise<OpenIndex>>()
  readonly #uses = new Set<Promise<unknown>>()
  readonly #windows = new Map<string, Promise<Buffer>>()

  constructor(disk: Disk, directory: string) {
    this.#disk = disk
    this.#directory = directory
  }

  /** The batches of a partition in a WAL file, from the one that holds `offset` (or the first) on: some hundreds at most. */
  batchesFrom(sequence: number, ordinal: number, offset: number): Promise<IndexedBatch[]> {
    return this.#use(sequence, async index => {
      const part = partOf(index, ordinal)
      if (part === null) return []
      const at = await this.#lastAtMost(index, part, OFFSET_AT, offset - part.baseOffset)
      return this.#batches(index, part, Math.max(0, at))
    })
  }

  /** The base offset of the batch at a position, if it was accepted. */
  baseOffsetAt(sequence: number, ordinal: number, position: number): Promise<number | null> {
    return this.#use(sequence, async index => {
      const part = partOf(index, ordinal)
      const at = part === null ? -1 : await this.#lastAtMost(index, part, PLACE_AT, position - index.position)
      if (part === null || at < 0) return null
      const [batch] = await this.#batches(index, part, at)
      return batch?.position === position ? batch.baseOffset : null
    })
  }

  /**
   * After a start: of the WAL files there are, those numbered before `firstUnindexed` have an index. It says where a file ends if
   * the one behind it is gone. Indexes of files that are gone go.
   */
  async meet(files: readonly WalFile[], firstUnindexed: number): Promise<void> {
    const bySequence = new Map(files.map(file => [file.sequence, file]))
    const names = await this.#disk.list(this.#directory)
    for (const name of names) {
      const sequence = /^\d{16}\.idx(\.new)?$/.test(name) ? Number(name.slice(0, 16)) : 0
      const isKept = name.endsWith('.idx') && bySequence.has(sequence)
      if (sequence > 0 && !isKept) await this.#disk.remove(`${this.#directory}/${name}`)
    }
    for (const file of files) {
      if (file.sequence >= firstUnindexed) continue
      if (!names.includes(indexFileName(file.sequence))) throw missingIndex(this.#directory, file.sequence)
      if (bySequence.has(file.sequence + 1)) continue
      file.endPosition = await this.#use(file.sequence, async index => index.endPosition)
    }
  }

  /** Reads all of an index: refuses what is damaged. Returns where it says that its file begins and ends. */
  check(sequence: number): Promise<{ position: number; endPosition: number }> {
    return this.#use(sequence, async index => {
      const windowCount = Math.ceil(index.entryCount / WINDOW_ENTRIES)
      for (let window = 0; window < windowCount; window++) await this.#window(index, window)
      return { position: index.position, endPosition: index.endPosition }
    })
  }

  /** Forgets a WAL file and removes its index. */
  async remove(sequence: number): Promise<void> {
    await this.#forget(sequence)
    await this.#disk.remove(`${this.#directory}/${indexFileName(sequence)}`)
  }

  async close(): Promise<void> {
    for (const sequence of [...this.#open.keys()]) await this.#forget(sequence)
    // Somebody may still be reading, in one of these or in one that was forgotten before.
    await Promise.allSettled(this.#uses)
  }

  #use<T>(sequence: number, call: (index: OpenIndex) => Promise<T>): Promise<T> {
    const use = this.#useOpen(sequence, call).finally(() => this.#uses.delete(use))
    this.#uses.add(use)
    return use
  }

  async #useOpen<T>(sequence: number, call: (index: OpenIndex) => Promise<T>): Promise<T> {
    const index = await this.#openIndex(sequence)
    index.users++
    try {
      return await call(index)
    } finally {
      index.users--
      if (index.forgotten && index.users === 0) await index.disk.close()
    }
  }

  #openIndex(sequence: number): Promise<OpenIndex> {
    const known = this.#open.get(sequence)
    this.#open.delete(sequence) // and set again: the map is in the order of use
    const open = known ?? this.#read(sequence)
    this.#open.set(sequence, open)
    if (known === undefined) {
      open.catch(() => this.#open.delete(sequence))
      if (this.#open.size > OPEN_INDEXES) void this.#forget(this.#open.keys().next().value!)
    }
    return open
  }

  async #forget(sequence: number): Promise<void> {
    const open = this.#open.get(sequence)
    this.#open.delete(sequence)
    for (const key of this.#windows.keys()) if (key.startsWith(`${sequence}:`)) this.#windows.delete(key)
    const index = await open?.catch(() => undefined) // whoever asked for it was told
    if (index === undefined) return
    index.forgotten = true
    if (index.users === 0) await index.disk.close()
  }

  async #read(sequence: number): Promise<OpenIndex> {
    const path = `${this.#directory}/${indexFileName(sequence)}`
    const disk = await this.#disk.open(path, 'read')
    try {
      return await readOpenIndex(sequence, disk)
    } catch (thrown) {
      await disk.close()
      throw thrown
    }
  }

  /** Index of the last entry of a partition whose field is at most `wanted`; -1 if there is none. */
  async #lastAtMost(index: OpenIndex, part: Part, field: number, wanted: number): Promise<number> {
    let low = 0
    let high = part.count - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const entry = part.firstEntry + middle
      const bytes = await this.#window(index, Math.floor(entry / WINDOW_ENTRIES))
      if (bytes.readUInt32BE((entry % WINDOW_ENTRIES) * ENTRY_BYTES + field) <= wanted) low = middle + 1
      else high = middle - 1
    }
    return high
  }

  async #batches(index: OpenIndex, part: Part, first: number): Promise<IndexedBatch[]> {
    const batches: IndexedBatch[] = []
    const end = part.firstEntry + Math.min(part.count, first + WINDOW_ENTRIES)
    let bytes = await this.#window(index, Math.floor((part.firstEntry + first) / WINDOW_ENTRIES))
    for (let entry = part.firstEntry + first; entry < end; entry++) {
      const place = entry % WINDOW_ENTRIES
      if (place === 0) bytes = await this.#window(index, entry / WINDOW_ENTRIES)
      const at = place * ENTRY_BYTES
      assert(at + ENTRY_BYTES <= bytes.length, 'an index has all the entries that its directory names')
      batches.push({
        baseOffset: part.baseOffset + bytes.readUInt32BE(at + OFFSET_AT),
        position: index.position + bytes.readUInt32BE(at + PLACE_AT),
        sizeBytes: bytes.readUInt32BE(at + 8),
        maxTimestampMs: bytes.readDoubleBE(at + 12),
      })
    }
    return batches
  }

  #window(index: OpenIndex, window: number): Promise<Buffer> {
    const key = `${index.sequence}:${window}`
    const known = this.#windows.get(key)
    this.#windows.delete(key)
    const bytes = known ?? readWindow(index, window)
    this.#windows.set(key, bytes)
    if (known === undefined) {
      bytes.catch(() => this.#windows.delete(key))
      if (this.#windows.size > CACHED_WINDOWS) this.#windows.delete(this.#windows.keys().next().value!)
    }
    return bytes
  }
}

/** What the directory says of a partition. */
function partOf(index: OpenIndex, ordinal: number): Part | null {
  const { directory } = index
  let low = 0
  let high = directory.length / DIRECTORY_BYTES - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    const at = middle * DIRECTORY_BYTES
    const found = directory.readUInt32BE(at)
    if (found === ordinal) {
      return {
        firstEntry: directory.readUInt32BE(at + 4),
        count: directory.readUInt32BE(at + 8),
        baseOffset: Number(directory.readBigInt64BE(at + 16)),
      }
    }
    if (found < ordinal) low = middle + 1
    else high = middle - 1
  }
  return null
}

async function readOpenIndex(sequence: number, disk: DiskFile): Promise<OpenIndex> {
  const header = Buffer.alloc(HEADER_BYTES)
  const read = await disk.read(header, 0, HEADER_BYTES, 0)
  if (read < HEADER_BYTES || header.readUInt32BE(0) !== MAGIC) throw damagedIndex(disk.path)
  const position = Number(header.readBigInt64BE(16))
  const endPosition = Number(header.readBigInt64BE(24))
  const entryCount = header.readUInt32BE(32)
  const directoryBytes = header.readUInt32BE(12) * DIRECTORY_BYTES
  const restBytes = directoryBytes + Math.ceil(entryCount / WINDOW_ENTRIES) * CHECKSUM_BYTES
  const sizeBytes = await disk.sizeBytes()
  if (sizeBytes < HEADER_BYTES + restBytes) throw damagedIndex(disk.path)
  const rest = Buffer.alloc(restBytes)
  await disk.read(rest, 0, restBytes, HEADER_BYTES)
  const sum = crc32c(rest, 0, restBytes, crc32c(header, CHECKED_FROM, HEADER_BYTES))
  const version = header.readUInt16BE(8)
  if (sum !== header.readUInt32BE(4) || version < 1) throw damagedIndex(disk.path)
  if (version > VERSION)
    throw writtenByNewer('INDEX_TOO_NEW', `the index ${disk.path}`, { found: version, known: VERSION })
  if (sizeBytes !== HEADER_BYTES + restBytes + entryCount * ENTRY_BYTES) throw damagedIndex(disk.path)
  const directory = rest.subarray(0, directoryBytes)
  const checksums = rest.subarray(directoryBytes)
  return { sequence, disk, position, endPosition, entryCount, directory, checksums, users: 0, forgotten: false }
}

async function readWindow(index: OpenIndex, window: number): Promise<Buffer> {
  const { disk, directory, checksums, entryCount } = index
  const entriesAt = HEADER_BYTES + directory.length + checksums.length
  const bytes = Buffer.alloc(Math.min(WINDOW_ENTRIES, entryCount - window * WINDOW_ENTRIES) * ENTRY_BYTES)
  await disk.read(bytes, 0, bytes.length, entriesAt + window * WINDOW_BYTES)
  const isWhole = crc32c(bytes, 0, bytes.length) === checksums.readUInt32BE(window * CHECKSUM_BYTES)
  if (!isWhole) throw damagedIndex(disk.path)
  return bytes
}

function damagedIndex(path: string): ChronikError {
  return new ChronikError('INDEX_DAMAGED', 'corrupt', `the index ${path} is damaged: put it back from a backup`)
}

function missingIndex(directory: string, sequence: number): ChronikError {
  const path = `${directory}/${indexFileName(sequence)}`
  return new ChronikError('INDEX_MISSING', 'corrupt', `the index ${path} is missing: put it back from a backup`)
}
