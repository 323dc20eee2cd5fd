import { crc32c } from '@node-rs/crc32'
import { type ChronikError, messageOf, systemCodeOf } from '#base/errors.ts'
import type { Change } from '#core/change-records.ts'
import { PRODUCE_RECORD, typeOfChange } from '#core/change-records.ts'
import { encodeState } from '#core/checkpoint.ts'
import type { Outcome } from '#core/core.ts'
import { type Log, type LogOptions, openLog, WITHOUT_COPY } from '#log/log.ts'
import type { RangeSource } from '#object-store/range-source.ts'
import { NO_STORE } from '#test/support/no-store.ts'
import { scribblingSource } from '#test/support/scribbling-source.ts'
import type { Prng } from '#test/support/sim/prng.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { type CallKind, type DiskCall, type Fault, SimDisk } from '#test/support/sim/sim-disk.ts'
import { Administrator } from './administrator.ts'
import type { SentBatch } from './batches.ts'
import { Follower } from './follower.ts'
import { History, type Item, Violation } from './history.ts'
import type { Verdict } from './model.ts'
import type { Plan } from './plan.ts'
import { Producer } from './producer.ts'
import { Reader } from './reader.ts'
import type { TierPlan } from './tier-plan.ts'
import { Tiers } from './tiers.ts'
import type { Trace } from './trace.ts'

export const DATA = '/data'
const CALLS_THAT_WRITE: ReadonlySet<CallKind> = new Set(['create', 'write', 'sync', 'rename', 'sync-directory'])

/** A sync at an interval waits for calls that are under way, and files for others. */
const CALLS_BEFORE_A_SYNC = 12

/** Records of the broker's own, which change nothing that clients see. */
const TIER_RECORDS = new Set(
  (['segments-committed', 'segments-replaced', 'garbage-removed'] as const).map(kind => typeOfChange(kind)),
)

/** What a seed decides: without a plan for segments there are none. */
export interface Plans {
  readonly plan: Plan
  readonly tierPlan: TierPlan | null
}

/** The broker's surroundings in one run: the machine, the clients, and what is known of what the clients were told. */
export class World {
  readonly plan: Plan
  readonly prng: Prng
  readonly trace: Trace
  readonly clock: SimClock
  readonly history = new History()
  disk: SimDisk
  /** Reads may have failed in this run. */
  faultsOnReads = false
  /** The log has said that it ended. */
  hasFailed = false
  violation: unknown = null
  readonly counts = {
    accepted: 0,
    duplicates: 0,
    refused: 0,
    reads: 0,
    changes: 0,
    failures: 0,
    restarts: 0,
    undecided: 0,
  }
  readonly producers: Producer[]
  readonly reader = new Reader(this)
  readonly administrator = new Administrator(this)
  readonly follower = new Follower(this)
  #log: Log | null = null
  #ids = 0
  #calls = 0
  #diesAtCall = Number.POSITIVE_INFINITY
  #faults = true
  #isCalm = false
  #mayLose = false
  #sureBeforeMs = Number.NEGATIVE_INFINITY
  #lastAliveMs = 0
  /** The log was closed and has not been opened since. */
  wasClosed = false
  /** Of the state, by the position at which it was so. */
  #stateHashes = new Map<number, number>()
  /** When what was committed: what an interval promises. */
  #flushes: { atMs: number; position: number }[] = []

  /** Null: nothing is sealed. */
  readonly tiers: Tiers | null

