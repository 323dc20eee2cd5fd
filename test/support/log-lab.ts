import type { ChronikError } from '#base/errors.ts'
import type { Change } from '#core/change-records.ts'
import { ACCEPTED } from '#core/core.ts'
import { JOINS_TRANSACTION_BIT } from '#core/produce-record.kernel.ts'
import type { Partition, Topic } from '#core/state.ts'
import { type AppendTicket, type Log, type LogOptions, openLog, WITHOUT_COPY } from '#log/log.ts'
import { type LogSlices, readLog, release } from '#log/read-log.ts'
import { TRANSACTIONAL_BIT } from '#records/batch.ts'
import { makeBatch, type SentBatch } from '#test/simulation/batches.ts'
import { rangeFrom } from '#test/simulation/range.ts'
import { NO_STORE } from './no-store.ts'
import { Prng } from './sim/prng.ts'
import { SimClock } from './sim/sim-clock.ts'
import { type DiskCall, SimDisk } from './sim/sim-disk.ts'

// The log alone on a simulated machine, for tests that say what happens one after the other.

export type LogLabOptions = Partial<LogOptions> & { syncMs?: number }

export interface Appended {
  readonly sent: SentBatch
  readonly verdict: number
  readonly baseOffset: number
}

export interface BatchWish {
  sizeBytes?: number
  recordCount?: number
  timestampMs?: number
  producer?: { id: number; epoch: number; sequence: number; isTransactional?: boolean }
}

export class LogLab {
  readonly clock: SimClock
  readonly disk: SimDisk
  readonly log: Log
  readonly reports: string[]
  readonly failures: ChronikError[]
  readonly #options: LogLabOptions
  readonly #prng = new Prng(1)
  #ids = 0

  private constructor(place: Pick<LogLab, 'clock' | 'disk' | 'log' | 'reports' | 'failures'>, options: LogLabOptions) {
    this.clock = place.clock
    this.disk = place.disk
    this.log = place.log
    this.reports = place.reports
    this.failures = place.failures
    this.#options = options
  }

  static async open(options: LogLabOptions = {}): Promise<LogLab> {
    const clock = new SimClock()
    const { syncMs = 0.1 } = options
    const latencyMs = ({ kind }: DiskCall) => (kind === 'sync' ? syncMs : 0.01)
    const disk = new SimDisk({ clock, latencyMs, prng: new Prng(7) })
    await clock.run(disk.makeDirectory('/data'))
    await clock.run(disk.syncDirectory(''))
    return LogLab.on(disk, clock, options)
  }

  /** On a disk as somebody left it. */
  static async on(disk: SimDisk, clock: SimClock, options: LogLabOptions = {}): Promise<LogLab> {
    const reports: string[] = []
    const failures: ChronikError[] = []
    const opening = openLog({
      disk,
      clock,
      dataDir: '/data',
      walFileBytes: 8192,
      cacheBytes: 4 << 20,
      gather: { batches: 100, delayMs: 2, whenIdle: false },
      sync: 'always',
      walLimitBytes: Number.POSITIVE_INFINITY,
      segments: NO_STORE,
      metrics: { flushed() {}, applied() {}, stored() {} },
      report: (level, message) => reports.push(`${level}: ${message}`),
      failed: error => failures.push(error),
      afterCommit() {},
      ...WITHOUT_COPY,
      ...options,
    })
    const log = await clock.run(opening)
    return new LogLab({ clock, disk, log, reports, failures }, options)
  }

  crash(): Promise<LogLab> {
    return this.#onward(this.disk.crash())
  }

  kill(): Promise<LogLab> {
    return this.#onward(this.disk.kill())
  }

  async closeAndOpen(): Promise<LogLab> {
    await this.clock.run(this.log.close())
    return this.#onward(this.disk.crash())
  }

  #onward(disk: SimDisk): Promise<LogLab> {
    this.clock.forgetAll()
    return LogLab.on(disk, this.clock, this.#options)
  }

  // ---- what clients do

