import { assert } from '#base/assert.ts'
import { ChronikError, messageOf } from '#base/errors.ts'
import type { Clock, Disk, Random } from '#base/ports.ts'
import type { Partition } from '#core/state.ts'
import { directoryId } from '#log/directory-id.ts'
import type { Log, LogOptions } from '#log/log.ts'
import { hasNoLog } from '#log/place-checkpoint.ts'
import type { ObjectStore } from '#object-store/object-store.ts'
import type { CopyWish } from '#tier/seal-plan.ts'
import { Archive, type ArchiveMetrics, PIECE_MS } from './archive.ts'
import type { Packer, Unpack } from './archive-format.ts'
import { Catalogue } from './catalogue.ts'
import type { Durability } from './owner-format.ts'
import { OwnerLease } from './owner-lease.ts'
import { awaitSilence, createGeneration, inspectStore, type OwnershipOptions } from './ownership.ts'
import { PatientStore } from './patient-store.ts'
import type { RecoveryProgress } from './progress.ts'
import { EVERYTHING, openRecordTail, type RecordTailMetrics, type StoreRecordTail } from './record-tail.ts'
import { decideStart, type StartDecision, type StoreFacts } from './start-decision.ts'
import { takeOverStore } from './take-over.ts'
import { Tape } from './tape.ts'

// Disaster recovery of one broker, from its start to its end:
//
//   prepareRecovery   before the log is opened: an empty data directory is made from the store, if that was used
//   begin             with the log: whose store it is, what is archived, and from here on both are kept up
//   close             everything is archived, and the ownership is given back

export interface RecoverySettings {
  readonly takeOver: boolean
  /** -1: never by itself. */
  readonly takeoverAfterMs: number
  readonly durability: Durability
  /** Whether checkpoints and the metadata log are written. */
  readonly isArchived: boolean
  readonly checkpointRecords: number
  readonly checkpointMs: number
  readonly restoreWindowMs: number
  /** 0: no copies of records that are in no segment, but in the end. */
  readonly tailUploadMs: number
}

export interface RecoveryOptions {
  readonly store: ObjectStore
  readonly createsHonestly: boolean
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  readonly dataDir: string
  readonly host: string
  readonly settings: RecoverySettings
  readonly packer: Packer
  readonly unpack: Unpack
  readonly metrics: ArchiveMetrics & RecordTailMetrics
  readonly progress: RecoveryProgress
  /** What is to be copied of it into the store, as it is in no segment soon. */
  copyWish(log: Log, partition: Partition): CopyWish
  report(level: 'info' | 'warn', message: string, fields?: Record<string, unknown>): void
  /** Nothing more may be answered: the process should end. */
  failed(error: ChronikError): void
}

/** What waits for the store while it is away; then the chain of the archive begins anew. */
const TAPE_BYTES = 64 << 20

/** Of one call of the store that moves little. */
const PATIENCE_MS = 30_000

export async function prepareRecovery(given: RecoveryOptions): Promise<Recovery> {
  const options = { ...given, store: new PatientStore(given.store, given.clock, PATIENCE_MS) }
  const { settings, disk, dataDir } = options
  if (settings.durability === 'bucket' && !settings.isArchived) {
    const message = 'durability=bucket needs the archive: set CHRONIK_SNAPSHOT_ENABLED to true, or durability to local'
    throw new ChronikError('SETTINGS_CONFLICT', 'invalid', message)
  }
  const id = await directoryId(options, dataDir)
  const recovery = new Recovery(options, id)
  if (await hasNoLog(disk, dataDir)) await recovery.prepareEmpty()
  return recovery
}

export class Recovery {
  readonly #options: RecoveryOptions
  readonly #id: string
  readonly #ended = new AbortController()
  readonly #tape = new Tape(TAPE_BYTES)
  #lease: OwnerLease | null = null
  #archive: Archive | null = null
  #tail: StoreRecordTail | null = null
  #log: Log | null = null
  /** What was acknowledged before, perhaps by the disk alone, is in the store. */
  #isCaughtUp = false
  /** The generation that was created for an empty data directory. */
  #created: number | null = null

  constructor(options: RecoveryOptions, id: string) {
    this.#options = options
    this.#id = id
  }

  // ---- what the log is opened with

