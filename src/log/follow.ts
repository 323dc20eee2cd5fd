import { assert } from '#base/assert.ts'
import { ByteReader } from '#bytes/cursor.ts'
import type { WalFile } from '#commit/wal-files.ts'
import {
  decodeGroupHeader,
  eachRecord,
  FILE_HEADER_BYTES,
  GROUP_HEADER_BYTES,
  groupBytes,
  type LogRecord,
} from '#commit/wal-format.ts'
import { type Change, decodeChange, PRODUCE_RECORD } from '#core/change-records.ts'
import {
  newBatchEntry,
  type ProduceRecordHeader,
  readProduceEntry,
  readProduceHeader,
} from '#core/produce-record.kernel.ts'
import type { State } from '#core/state.ts'
import type { TransactionEnd } from '#core/transaction-fields.ts'
import { isTransactional } from '#records/batch.ts'
import type { Log } from './log.ts'
import { answeredPosition } from './read-bounds.ts'

// Following the log from outside: everything that was accepted and answered, in its order. Whoever derives something from the records
// (indexes, tables) reads this and nothing of the log's files: staged bytes are not accepted ones. Who wants only what is committed
// keeps the batches of each transactional producer back until its transaction ends.

export type LogEvent =
  | {
      kind: 'batch'
      topicId: string
      partition: number
      baseOffset: number
      recordCount: number
      maxTimestampMs: number
      /** Of the batch's bytes in the log; they carry no offset there. */
      batchPosition: number
      sizeBytes: number
      /** The batch belongs to the open transaction of this producer; null: to none. */
      transactionOf: number | null
      /** Where to go on after this event's group. */
      nextPosition: number
    }
  | {
      kind: 'log-start'
      topicId: string
      partition: number
      offset: number
      nextPosition: number
    }
  | {
      /** Batches of the producer that were kept back count now, or never will. */
      kind: 'transaction-end'
      producerId: number
      isCommit: boolean
      /**
       * The offset that it takes in each of its partitions. A batch of another partition, or one that ends at or before
       * `logStart`, never counts: it is of a transaction whose end retention took away.
       */
      markers: { topicId: string; partition: number; offset: number; logStart: number }[]
      nextPosition: number
    }
  | { kind: 'topic'; change: TopicChange; nextPosition: number }
  | LogGap

/**
 * A part of the log is gone before it was followed: what was in it is sealed, or deleted. What was not seen yet of these offsets
 * is to be read as consumers read it. All of it is decided: batches that were kept back are to be read again, with what was aborted
 * left out. Topics may have come and gone. Some of the offsets may be told of once more.
 */
export interface LogGap {
  readonly kind: 'gap'
  readonly missed: readonly { topicId: string; partition: number; startOffset: number; endOffset: number }[]
  readonly nextPosition: number
}

export type TopicChange = Extract<
  Change,
  { kind: 'topic-created' | 'topic-deleted' | 'partitions-added' | 'topic-configs-set' }
>

/**
 * Everything accepted from a position of the log on, then what is accepted as it comes, until the signal. The position is 0 or
 * an event's `nextPosition`. What retention took away meanwhile is left out; batches of topics deleted since are, too. Who is so
 * late that files are gone is told of the gap.
 */
export async function* followAccepted(
  log: Log,
  from: number,
  signal: AbortSignal,
): AsyncGenerator<LogEvent, void, void> {
  let position = from
  while (!signal.aborted) {
    if (position >= answeredPosition(log)) {
      await nextCommit(log, signal)
      continue
    }
    const file = log.commits.files.find(position)
    const gone = file === undefined || position >= file.endPosition
    if (gone) {
      const next = log.commits.files.all.find(candidate => candidate.position > position)
      const nextPosition = next?.position ?? log.commits.position
      if (nextPosition > answeredPosition(log)) {
        // What is told of a gap is all that there is before its end.
        await nextCommit(log, signal)
        continue
      }
      position = nextPosition
      yield gapBefore(log.state, position)
      continue
    }
    if (position === file.position) {
      position += FILE_HEADER_BYTES
      continue
    }
    let group: Group
    try {
      group = await readGroup(log, file, position)
    } catch (thrown) {
      if (log.commits.files.all.includes(file)) throw thrown
      continue // it was taken away while it was read
    }
    yield* group.events
    position = group.nextPosition
  }
}

/** What is in no file from the position on: up to where the extents in those begin. */
function gapBefore({ partitions }: State, position: number): LogGap {
  const missed: { topicId: string; partition: number; startOffset: number; endOffset: number }[] = []
  for (const partition of partitions) {
    if (partition === undefined) continue
    const { topic, index, logStart: startOffset, extents, nextOffset } = partition
    let first = 0
    while (first < extents.length && extents.fileAt(first) < position) first++
    const endOffset = first < extents.length ? extents.baseOffsetAt(first) : nextOffset
    if (endOffset > startOffset) missed.push({ topicId: topic.id, partition: index, startOffset, endOffset })
  }
  return { kind: 'gap', missed, nextPosition: position }
}

interface Group {
  events: LogEvent[]
  nextPosition: number
}