  propose(change: Change): Promise<string> {
    return this.clock.run(this.log.propose(change))
  }

  /** Ends a transaction for its producer, who goes on with the same epoch. */
  endTransaction(transactionalId: string, isCommit: boolean): Promise<string> {
    const transaction = this.log.state.transactions.get(transactionalId)!
    const { producerId, epoch, partitions } = transaction
    const next = { nextProducerId: producerId, nextEpoch: epoch, markerEpoch: epoch }
    const end = { transactionalId, producerId, epoch, isCommit, fences: false, ...next, ordinals: [...partitions] }
    return this.clock.run(this.log.endTransaction(end))
  }

  async topic(name: string, partitionCount = 1, configs = new Map<string, string>()): Promise<Topic> {
    await this.propose({ kind: 'topic-created', id: `id-of-${name}`, name, partitionCount, configs })
    return this.log.state.topics.get(name)!
  }

  partition(topic = 'topic', index = 0): Partition {
    return this.log.state.topics.get(topic)!.partitions[index]!
  }

  batch(partition: Partition, wish: BatchWish = {}): SentBatch {
    const { sizeBytes = 100, recordCount = 1, timestampMs = 1000, producer } = wish
    const id = ++this.#ids
    const who = { producerId: producer?.id ?? -1, producerEpoch: producer?.epoch ?? -1 }
    const attributes = producer?.isTransactional ? TRANSACTIONAL_BIT | JOINS_TRANSACTION_BIT : 0
    const kind = { id, ordinal: partition.ordinal, sizeBytes, recordCount, timestampMs, ...who, attributes }
    return makeBatch({ ...kind, baseSequence: producer?.sequence ?? -1 }, this.#prng)
  }

  /** Stages a batch; resolves with what became of it, rejects if it is refused. */
  send(sent: SentBatch): Promise<Appended> {
    return new Promise((resolve, refused) => {
      const ticket: AppendTicket = {
        settled: (_slot, verdict, baseOffset) => resolve({ sent, verdict, baseOffset }),
        refused: (_slot, error) => refused(error),
      }
      this.log.append({ ...sent.entry }, sent.bytes, 0, sent.bytes.length, ticket, 0)
    })
  }

  /** Sends a batch, waits for the answer and expects it to be taken. */
  async append(partition: Partition, wish: BatchWish = {}): Promise<Appended> {
    const appended = await this.clock.run(this.send(this.batch(partition, wish)))
    if (appended.verdict !== ACCEPTED) throw new Error(`a batch was not accepted: ${appended.verdict}`)
    return appended
  }

  async appendMany(partition: Partition, count: number, wish: BatchWish = {}): Promise<Appended[]> {
    const appended: Appended[] = []
    for (let left = count; left > 0; left--) appended.push(await this.append(partition, wish))
    return appended
  }

  async read(partition: Partition, offset: number, maxBytes = 1 << 20, atLeastOne = true): Promise<LogSlices> {
    return this.clock.run(
      Promise.resolve(readLog(this.log, partition, { ...rangeFrom(partition, offset, maxBytes), atLeastOne })),
    )
  }

  /** All bytes of a partition from an offset on, batch after batch. */
  async readAll(partition: Partition, from = partition.logStart, maxBytes = 1 << 20): Promise<Buffer> {
    const slices: Buffer[] = []
    for (let offset = from; offset < partition.nextOffset; ) {
      const read = await this.read(partition, offset, maxBytes)
      slices.push(...read.slices.map(slice => Buffer.from(slice)))
      release(this.log, read)
      offset = read.nextOffset
    }
    return Buffer.concat(slices)
  }
}

/** The bytes of batches as a consumer gets them. */
export function served(appended: readonly Appended[]): Buffer {
  return Buffer.concat(
    appended.map(({ sent, baseOffset }) => {
      const bytes = Buffer.from(sent.bytes)
      bytes.writeBigInt64BE(BigInt(baseOffset), 0)
      bytes.writeInt32BE(0, 12)
      return bytes
    }),
  )
}
