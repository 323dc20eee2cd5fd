import { gunzipSync, gzipSync } from 'node:zlib'
import type { ChronikError } from '#base/errors.ts'
import { PiecePool } from '#bytes/piece-pool.ts'
import { OWN_OBJECT } from '#core/segments.ts'
import type { Partition } from '#core/state.ts'
import type { LogOptions } from '#log/log.ts'
import type { Packer, Unpack } from '#tier/recovery/archive-format.ts'
import { PatientStore } from '#tier/recovery/patient-store.ts'
import { RecoveryProgress } from '#tier/recovery/progress.ts'
import { prepareRecovery, type Recovery, type RecoverySettings } from '#tier/recovery/recovery.ts'
import type { RestorePlan } from '#tier/recovery/restore.ts'
import { lookAtRestore, type RestoreDirectoryOptions, restoreDirectory } from '#tier/recovery/restore-directory.ts'
import { sealSegment } from '#tier/seal-segment.ts'
import { LogLab } from './log-lab.ts'
import { scribblingSource } from './scribbling-source.ts'
import { Prng } from './sim/prng.ts'
import { ProcessClock } from './sim/process-clock.ts'
import { SimClock } from './sim/sim-clock.ts'
import { SimDisk } from './sim/sim-disk.ts'
import { SimLink } from './sim/sim-link.ts'
import { SimBucket } from './sim/sim-object-store.ts'

// Brokers without clients on simulated machines, which share a bucket: each has a log and its disaster recovery.

/** Compression without threads: nothing of it is left to chance. */
export const packer: Packer = { codec: 'gzip', pack: async content => gzipSync(content, { level: 1 }) }
export const unpack: Unpack = async (_codec, packed) => gunzipSync(packed)

export const SETTINGS: RecoverySettings = {
  takeOver: false,
  takeoverAfterMs: 10_000,
  durability: 'local',
  isArchived: true,
  checkpointRecords: 10_000,
  checkpointMs: 3_600_000,
  restoreWindowMs: 0,
  tailUploadMs: 1000,
}

export class RecoveryLab {
  readonly clock = new SimClock()
  readonly bucket: SimBucket
  readonly prng: Prng
  #machines = 0

  constructor(options: { seed?: number; isHonest?: boolean } = {}) {
    this.prng = new Prng(options.seed ?? 1)
    const { isHonest = true } = options
    this.bucket = new SimBucket({ clock: this.clock, prng: this.prng.fork(), isHonest })
  }

  async machine(): Promise<Machine> {
    const machine = new Machine(this, `host-${++this.#machines}`)
    await machine.wipe()
    return machine
  }

  /** An own store. */
  get keys(): string[] {
    return this.bucket.keys
  }
}

export interface Running {
  readonly clock: ProcessClock
  readonly store: SimLink
  readonly recovery: Recovery
  readonly lab: LogLab
  readonly failures: ChronikError[]
}

interface RestoreWishes {
  readonly atMs: number | null
  readonly takeOver?: boolean
  readonly acceptsLoss?: boolean
}

export class Machine {
  readonly lab: RecoveryLab
  readonly host: string
  readonly reports: string[] = []
  progress = new RecoveryProgress()
  disk!: SimDisk
  walSync: LogOptions['sync'] = 'always'
  gather: LogOptions['gather'] = { batches: 100, delayMs: 2, whenIdle: false }
  /** How long the disk takes. */
  diskSyncMs = 0.01
  /** What is before it will be in a segment soon. */
  tailedFrom = 0
  #running: Running | null = null
  #failures: ChronikError[] = []

  constructor(lab: RecoveryLab, host: string) {
    this.lab = lab
    this.host = host
  }

  /** A new disk, with nothing on it. */
  async wipe(): Promise<void> {
    const { clock, prng } = this.lab
    const latencyMs = ({ kind }: { kind: string }) => (kind === 'sync' ? this.diskSyncMs : 0.01)
    this.disk = new SimDisk({ clock, latencyMs, prng: prng.fork() })
    await clock.run(this.disk.makeDirectory('/data'))
    await clock.run(this.disk.syncDirectory(''))
  }

