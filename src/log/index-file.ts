import { assert } from '#base/assert.ts'
import { ChronikError } from '#base/errors.ts'
import type { Clock, Disk, DiskFile } from '#base/ports.ts'
import { crc32c } from '#bytes/crc32c.kernel.ts'
import { ByteReader } from '#bytes/cursor.ts'
import { writeWholeFile } from '#commit/checkpoint-files.ts'
import type { WalFile } from '#commit/wal-files.ts'
import type { BatchTail } from './batch-tail.ts'

// The index beside a WAL file that is no longer written: every accepted batch of the file, by partition and offset. It is made
// once, before a checkpoint lets the log forget how the file's records were applied.
//
//   0  u32  magic "CHIX"
//   4  u32  CRC-32C of everything behind
//   8  u16  version
//  10  u16  zero
//  12  u32  count of partitions
//  16  i64  position of the WAL file
//  24  u32  count of entries
//  28  directory, 24 bytes a partition, by ordinal:  u32 ordinal, u32 first entry, u32 count, u32 zero, i64 base offset
//      entries, 20 bytes a batch:  u32 offset from the base offset, u32 place in the WAL file, u32 bytes, f64 max timestamp

const MAGIC = 0x43484958
const VERSION = 1
const HEADER_BYTES = 28
const DIRECTORY_BYTES = 24
const ENTRY_BYTES = 20
const CHECKED_FROM = 8
/** Entries encoded in one go: about a millisecond. */
const ENTRIES_PER_TURN = 16384
/** Entries read at once. */
const WINDOW_ENTRIES = 512

export function indexFileName(sequence: number): string {
  return `${String(sequence).padStart(16, '0')}.idx`
}

/** The batches of one partition in one WAL file, as they stand in memory. */
interface Part {
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
  const parts: Part[] = []
  let entryCount = 0
  for (const [ordinal, tail] of tails.entries()) {
    if (tail === undefined) continue
    const first = tail.indexOfPosition(file.position - 1) + 1
    const end = tail.indexOfPosition(file.endPosition - 1) + 1
    if (end > first) parts.push({ ordinal, tail, first, end })
    entryCount += end - first
  }
  const bytes = Buffer.alloc(HEADER_BYTES + parts.length * DIRECTORY_BYTES + entryCount * ENTRY_BYTES)
  bytes.writeUInt32BE(MAGIC, 0)
  bytes.writeUInt16BE(VERSION, 8)
  bytes.writeUInt32BE(parts.length, 12)
  bytes.writeBigInt64BE(BigInt(file.position), 16)
  bytes.writeUInt32BE(entryCount, 24)
  let directoryAt = HEADER_BYTES
  let entryAt = HEADER_BYTES + parts.length * DIRECTORY_BYTES
  let firstEntry = 0
  let thisTurn = 0
  for (const { ordinal, tail, first, end } of parts) {
    const baseOffset = tail.baseOffset(first)
    bytes.writeUInt32BE(ordinal, directoryAt)
    bytes.writeUInt32BE(firstEntry, directoryAt + 4)
    bytes.writeUInt32BE(end - first, directoryAt + 8)
    bytes.writeBigInt64BE(BigInt(baseOffset), directoryAt + 16)
    directoryAt += DIRECTORY_BYTES
    firstEntry += end - first
    for (let i = first; i < end; i++) {
      bytes.writeUInt32BE(tail.baseOffset(i) - baseOffset, entryAt)
      bytes.writeUInt32BE(tail.position(i) - file.position, entryAt + 4)
      bytes.writeUInt32BE(tail.sizeBytes(i), entryAt + 8)
      bytes.writeDoubleBE(tail.maxTimestampMs(i), entryAt + 12)
      entryAt += ENTRY_BYTES
      if (++thisTurn === ENTRIES_PER_TURN) {
        thisTurn = 0
        await new Promise<void>(resolve => ports.clock.soon(resolve))
      }
    }
  }
  bytes.writeUInt32BE(crc32c(bytes, CHECKED_FROM, bytes.length), 4)
  await writeWholeFile(ports.disk, directory, indexFileName(file.sequence), bytes)
}

export interface IndexedBatch {
  baseOffset: number
  position: number
  sizeBytes: number
  maxTimestampMs: number
}

interface OpenIndex {
  disk: DiskFile
  position: number
  entriesAt: number
  /** Ordinals ascending, with their directory entries. */
  directory: Buffer
  partitionCount: number
}

interface PartitionEntries {
  index: OpenIndex
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
  readonly #windows = new Map<string, Promise<Buffer>>()

  constructor(disk: Disk, directory: string) {
    this.#disk = disk
    this.#directory = directory
  }

  /** The batches of a partition in a WAL file, from the one that holds `offset` (or the first) on: about `WINDOW_ENTRIES`. */
  async batchesFrom(sequence: number, ordinal: number, offset: number): Promise<IndexedBatch[]> {
    const entries = await this.#entriesOf(sequence, ordinal)
    if (entries === null) return []
    const delta = offset - entries.baseOffset
    const at = await this.#lastAtMost(sequence, entries, 0, delta)
    return this.#batches(sequence, entries, Math.max(0, at))
  }

