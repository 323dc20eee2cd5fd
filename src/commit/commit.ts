import { assert } from '#base/assert.ts'
import { ChronikError, messageOf, systemCodeOf } from '#base/errors.ts'
import type { Clock, DiskFile, Timer } from '#base/ports.ts'
import { ByteWriter } from '#bytes/cursor.ts'
import { type CommitGroup, copyBytes, fits } from './commit-group.ts'
import type { ActiveFile, WalFile, WalFiles } from './wal-files.ts'
import { encodeFileHeader, FILE_HEADER_BYTES, GROUP_HEADER_BYTES, sealGroupHeader } from './wal-format.ts'
import { type Chunk, WalImage } from './wal-image.ts'

// The commit log of one broker: a write-ahead log whose unit is the flush group: payload (record batches, verbatim) and the
// records that say what it means, written together, synced together, then handed to the owner in order.
//
//   stage       copies payload into the open group, in memory        (sealed when full, or when its flush begins)
//   flush       writes the sealed groups and syncs once for all of them; the next flush begins when this one ends
//   committed   the owner applies the group's records and answers
//
// While a flush is under way the next group gathers. The owner gets `seal`, then exactly one of `committed` and `refused` for
// each group, in their order. Nothing is applied before it is durable, so a refused group (the disk is full) leaves no trace.
// A sync error ends the log: what the disk holds is unknown then, and a second try would lie.

export interface GatherLimits {
  /** A flush begins at this many staged batches at the latest ... */
  batches: number
  /** ... or this long after the first of them. */
  delayMs: number
  /** Wait for either even if nothing else happens. */
  whenIdle: boolean
}

/** 'always': an answer comes after the sync. A number: after the write; the sync follows within so many milliseconds. */
export type SyncPolicy = 'always' | number

export interface CommitOwner<A> {
  /** What the owner keeps with a new group. */
  open(): A
  /** Writes the group's records, not more bytes than were announced. */
  seal(group: CommitGroup<A>): void
  /** Durable: apply and answer. */
  committed(group: CommitGroup<A>): void
  /** Not durable, not applied; may be tried again. */
  refused(group: CommitGroup<A>, error: ChronikError): void
  /** The log has ended. Whether these groups are durable nobody knows. */
  failed(error: ChronikError, undecided: CommitGroup<A>[]): void
  /** The groups of `ended` are all committed, none of the file behind it is: the state now is the state at `resume`. */
  rolled(ended: WalFile, resume: ResumePoint): void
}

/** Where a file begins: what a checkpoint names, and recovery goes on from. */
export interface ResumePoint {
  position: number
  sequence: number
  previousChecksum: number
}

export interface CommitMetrics {
  flushed(batches: number, sizeBytes: number, seconds: number): void
}

export interface CommitOptions {
  clock: Clock
  files: WalFiles
  /** Where the log goes on, and the checksum of the last group before. */
  position: number
  previousChecksum: number
  chunkBytes: number
  cacheBytes: number
  firstFileBytes: number
  gather: GatherLimits
  sync: SyncPolicy
  metrics: CommitMetrics
}

/** Groups up to this size are written and synced on this thread: two trips to the thread pool cost more. */
const SYNC_HERE_BYTES = 131072
/** On a disk that is slower than this, nothing is synced on this thread: it must not freeze. */
const SYNC_HERE_MS = 0.5
/** Weight of the newest sync in the running mean. */
const SYNC_MEAN_WEIGHT = 0.125