  constructor({ plan, tierPlan }: Plans, prng: Prng, trace: Trace) {
    this.plan = plan
    this.prng = prng
    this.trace = trace
    this.clock = new SimClock({ prng: prng.fork() })
    const readFactor = tierPlan?.slowReads ?? 1
    const latencyMs: Plan['latencyMs'] = (call, own) =>
      plan.latencyMs(call, own) * (call.kind === 'read' && this.#faults ? readFactor : 1)
    this.disk = new SimDisk({ prng: prng.fork(), clock: this.clock, latencyMs })
    this.tiers = tierPlan === null ? null : new Tiers(tierPlan, this)
    this.producers = Array.from({ length: plan.producers }, (_, i) => new Producer(this, i % 3 !== 2))
  }

  get log(): Log {
    if (this.#log === null) throw new Error('the log is not open')
    return this.#log
  }

  get isOpen(): boolean {
    return this.#log !== null
  }

  nextId(): number {
    return ++this.#ids
  }

  /** Runs a check inside calls of the product, which must not see it throw. */
  guard(check: () => void): void {
    try {
      check()
    } catch (thrown) {
      this.violation ??= thrown
    }
  }

  /** A promise that must not be lost. */
  own(promise: Promise<unknown>): void {
    promise.catch(thrown => {
      if (!this.disk.isDead) this.violation ??= thrown
    })
  }

  // ---- the machine

  useDisk(disk: SimDisk, diesAtCall: number, faults: boolean): void {
    this.disk = disk
    this.#calls = 0
    this.#diesAtCall = diesAtCall
    this.#faults = faults
    disk.onCall = call => this.#onCall(call)
  }

  #onCall(call: DiskCall): Fault | null {
    const fault = this.#isCalm ? null : this.#faultOf(call)
    const { kind, path, sizeBytes } = call
    this.trace.note(`${this.clock.monotonicMs().toFixed(3)} ${kind} ${path} ${sizeBytes} ${fault ?? ''}`)
    return fault
  }

  /** The machine may die in it: then it does with the next call of the disk. */
  #storeCalled(): void {
    if (!this.#isCalm) this.#calls++
  }

  #faultOf({ kind, path }: DiskCall): Fault | null {
    if (++this.#calls >= this.#diesAtCall) return 'die'
    if (!this.#faults || !this.isOpen) return null
    const { fatalErrors, passingErrors } = this.plan
    if (kind === 'read') {
      this.faultsOnReads = passingErrors > 0
      return this.prng.chance(passingErrors) ? 'EIO' : null
    }
    if (!CALLS_THAT_WRITE.has(kind)) return null
    const isLogs = path.endsWith('.wal')
    return this.prng.chance(isLogs ? fatalErrors : passingErrors / 4) ? 'EIO' : null
  }

  // ---- the broker

  /** Everything of the last life before this position was synced before more was written. */
  get sureBefore(): number {
    return this.plan.sync === 'always' ? (this.#flushes.at(-2)?.position ?? 0) : 0
  }

  options(disk: SimDisk, clock: SimClock, segments: RangeSource): LogOptions {
    const { walFileBytes, cacheBytes, gather, sync } = this.plan
    return {
      disk,
      clock,
      dataDir: DATA,
      walFileBytes,
      cacheBytes,
      gather,
      sync,
      walLimitBytes: Number.POSITIVE_INFINITY,
      segments,
      metrics: { flushed() {}, applied() {}, stored() {} },
      report() {},
      failed() {},
      afterCommit() {},
      ...WITHOUT_COPY,
    }
  }

  /** Opens the log and lets the clients at it. False if the machine died on the way. */
  async open(): Promise<boolean> {
    const { clock, disk } = this
    this.hasFailed = false
    const opening = this.#openLog()
    let isDone = false
    const done = (): void => {
      isDone = true
    }
    opening.then(done, done)
    await clock.runUntil(() => isDone || disk.isDead)
    if (disk.isDead) return false
    this.#log = await opening
    this.#checkRecovered()
    this.tiers?.start(this.#log)
    return true
  }

  async #openLog(): Promise<Log> {
    const { clock, disk, tiers } = this
    const segments = tiers === null ? NO_STORE : scribblingSource(await tiers.open(disk, () => this.#storeCalled()))
    return openLog({
      ...this.options(disk, clock, segments),
      metrics: {
        flushed: () => this.#flushed(),
        applied: type => this.#applied(type),
        stored: () => {},
      },
      report: (level, message) => this.trace.note(`${level}: ${message}`),
      failed: error => this.#failed(error),
    })
  }

  /** The state that was found, against all that is known. */
  #checkRecovered(): void {
    const { state, commits } = this.log
    const { position } = commits
    const undecided = this.history.restarted(state, position, this.#mayLose)
    this.counts.undecided += undecided
    this.counts.restarts++
    const surePosition = this.#flushes.findLast(({ atMs }) => atMs <= this.#sureBeforeMs)?.position ?? 0
    if (position < surePosition)
      throw new Violation(`the log ends at ${position}, ${surePosition} was due to be synced`)
    const hash = this.#stateHashes.get(position)
    if (hash !== undefined && undecided === 0 && hash !== crc32c(encodeState(state))) {
      throw new Violation(`the state at ${position} is not what it was before the restart`)
    }
    for (const known of this.#stateHashes.keys()) if (known > position) this.#stateHashes.delete(known)
    this.trace.note(`recovered to ${position}, ${undecided} undecided, state ${crc32c(encodeState(state))}`)
    if (this.#mayLose) this.follower.beginAnew()
    this.#mayLose = false
    this.#sureBeforeMs = Number.NEGATIVE_INFINITY
    this.#flushes = []
    this.wasClosed = false
  }

  /** The life ends now, or has ended before and the log was never opened since. */
  ended(isPowerLoss: boolean): void {
    const { sync, slowestCallMs } = this.plan
    if (this.isOpen) this.#lastAliveMs = this.hasFailed ? Number.NEGATIVE_INFINITY : this.clock.monotonicMs()
    if (sync === 'always' || !isPowerLoss || this.wasClosed) return
    this.#mayLose = true
    this.#sureBeforeMs = this.#lastAliveMs - sync - slowestCallMs * CALLS_BEFORE_A_SYNC
  }

  /** Without faults for a while. */
  async calmly(act: () => Promise<void>): Promise<void> {
    const wereTiersCalm = this.tiers?.isCalm ?? true
    this.#isCalm = true
    this.tiers?.calm(true)
    await act()
    this.#isCalm = false
    this.tiers?.calm(wereTiersCalm)
  }

  #applied(type: number): void {
    if (type === PRODUCE_RECORD || TIER_RECORDS.has(type)) return
    this.guard(() => {
      this.counts.changes++
      const { change, outcome } = this.history.changeApplied(this.log.commits.position)
      this.#expectedOutcomes.push({ change, outcome })
    })
  }

  readonly #expectedOutcomes: { change: Change; outcome: Outcome }[] = []

  #flushed(): void {
    const { log, clock } = this
    const { position } = log.commits
    this.#flushes.push({ atMs: clock.monotonicMs(), position })
    this.guard(() => {
      this.reader.checkWaiters()
      const hash = crc32c(encodeState(log.state))
      this.#stateHashes.set(position, hash)
      this.trace.note(`flushed to ${position} state ${hash}`)
    })
  }

  #failed(error: ChronikError): void {
    if (this.disk.isDead) return
    this.hasFailed = true
    this.counts.failures++
    this.trace.note(`failed: ${messageOf(error)}`)
    if (this.plan.fatalErrors + this.plan.passingErrors > 0 && systemCodeOf(error.cause) === 'EIO') return
    this.guard(() => {
      throw new Violation(`the log failed for no reason: ${error.message}`)
    })
  }

  /** The disk would not let the log close as it should. */
  closeRefused(thrown: unknown): void {
    this.trace.note(`close refused: ${messageOf(thrown)}`)
    const isFaults = ['EIO', 'ENOSPC'].includes(systemCodeOf(thrown))
    if (!isFaults || !this.#faults) this.violation ??= thrown
  }

  // ---- what clients are told

  decided(sent: SentBatch, verdict: Verdict, baseOffset: number): void {
    this.guard(() => {
      const { position } = this.log.commits
      if (this.hasFailed) throw new Violation(`batch ${sent.id} is answered after the log has failed`)
      this.trace.note(`batch ${sent.id} ${verdict} at ${baseOffset}`)
      this.history.batchDecided(sent, verdict, baseOffset, position)
      if (verdict === 'accepted') this.counts.accepted++
      if (verdict === 'duplicate') this.counts.duplicates++
      if (this.plan.sync === 'always' && (verdict === 'fenced' || verdict === 'out of order')) {
        throw new Violation(`batch ${sent.id} of a producer that keeps its order is ${verdict}`)
      }
    })
  }

  batchRefused(item: Item, error: ChronikError): void {
    this.guard(() => {
      this.counts.refused++
      this.history.refused(item)
      if (error.code !== 'DISK_FULL') throw new Violation(`a batch is refused: ${error.message}`)
    })
  }

  /** Proposes a change; resolves when it is decided, one way or the other. */
  async propose(change: Change): Promise<void> {
    const { disk, log } = this
    if (log.commits.failure !== null) return
    const item = this.history.stage({ kind: 'change', change })
    try {
      const outcome = await log.propose(change)
      const expected = this.#expectedOutcomes.shift()
      if (expected?.change !== change) throw new Violation('changes are decided in another order than they are applied')
      if (expected.outcome !== outcome) throw new Violation(`${change.kind} is ${outcome}, not ${expected.outcome}`)
    } catch (thrown) {
      if (thrown instanceof Violation || (thrown as ChronikError).kind === undefined) throw thrown
      if (disk.isDead || this.hasFailed) return
      this.counts.refused++
      this.history.refused(item)
    }
  }

  // ---- a life

  /** Everything that clients had going with the broker is cut off. */
  disconnect(): void {
    this.#log = null
    this.tiers?.disconnected()
    this.#expectedOutcomes.length = 0
    this.clock.forgetAll()
    for (const producer of this.producers) producer.disconnected()
    this.reader.disconnected()
    this.administrator.disconnected()
    this.follower.disconnected()
  }

  /** Lets the clients work until something ends it. */
  async live(lengthMs: number, batches: number, isEnding: boolean): Promise<void> {
    const { clock, prng, plan } = this
    const gapMs = (lengthMs * plan.producers) / Math.max(batches, 1)
    const endMs = clock.monotonicMs() + lengthMs
    let isOver = false
    const repeat = (meanMs: number, step: () => void): void => {
      const next = (): void => {
        if (isOver) return
        if (this.log.commits.failure === null) step()
        clock.after(meanMs * 2 * prng.fraction(), next)
      }
      clock.after(meanMs * prng.fraction(), next)
    }
    for (const producer of this.producers) repeat(gapMs, () => producer.step(isEnding))
    repeat(gapMs, () => {
      this.counts.reads++
      this.reader.step()
    })
    if (!isEnding) repeat(gapMs * plan.batchesPerChange, () => this.administrator.step())
    if (plan.fullDisks && !isEnding) repeat(lengthMs / 3, () => this.#fillDisk())
    this.follower.connect()
    await clock.runUntil(
      () => this.disk.isDead || this.violation !== null || this.hasFailed || clock.monotonicMs() >= endMs,
    )
    isOver = true
    if (this.violation !== null) throw this.violation
  }

  #fillDisk(): void {
    const { disk, prng, clock } = this
    const isFull = Number.isFinite(disk.capacityBytes)
    void disk.space().then(({ totalBytes, freeBytes }) => {
      disk.capacityBytes = isFull ? Number.POSITIVE_INFINITY : totalBytes - freeBytes + prng.between(0, 10_000)
      this.trace.note(`${clock.monotonicMs().toFixed(3)} the disk ${isFull ? 'has room again' : 'is filling up'}`)
    })
  }
}