  /** The base offset of the batch at a position, if it was accepted. */
  async baseOffsetAt(sequence: number, ordinal: number, position: number): Promise<number | null> {
    const entries = await this.#entriesOf(sequence, ordinal)
    if (entries === null) return null
    const at = await this.#lastAtMost(sequence, entries, 4, position - entries.index.position)
    if (at < 0) return null
    const batch = (await this.#batches(sequence, entries, at))[0]
    return batch?.position === position ? batch.baseOffset : null
  }

  /** Forgets a WAL file and removes its index. */
  async remove(sequence: number): Promise<void> {
    await this.#close(sequence)
    await this.#disk.remove(`${this.#directory}/${indexFileName(sequence)}`)
  }

  async close(): Promise<void> {
    for (const sequence of [...this.#open.keys()]) await this.#close(sequence)
  }

  async #close(sequence: number): Promise<void> {
    const open = this.#open.get(sequence)
    this.#open.delete(sequence)
    for (const key of this.#windows.keys()) if (key.startsWith(`${sequence}:`)) this.#windows.delete(key)
    await (await open)?.disk.close()
  }

  async #entriesOf(sequence: number, ordinal: number): Promise<PartitionEntries | null> {
    const index = await this.#openIndex(sequence)
    const { directory } = index
    let low = 0
    let high = index.partitionCount - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const at = middle * DIRECTORY_BYTES
      const found = directory.readUInt32BE(at)
      if (found === ordinal) {
        const baseOffset = Number(directory.readBigInt64BE(at + 16))
        return { index, firstEntry: directory.readUInt32BE(at + 4), count: directory.readUInt32BE(at + 8), baseOffset }
      }
      if (found < ordinal) low = middle + 1
      else high = middle - 1
    }
    return null
  }

  #openIndex(sequence: number): Promise<OpenIndex> {
    let open = this.#open.get(sequence)
    if (open === undefined) {
      open = this.#readDirectory(sequence)
      open.catch(() => this.#open.delete(sequence))
      if (this.#open.size >= OPEN_INDEXES) void this.#close(this.#open.keys().next().value!)
    } else {
      this.#open.delete(sequence)
    }
    this.#open.set(sequence, open)
    return open
  }

  async #readDirectory(sequence: number): Promise<OpenIndex> {
    const path = `${this.#directory}/${indexFileName(sequence)}`
    const disk = await this.#disk.open(path, 'read')
    const header = Buffer.alloc(HEADER_BYTES)
    const read = await disk.read(header, 0, HEADER_BYTES, 0)
    const reader = new ByteReader(header)
    if (read < HEADER_BYTES || reader.u32() !== MAGIC) throw damagedIndex(path)
    reader.take(4)
    if (reader.u16() !== VERSION) throw damagedIndex(path)
    reader.take(2)
    const partitionCount = reader.u32()
    const position = reader.i64()
    const directory = Buffer.alloc(partitionCount * DIRECTORY_BYTES)
    if ((await disk.read(directory, 0, directory.length, HEADER_BYTES)) < directory.length) throw damagedIndex(path)
    return { disk, position, entriesAt: HEADER_BYTES + directory.length, directory, partitionCount }
  }

  /** Index of the last entry of a partition whose u32 field is at most `wanted`; -1 if there is none. */
  async #lastAtMost(sequence: number, entries: PartitionEntries, field: 0 | 4, wanted: number): Promise<number> {
    let low = 0
    let high = entries.count - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const { bytes, at } = await this.#entry(sequence, entries, middle)
      if (bytes.readUInt32BE(at + field) <= wanted) low = middle + 1
      else high = middle - 1
    }
    return high
  }

  async #batches(sequence: number, entries: PartitionEntries, first: number): Promise<IndexedBatch[]> {
    const batches: IndexedBatch[] = []
    const end = Math.min(entries.count, first + WINDOW_ENTRIES)
    for (let i = first; i < end; i++) {
      const { bytes, at } = await this.#entry(sequence, entries, i)
      batches.push({
        baseOffset: entries.baseOffset + bytes.readUInt32BE(at),
        position: entries.index.position + bytes.readUInt32BE(at + 4),
        sizeBytes: bytes.readUInt32BE(at + 8),
        maxTimestampMs: bytes.readDoubleBE(at + 12),
      })
    }
    return batches
  }

  async #entry(sequence: number, entries: PartitionEntries, i: number): Promise<{ bytes: Buffer; at: number }> {
    const entry = entries.firstEntry + i
    const window = Math.floor(entry / WINDOW_ENTRIES)
    const bytes = await this.#window(sequence, entries.index, window)
    const at = (entry - window * WINDOW_ENTRIES) * ENTRY_BYTES
    assert(at + ENTRY_BYTES <= bytes.length, 'an index has all the entries that its directory names')
    return { bytes, at }
  }

  #window(sequence: number, index: OpenIndex, window: number): Promise<Buffer> {
    const key = `${sequence}:${window}`
    let cached = this.#windows.get(key)
    if (cached !== undefined) {
      this.#windows.delete(key)
    } else {
      cached = readWindow(index, window)
      cached.catch(() => this.#windows.delete(key))
      if (this.#windows.size >= CACHED_WINDOWS) this.#windows.delete(this.#windows.keys().next().value!)
    }
    this.#windows.set(key, cached)
    return cached
  }
}

async function readWindow(index: OpenIndex, window: number): Promise<Buffer> {
  const bytes = Buffer.alloc(WINDOW_ENTRIES * ENTRY_BYTES)
  const read = await index.disk.read(bytes, 0, bytes.length, index.entriesAt + window * WINDOW_ENTRIES * ENTRY_BYTES)
  return bytes.subarray(0, read)
}

function damagedIndex(path: string): ChronikError {
  return new ChronikError('INDEX_DAMAGED', 'corrupt', `${path} is not an index of the log: run 'chronik repair'`)
}