  get running(): Running {
    if (this.#running === null) throw new Error(`${this.host} does not run`)
    return this.#running
  }

  get log(): LogLab['log'] {
    return this.running.lab.log
  }

  /** Afterwards it runs, or is gone as if it had been killed. */
  async start(settings: Partial<RecoverySettings> = {}): Promise<Running> {
    try {
      return await this.#start(settings)
    } catch (thrown) {
      this.kill()
      throw thrown
    }
  }

  async #start(settings: Partial<RecoverySettings>): Promise<Running> {
    const { clock: time, bucket, prng } = this.lab
    const clock = new ProcessClock(time)
    const store = new SimLink(bucket.connect())
    this.#failures = []
    const failures = this.#failures
    const random = prng.fork()
    this.#dying = { clock, store }
    const recovery = await time.run(
      prepareRecovery({
        store,
        createsHonestly: bucket.isHonest,
        disk: this.disk,
        clock,
        random: { bytes: count => Buffer.from(Array.from({ length: count }, () => random.between(0, 255))) },
        dataDir: '/data',
        host: this.host,
        settings: { ...SETTINGS, ...settings },
        packer,
        unpack,
        progress: this.progress,
        metrics: { created() {}, uploaded() {}, failed() {}, copied() {} },
        copyWish: () => ({ from: this.tailedFrom, isSealedNext: false }),
        report: (level, message) => this.reports.push(`${level}: ${message}`),
        failed: error => failures.push(error),
      }),
    )
    const lab = await LogLab.on(this.disk, time, {
      clock,
      segments: scribblingSource(store),
      sync: this.walSync,
      gather: this.gather,
      ...recovery.forLog,
    })
    const running = { clock, store, recovery, lab, failures }
    const beginning = recovery.begin(lab.log).catch(async thrown => {
      // A start that fails stops what it has started.
      await recovery.close(30_000)
      await lab.log.close()
      throw thrown
    })
    await time.run(beginning)
    this.#running = running
    return running
  }

  #dying: { clock: ProcessClock; store: SimLink } | null = null

  /** As `chronik restore --execute` does it; the machine does not run. */
  async restore(wish: RestoreWishes): Promise<RestorePlan> {
    return this.lab.clock.run(restoreDirectory(this.#restoring(wish)))
  }

  /** As `chronik restore` does it. */
  async lookAtRestore(wish: RestoreWishes): Promise<RestorePlan> {
    return (await this.lab.clock.run(lookAtRestore(this.#restoring(wish)))).plan
  }

  #restoring({ atMs, takeOver = false, acceptsLoss = false }: RestoreWishes): RestoreDirectoryOptions {
    const { clock, bucket, prng } = this.lab
    const random = prng.fork()
    return {
      store: bucket.connect(),
      createsHonestly: bucket.isHonest,
      takeOver,
      atMs,
      acceptsLoss,
      disk: this.disk,
      clock,
      random: { bytes: count => Buffer.from(Array.from({ length: count }, () => random.between(0, 255))) },
      signal: new AbortController().signal,
      unpack,
      progress: this.progress,
      dataDir: '/data',
      host: this.host,
      report: (level, message) => this.reports.push(`${level}: ${message}`),
    }
  }

  /** The process is gone; the disk stays, unless it is wiped. */
  kill(): void {
    this.#end(this.disk.kill())
  }

  /** What was not synced may be gone from the disk, too. */
  cutPower(): void {
    this.#end(this.disk.crash())
  }

  #end(disk: SimDisk): void {
    this.#dying?.clock.kill()
    this.#dying?.store.kill()
    this.disk = disk
    this.#running = null
  }

  async stop(): Promise<void> {
    const { recovery, lab, clock, store } = this.running
    await this.lab.clock.run(recovery.close(30_000))
    await this.lab.clock.run(lab.log.close())
    clock.kill()
    store.kill()
    this.#running = null
  }

  /** Seals all that the partitions have, each into an object of its own, or together. */
  async seal(partitions: readonly Partition[], isShared = partitions.length > 1): Promise<void> {
    const { lab, store } = this.running
    const { log } = lab
    const wishes = partitions.map(partition => ({ partition, maxBytes: 64 << 20, partBytes: 64 << 20 }))
    const job = { wishes, sharedAt: isShared ? log.commits.position : OWN_OBJECT }
    const tools = { log, store: new PatientStore(store, this.lab.clock, 5000), pieces: new PiecePool(1 << 20) }
    await this.lab.clock.run(sealSegment(tools, job, new AbortController().signal))
  }

  /** Records of a partition by their place: base offset and checksum of each batch. */
  async content(partition: Partition): Promise<string[]> {
    const bytes = await this.running.lab.readAll(partition)
    const batches: string[] = []
    for (let at = 0; at < bytes.length; at += 12 + bytes.readInt32BE(at + 8)) {
      batches.push(`${bytes.readBigInt64BE(at)}:${bytes.readUInt32BE(at + 17)}`)
    }
    return batches
  }
}