export class CommitLog<A> {
  readonly image: WalImage
  readonly files: WalFiles
  readonly #owner: CommitOwner<A>
  readonly #options: CommitOptions
  readonly #clock: Clock
  #open: CommitGroup<A> | null = null
  #sealed: CommitGroup<A>[] = []
  /** End of the last sealed group. */
  #head: number
  #committed: number
  #synced: number
  #previousChecksum: number
  /** The groups of the flush that is under way. */
  #flushing: CommitGroup<A>[] = []
  /** The file that was written last. */
  #writtenFile: ActiveFile
  #scheduled = false
  #hurried = false
  #gatherTimer: Timer | null = null
  #syncTimer: Timer | null = null
  #openedMs = 0
  #batchesSeen = 0
  #meanSyncMs = 0
  #failure: ChronikError | null = null
  #isClosing = false
  #drained: (() => void)[] = []
  /** When something was refused last for lack of space, by the monotonic clock. */
  refusedAtMs = Number.NEGATIVE_INFINITY

  constructor(owner: CommitOwner<A>, options: CommitOptions) {
    this.#owner = owner
    this.#options = options
    this.#clock = options.clock
    this.files = options.files
    this.image = new WalImage({ chunkBytes: options.chunkBytes, cacheBytes: options.cacheBytes })
    this.#head = options.position
    this.#committed = options.position
    this.#synced = options.position
    this.#previousChecksum = options.previousChecksum
    // A new file at every start: what a torn tail left behind can never come to stand behind a new group.
    this.#writtenFile = this.files.roll(options.position, options.firstFileBytes)
  }

  /** End of what is committed. */
  get position(): number {
    return this.#committed
  }

  get failure(): ChronikError | null {
    return this.#failure
  }

  /** Staged and not yet committed: what admission is measured against. */
  get pendingBytes(): number {
    const open = this.#open
    return this.#head - this.#committed + (open === null ? 0 : GROUP_HEADER_BYTES + open.payloadBytes)
  }

