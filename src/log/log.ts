import { assert } from '#base/assert.ts'
import { ChronikError } from '#base/errors.ts'
import type { Clock, Disk } from '#base/ports.ts'
import { BufferPool } from '#bytes/buffer-pool.ts'
import { ByteWriter } from '#bytes/cursor.ts'
import { listCheckpoints, readNewestCheckpoint } from '#commit/checkpoint-files.ts'
import {
  CommitLog,
  type CommitMetrics,
  type CommitOwner,
  type GatherLimits,
  type ResumePoint,
  type SyncPolicy,
} from '#commit/commit.ts'
import type { CommitGroup } from '#commit/commit-group.ts'
import { type WalFile, WalFiles } from '#commit/wal-files.ts'
import { eachRecord, GROUP_HEADER_BYTES, RECORD_HEADER_BYTES, writeRecord } from '#commit/wal-format.ts'
import { type RecoveredGroup, recoverLog } from '#commit/wal-recovery.ts'
import { type Change, encodeChange, PRODUCE_RECORD, RECORD_VERSION, typeOfChange } from '#core/change-records.ts'
import { decodeState } from '#core/checkpoint.ts'
import { ACCEPTED, apply, type Effects, type Outcome, type StoredMarker } from '#core/core.ts'
import {
  addProduceEntry,
  type BatchEntry,
  beginProduceRecord,
  endProduceRecord,
  PRODUCE_ENTRY_BYTES,
  PRODUCE_HEADER_BYTES,
} from '#core/produce-record.kernel.ts'
import { type Partition, State } from '#core/state.ts'
import type { TransactionEnd } from '#core/transaction-fields.ts'
import type { RangeSource } from '#object-store/object-store.ts'
import { crcOf, setBaseOffset, setLeaderEpoch } from '#records/batch.ts'
import { buildEndMarker } from '#records/build.ts'
import { AnswerGate, type HeldAnswers } from './answer-gate.ts'
import { BatchTail } from './batch-tail.ts'
import { checkpointDirectory, walDirectory } from './directories.ts'
import { IndexFiles } from './index-file.ts'
import { type FoundCheckpoints, type Maintenance, startMaintenance } from './maintenance.ts'
import { requireFiles } from './needed-files.ts'
import { payloadIsIntact } from './payload.ts'
import { SegmentReader } from './segment-reader.ts'
import { Unsealed } from './unsealed.ts'
import { Waiters } from './waiters.ts'

export { checkpointDirectory, walDirectory } from './directories.ts'
export { TopicRules } from './topic-rules.ts'
export type { UnsealedPartition } from './unsealed.ts'
export type { Waiter } from './waiters.ts'

// The partitions' logs over one commit log. Owns the state: everything that changes it passes through here as a record, is made
// durable, then applied, then answered.
//
//   append           stages a produced batch        ─┐
//   propose          stages a change of the state   ─┼▶ CommitLog ─▶ committed: apply, index, wake readers, settle the tickets
//   endTransaction   stages the markers of its end  ─┘
//
// readLog, followAccepted and enforceRetention work on the same log from their own files.

/** Is told what became of the batches of one request, slot by slot. */
export interface AppendTicket {
  settled(slot: number, verdict: number, baseOffset: number, appendTimeMs: number): void
  refused(slot: number, error: ChronikError): void
}

export interface LogMetrics extends CommitMetrics {
  /** `batches`: how many produced ones the record has. */
  applied(recordType: number, batches: number): void
  stored(records: number): void
}

export interface LogOptions {
  disk: Disk
  clock: Clock
  dataDir: string
  walFileBytes: number
  /** A larger write-ahead log takes no more batches. */
  walLimitBytes: number
  cacheBytes: number
  gather: GatherLimits
  sync: SyncPolicy
  /** Where segments are read from. */
  segments: RangeSource
  metrics: LogMetrics
  /** Progress and warnings for people. */
  report(level: 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>): void
  /** The log has ended: the process should, too. */
  failed(error: ChronikError): void
  /** After all answers of a commit are made: what was gathered for a connection can go out in one write. */
  afterCommit(): void
  /** A group was applied. `records` says what it did: a view that is good during the call. */
  committed(position: number, endPosition: number, records: Buffer): void
  /** May what ends there be answered? If not it is once that may be, and `answerHeld` is called. */
  mayAnswer(endPosition: number): boolean
}

