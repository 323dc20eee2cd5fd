import { type ChronikError, messageOf, systemCodeOf } from '#base/errors.ts'
import { settingsFrom } from '#config/load-settings.ts'
import type { Partition } from '#core/state.ts'
import { type Log, openLog, TopicRules } from '#log/log.ts'
import { packer, unpack } from '#test/support/recovery-lab.ts'
import { scribblingSource } from '#test/support/scribbling-source.ts'
import { ProcessClock, type Skew } from '#test/support/sim/process-clock.ts'
import { type DiskCall, SimDisk } from '#test/support/sim/sim-disk.ts'
import { SimLink } from '#test/support/sim/sim-link.ts'
import { RecoveryProgress } from '#tier/recovery/progress.ts'
import { EVERYTHING } from '#tier/recovery/record-tail.ts'
import { prepareRecovery, type Recovery, type RecoveryOptions } from '#tier/recovery/recovery.ts'
import { restoreDirectory } from '#tier/recovery/restore-directory.ts'
import { type CopyWish, copyWishOf } from '#tier/seal-plan.ts'
import { startTier, type Tier } from '#tier/tier.ts'
import type { Chronicle } from './chronicle.ts'
import { DATA, QUIET } from './found-log.ts'
import { LogWitness } from './log-witness.ts'
import type { RecoveryWorld } from './recovery-world.ts'

// A machine: a disk, a clock of its own, a way to the bucket, and now and then a broker, put together as the server does it.

const SYNC_MS = 0.3
const RELEASE_MS = 30_000

/** What a restore says of itself. */
export interface RestoreNote {
  readonly fromGeneration: number
  readonly position: number
}

export interface BrokerProcess {
  readonly clock: ProcessClock
  readonly link: SimLink
  isDead: boolean
  recovery: Recovery | null
  log: Log | null
  tier: Tier | null
  witness: LogWitness | null
  isStarting: boolean
  /** Clients may ask it. */
  isUp: boolean
}

export type Started =
  | { readonly isUp: true }
  | { readonly isUp: false; readonly code: string; readonly message: string }

export class Host {
  readonly name: string
  disk!: SimDisk
  /** Of the log on its disk; null while there is none. */
  chronicle: Chronicle | null = null
  process: BrokerProcess | null = null
  /** The last one that it began. */
  generation = 0
  /** What its data directory was made from last. */
  restored: RestoreNote | null = null
  /** What is wrong with what it restored, if it ever becomes the owner. */
  doubt: unknown = null
  readonly #world: RecoveryWorld
  readonly #skew: Skew
  #restoredFrom = 0
  #calls = 0
  #diesAtCall = Number.POSITIVE_INFINITY

  constructor(world: RecoveryWorld, name: string, skew: Skew) {
    this.#world = world
    this.name = name
    this.#skew = skew
  }

  note(line: string): void {
    this.#world.note(`${this.name}: ${line}`)
  }

  // ---- the disk

  async wipe(): Promise<void> {
    await this.#world.clock.run(this.wipeLater())
  }

  /** While time goes on. */
  async wipeLater(): Promise<void> {
    const { clock, prng } = this.#world
    const latencyMs = ({ kind }: DiskCall) => (kind === 'sync' || kind === 'sync-directory' ? SYNC_MS : 0.03)
    this.useDisk(new SimDisk({ clock, prng: prng.fork(), latencyMs }))
    this.chronicle = null
    this.restored = null
    this.doubt = null
    await this.disk.makeDirectory(DATA)
    await this.disk.syncDirectory('')
    this.note('has an empty disk')
  }

  useDisk(disk: SimDisk): void {
    this.disk = disk
    disk.onCall = ({ kind, path }) => {
      this.#world.trace.note(`${this.name} ${kind} ${path}`)
      return this.#isLastCall() ? 'die' : null
    }
  }

