import { assert } from '#base/assert.ts'
import { ChronikError } from '#base/errors.ts'
import type { Chunk } from '#commit/wal-image.ts'
import type { Partition } from '#core/state.ts'
import { batchSizeBytesOf, lastOffsetDeltaOf, setBaseOffset, setLeaderEpoch } from '#records/batch.ts'
import { storedSegment } from '#segments/segment-names.ts'
import type { IndexedBatch } from './index-file.ts'
import type { Log } from './log.ts'
import { fillFromSegments } from './read-segments.ts'

// Reading a partition: whole batches from the one that holds the offset on. What is in memory is handed out as slices of the
// log's own chunks, pinned until they are released; older batches are read from their segment in the object store, or from their
// WAL file if they are not sealed yet, and get there the offset that those in memory and in segments already carry.

/** Memory that is not used again while somebody looks at it. */
export interface Pinned {
  pins: number
}

export interface LogSlices {
  readonly slices: Buffer[]
  sizeBytes: number
  /** Offset behind the last batch. */
  nextOffset: number
  readonly pinned: Pinned[]
  /** Memory of the log that was read into from files. */
  readonly taken: Buffer[]
}

export const NOTHING: LogSlices = { slices: [], sizeBytes: 0, nextOffset: -1, pinned: [], taken: [] }

/** What lies between two batches of a partition and is still read with them in one go. */
const READ_GAP_BYTES = 16384
/** One read from a file at most, unless a single batch is larger. */
const READ_BYTES = 1 << 20

/** Nobody looks at what was read any more. */
export function release(log: Log, read: LogSlices): void {
  for (const memory of read.pinned.splice(0)) memory.pins--
  for (const buffer of read.taken.splice(0)) log.readBuffers.give(buffer)
}

/** What is wanted: the batches from the one that holds `offset` on, as many as fit; the first one always if `atLeastOne`. */
export interface ReadRange {
  /** Within the partition. */
  readonly offset: number
  /** Batches from here on are not wanted: the partition's end, or its last stable offset. A batch begins there. */
  readonly endOffset: number
  readonly maxBytes: number
  readonly atLeastOne: boolean
}

/** Answers at once if it can from memory. */
export function readLog(log: Log, partition: Partition, range: ReadRange): LogSlices | Promise<LogSlices> {
  const { offset, endOffset, maxBytes, atLeastOne } = range
  assert(offset >= partition.logStart && offset <= partition.nextOffset, 'the offset was checked')
  if (offset >= endOffset) return NOTHING
  const tail = log.tails[partition.ordinal]
  const index = tail?.indexOfOffset(offset) ?? -1
  // What was compacted is not read as it was before.
  const isCompacted = offset < partition.cleanedTo
  if (tail === undefined || index < 0 || isCompacted || tail.position(index) < log.commits.image.from) {
    return readFromStorage(log, partition, range)
  }
  const read: LogSlices = { slices: [], sizeBytes: 0, nextOffset: offset, pinned: [], taken: [] }
  let chunk: Chunk | null = null
  let from = 0
  let to = 0
  for (let i = index; i < tail.length; i++) {
    const sizeBytes = tail.sizeBytes(i)
    if (tail.baseOffset(i) >= endOffset) break
    if (read.sizeBytes + sizeBytes > maxBytes && !(atLeastOne && i === index)) break
    const position = tail.position(i)
    if (chunk === null || position !== chunk.position + to || to + sizeBytes > chunk.usedBytes) {
      if (chunk !== null) read.slices.push(chunk.bytes.subarray(from, to))
      if (chunk === null || position < chunk.position || position >= chunk.position + chunk.usedBytes) {
        chunk = log.commits.image.find(position)
        assert(chunk !== null, 'what is in the cache is found there')
        chunk.pins++
        read.pinned.push(chunk)
      }
      from = position - chunk.position
      to = from
    }
    to += sizeBytes
    read.sizeBytes += sizeBytes
    read.nextOffset = i + 1 < tail.length ? tail.baseOffset(i + 1) : partition.nextOffset
  }
  if (chunk !== null) read.slices.push(chunk.bytes.subarray(from, to))
  // Readers that do not take what they asked for hold little of a chunk and all of its memory.
  return log.commits.image.isOverdrawn ? copied(log, read) : read
}

