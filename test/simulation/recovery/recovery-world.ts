import type { ChronikError } from '#base/errors.ts'
import { ACCEPTED, DUPLICATE } from '#core/core.ts'
import type { Log } from '#log/log.ts'
import type { SentBatch } from '#test/simulation/batches.ts'
import { Violation } from '#test/simulation/history.ts'
import type { Trace } from '#test/simulation/trace.ts'
import type { Prng } from '#test/support/sim/prng.ts'
import { SimClock } from '#test/support/sim/sim-clock.ts'
import { NO_FAULTS, SimBucket } from '#test/support/sim/sim-object-store.ts'
import { generationKey } from '#tier/recovery/archive-names.ts'
import { Chronicle, type PartitionStory } from './chronicle.ts'
import { type FoundLog, findLog } from './found-log.ts'
import { Host, type RestoreNote } from './host.ts'
import type { RecoveryPlan } from './recovery-plan.ts'
import { goesOnFrom, type Loss, succeeds, succeedsInTime } from './succession.ts'

const FENCED = new Set(['OWNER_FENCED', 'STORE_TAKEN_OVER'])

/** A transaction as its client knows it. */
export interface Attempt {
  readonly producerId: number
  readonly producerEpoch: number
  /** Batches that were acknowledged. */
  readonly acked: { readonly story: string; readonly baseOffset: number; readonly crc: number }[]
  isCommitAsked: boolean
}

/** The bucket, the machines that share it, and what was promised to whom. */
export class RecoveryWorld {
  readonly plan: RecoveryPlan
  readonly prng: Prng
  readonly trace: Trace
  readonly clock: SimClock
  readonly bucket: SimBucket
  readonly hosts: readonly Host[]
  violation: unknown = null
  readonly counts: Record<string, number> = {}
  /** Every batch that was ever sent, by checksum. */
  readonly sent = new Map<number, SentBatch>()
  /** Of each generation that began, what its log was. */
  readonly chronicles = new Map<number, Chronicle>()
  /** Up to where the owner of a generation knew that the store has everything. */
  readonly #sureTo = new Map<number, number>()
  /** When the owner of a generation was last able to reach the bucket. */
  readonly lostContactMs = new Map<number, number>()
  /** Generations whose owner was once without the bucket. */
  readonly #shaky = new Set<number>()
  /** When its last process began. */
  readonly #begunMs = new Map<number, number>()
  /** Clients rest. */
  isQuiet = false
  firstBegunMs = Number.NaN
  /** By transactional id: the newest of each. */
  readonly attempts = new Map<string, Attempt>()
  /** Something that was acknowledged may be gone: producers may be told so. */
  isLossy = false
  /** What a machine was restored to by hand, until it starts. */
  byHand: { readonly note: RestoreNote; readonly atMs: number | null } | null = null
  #takingOver = 0
  /** Who has an older generation has surely stopped to answer. */
  #silentBelow = 0
  #ids = 0
  #audits: (() => Promise<void>)[] = []

  constructor(plan: RecoveryPlan, prng: Prng, trace: Trace) {
    this.plan = plan
    this.prng = prng
    this.trace = trace
    this.clock = new SimClock({ prng: prng.fork() })
    const { slowestRequestMs } = plan
    this.bucket = new SimBucket({
      clock: this.clock.outside(),
      prng: prng.fork(),
      latencyMs: (_, own) => slowestRequestMs * (0.2 + 0.8 * own.fraction()),
    })
    this.bucket.onCall = ({ verb, key, sizeBytes }) => {
      this.note(`${verb} ${key} ${sizeBytes}`)
      return null
    }
    this.hosts = plan.skews.map((skew, i) => new Host(this, `host-${i + 1}`, skew))
  }

  note(line: string): void {
    this.trace.note(`${this.clock.monotonicMs().toFixed(2)} ${line}`)
  }

