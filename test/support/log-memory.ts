import { type BatchEntry, newBatchEntry } from '#core/produce-record.kernel.ts'
import { type Log, openLog, WITHOUT_COPY } from '#log/log.ts'
import { BATCH_HEADER_BYTES } from '#records/batch.ts'
import { forgetfulDisk } from './forgetful-disk.ts'
import { NO_STORE } from './no-store.ts'
import { SimClock } from './sim/sim-clock.ts'

/** Batches that are staged before they are let be committed. */
const AT_ONCE = 500
const TAIL_BYTES = 28

export interface MemoryPlan {
  walFileBytes: number
  cacheBytes: number
  partitions: number
  batchBytes: number
}

/** A log whose bytes go nowhere, to be filled with any number of them. */
export class LogMemory {
  readonly log: Log
  readonly #clock: SimClock
  readonly #plan: MemoryPlan
  readonly #bytes: Buffer
  readonly #entry: BatchEntry = newBatchEntry()
  #next = 0

  private constructor(log: Log, clock: SimClock, plan: MemoryPlan) {
    this.log = log
    this.#clock = clock
    this.#plan = plan
    this.#bytes = Buffer.alloc(Math.max(plan.batchBytes, BATCH_HEADER_BYTES))
  }

  static async open(plan: MemoryPlan): Promise<LogMemory> {
    const clock = new SimClock()
    const opening = openLog({
      disk: forgetfulDisk,
      clock,
      dataDir: '/data',
      walFileBytes: plan.walFileBytes,
      cacheBytes: plan.cacheBytes,
      gather: { batches: AT_ONCE, delayMs: 2, whenIdle: false },
      sync: 'always',
      walLimitBytes: Number.POSITIVE_INFINITY,
      segments: NO_STORE,
      metrics: { flushed() {}, applied() {}, stored() {} },
      report() {},
      failed(error) {
        throw error
      },
      afterCommit() {},
      ...WITHOUT_COPY,
    })
    const log = await clock.run(opening)
    const topic = { id: 'id', name: 'topic', partitionCount: plan.partitions, configs: new Map() }
    await clock.run(log.propose({ kind: 'topic-created', ...topic }))
    return new LogMemory(log, clock, plan)
  }

  /** Appends round robin until the log has so many bytes. */
  async fillTo(walBytes: number): Promise<void> {
    const ticket = { settled() {}, refused() {} }
    const entry = this.#entry
    while (this.log.commits.position < walBytes) {
      for (let left = Math.min(AT_ONCE, Math.ceil((32 << 20) / this.#bytes.length)); left > 0; left--) {
        entry.ordinal = this.#next++ % this.#plan.partitions
        entry.recordCount = 1
        this.log.append(entry, this.#bytes, 0, this.#bytes.length, ticket, 0)
      }
      await this.#clock.run(this.log.commits.drain())
    }
    await this.#clock.runFor(1000)
  }

  /** Of what grows with the log: extents, and batches that have no index yet. */
  structureBytes(): number {
    let sizeBytes = 0
    for (const partition of this.log.state.partitions) sizeBytes += partition?.extents.rows().byteLength ?? 0
    for (const tail of this.log.tails) sizeBytes += (tail?.length ?? 0) * TAIL_BYTES
    return sizeBytes
  }
}