function copied(log: Log, read: LogSlices): LogSlices {
  const slices = read.slices.map(slice => Buffer.from(slice))
  release(log, read)
  return { ...read, slices }
}

/** Batches from the one that holds the offset on, wherever their index is; not all there are, but at least one. */
export async function batchesFrom(log: Log, partition: Partition, offset: number): Promise<IndexedBatch[]> {
  const tail = log.tails[partition.ordinal]
  const index = tail?.indexOfOffset(offset) ?? -1
  if (tail !== undefined && index >= 0) {
    const batches: IndexedBatch[] = []
    for (let i = index; i < tail.length && batches.length < BATCHES_AT_ONCE; i++) {
      batches.push({
        baseOffset: tail.baseOffset(i),
        position: tail.position(i),
        sizeBytes: tail.sizeBytes(i),
        maxTimestampMs: tail.maxTimestampMs(i),
      })
    }
    return batches
  }
  const { extents } = partition
  const extent = extents.indexOf(offset)
  if (extent < 0) throw goneError(partition, offset)
  const file = log.commits.files.find(extents.fileAt(extent))
  assert(file !== undefined && file.position === extents.fileAt(extent), 'a file that an extent needs is there')
  return log.indexes.batchesFrom(file.sequence, partition.ordinal, offset)
}

const BATCHES_AT_ONCE = 512

/** The log's start was moved, or the topic deleted, while somebody read. */
function goneError(partition: Partition, offset: number): ChronikError {
  const { topic, index } = partition
  return new ChronikError('LOG_TRIMMED', 'retry', `offset ${offset} of ${topic.name}-${index} is gone`)
}

/** Segments first, then files; in the middle of it what is in a file may come to be in a segment. */
async function readFromStorage(log: Log, partition: Partition, range: ReadRange): Promise<LogSlices> {
  const read: LogSlices = { slices: [], sizeBytes: 0, nextOffset: range.offset, pinned: [], taken: [] }
  let isFull = false
  while (!isFull && read.sizeBytes === 0 && read.nextOffset < range.endOffset) {
    const { segment } = placeOf(partition, read.nextOffset)
    const began = read.nextOffset
    try {
      if (segment === null) {
        await fillFromFiles(log, partition, read, range)
        return read
      }
      isFull = await fillFromSegments(log, partition, read, range)
      assert(isFull || read.nextOffset > began, 'a read goes on, or ends')
    } catch (thrown) {
      // Who has something does not ask in vain; who comes for the rest is told what is wrong with it.
      if (segment !== null && read.sizeBytes > 0) break
      const now = placeOf(partition, read.nextOffset)
      if (now.isThere && now.segment?.key !== segment?.key) continue
      release(log, read)
      throw now.isThere ? thrown : goneError(partition, read.nextOffset)
    }
  }
  return log.segments.isOverdrawn ? copied(log, read) : read
}

/** Where the batch of an offset is; its segment may be replaced, and deleted, while it is read. */
function placeOf(partition: Partition, offset: number): { isThere: boolean; segment: { key: string } | null } {
  const { segments, extents } = partition
  const at = offset < partition.walStart ? segments.indexOf(offset) : -1
  const segment = at < 0 ? null : storedSegment(partition, segments.at(at))
  return { isThere: segment !== null || (offset >= partition.walStart && extents.indexOf(offset) >= 0), segment }
}

async function fillFromFiles(
  log: Log,
  partition: Partition,
  read: LogSlices,
  { endOffset, maxBytes, atLeastOne }: ReadRange,
): Promise<void> {
  for (;;) {
    const batches = await batchesFrom(log, partition, read.nextOffset)
    let count = 0
    let wantedBytes = read.sizeBytes
    for (const batch of batches) {
      const isFirst = count === 0 && read.sizeBytes === 0
      if (batch.baseOffset >= endOffset) break
      if (wantedBytes + batch.sizeBytes > maxBytes && !(isFirst && atLeastOne)) break
      wantedBytes += batch.sizeBytes
      count++
    }
    if (count === 0) return
    for (const run of runsOf(log, batches.slice(0, count))) await readRun(log, partition, run, read)
    if (count < batches.length || read.nextOffset >= Math.min(endOffset, partition.nextOffset)) return
  }
}

