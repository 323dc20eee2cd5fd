import { ChronikError, messageOf } from '#base/errors.ts'
import type { Clock, Timer } from '#base/ports.ts'
import type { ObjectStore } from '#object-store/object-store.ts'
import { generationKey, OWNER_KEY } from './archive-names.ts'
import {
  type Durability,
  decodeGenerationFile,
  describeOwner,
  encodeOwnerFile,
  type OwnerFile,
} from './owner-format.ts'
import { readOwner } from './ownership.ts'
import { withPatience } from './patience.ts'
import { STORE_CLOCK_STEP_MS } from './start-decision.ts'

// Says again and again that the owner lives, and looks whether it still is the owner. Who takes over creates the next generation
// first, and then waits until it has heard nothing for as long as the owner promised; the owner stops answering when it could not
// write for that long, counted from before its last write was begun, and goes on only after a look that found no next generation.
// So at no moment do two answer. Both clocks count, whichever is further: the monotonic one stands still while a machine sleeps.

/** It writes so many times in the time that it has promised. */
const WRITES = 4
const SMALL_OBJECT_BYTES = 1 << 16
const NOT_HELD = { monotonicMs: Number.NEGATIVE_INFINITY, wallMs: Number.NEGATIVE_INFINITY }

export interface LeaseOptions {
  readonly store: ObjectStore
  readonly clock: Clock
  readonly me: Omit<OwnerFile, 'clusterId' | 'writtenMs' | 'durability' | 'phase' | 'archivedTo'>
  clusterId(): string
  /** Whether everything that was acknowledged is in the store. */
  durability(): Durability
  /** The store has everything up to here; -1 if it has nothing. */
  archivedTo(): number
  /** It may answer again. */
  renewed(): void
  /** Another one owns the store: for good. */
  fenced(error: ChronikError): void
  report(level: 'info' | 'warn', message: string, fields?: Record<string, unknown>): void
}

interface Stranger {
  readonly session: string
  readonly writtenMs: number
  readonly firstMs: number
  readonly lastMs: number
}

export class OwnerLease {
  readonly #options: LeaseOptions
  readonly #ended = new AbortController()
  /** By the monotonic clock, and by the one on the wall. */
  #heldUntil = NOT_HELD
  #isFenced = false
  #isEmptied = false
  #timer: Timer | null = null
  #renewing: Promise<void> | null = null
  #failingSinceMs: number | null = null
  /** Another process of the same owner: what it wrote last, and when that and anything of it was seen first. */
  #stranger: Stranger | null = null

  constructor(options: LeaseOptions) {
    this.#options = options
  }

  get isHeld(): boolean {
    const { clock } = this.#options
    const { monotonicMs, wallMs } = this.#heldUntil
    return !this.#isFenced && clock.monotonicMs() < monotonicMs && clock.nowMs() < wallMs
  }

  /** Begins to own. Throws if the store has another owner by now. */
  async acquire(): Promise<void> {
    await this.#renew(false)
    this.#renewLater(this.#intervalMs)
  }

  /** What it says of itself has changed: it is written at once, unless that is under way. */
  announce(): void {
    if (this.#timer === null || this.#renewing !== null) return
    this.#timer.cancel()
    this.#renewLater(0)
  }

  /** After whatever was written before this call, nobody else had begun to own. */
  async confirm(): Promise<void> {
    await this.#patiently(signal => this.#checkGeneration(signal))
  }

  /** Gives the ownership back: everything up to there is in the store. */
  async release(archivedTo: number): Promise<void> {
    this.#stopRenewing()
    await this.#renewing
    await this.confirm()
    await this.#patiently(signal => this.#write('stopped', archivedTo, signal))
    this.#heldUntil = NOT_HELD
  }

  async close(): Promise<void> {
    this.#stopRenewing()
    this.#ended.abort()
    await this.#renewing
  }

  // ---- renewing

  get #promisedMs(): number {
    const { takeoverAfterMs } = this.#options.me
    return takeoverAfterMs < 0 ? Number.POSITIVE_INFINITY : takeoverAfterMs
  }