async function readGroup(log: Log, file: WalFile, position: number): Promise<Group> {
  const headerBytes = await readBytes(log, position, GROUP_HEADER_BYTES)
  const header = decodeGroupHeader(headerBytes, 0, file.sequence)
  assert(header !== null && header.position === position, 'a position to follow from is the begin of a group')
  const nextPosition = position + groupBytes(header)
  const recordsAt = position + GROUP_HEADER_BYTES + header.payloadBytes
  const records = await readBytes(log, recordsAt, header.recordsBytes)
  return { events: await eventsOf(log, file.sequence, records, nextPosition), nextPosition }
}

function nextCommit(log: Log, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const wake = (): void => {
      signal.removeEventListener('abort', wake)
      log.waiters.stopWaitingForCommit(waiter)
      resolve()
    }
    const waiter = { wake }
    log.waiters.waitForCommit(waiter)
    signal.addEventListener('abort', wake)
  })
}

/** From memory if it is there, else from the file. */
async function readBytes(log: Log, position: number, length: number): Promise<Buffer> {
  const chunk = log.commits.image.find(position)
  if (chunk !== null && position + length <= chunk.position + chunk.usedBytes) {
    const at = position - chunk.position
    return Buffer.from(chunk.bytes.subarray(at, at + length))
  }
  const bytes = Buffer.alloc(length)
  await log.commits.files.read(position, length, bytes, 0)
  return bytes
}

async function eventsOf(log: Log, sequence: number, records: Buffer, nextPosition: number): Promise<LogEvent[]> {
  const bodies: LogRecord[] = []
  eachRecord(records, 0, records.length, ({ type, version, body }) => {
    bodies.push({ type, version, body: new ByteReader(records, body.offset, body.endOffset) })
    body.take(body.remaining)
  })
  const events: LogEvent[] = []
  for (const { type, version, body } of bodies) {
    if (type === PRODUCE_RECORD) events.push(...(await batchesOf(log, sequence, body, nextPosition)))
    else {
      const { change } = decodeChange(type, version, body)
      const isEnd = change.kind === 'transaction-ended'
      const event = isEnd ? await endOf(log, sequence, change, nextPosition) : eventOf(log, change, nextPosition)
      if (event !== null) events.push(event)
    }
  }
  return events
}

async function batchesOf(log: Log, sequence: number, body: ByteReader, nextPosition: number): Promise<LogEvent[]> {
  const events: LogEvent[] = []
  const header: ProduceRecordHeader = { timeMs: 0, file: 0, payloadPosition: 0, entryCount: 0 }
  const entry = newBatchEntry()
  readProduceHeader(body, header)
  for (let left = header.entryCount; left > 0; left--) {
    readProduceEntry(body, entry)
    const partition = log.state.partitions[entry.ordinal]
    if (partition === undefined) continue
    const batchPosition = header.payloadPosition + entry.place
    const { recordCount, maxTimestampMs, sizeBytes } = entry
    const baseOffset = await acceptedOffset(log, sequence, entry.ordinal, batchPosition)
    if (baseOffset === null || baseOffset + recordCount <= partition.logStart) continue
    const { topic, index } = partition
    events.push({
      kind: 'batch',
      topicId: topic.id,
      partition: index,
      baseOffset,
      recordCount,
      maxTimestampMs,
      batchPosition,
      sizeBytes,
      transactionOf: isTransactional(entry.attributes) ? entry.producerId : null,
      nextPosition,
    })
  }
  return events
}

/** Null: it was turned away, or nothing of the transaction is left. */
async function endOf(log: Log, sequence: number, end: TransactionEnd, nextPosition: number): Promise<LogEvent | null> {
  const { producerId, isCommit } = end
  const markers: Extract<LogEvent, { kind: 'transaction-end' }>['markers'] = []
  for (const { ordinal, place } of end.markers) {
    const partition = log.state.partitions[ordinal]
    if (partition === undefined) continue
    const offset = await acceptedOffset(log, sequence, ordinal, end.payloadPosition + place)
    if (offset === null) continue
    const { topic, index, logStart } = partition
    markers.push({ topicId: topic.id, partition: index, offset, logStart })
  }
  return markers.length === 0 ? null : { kind: 'transaction-end', producerId, isCommit, markers, nextPosition }
}

/** Null: the batch was turned away. */
async function acceptedOffset(log: Log, sequence: number, ordinal: number, position: number): Promise<number | null> {
  if (position < log.maintenance.tailsFrom) return log.indexes.baseOffsetAt(sequence, ordinal, position)
  const tail = log.tails[ordinal]
  const index = tail?.indexOfPosition(position) ?? -1
  return index >= 0 && tail?.position(index) === position ? tail.baseOffset(index) : null
}

function eventOf(log: Log, change: Change, nextPosition: number): LogEvent | null {
  switch (change.kind) {
    case 'log-start-moved': {
      const partition = log.state.partitions[change.ordinal]
      if (partition === undefined) return null
      const { topic, index } = partition
      return { kind: 'log-start', topicId: topic.id, partition: index, offset: change.offset, nextPosition }
    }
    case 'topic-created':
    case 'topic-deleted':
    case 'partitions-added':
    case 'topic-configs-set':
      return { kind: 'topic', change, nextPosition }
    default:
      return null
  }
}