  get forLog(): Pick<LogOptions, 'committed' | 'mayAnswer'> {
    return {
      committed: (position, endPosition, records) => this.#tape.add(position, endPosition, records),
      mayAnswer: endPosition => {
        if (this.#lease?.isHeld !== true) return false
        // Until there is an archive, nobody else is there either.
        if (this.#options.settings.durability === 'local' || this.#archive === null) return true
        return endPosition <= this.archivedPosition
      },
    }
  }

  // ---- what others ask

  /** The store knows everything up to here. */
  get archivedPosition(): number {
    return this.#archive?.archivedPosition ?? -1
  }

  /** Would a restore know what happened before the position? Without an archive there is none. */
  isArchived(position: number): boolean {
    return this.#archive === null || this.#archive.archivedPosition >= position
  }

  /** Rejects if somebody else owns the store by now. */
  async confirm(): Promise<void> {
    await this.#lease?.confirm()
  }

  /** Of the last one that this process archived, compressed. */
  get checkpointSizeBytes(): number {
    return this.#archive?.checkpointSizeBytes ?? 0
  }

  /** Of a change that a restore would not know, or of records that it would not have. */
  get lag(): { bytes: number; ms: number } {
    if (this.#archive === null || this.#tail === null) return { bytes: 0, ms: 0 }
    const [changes, records] = [this.#archive.lag, this.#tail.lag]
    return { bytes: Math.max(changes.bytes, records.bytes), ms: Math.max(changes.ms, records.ms) }
  }

  /** How long nothing could be archived; 0: it can be. */
  get failingMs(): number {
    return this.#since(this.#archive?.failingSinceMs ?? null)
  }

  /** The same of checkpoints alone. */
  get checkpointFailingMs(): number {
    return this.#since(this.#archive?.checkpointFailingSinceMs ?? null)
  }

  #since(sinceMs: number | null): number {
    return sinceMs === null ? 0 : this.#options.clock.monotonicMs() - sinceMs
  }

  /** Answers wait until what they answer for is archived. */
  get isAwaited(): boolean {
    return this.#options.settings.durability === 'bucket'
  }

  /** Nothing is answered, because another one might own the store by now. */
  get isSilenced(): boolean {
    return this.#lease !== null && !this.#lease.isHeld
  }

  // ---- the start

  get #ownership(): OwnershipOptions {
    const { store, clock, random, report } = this.#options
    return { store, clock, random, signal: this.#ended.signal, report }
  }

  #inspect(): Promise<StoreFacts> {
    return inspectStore(this.#ownership, { createsHonestly: this.#options.createsHonestly })
  }

  /** The data directory has no log. */
  async prepareEmpty(): Promise<void> {
    const { settings, host } = this.#options
    const facts = await this.#inspect()
    const decision = decideStart({ id: this.#id, log: null }, facts, settings.takeOver)
    if (decision.kind === 'restore') {
      const wish = { id: this.#id, atMs: null, acceptsLoss: false }
      await takeOverStore({ ...this.#options, ...wish, signal: this.#ended.signal }, facts, decision)
      this.#created = decision.generation
      return
    }
    if (decision.kind === 'refuse') throw refusal(decision)
    assert(decision.kind === 'claim', 'an empty data directory has nothing to go on with')
    await createGeneration(this.#ownership, { generation: decision.generation, ownerId: this.#id, host })
    this.#created = decision.generation
  }

  /** From here on what is committed is archived and answered. */
  async begin(log: Log): Promise<void> {
    this.#log = log
    this.#options.progress.step = 'ownership'
    const { generation, goesOn, losesSegments } = await this.#own(log)
    const lease = new OwnerLease({
      ...this.#options,
      me: {
        generation,
        ownerId: this.#id,
        host: this.#options.host,
        session: this.#options.random.bytes(16).toString('base64url'),
        takeoverAfterMs: this.#options.settings.takeoverAfterMs,
        restoreWindowMs: this.#options.settings.restoreWindowMs,
      },
      clusterId: () => log.state.clusterId,
      durability: () => (this.isAwaited && this.#isCaughtUp ? 'bucket' : 'local'),
      archivedTo: () => this.archivedPosition,
      renewed: () => log.answerHeld(),
      fenced: error => this.#options.failed(error),
    })
    this.#lease = lease
    await lease.acquire()
    this.#tape.begin(log.commits.position, goesOn)
    // Before anything of the generation is in the store: a log that does not know of it would not be taken for its owner's.
    if (log.state.generation !== generation) {
      await log.propose({ kind: 'generation-begun', generation, ownerId: this.#id })
    }
    if (this.#options.settings.isArchived) this.#archive = await this.#startArchive(log, lease, generation)
    if (losesSegments) await giveUpSegments(log, this.#options.report)
    // The first thing that a new owner archives is all that it has.
    if (!goesOn) await this.#archive?.checkpoint()
  }

  async #own(log: Log): Promise<{ generation: number; goesOn: boolean; losesSegments: boolean }> {
    if (this.#created !== null) return { generation: this.#created, goesOn: false, losesSegments: false }
    const { state, commits } = log
    const { generation, ownerId } = state
    let segmentCount = 0
    for (const partition of state.partitions) segmentCount += partition?.segments.length ?? 0
    const facts = await this.#inspect()
    const known = { generation, ownerId, segmentCount, position: commits.position }
    const decision = decideStart({ id: this.#id, log: known }, facts, this.#options.settings.takeOver)
    switch (decision.kind) {
      case 'go-on':
        return { generation, goesOn: facts.archivedTo === commits.position, losesSegments: false }
      case 'resume':
        return { generation: decision.generation, goesOn: false, losesSegments: false }
      case 'claim': {
        const { losesSegments } = decision
        const next = { generation: decision.generation, ownerId: this.#id, host: this.#options.host }
        await createGeneration(this.#ownership, next)
        if (facts.newest !== null) await awaitSilence(this.#ownership, facts.newest)
        return { generation: next.generation, goesOn: false, losesSegments }
      }
      case 'refuse':
        throw refusal(decision)
      default:
        throw new Error(`a data directory with a log is not restored: ${decision.kind}`)
    }
  }

  async #startArchive(log: Log, lease: OwnerLease, generation: number): Promise<Archive> {
    const { store, clock, settings, metrics } = this.#options
    const { isAwaited } = this
    const tailOptions = {
      ...this.#options,
      log,
      intervalMs: isAwaited ? 0 : settings.tailUploadMs || Number.POSITIVE_INFINITY,
      restoreWindowMs: settings.restoreWindowMs,
      copyWish: (partition: Partition) => (isAwaited ? EVERYTHING : this.#options.copyWish(log, partition)),
      isArchived: (position: number) => this.isArchived(position),
      confirm: () => lease.confirm(),
    }
    const tail = await openRecordTail(tailOptions, generation, this.#ended.signal)
    this.#tail = tail
    const { confirm } = tailOptions
    const { restoreWindowMs: windowMs } = settings
    const pieceMs = settings.tailUploadMs > 0 ? Math.min(PIECE_MS, settings.tailUploadMs) : PIECE_MS
    return new Archive({
      ...this.#options,
      log,
      tape: this.#tape,
      generation,
      settings: { ...settings, isAwaited, pieceMs },
      catalogue: new Catalogue({ store, clock, windowMs, generation, state: log.state, confirm }),
      tail,
      metrics,
      confirm,
      caughtUp: () => {
        this.#isCaughtUp = true
        if (isAwaited) lease.announce()
      },
    })
  }

  // ---- the end

  /** Archives what there is and gives the ownership back, as far as that comes within so long. Nobody proposes any more. */
  async close(deadlineMs: number): Promise<void> {
    const { clock, report, settings } = this.#options
    const [archive, lease, log] = [this.#archive, this.#lease, this.#log]
    const late = Promise.withResolvers<'late'>()
    const timer = clock.after(deadlineMs, () => late.resolve('late'))
    const release = async (log: Log): Promise<void> => {
      // What was on its way when nobody proposed any more, and what who is answered by that had staged behind it.
      await log.commits.drain()
      do {
        await archive?.finish()
        await log.commits.drain()
      } while (archive !== null && archive.archivedPosition < log.commits.position)
      // A start that failed has archived nothing of what it found.
      const isAllThere = archive !== null || !settings.isArchived
      if (lease?.isHeld && isAllThere) await lease.release(log.commits.position)
    }
    if (log?.commits.failure === null) {
      const releasing = release(log).catch(thrown =>
        report('warn', `the store was not given back: ${messageOf(thrown)}`),
      )
      const outcome = await Promise.race([releasing, late.promise])
      if (outcome === 'late') report('warn', `the store was not given back within ${deadlineMs} ms`)
    }
    timer.cancel()
    this.#ended.abort()
    await archive?.close()
    await lease?.close()
  }
}

function refusal({ code, error, message }: Extract<StartDecision, { kind: 'refuse' }>): ChronikError {
  return new ChronikError(code, error, message)
}

/** Their objects are in a store that is lost. */
async function giveUpSegments(log: Log, report: RecoveryOptions['report']): Promise<void> {
  let records = 0
  for (const partition of log.state.partitions) {
    if (partition === undefined || partition.segments.length === 0) continue
    records += partition.walStart - partition.logStart
    await log.propose({ kind: 'log-start-moved', ordinal: partition.ordinal, offset: partition.walStart })
  }
  report('warn', `gave up ${records} records of segments in a store that is lost`)
}