  /**
   * Copies payload into the open group and lets its records grow by `recordBytes`. The payload's place in the group that is
   * returned is the group's `payloadBytes` less the payload's length.
   */
  stage(bytes: Uint8Array, from: number, to: number, recordBytes: number): CommitGroup<A> {
    assert(this.#failure === null, 'nothing is staged on a log that has ended')
    const length = to - from
    const open = this.#open
    const group = open !== null && fits(open, length + recordBytes) ? open : this.#begin(length + recordBytes)
    copyBytes(bytes, from, to, group.chunk.bytes, group.headerAt + GROUP_HEADER_BYTES + group.payloadBytes)
    group.payloadBytes += length
    group.reservedBytes += recordBytes
    group.batches++
    this.#schedule()
    return group
  }

  #begin(contentBytes: number): CommitGroup<A> {
    if (this.#open !== null) this.#seal(this.#open)
    const groupBytes = GROUP_HEADER_BYTES + contentBytes
    let file = this.files.active
    // A group larger than a whole file makes that file larger.
    if (this.#head > file.position && this.#head + groupBytes > file.position + file.sizeBytes) {
      file = this.files.roll(this.#head)
    }
    const startsFile = this.#head === file.position
    const headerBytes = startsFile ? FILE_HEADER_BYTES : 0
    let chunk = this.image.last
    if (chunk === null || chunk.usedBytes + headerBytes + groupBytes > chunk.bytes.length) {
      // What is being applied is still looked at: owners stage more while they answer.
      this.image.shrink(this.#flushing[0]?.position ?? this.#committed)
      chunk = this.image.open(this.#head, headerBytes + groupBytes)
    }
    chunk.usedBytes += headerBytes
    this.#head += headerBytes
    this.#open = {
      position: this.#head,
      file,
      startsFile,
      chunk,
      headerAt: chunk.usedBytes,
      payloadBytes: 0,
      reservedBytes: 0,
      batches: 0,
      records: new ByteWriter(),
      attachment: this.#owner.open(),
    }
    this.#openedMs = this.#clock.monotonicMs()
    this.#batchesSeen = 0
    return this.#open
  }

  #seal(group: CommitGroup<A>): void {
    this.#owner.seal(group)
    const { chunk, records } = group
    assert(records.offset <= group.reservedBytes, 'records take no more room than was announced')
    const recordsAt = group.headerAt + GROUP_HEADER_BYTES + group.payloadBytes
    chunk.bytes.set(records.written(), recordsAt)
    chunk.usedBytes = recordsAt + records.offset
    this.#head = group.position + GROUP_HEADER_BYTES + group.payloadBytes + records.offset
    assert(this.#head === chunk.position + chunk.usedBytes, 'a sealed group is the end of its chunk')
    this.#sealed.push(group)
    this.#open = null
  }

  // ---- when to flush

  /** What is staged is not to wait for more, whatever the gather limits say. */
  hurry(): void {
    this.#hurried = true
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled || this.#flushing.length > 0) return
    this.#scheduled = true
    this.#clock.soon(this.#gather)
  }

  /** After each turn of reading: flush, unless more is coming in and the limits allow to wait for it. */
  readonly #gather = (): void => {
    this.#scheduled = false
    if (this.#flushing.length > 0 || this.#failure !== null) return
    const open = this.#open
    if (open === null || this.#sealed.length > 0 || this.#isDue(open)) {
      this.#gatherTimer?.cancel()
      this.#gatherTimer = null
      this.#flush()
      return
    }
    const { gather } = this.#options
    if (open.batches > this.#batchesSeen) {
      this.#batchesSeen = open.batches
      this.#schedule()
    } else if (this.#gatherTimer === null) {
      this.#gatherTimer = this.#clock.after(gather.delayMs, () => {
        this.#gatherTimer = null
        this.#schedule()
      })
    }
  }

  #isDue(open: CommitGroup<A>): boolean {
    if (this.#hurried) return true
    const { batches, delayMs, whenIdle } = this.#options.gather
    if (open.batches >= batches || this.#clock.monotonicMs() - this.#openedMs >= delayMs) return true
    return !whenIdle && open.batches === this.#batchesSeen
  }

  // ---- the flush

  #flush(): void {
    this.#hurried = false
    if (this.#open !== null) this.#seal(this.#open)
    const first = this.#sealed[0]
    if (first === undefined) return
    const count = this.#sealed.findIndex(group => group.file !== first.file)
    const groups = this.#sealed.splice(0, count < 0 ? this.#sealed.length : count)
    this.#flushing = groups
    const chain = this.#previousChecksum
    const ranges = this.#finishBytes(groups)
    const sizeBytes = ranges.reduce((sum, range) => sum + range.to - range.from, 0)
    const disk = this.#needsSyncBefore(first) ? null : first.file.ready
    if (disk !== null && sizeBytes <= SYNC_HERE_BYTES && this.#meanSyncMs < SYNC_HERE_MS) {
      this.#flushHere(disk, groups, ranges, chain)
    } else {
      void this.#flushElsewhere(groups, ranges, chain)
    }
  }

  /** Before a file is begun, the one before it is synced: only the last file of a log may have a torn tail. */
  #needsSyncBefore(group: CommitGroup<A>): boolean {
    return group.startsFile && this.#options.sync !== 'always'
  }

  /** Writes headers and checksums; returns what is to be written, in as few pieces as possible. */
  #finishBytes(groups: CommitGroup<A>[]): Range[] {
    const ranges: Range[] = []
    for (const group of groups) {
      const { chunk, file, payloadBytes, records, position } = group
      let from = group.headerAt
      if (group.startsFile) {
        from -= FILE_HEADER_BYTES
        const previousChecksum = this.#previousChecksum
        file.previousChecksum = previousChecksum
        encodeFileHeader(chunk.bytes, from, { sequence: file.sequence, position: file.position, previousChecksum })
      }
      this.#previousChecksum = sealGroupHeader(chunk.bytes, group.headerAt, file.sequence, {
        previousChecksum: this.#previousChecksum,
        payloadBytes,
        recordsBytes: records.offset,
        position,
        syncedPosition: this.#synced,
      })
      const to = group.headerAt + GROUP_HEADER_BYTES + payloadBytes + records.offset
      const last = ranges.at(-1)
      if (last !== undefined && last.chunk === chunk && last.to === from) last.to = to
      else ranges.push({ chunk, from, to })
    }
    return ranges
  }

  #flushHere(disk: DiskFile, groups: CommitGroup<A>[], ranges: Range[], chain: number): void {
    const beganMs = this.#clock.monotonicMs()
    const { file } = groups[0]!
    let syncing = false
    try {
      disk.writePiecesSync(piecesOf(ranges, file), startOf(ranges, file))
      syncing = true
      if (this.#options.sync === 'always') disk.syncSync()
    } catch (thrown) {
      this.#flushFailed(thrown, syncing, groups, chain)
      return
    }
    this.#flushed(groups, ranges, beganMs)
  }

  async #flushElsewhere(groups: CommitGroup<A>[], ranges: Range[], chain: number): Promise<void> {
    const beganMs = this.#clock.monotonicMs()
    const { file } = groups[0]!
    let syncing = false
    try {
      const disk = await this.files.make(file)
      syncing = this.#needsSyncBefore(groups[0]!)
      if (syncing) await this.files.syncBefore(file)
      syncing = false
      // A sync at an interval failed meanwhile: no file is begun behind one that may have a hole.
      if (this.#failure !== null) return
      await disk.writePieces(piecesOf(ranges, file), startOf(ranges, file))
      syncing = true
      if (this.#options.sync === 'always') await disk.sync()
    } catch (thrown) {
      this.#flushFailed(thrown, syncing, groups, chain)
      return
    }
    this.#flushed(groups, ranges, beganMs)
  }

  #flushed(groups: CommitGroup<A>[], ranges: Range[], beganMs: number): void {
    if (this.#failure !== null) return
    const last = ranges.at(-1)!
    this.#writtenFile = groups[0]!.file
    const end = last.chunk.position + last.to
    const tookMs = this.#clock.monotonicMs() - beganMs
    this.#meanSyncMs += (tookMs - this.#meanSyncMs) * SYNC_MEAN_WEIGHT
    this.#committed = end
    if (this.#options.sync === 'always') this.#synced = end
    else this.#syncLater(this.#options.sync)
    if (groups[0]!.startsFile) {
      const ended = this.files.started(groups[0]!.file)
      if (ended !== null) this.#owner.rolled(ended, groups[0]!.file)
      this.files.prepareNext()
    }
    let batches = 0
    for (const group of groups) {
      batches += group.batches
      this.#owner.committed(group)
    }
    this.#options.metrics.flushed(batches, end - groups[0]!.position, tookMs / 1000)
    this.#flushing = []
    if (this.#open !== null || this.#sealed.length > 0) this.#schedule()
    else this.#tellDrained()
  }

  #flushFailed(thrown: unknown, syncing: boolean, groups: CommitGroup<A>[], chain: number): void {
    if (this.#failure !== null) return
    if (syncing || !DISK_FULL.has(systemCodeOf(thrown))) {
      this.#fail(thrown, syncing)
      return
    }
    this.refusedAtMs = this.#clock.monotonicMs()
    const error = new ChronikError('DISK_FULL', 'retry', `no space for the log in ${this.files.directory}`, {
      cause: thrown,
    })
    // What was staged behind a refused group goes with it: otherwise the later requests of a connection would overtake.
    const refused = [...groups, ...this.#sealed]
    if (this.#open !== null) refused.push(this.#open)
    const first = refused[0]!
    this.#sealed = []
    this.#open = null
    this.#previousChecksum = chain
    this.#head = first.position - (first.startsFile ? FILE_HEADER_BYTES : 0)
    this.image.cutTo(this.#head)
    this.files.takeBack(first.file)
    for (const group of refused) this.#owner.refused(group, error)
    this.#flushing = []
    if (this.#open !== null) this.#schedule()
    else this.#tellDrained()
  }

  #fail(thrown: unknown, syncing: boolean): void {
    const what = syncing ? 'sync' : 'write'
    this.#failure = new ChronikError(
      'LOG_FAILED',
      'unavailable',
      `could not ${what} the log in ${this.files.directory}: ${messageOf(thrown)}. Nothing more is accepted; check the disk and restart`,
      { cause: thrown },
    )
    const undecided = [...this.#flushing, ...this.#sealed]
    if (this.#open !== null) undecided.push(this.#open)
    this.#owner.failed(this.#failure, undecided)
    this.#tellDrained()
  }

  // ---- syncing at intervals

  #syncLater(delayMs: number): void {
    this.#syncTimer ??= this.#clock.after(delayMs, () => void this.#syncNow())
  }

  async #syncNow(): Promise<void> {
    await this.sync().catch(() => {}) // the log has failed, and its owner knows
    this.#syncTimer = null
    const { sync } = this.#options
    if (this.#failure === null && this.#committed > this.#synced && sync !== 'always') this.#syncLater(sync)
  }

  /** What is committed now survives the power when this resolves, at whatever interval it is synced. */
  async sync(): Promise<void> {
    const position = this.#committed
    if (this.#options.sync === 'always' || this.#synced >= position || this.#isClosing) return
    try {
      await (await this.#writtenFile.disk).sync()
    } catch (thrown) {
      if (this.#failure === null) this.#fail(thrown, true)
      throw thrown
    }
    this.#synced = Math.max(this.#synced, position)
  }

  // ---- the end

  /** Resolves when all that was staged is committed, refused or lost with the log. */
  drain(): Promise<void> {
    if (this.#isDrained) return Promise.resolve()
    this.hurry()
    return new Promise(resolve => this.#drained.push(resolve))
  }

  get #isDrained(): boolean {
    const isIdle = this.#open === null && this.#sealed.length === 0 && this.#flushing.length === 0
    return this.#failure !== null || isIdle
  }

  #tellDrained(): void {
    for (const resolve of this.#drained.splice(0)) resolve()
  }

  /** Returns where the log goes on, and the file that ends with it, if there is one. Whoever stages later is told LOG_CLOSED. */
  async close(): Promise<{ resume: ResumePoint; ended: WalFile | null }> {
    // Who has just been answered may have staged more.
    while (!this.#isDrained) await this.drain()
    const hasFailed = this.#failure !== null
    this.#failure ??= new ChronikError('LOG_CLOSED', 'closed', 'the log is closed: nothing more is accepted')
    this.#isClosing = true
    this.#gatherTimer?.cancel()
    this.#syncTimer?.cancel()
    const endPosition = this.#head
    const { active } = this.files
    await this.files.close(hasFailed ? null : endPosition)
    const { sequence, position, sizeBytes } = this.#writtenFile
    return {
      resume: {
        position: endPosition,
        sequence: endPosition === active.position ? active.sequence : active.sequence + 1,
        previousChecksum: this.#previousChecksum,
      },
      ended: endPosition === position ? null : { sequence, position, sizeBytes, endPosition },
    }
  }
}

interface Range {
  chunk: Chunk
  from: number
  to: number
}

/** Where in the file the ranges begin. */
function startOf(ranges: readonly Range[], file: WalFile): number {
  const { chunk, from } = ranges[0]!
  return chunk.position + from - file.position
}

/** The bytes of the ranges, and zeros up to the end of the page: what is not wholly written the system must read first. */
function piecesOf(ranges: readonly Range[], file: WalFile): Uint8Array[] {
  const pieces: Uint8Array[] = ranges.map(({ chunk, from, to }) => chunk.bytes.subarray(from, to))
  const { chunk, to } = ranges.at(-1)!
  const end = chunk.position + to - file.position
  const zeros = Math.min(PAGE.length - (end % PAGE.length), file.sizeBytes - end)
  if (zeros > 0 && zeros < PAGE.length) pieces.push(PAGE.subarray(0, zeros))
  return pieces
}

/** Of the page cache; zeros. */
const PAGE = new Uint8Array(4096)

const DISK_FULL: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT'])