  /** The machine dies in the middle of a call of its disk, some calls from here. */
  diesIn(calls: number): void {
    this.#calls = 0
    this.#diesAtCall = calls
  }

  #isLastCall(): boolean {
    return ++this.#calls >= this.#diesAtCall
  }

  // ---- the process

  get isUp(): boolean {
    return this.process?.isUp === true && !this.isDead
  }

  /** It does not reach the bucket, or does nothing. */
  get isAside(): boolean {
    return this.process !== null && (this.process.link.isCut || this.process.clock.isPaused)
  }

  get isDead(): boolean {
    return this.process === null || this.process.isDead || this.disk.isDead
  }

  get log(): Log {
    const log = this.process?.log
    if (log === null || log === undefined) throw new Error(`${this.name} does not run`)
    return log
  }

  /** A process that begins; nothing is settled if it dies on the way. */
  async start(takeOver: boolean): Promise<Started> {
    const process = this.#begin()
    try {
      await this.#open(process, takeOver)
      process.isStarting = false
      process.isUp = true
      this.note(`is up, generation ${process.log!.state.generation}`)
      return { isUp: true }
    } catch (thrown) {
      if (process.isDead || this.disk.isDead) return new Promise(() => {})
      const started = { isUp: false, code: systemCodeOf(thrown), message: messageOf(thrown) } as const
      this.note(`does not start: ${started.code} ${started.message}`)
      // As the server does it, whatever was begun is ended.
      await this.#end(process).catch(() => {})
      this.kill()
      return started
    }
  }

  #begin(): BrokerProcess {
    const link = new SimLink(this.#world.bucket.connect())
    const clock = new ProcessClock(this.#world.clock, this.#skew)
    const parts = { recovery: null, log: null, tier: null, witness: null }
    this.process = { clock, link, isDead: false, isStarting: true, isUp: false, ...parts }
    return this.process
  }

  async #open(process: BrokerProcess, takeOver: boolean): Promise<void> {
    const { plan, bucket } = this.#world
    const { clock, link } = process
    process.recovery = await prepareRecovery({
      ...this.#recoveryOptions(process),
      store: link,
      createsHonestly: bucket.isHonest,
      settings: { ...plan.settings, takeOver },
    })
    const { committed, mayAnswer } = process.recovery.forLog
    const { walFileBytes, walLimitBytes, cacheBytes, gather, sync } = plan
    const log = await openLog({
      ...QUIET,
      disk: this.disk,
      clock,
      dataDir: DATA,
      walFileBytes,
      walLimitBytes,
      cacheBytes,
      gather,
      sync,
      segments: scribblingSource(link),
      report: (level, message) => this.#report(process, level, message, {}),
      failed: error => this.#failed(process, error),
      committed: (position, endPosition, records) => {
        process.witness?.committed(endPosition)
        committed(position, endPosition, records)
      },
      mayAnswer,
    })
    process.log = log
    await this.#world.found(this)
    process.witness = new LogWitness(this.#world, this, log)
    await process.recovery.begin(log)
    this.#world.begun(this, log)
    process.tier = this.#startTier(process, log)
    if (log.state.clusterId === '') await log.propose({ kind: 'cluster-created', clusterId: 'the-cluster' })
  }

  #recoveryOptions(process: BrokerProcess): Omit<RecoveryOptions, 'store' | 'createsHonestly' | 'settings'> {
    const { prng } = this.#world
    const random = prng.fork()
    return {
      disk: this.disk,
      clock: process.clock,
      random: { bytes: count => Buffer.from(Array.from({ length: count }, () => random.between(0, 255))) },
      dataDir: DATA,
      host: this.name,
      packer,
      unpack,
      metrics: { created() {}, uploaded() {}, failed() {}, copied() {} },
      progress: new RecoveryProgress(),
      copyWish: (log, partition) => this.#copyWish(process, log, partition),
      report: (level, message, fields) => this.#report(process, level, message, fields ?? {}),
      failed: error => this.#failed(process, error),
    }
  }

  #copyWish({ clock }: BrokerProcess, log: Log, partition: Partition): CopyWish {
    const { copiesAll, limits } = this.#world.plan
    const unsealed = log.unsealed.find(partition.ordinal)
    if (copiesAll || unsealed === undefined) return EVERYTHING
    return copyWishOf(unsealed, { nowMs: clock.monotonicMs(), limits })
  }

  #startTier(process: BrokerProcess, log: Log): Tier {
    const { plan, prng } = this.#world
    const loaded = settingsFrom({})
    if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
    const random = prng.fork()
    return startTier({
      log,
      topicRules: new TopicRules(log.state, loaded.settings, loaded.sources),
      store: process.link,
      cache: null,
      clock: process.clock,
      random: { bytes: count => Buffer.from(Array.from({ length: count }, () => random.between(0, 255))) },
      limits: plan.limits,
      walLimitBytes: plan.walLimitBytes,
      restoreWindowMs: plan.settings.restoreWindowMs,
      isArchived: position => process.recovery!.isArchived(position),
      confirm: () => process.recovery!.confirm(),
      metrics: {
        sealed: segments => this.#world.count('sealed', segments),
        sealFailed: () => this.#world.count('sealFailures'),
        failed() {},
        compacted() {},
        merged: segments => this.#world.count('merged', segments),
        deleted: objects => this.#world.count('deleted', objects),
        orphansFound() {},
      },
      report: (level, message) => this.#report(process, level, message, {}),
    })
  }

  #report(process: BrokerProcess, level: string, message: string, fields: Record<string, unknown>): void {
    if (process.isDead || this.disk.isDead) return
    this.note(`${level}: ${message} ${JSON.stringify(fields)}`)
    if (message.startsWith('taking over')) this.#world.takingOver(Number(fields.generation))
    if (message.startsWith('restoring: the checkpoint')) {
      this.#world.othersAreSilent()
      this.#restoredFrom = Number(fields.generation)
    }
    // From here on it may come to be on the disk.
    if (!message.startsWith('restoring: the metadata log')) return
    this.restored = { fromGeneration: this.#restoredFrom, position: Number(fields.position) }
  }

  #failed(process: BrokerProcess, error: ChronikError): void {
    if (process.isDead || this.disk.isDead) return
    this.note(`failed: ${error.message}`)
    this.#world.hostFailed(this, error)
  }

  // ---- how it ends

  /** False if it died on the way. */
  async stop(): Promise<boolean> {
    const process = this.process!
    process.isUp = false
    await this.#end(process)
    this.note('has stopped')
    return true
  }

  async #end({ tier, recovery, log, link }: BrokerProcess): Promise<void> {
    await tier?.close(this.#world.plan.drainMs)
    await recovery?.close(RELEASE_MS)
    await log?.close()
    await link.close()
  }

  kill(): void {
    this.#die()
    this.useDisk(this.disk.kill())
  }

  powerLoss(): void {
    this.#die()
    this.useDisk(this.disk.crash())
  }

  #die(): void {
    this.diesIn(Number.POSITIVE_INFINITY)
    const { process } = this
    if (process === null) return
    process.isDead = true
    process.isUp = false
    process.clock.kill()
    process.link.kill()
    this.process = null
    this.note('is gone')
  }

  // ---- chronik restore

  /** As `chronik restore --execute` does it, on an empty disk. */
  async restore(atMs: number | null, takeOver: boolean): Promise<RestoreNote> {
    const process = this.#begin()
    const { bucket } = this.#world
    const options = this.#recoveryOptions(process)
    const signal = new AbortController().signal
    const about = { store: process.link, createsHonestly: bucket.isHonest, takeOver, atMs, signal, acceptsLoss: false }
    const plan = await restoreDirectory({ ...options, ...about })
    return { fromGeneration: plan.generation, position: plan.position }
  }
}