/** Of a log of which nobody keeps a copy elsewhere. */
export const WITHOUT_COPY: Pick<LogOptions, 'committed' | 'mayAnswer'> = { committed() {}, mayAnswer: () => true }

/** How a transaction is to end; where its markers come to lie is for the log to say. */
export type ProposedEnd = Omit<TransactionEnd, 'kind' | 'file' | 'payloadPosition' | 'markers'> & {
  /** Of all its partitions. */
  readonly ordinals: readonly number[]
}

/** A single broker is never succeeded by another coordinator. */
const COORDINATOR_EPOCH = 0
/** Memory of one chunk of the newest log. */
const CHUNK_BYTES = 8 << 20
/** Memory that is kept for reads of files. */
const KEPT_READ_BYTES = 32 << 20
/** The first file after a start is smaller, so that the start does not wait for it. */
const FIRST_FILE_BYTES = 16 << 20

/** What the log keeps with a group until it is committed. */
interface Gathered {
  /** The record of the batches that came since the last change. */
  readonly produced: ByteWriter
  isProducing: boolean
  tickets: AppendTicket[]
  slots: number[]
  changes: Proposal[]
}

/** Somebody waits for a change. */
interface Proposal {
  readonly decided: (outcome: Outcome) => void
  readonly refused: (error: ChronikError) => void
}

export class Log implements CommitOwner<Gathered>, Effects {
  readonly state: State
  readonly clock: Clock
  readonly tails: (BatchTail | undefined)[]
  readonly indexes: IndexFiles
  readonly commits: CommitLog<Gathered>
  readonly options: LogOptions
  readonly maintenance: Maintenance
  readonly segments: SegmentReader
  readonly unsealed: Unsealed
  /** For what is read from files. */
  readonly readBuffers = new BufferPool(KEPT_READ_BYTES)
  readonly waiters = new Waiters()
  readonly gate: AnswerGate
  /** While a group is being applied: what is told to whom. */
  #current: CommitGroup<Gathered> | null = null
  /** Null: its answers go at once. */
  #held: HeldAnswers | null = null
  #batchIndex = 0
  #changeIndex = 0

  constructor(options: LogOptions, opened: Opened) {
    this.options = options
    this.clock = options.clock
    this.state = opened.state
    this.tails = opened.tails
    this.indexes = opened.indexes
    this.segments = new SegmentReader(options.segments, options.clock)
    this.unsealed = new Unsealed(options.clock, opened.state.partitions)
    this.gate = new AnswerGate(options.mayAnswer)
    this.commits = new CommitLog<Gathered>(this, {
      clock: options.clock,
      files: new WalFiles({
        disk: options.disk,
        directory: walDirectory(options.dataDir),
        fileBytes: options.walFileBytes,
        files: opened.files,
        sequence: opened.resume.sequence,
      }),
      position: opened.resume.position,
      previousChecksum: opened.resume.previousChecksum,
      chunkBytes: Math.min(CHUNK_BYTES, Math.max(Math.floor(options.cacheBytes / 4), 1 << 20)),
      cacheBytes: options.cacheBytes,
      firstFileBytes: Math.min(FIRST_FILE_BYTES, options.walFileBytes),
      gather: options.gather,
      sync: options.sync,
      metrics: options.metrics,
    })
    this.maintenance = startMaintenance(this, opened.unindexed, opened.resume, opened.checkpoints)
  }

  /** Why no batch is taken now, or never again. */
  get refusal(): ChronikError | null {
    const { failure, files } = this.commits
    if (failure !== null || files.mostBytes <= this.options.walLimitBytes) return failure
    return new ChronikError(
      'WAL_FULL',
      'retry',
      `the write-ahead log has no more room within ${this.options.walLimitBytes} bytes: its records could not be sealed into the object store`,
    )
  }

  // ---- what is proposed

  /** Stages the batch `bytes[from, to)`, which was checked; `entry` says what it is. Copies what it needs of both. */
  append(entry: BatchEntry, bytes: Buffer, from: number, to: number, ticket: AppendTicket, slot: number): void {
    const group = this.commits.stage(bytes, from, to, PRODUCE_ENTRY_BYTES + PRODUCE_HEADER_BYTES + RECORD_HEADER_BYTES)
    const { produced, tickets, slots } = group.attachment
    if (!group.attachment.isProducing) beginProduceRecord(produced)
    group.attachment.isProducing = true
    entry.sizeBytes = to - from
    entry.place = group.payloadBytes - entry.sizeBytes
    addProduceEntry(produced, entry)
    tickets.push(ticket)
    slots.push(slot)
  }