  get #intervalMs(): number {
    const { takeoverAfterMs } = this.#options.me
    return (takeoverAfterMs < 0 ? UNPROMISED_MS : takeoverAfterMs) / WRITES
  }

  #renewLater(delayMs: number): void {
    this.#timer = this.#options.clock.after(delayMs, () => {
      this.#renewing = this.#renewAgain().finally(() => {
        this.#renewing = null
      })
    })
  }

  #stopRenewing(): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#isStopping = true
  }

  #isStopping = false

  async #renewAgain(): Promise<void> {
    try {
      await this.#renew(true)
    } catch (thrown) {
      this.#renewFailed(thrown)
    }
    if (!this.#isStopping && !this.#isFenced) {
      this.#renewLater(this.#failingSinceMs === null ? this.#intervalMs : this.#intervalMs / 2)
    }
  }

  async #renew(checksSession: boolean): Promise<void> {
    const { clock, renewed, report } = this.#options
    const heldUntil = { monotonicMs: clock.monotonicMs() + this.#promisedMs, wallMs: clock.nowMs() + this.#promisedMs }
    await this.#patiently(async signal => {
      if (checksSession) await this.#checkSession(signal)
      await this.#write('running', this.#options.archivedTo(), signal)
      await this.#checkGeneration(signal)
    })
    if (this.#failingSinceMs !== null) report('info', 'the ownership of the store is renewed again')
    this.#failingSinceMs = null
    this.#heldUntil = heldUntil
    renewed()
  }

  #renewFailed(thrown: unknown): void {
    const { clock, report } = this.#options
    if (this.#isFenced || this.#ended.signal.aborted) return
    const nowMs = clock.monotonicMs()
    if (this.#failingSinceMs === null) {
      report('warn', `the ownership of the store could not be renewed: ${messageOf(thrown)}`, {
        answersForMs: Math.max(0, Math.round(this.#heldUntil.monotonicMs - nowMs)),
      })
    }
    this.#failingSinceMs ??= nowMs
  }

  #patiently(call: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { clock } = this.#options
    return withPatience({ clock, ended: this.#ended.signal, patienceMs: this.#intervalMs * 2 }, call)
  }

  async #write(phase: OwnerFile['phase'], archivedTo: number, signal: AbortSignal): Promise<void> {
    const { store, clock, me, clusterId, durability } = this.#options
    const about = { clusterId: clusterId(), durability: durability(), writtenMs: clock.nowMs() }
    const file = { ...me, ...about, phase, archivedTo }
    await store.put(OWNER_KEY, [encodeOwnerFile(file)], signal)
  }

  async #checkGeneration(signal: AbortSignal): Promise<void> {
    const { store, me } = this.#options
    const key = generationKey(me.generation + 1)
    if ((await store.head(key, signal)) === null) return
    const next = decodeGenerationFile(key, await store.getRange(key, 0, SMALL_OBJECT_BYTES, signal))
    this.#fence(`${store.place} was taken over by ${describeOwner(next)}`)
  }

  /**
   * A copy of the data directory has the same id, and does not see its lock. But what the process before has written may come late:
   * only who goes on writing lives, and until that is known nothing is answered.
   */
  async #checkSession(signal: AbortSignal): Promise<void> {
    const { store, me, clock } = this.#options
    const owner = await readOwner(store, signal)
    const known = this.#stranger
    this.#stranger = null
    if (owner === null) await this.#lookWhetherEmptied(signal)
    // Who cannot write any more would never come to look.
    else if (owner.generation > me.generation) await this.#checkGeneration(signal)
    if (owner === null || owner.generation !== me.generation || owner.session === me.session) return
    const { host, session, writtenMs, takeoverAfterMs } = owner
    this.#heldUntil = NOT_HELD
    const nowMs = clock.monotonicMs()
    const firstMs = known?.firstMs ?? nowMs
    const isAgain = known !== null && known.session === session && known.writtenMs === writtenMs
    const lastMs = isAgain ? known.lastMs : nowMs
    // Who could not write for so long has stopped answering; and nothing is that late.
    const enoughMs = (takeoverAfterMs < 0 ? UNPROMISED_MS : takeoverAfterMs) + STORE_CLOCK_STEP_MS
    if (lastMs - firstMs >= enoughMs)
      this.#fence(`a copy of this data directory writes to ${store.place}, from ${host}`)
    if (nowMs - lastMs >= enoughMs) return
    this.#stranger = { session, writtenMs, firstMs, lastMs }
    const message = `another process of this data directory has written to ${store.place}, on ${host}: it is the one before, late, or a copy`
    throw new ChronikError('OWNER_UNSURE', 'unavailable', message)
  }

  /** What it has written itself is not there any more. */
  async #lookWhetherEmptied(signal: AbortSignal): Promise<void> {
    const { store, me, report } = this.#options
    if (this.#isEmptied || (await store.head(generationKey(me.generation), signal)) !== null) return
    this.#isEmptied = true
    report(
      'warn',
      `${store.place} was emptied by somebody: of what this broker had there nothing can be restored. Put the objects back from a copy ` +
        'of the store; without one start this broker again, with --take-over',
    )
  }

  #fence(what: string): never {
    const message = `${what}: this broker answers nothing more. What it has that the store has not is not part of the log any more`
    const error = new ChronikError('OWNER_FENCED', 'conflict', message)
    if (!this.#isFenced) {
      this.#isFenced = true
      this.#options.fenced(error)
    }
    throw error
  }
}

/** Who never gives up looks all the same whether it was taken over. */
const UNPROMISED_MS = 10_000
