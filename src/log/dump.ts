import type { Disk } from '#base/ports.ts'
import type { ByteReader } from '#bytes/cursor.ts'
import { readNewestCheckpoint } from '#commit/checkpoint-files.ts'
import { eachRecord, FILE_HEADER_BYTES } from '#commit/wal-format.ts'
import { findFiles, type RecoveredGroup, readGroups } from '#commit/wal-recovery.ts'
import { type Change, decodeChange, PRODUCE_RECORD, RECORD_TYPE_NAMES } from '#core/change-records.ts'
import { decodeState } from '#core/checkpoint.ts'
import { apply, NO_EFFECTS } from '#core/core.ts'
import {
  newBatchEntry,
  type ProduceRecordHeader,
  readProduceEntry,
  readProduceHeader,
} from '#core/produce-record.kernel.ts'
import { State, type Topic } from '#core/state.ts'
import { checkpointDirectory, walDirectory } from './directories.ts'
import { payloadIsIntact } from './payload.ts'

export interface DumpFilter {
  /** Null: all. */
  types: readonly string[] | null
  topic: string | null
  partition: number | null
  /** Only records about this consumer group. */
  group: string | null
  from: number
  to: number
}

type Line = Record<string, unknown>

/** Prints the commit records that the directory still has, oldest first. Returns what is damaged, or null. */
export async function dumpLog(
  place: { disk: Disk; dataDir: string },
  filter: DumpFilter,
  print: (line: Line) => void,
): Promise<string | null> {
  const { disk, dataDir } = place
  const checkpoint = await readNewestCheckpoint(disk, checkpointDirectory(dataDir), () => {})
  const dump = new Dump(
    checkpoint === null ? new State() : decodeState(checkpoint.state),
    checkpoint?.position ?? 0,
    filter,
    print,
  )
  const directory = walDirectory(dataDir)
  const files = await findFiles(disk, directory)
  for (const [index, file] of files.entries()) {
    if (file.header === null) continue
    const { sequence, position } = file
    const end = { sequence, position: position + FILE_HEADER_BYTES, previousChecksum: file.header.previousChecksum }
    const isIntact = payloadIsIntact
    await readGroups({ disk, directory, isIntact, recovered: group => dump.group(group) }, file, end)
    const next = files[index + 1]
    const ended = next?.header && next.sequence === sequence + 1 ? next.header.position : null
    if (ended !== null && end.position !== ended) return `${directory}: cannot be read from position ${end.position} on`
  }
  return null
}

class Dump {
  readonly #state: State
  readonly #stateFrom: number
  readonly #filter: DumpFilter
  readonly #print: (line: Line) => void

  constructor(state: State, stateFrom: number, filter: DumpFilter, print: (line: Line) => void) {
    this.#state = state
    this.#stateFrom = stateFrom
    this.#filter = filter
    this.#print = print
  }

  group(group: RecoveredGroup): void {
    eachRecord(group.bytes, group.recordsFrom, group.recordsTo, record => {
      const { type, version, body } = record
      const bodyAt = body.offset
      const line = type === PRODUCE_RECORD ? this.#produced(body) : this.#changed(type, version, body)
      const isWanted = line !== null && this.#isWanted(type, group.position)
      if (isWanted) this.#print({ position: group.position, type: RECORD_TYPE_NAMES.get(type), ...line })
      // What comes behind the checkpoint makes the names of what follows it.
      if (group.position < this.#stateFrom) return
      body.offset = bodyAt
      apply(this.#state, record, NO_EFFECTS)
    })
  }

  #isWanted(type: number, position: number): boolean {
    const { types, from, to } = this.#filter
    return position >= from && position < to && (types === null || types.includes(RECORD_TYPE_NAMES.get(type) ?? ''))
  }

  #produced(body: ByteReader): Line | null {
    if (this.#filter.group !== null) return null
    const header: ProduceRecordHeader = { timeMs: 0, file: 0, payloadPosition: 0, entryCount: 0 }
    const entry = newBatchEntry()
    readProduceHeader(body, header)
    const batches: Line[] = []
    for (let left = header.entryCount; left > 0; left--) {
      readProduceEntry(body, entry)
      const partition = this.#state.partitions[entry.ordinal]
      const { topic, partition: number } = this.#filter
      if (topic !== null && partition?.topic.name !== topic) continue
      if (number !== null && partition?.index !== number) continue
      batches.push({
        topic: partition?.topic.name ?? null,
        partition: partition?.index ?? null,
        ordinal: entry.ordinal,
        position: header.payloadPosition + entry.place,
        sizeBytes: entry.sizeBytes,
        recordCount: entry.recordCount,
        maxTimestampMs: entry.maxTimestampMs,
        ...(entry.producerId < 0 ? {} : producerOf(entry)),
      })
    }
    return batches.length === 0 ? null : { timeMs: header.timeMs, batches }
  }

  #changed(type: number, version: number, body: ByteReader): Line | null {
    const { timeMs, change } = decodeChange(type, version, body)
    const { topic, partition, group } = this.#filter
    if (partition !== null || (group !== null && !isAboutGroup(change, group))) return null
    const { kind: _, ...fields } = change
    if ('topics' in change) {
      const topics = this.#named(change.topics).filter(one => topic === null || one.topic === topic)
      return topic !== null && topics.length === 0 ? null : { timeMs, ...fields, topics }
    }
    const about = this.#topicOf(change)
    if (topic !== null && about !== topic) return null
    return { timeMs, ...(about === undefined ? {} : { topic: about }), ...(readable(fields) as Line) }
  }

  /** Null: the topic is gone. */
  #named(topics: readonly { readonly topicId: string }[]): { readonly topic: string | null }[] {
    return topics.map(one => ({ topic: this.#state.topicsById.get(one.topicId)?.name ?? null, ...one }))
  }

  #topicOf(change: Change): string | undefined {
    if (change.kind === 'topic-created') return change.name
    let topic: Topic | undefined
    if ('id' in change) topic = this.#state.topicsById.get(change.id)
    else if (change.kind === 'log-start-moved') topic = this.#state.partitions[change.ordinal]?.topic
    return topic?.name
  }
}

function isAboutGroup(change: Change, group: string): boolean {
  if ('groupId' in change) return change.groupId === group
  return 'groupIds' in change && change.groupIds.includes(group)
}

/** What JSON has no form for: maps become objects, bytes base64. */
function readable(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (Array.isArray(value)) return value.map(readable)
  const entries =
    value instanceof Map ? [...value] : typeof value === 'object' && value !== null ? Object.entries(value) : null
  return entries === null ? value : Object.fromEntries(entries.map(([name, inner]) => [name, readable(inner)]))
}

function producerOf(entry: ReturnType<typeof newBatchEntry>): Line {
  return { producerId: entry.producerId, producerEpoch: entry.producerEpoch, baseSequence: entry.baseSequence }
}