  /** Resolves when the change is durable and applied. Rejects if it cannot be made durable. */
  propose(change: Change): Promise<Outcome> {
    const { failure } = this.commits
    if (failure !== null) return Promise.reject(failure)
    const body = encodeChange(change, this.clock.nowMs())
    return new Promise((decided, refused) => {
      const group = this.commits.stage(body, 0, 0, RECORD_HEADER_BYTES + body.length)
      this.#addChange(group, typeOfChange(change.kind), body, { decided, refused })
      this.commits.hurry()
    })
  }

  /** The same for the end of a transaction: the markers of all its partitions are the payload of its one record. */
  endTransaction({ ordinals, ...end }: ProposedEnd): Promise<Outcome> {
    const { failure } = this.commits
    if (failure !== null) return Promise.reject(failure)
    const timeMs = this.clock.nowMs()
    const producer = { producerId: end.producerId, producerEpoch: end.markerEpoch, coordinatorEpoch: COORDINATOR_EPOCH }
    // One for all: what tells them apart is their offset, which they get when they are applied.
    const marker = buildEndMarker(end.isCommit ? 'commit' : 'abort', { ...producer, timestampMs: timeMs })
    const [sizeBytes, crc] = [marker.length, crcOf(marker, 0)]
    const bodyAt = (file: number, payloadPosition: number, place: number): Buffer => {
      const markers = ordinals.map((ordinal, i) => ({ ordinal, place: place + i * sizeBytes, sizeBytes, crc }))
      return encodeChange({ kind: 'transaction-ended', ...end, file, payloadPosition, markers }, timeMs)
    }
    const payload = Buffer.concat(ordinals.map(() => marker))
    // Where it will be is known once it is staged; numbers take the same room wherever that is.
    const recordBytes = RECORD_HEADER_BYTES + bodyAt(0, 0, 0).length
    return new Promise((decided, refused) => {
      const group = this.commits.stage(payload, 0, payload.length, recordBytes)
      const place = group.payloadBytes - payload.length
      const body = bodyAt(group.file.position, group.position + GROUP_HEADER_BYTES, place)
      this.#addChange(group, typeOfChange('transaction-ended'), body, { decided, refused })
      this.commits.hurry()
    })
  }