  count(what: string, more = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + more
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

  faults(areOn: boolean): void {
    Object.assign(this.bucket.faults, NO_FAULTS, areOn ? this.plan.faults : {})
  }

  /** Some partition was restored to a time from which deletions have taken its end. */
  hasLostDeleted = false

  get mayMissEnds(): boolean {
    return this.plan.settings.durability === 'local' || this.hasLostDeleted
  }

  get hasFaults(): boolean {
    return Object.keys(this.plan.faults).length > 0
  }

  // ---- time

  /** Lets happen what is due, until the condition holds; false if that takes too long. */
  async drive(isOver: () => boolean, withinMs = Number.POSITIVE_INFINITY): Promise<boolean> {
    const { clock } = this
    const endMs = clock.monotonicMs() + withinMs
    for (;;) {
      await clock.runUntil(
        () => isOver() || this.#audits.length > 0 || this.violation !== null || clock.monotonicMs() >= endMs,
      )
      if (this.violation !== null) throw this.violation
      const audit = this.#audits.shift()
      if (audit !== undefined) await audit()
      else return isOver()
    }
  }

  /** Lets happen what is due until the promise is settled. */
  async settled<T>(promise: Promise<T>, withinMs = Number.POSITIVE_INFINITY): Promise<T> {
    let isSettled = false
    const settle = (): void => {
      isSettled = true
    }
    promise.then(settle, settle)
    if (!(await this.drive(() => isSettled, withinMs))) throw new Violation(`nothing came of it within ${withinMs} ms`)
    return promise
  }

  async live(lengthMs: number): Promise<void> {
    // Something happens at the end of it, in any case.
    let isOver = false
    this.clock.after(lengthMs, () => {
      isOver = true
    })
    await this.drive(() => isOver)
  }

  // ---- what machines tell

  takingOver(generation: number): void {
    this.#takingOver = generation
  }

  /** Somebody has begun to take over since it was the owner, whether he came up or not. */
  wasTakenFrom(host: Host): boolean {
    return this.#takingOver > host.generation
  }

  /** Whoever restores has waited for that, and goes by what is there now. */
  othersAreSilent(): void {
    this.#silentBelow = Math.max(this.#silentBelow, this.#takingOver)
  }

  /** What a start has found on its disk, or has put there: before anything comes to it. */
  found(host: Host): Promise<void> {
    return new Promise(resolve => {
      this.#audits.push(async () => {
        this.hasLostDeleted ||= this.plan.deletes && this.byHand !== null && this.byHand.atMs !== null
        this.#check(host, await findLog(host.disk, this.bucket, this))
        resolve()
      })
    })
  }

  #check(host: Host, found: FoundLog): void {
    const byHand = this.byHand
    const { restored } = host
    if (host.chronicle !== null) {
      const { isLossAllowed } = this
      const lost = goesOnFrom(host.chronicle, found, isLossAllowed)
      if (isLossAllowed) this.hasLostOnDisk = true
      this.count('undecided', lost.undecided)
      // What the last process had not archived is in no piece; the chain begins anew behind it.
      host.chronicle.gap(this.#sureTo.get(found.generation) ?? 0, found.position)
      return
    }
    if (byHand !== null && byHand.atMs !== null) {
      host.chronicle = succeedsInTime(this.chronicleOf(byHand.note), found, {
        ...byHand,
        sureTo: this.#sureTo.get(byHand.note.fromGeneration) ?? 0,
        loss: this.lossOf(byHand.note.fromGeneration),
      })
      this.isLossy = true
    } else if (restored !== null || byHand !== null) {
      const note = restored ?? byHand!.note
      try {
        host.chronicle = succeeds(this.chronicleOf(note), found, note.position, this.lossOf(note.fromGeneration))
      } catch (thrown) {
        // Somebody may have been faster, and have removed what this one looked for: then it does not come up.
        host.doubt = thrown
        host.chronicle = new Chronicle()
      }
      this.count('takeovers')
    } else if (found.partitions.size > 0) throw new Violation('a log came from nowhere')
    else host.chronicle = new Chronicle()
    this.byHand = null
    if (this.plan.settings.durability === 'local') this.isLossy = true
  }

  /** Some was lost on the disk itself, as who does not sync each write has chosen. */
  hasLostOnDisk = false

  /** The disk may be one that has lost what was written last. */
  isLossAllowed = false

  chronicleOf({ fromGeneration }: Pick<RestoreNote, 'fromGeneration'>): Chronicle {
    const chronicle = this.chronicles.get(fromGeneration)
    if (chronicle === undefined) throw new Violation(`generation ${fromGeneration} is restored, and never began`)
    return chronicle
  }

  lossOf(generation: number): Loss {
    const { settings, copiesAll, slowestRequestMs, limits } = this.plan
    const { tailUploadMs, durability } = settings
    const isBucket = durability === 'bucket'
    const { phase, generation: owner } = JSON.parse(this.bucket.peek('owner.json').toString())
    const keepsUnsealed = isBucket || (tailUploadMs > 0 && copiesAll)
    const pieceMs = tailUploadMs > 0 ? tailUploadMs : 1000
    // Without faults: two jobs of the archive, one after the other, of so many requests.
    const boundMs = 2 * pieceMs + 300 + 30 * slowestRequestMs + 3 * tailUploadMs
    const contactMs = this.lostContactMs.get(generation) ?? Number.NEGATIVE_INFINITY
    // What a process left that was killed the next one has to bring, and needs as long for it.
    const isYoung = contactMs - (this.#begunMs.get(generation) ?? 0) < boundMs
    return {
      isNothing: isBucket,
      isStopped: phase === 'stopped' && owner === generation,
      keepsUnsealed,
      bringsBackDeleted: keepsUnsealed && !this.plan.deletes,
      isTailed: isBucket || tailUploadMs > 0,
      sureTo: this.#sureTo.get(generation) ?? 0,
      boundMs: this.hasFaults || isYoung || this.#shaky.has(generation) ? Number.POSITIVE_INFINITY : boundMs,
      contactMs,
      segmentMs: limits.segmentMs,
    }
  }

  begun(host: Host, log: Log): void {
    const { generation } = log.state
    this.chronicles.set(generation, host.chronicle!)
    host.generation = generation
    this.lostContactMs.delete(generation)
    this.#begunMs.set(generation, this.clock.monotonicMs())
    const sureTo = this.#sureTo.get(generation) ?? 0
    if (log.commits.position < sureTo)
      throw new Violation(`${host.name} goes on at ${log.commits.position}, the store has ${sureTo}`)
    if (Number.isNaN(this.firstBegunMs)) this.firstBegunMs = this.clock.monotonicMs()
    this.#silentBelow = Math.max(this.#silentBelow, generation)
    this.count('starts')
    this.note(`generation ${generation} is begun on ${host.name}`)
  }

  /** It is about to end, or has lost the bucket: what it was sure of. */
  keepSure(host: Host): void {
    const { process } = host
    if (process?.log == null || process.recovery === null) return
    const { generation } = process.log.state
    this.#sureTo.set(generation, Math.max(this.#sureTo.get(generation) ?? 0, process.recovery.archivedPosition))
    if (!this.lostContactMs.has(generation)) this.lostContactMs.set(generation, this.clock.monotonicMs())
  }

  /** It reaches the bucket again: what has gathered is on its way. */
  cameBack(host: Host): void {
    const { process } = host
    if (process?.log == null) return
    const { generation } = process.log.state
    this.lostContactMs.delete(generation)
    this.#shaky.add(generation)
  }

  /** Up to where the store has everything, as far as somebody has said so. */
  sureTo(generation: number): number {
    for (const host of this.hosts) {
      if (host.isUp && host.log.state.generation === generation) return host.process!.recovery!.archivedPosition
    }
    return this.#sureTo.get(generation) ?? 0
  }

  /** What the log is by now. */
  get newest(): Chronicle | undefined {
    return this.chronicles.get(Math.max(...this.chronicles.keys()))
  }

  hostFailed(host: Host, error: ChronikError): void {
    const { generation } = host.log.state
    const isTaken = this.bucket.has(generationKey(generation + 1))
    // An owner file of the process before may come so late that it is met.
    const isEarlier = this.plan.faults.late !== undefined && error.message.startsWith('a copy of this data directory')
    if (!FENCED.has(error.code) || (!isTaken && !isEarlier)) {
      this.violation ??= new Violation(`${host.name} failed for no reason: ${error.code} ${error.message}`)
    }
    this.count('fenced')
    this.keepSure(host)
    // A start that fails ends by itself.
    const { process } = host
    this.clock.after(this.prng.between(0, 3), () => {
      if (host.process === process && process !== null && !process.isStarting) host.kill()
    })
  }

  // ---- what clients are told

  acked(host: Host, story: PartitionStory, { sent, verdict, baseOffset }: Answer): void {
    this.guard(() => {
      this.demandVoice(host)
      if (verdict !== ACCEPTED && verdict !== DUPLICATE) return
      this.count('acked')
      const entry = story.find(baseOffset)
      if (entry === undefined && verdict === DUPLICATE) return
      if (entry?.crc !== sent.entry.crc) throw new Violation(`${story.key} at ${baseOffset} is another batch`)
      entry.ackedMs ??= this.clock.monotonicMs()
      host.chronicle!.ack(entry.event)
    })
  }

  /** Nobody answers behind the moment at which a newer owner goes by what there is. */
  demandVoice(host: Host): void {
    const { generation } = host.log.state
    if (generation >= this.#silentBelow) return
    throw new Violation(`${host.name} answers for generation ${generation}, and ${this.#silentBelow} has begun`)
  }
}

export interface Answer {
  readonly sent: SentBatch
  readonly verdict: number
  readonly baseOffset: number
}