export function damagedError(log: Log, position: number): ChronikError {
  const { files } = log.commits
  const file = files.find(position)
  const place =
    file === undefined ? files.directory : `${files.pathOf(file.sequence)} at byte ${position - file.position}`
  return new ChronikError(
    'WAL_DAMAGED',
    'corrupt',
    `the log is damaged in ${place}: the batch that stands there is not the one that its index names`,
  )
}

/** Groups batches that are read in one go. */
export function* runsOf(log: Log, batches: readonly IndexedBatch[]): Generator<IndexedBatch[]> {
  let run: IndexedBatch[] = []
  let from = 0
  let end = 0
  for (const batch of batches) {
    const goesOn =
      run.length > 0 &&
      batch.position - end <= READ_GAP_BYTES &&
      batch.position + batch.sizeBytes - from <= READ_BYTES &&
      log.commits.files.find(batch.position) === log.commits.files.find(from)
    if (!goesOn) {
      if (run.length > 0) yield run
      run = []
      from = batch.position
    }
    run.push(batch)
    end = batch.position + batch.sizeBytes
  }
  if (run.length > 0) yield run
}

async function readRun(log: Log, partition: Partition, run: IndexedBatch[], into: LogSlices): Promise<void> {
  const from = run[0]!.position
  const last = run.at(-1)!
  const length = last.position + last.sizeBytes - from
  const bytes = log.readBuffers.take(length)
  try {
    await log.commits.files.read(from, length, bytes, 0)
    const slices: Buffer[] = []
    let sliceFrom = 0
    let sliceTo = 0
    let sizeBytes = 0
    for (const batch of run) {
      const at = batch.position - from
      if (batchSizeBytesOf(bytes, at) !== batch.sizeBytes) throw damagedError(log, batch.position)
      setBaseOffset(bytes, at, batch.baseOffset)
      setLeaderEpoch(bytes, at, partition.leaderEpoch)
      if (at !== sliceTo) {
        if (sliceTo > sliceFrom) slices.push(bytes.subarray(sliceFrom, sliceTo))
        sliceFrom = at
      }
      sliceTo = at + batch.sizeBytes
      sizeBytes += batch.sizeBytes
    }
    slices.push(bytes.subarray(sliceFrom, sliceTo))
    const nextOffset = last.baseOffset + lastOffsetDeltaOf(bytes, last.position - from) + 1
    if (nextOffset <= last.baseOffset || nextOffset > partition.nextOffset) throw damagedError(log, last.position)
    into.nextOffset = nextOffset
    into.sizeBytes += sizeBytes
    // What is kept until it is sent is at most twice what is counted.
    if (sizeBytes * 2 >= bytes.length) {
      into.slices.push(...slices)
      into.taken.push(bytes)
      return
    }
    into.slices.push(Buffer.concat(slices))
  } catch (thrown) {
    log.readBuffers.give(bytes)
    throw thrown
  }
  log.readBuffers.give(bytes)
}

/** How many bytes a read would find, counted up to its limit; Infinity if they are not the newest ones. */
export function availableBytes(log: Log, partition: Partition, range: Omit<ReadRange, 'atLeastOne'>): number {
  const { offset, endOffset, maxBytes } = range
  if (offset >= endOffset) return 0
  const tail = log.tails[partition.ordinal]
  const index = tail?.indexOfOffset(offset) ?? -1
  if (tail === undefined || index < 0) return Number.POSITIVE_INFINITY
  let sizeBytes = 0
  for (let i = index; i < tail.length && sizeBytes < maxBytes; i++) {
    if (tail.baseOffset(i) >= endOffset) break
    sizeBytes += tail.sizeBytes(i)
  }
  return Math.min(sizeBytes, maxBytes)
}