  #addChange(group: CommitGroup<Gathered>, type: number, body: Buffer, proposal: Proposal): void {
    this.#endProduced(group)
    writeRecord(group.records, type, RECORD_VERSION, body)
    group.attachment.changes.push(proposal)
  }

  /** Records come in the order of what was staged: the batches of a partition lie in the log in the order of their offsets. */
  #endProduced(group: CommitGroup<Gathered>): void {
    const { attachment, file, position, records } = group
    if (!attachment.isProducing) return
    attachment.isProducing = false
    endProduceRecord(attachment.produced, this.clock.nowMs(), file.position, position + GROUP_HEADER_BYTES)
    writeRecord(records, PRODUCE_RECORD, RECORD_VERSION, attachment.produced.written())
  }

  // ---- CommitOwner

  open(): Gathered {
    const produced = new ByteWriter(PRODUCE_HEADER_BYTES + PRODUCE_ENTRY_BYTES)
    return { produced, isProducing: false, tickets: [], slots: [], changes: [] }
  }

  seal(group: CommitGroup<Gathered>): void {
    this.#endProduced(group)
  }

  committed(group: CommitGroup<Gathered>): void {
    const { position, payloadBytes, records, attachment } = group
    const endPosition = position + GROUP_HEADER_BYTES + payloadBytes + records.offset
    this.#current = group
    this.#held = this.gate.keep(position, endPosition)
    this.#batchIndex = 0
    this.#changeIndex = 0
    eachRecord(records.bytes, 0, records.offset, record => {
      const before = this.#batchIndex
      apply(this.state, record, this)
      this.options.metrics.applied(record.type, this.#batchIndex - before)
    })
    assert(this.#batchIndex === attachment.tickets.length, 'every batch of a group is decided')
    assert(this.#changeIndex === attachment.changes.length, 'every change of a group is decided')
    this.#current = null
    this.#held = null
    this.options.committed(position, endPosition, records.written())
    this.waiters.wake()
    this.options.afterCommit()
  }

  /** What could not be answered may be by now. */
  answerHeld(): void {
    if (this.commits.failure !== null || !this.gate.letGo(ordinal => this.waiters.changed(ordinal))) return
    this.waiters.wake()
    this.options.afterCommit()
  }

  /** Resolves when all that is committed now is answered: who goes by the state, and not by a change of his own, waits for it. */
  answered(): Promise<void> {
    return this.gate.answered()
  }

  /** Nobody outside waits for answers any more; who does inside need not wait for copies. */
  endAnswers(): void {
    this.gate.open()
    this.answerHeld()
  }

  refused(group: CommitGroup<Gathered>, error: ChronikError): void {
    const { tickets, slots, changes } = group.attachment
    for (const [i, ticket] of tickets.entries()) ticket.refused(slots[i]!, error)
    for (const change of changes) change.refused(error)
    this.options.afterCommit()
  }

  failed(error: ChronikError, undecided: CommitGroup<Gathered>[]): void {
    // Producers are not answered: an answer would say more than is known. Changes have somebody in this process who waits.
    this.gate.refuseAll(error)
    for (const group of undecided) for (const change of group.attachment.changes) change.refused(error)
    this.options.failed(error)
  }

  rolled(ended: WalFile, resume: ResumePoint): void {
    this.maintenance.rolled(ended, resume)
    this.unsealed.fileEnded()
  }

  // ---- Effects of the group that is being applied

  batch(verdict: number, partition: Partition | undefined, baseOffset: number, entry: BatchEntry): void {
    const group = this.#current
    assert(group !== null, 'batches are applied while their group is committed')
    const slot = this.#batchIndex++
    if (verdict === ACCEPTED && partition !== undefined) {
      this.#stored(group, partition, baseOffset, entry)
      this.options.metrics.stored(entry.recordCount)
    }
    const { tickets, slots } = group.attachment
    const { appendTimeMs } = entry
    if (this.#held === null) tickets[slot]!.settled(slots[slot]!, verdict, baseOffset, appendTimeMs)
    else this.#held.settleLater(tickets[slot]!, { slot: slots[slot]!, verdict, baseOffset, appendTimeMs })
  }

  marked(partition: Partition, baseOffset: number, marker: StoredMarker): void {
    assert(this.#current !== null, 'markers are applied while their group is committed')
    this.#stored(this.#current, partition, baseOffset, marker)
  }

  #stored(group: CommitGroup<Gathered>, partition: Partition, baseOffset: number, batch: StoredBatch): void {
    const at = group.headerAt + GROUP_HEADER_BYTES + batch.place
    // What goes to consumers from memory carries its offset; on disk it is as it was sent.
    setBaseOffset(group.chunk.bytes, at, baseOffset)
    setLeaderEpoch(group.chunk.bytes, at, partition.leaderEpoch)
    addToTail(this.tails, batch, baseOffset)
    this.unsealed.add(partition, batch.sizeBytes)
    this.waiters.changed(batch.ordinal)
    if (this.#held === null) return
    const lastStableOffset = Math.min(partition.lastStableOffset, baseOffset)
    this.gate.bind(this.#held, batch.ordinal, { highWatermark: baseOffset, lastStableOffset })
  }

  change(change: Change, outcome: Outcome): void {
    const group = this.#current
    assert(group !== null, 'changes are applied while their group is committed')
    switch (change.kind) {
      case 'segments-committed':
        for (const { ordinal } of change.parts) this.unsealed.sealed(this.state.partitions[ordinal])
        this.maintenance.freed()
        break
      case 'log-start-moved':
        this.unsealed.recount(this.state.partitions[change.ordinal])
        this.maintenance.freed()
        this.waiters.changed(change.ordinal)
        break
      case 'topic-deleted':
        this.unsealed.forgetDeleted()
        this.maintenance.freed()
        this.waiters.deleted(this.state.partitions)
    }
    const { decided, refused } = group.attachment.changes[this.#changeIndex++]!
    if (this.#held === null) decided(outcome)
    else this.#held.decideLater(() => decided(outcome), refused)
  }

  /** Commits what is staged, writes a checkpoint and closes the files. Nobody proposes any more. */
  async close(): Promise<void> {
    this.segments.close()
    await this.commits.drain()
    this.gate.refuseAll(new ChronikError('LOG_CLOSED', 'closed', 'the log was closed before this was answered'))
    await this.maintenance.close(() => this.commits.close())
    await this.indexes.close()
  }
}

interface Opened {
  state: State
  tails: (BatchTail | undefined)[]
  indexes: IndexFiles
  files: WalFile[]
  /** Files that were read back and have no index yet. */
  unindexed: WalFile[]
  resume: ResumePoint
  checkpoints: FoundCheckpoints
}

/** Where an empty log begins. */
export const BEGINNING: ResumePoint = { position: 0, sequence: 1, previousChecksum: 0 }

/** Opens the log of a data directory that this process has locked, as the last one left it, however it ended. */
export async function openLog(options: LogOptions): Promise<Log> {
  const { disk, dataDir, report } = options
  await disk.makeDirectory(walDirectory(dataDir))
  await disk.makeDirectory(checkpointDirectory(dataDir))
  await disk.syncDirectory(dataDir)
  // A name that is found may be known to the system alone: before anything is trimmed for it, it is made to last.
  await disk.syncDirectory(checkpointDirectory(dataDir))
  const checkpoint = await readNewestCheckpoint(disk, checkpointDirectory(dataDir), path =>
    report('warn', `checkpoint ${path} is damaged, the one before it is used`),
  )
  const state = checkpoint === null ? new State() : decodeState(checkpoint.state)
  const tails: (BatchTail | undefined)[] = []
  const effects = new RecoveryEffects(tails)
  const resume = checkpoint ?? BEGINNING
  const beganMs = options.clock.monotonicMs()
  const recovered = await recoverLog({
    disk,
    directory: walDirectory(dataDir),
    resume,
    isIntact: payloadIsIntact,
    recovered: group => applyRecovered(state, group, effects),
  })
  if (recovered.tornBytes > 0) {
    report('warn', `cut a torn tail of ${recovered.tornBytes} bytes that were never acknowledged`, {
      position: recovered.position,
    })
  }
  const unindexed = recovered.files.filter(file => file.sequence >= resume.sequence)
  requireFiles(state, recovered.files, walDirectory(dataDir))
  const indexes = new IndexFiles(disk, walDirectory(dataDir))
  await indexes.meet(recovered.files, resume.sequence)
  report('info', 'log recovered', {
    position: recovered.position,
    readBytes: recovered.position - resume.position,
    tookMs: Math.round(options.clock.monotonicMs() - beganMs),
  })
  const checkpoints: FoundCheckpoints = {
    newest: {
      position: resume.position,
      sizeBytes: checkpoint?.state.length ?? 0,
      writtenMs: checkpoint?.writtenMs ?? options.clock.nowMs(),
    },
    oldestPosition: (await listCheckpoints(disk, checkpointDirectory(dataDir)))[0] ?? 0,
  }
  return new Log(options, { state, tails, indexes, files: recovered.files, unindexed, resume: recovered, checkpoints })
}

function applyRecovered(state: State, group: RecoveredGroup, effects: Effects): void {
  eachRecord(group.bytes, group.recordsFrom, group.recordsTo, record => apply(state, record, effects))
}

/** Nobody waits for an answer when the log is read back; only the index is made. */
class RecoveryEffects implements Effects {
  readonly #tails: (BatchTail | undefined)[]

  constructor(tails: (BatchTail | undefined)[]) {
    this.#tails = tails
  }

  batch(verdict: number, _partition: Partition | undefined, baseOffset: number, entry: BatchEntry): void {
    if (verdict === ACCEPTED) addToTail(this.#tails, entry, baseOffset)
  }

  marked(_partition: Partition, baseOffset: number, marker: StoredMarker): void {
    addToTail(this.#tails, marker, baseOffset)
  }

  change(): void {}
}

/** A batch that was accepted: a produced one, or a marker. */
interface StoredBatch {
  readonly ordinal: number
  readonly place: number
  readonly position: number
  readonly sizeBytes: number
  readonly maxTimestampMs: number
}

function addToTail(tails: (BatchTail | undefined)[], batch: StoredBatch, baseOffset: number): void {
  let tail = tails[batch.ordinal]
  if (tail === undefined) {
    tail = new BatchTail()
    tails[batch.ordinal] = tail
  }
  tail.add(baseOffset, batch.position, batch.sizeBytes, batch.maxTimestampMs)
}
