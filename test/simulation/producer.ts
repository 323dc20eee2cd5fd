import type { ChronikError } from '#base/errors.ts'
import { ACCEPTED, DUPLICATE, FENCED, NO_PARTITION, OUT_OF_ORDER } from '#core/core.ts'
import type { AppendTicket } from '#log/log.ts'
import { makeBatch, type SentBatch } from './batches.ts'
import type { Item } from './history.ts'
import type { Verdict } from './model.ts'
import type { World } from './world.ts'

const VERDICTS: ReadonlyMap<number, Verdict> = new Map([
  [ACCEPTED, 'accepted'],
  [DUPLICATE, 'duplicate'],
  [NO_PARTITION, 'no partition'],
  [FENCED, 'fenced'],
  [OUT_OF_ORDER, 'out of order'],
])

const IN_FLIGHT = 5
const LAST_SEQUENCE = 2 ** 31 - 1

/**
 * A client that writes to one partition, several batches in flight. An idempotent one sends again what was refused or not
 * answered, in order and before anything new, and now and then what was answered; a plain one gives it up.
 */
export class Producer implements AppendTicket {
  readonly #world: World
  readonly #isIdempotent: boolean
  #ordinal = -1
  #producerId = -1
  #epoch = -1
  #nextSequence = 0
  /** Sent or to be sent again, oldest first. */
  #outstanding: SentBatch[] = []
  /** By slot. */
  readonly #inFlight = new Map<number, { sent: SentBatch; item: Item }>()
  #nextSlot = 0
  #goesBack = false
  #lastAnswered: SentBatch | null = null

  constructor(world: World, isIdempotent: boolean) {
    this.#world = world
    this.#isIdempotent = isIdempotent
  }

  get isIdle(): boolean {
    return this.#inFlight.size === 0 && this.#outstanding.length === 0
  }

  get inFlightCount(): number {
    return this.#inFlight.size
  }

  /** The broker it was connected to is gone. */
  disconnected(): void {
    this.#inFlight.clear()
    if (this.#isIdempotent) this.#goesBack = true
    else this.#outstanding = []
  }

  /** Does the next thing a producer would do. */
  step(isEnding: boolean): void {
    const { prng, log } = this.#world
    if (log.state.partitions[this.#ordinal] === undefined) {
      if (this.#inFlight.size > 0) return
      this.#outstanding = []
      if (isEnding || !this.#choosePartition()) return
    }
    if (this.#goesBack) {
      if (this.#inFlight.size > 0) return
      this.#goesBack = false
      for (const sent of this.#outstanding) this.#send(sent)
      return
    }
    if (isEnding || this.#outstanding.length >= IN_FLIGHT) return
    if (this.#lastAnswered !== null && this.#isIdempotent && this.#outstanding.length === 0 && prng.chance(0.05)) {
      this.#outstanding.push(this.#lastAnswered)
      this.#send(this.#lastAnswered)
      return
    }
    const sent = this.#newBatch()
    this.#outstanding.push(sent)
    this.#send(sent)
  }

  #choosePartition(): boolean {
    const { prng, log } = this.#world
    const partitions = log.state.partitions.filter(partition => partition !== undefined)
    if (partitions.length === 0) return false
    this.#ordinal = prng.pick(partitions).ordinal
    this.#beNew()
    return true
  }

  /** A producer id that nobody else has, at times one whose sequence is about to wrap. */
  #beNew(): void {
    this.#lastAnswered = null
    if (!this.#isIdempotent) return
    this.#producerId = this.#world.nextId()
    this.#epoch = 0
    this.#nextSequence = this.#world.prng.chance(0.3) ? LAST_SEQUENCE - this.#world.prng.between(0, 60) : 0
  }

  #newBatch(): SentBatch {
    const { prng, plan, clock } = this.#world
    const recordCount = prng.between(1, 20)
    const sent = makeBatch(
      {
        id: this.#world.nextId(),
        ordinal: this.#ordinal,
        sizeBytes: prng.between(...plan.batchBytes),
        recordCount,
        timestampMs: clock.nowMs() - prng.between(0, 1000),
        producerId: this.#producerId,
        producerEpoch: this.#epoch,
        baseSequence: this.#isIdempotent ? this.#nextSequence : -1,
      },
      prng,
    )
    this.#nextSequence = (this.#nextSequence + recordCount) % 2 ** 31
    return sent
  }

  #send(sent: SentBatch): void {
    const { log, history, prng } = this.#world
    const slot = this.#nextSlot++
    // The batch lies somewhere in a request.
    const from = prng.between(0, 3)
    const bytes = Buffer.alloc(from + sent.bytes.length + 2, 0xee)
    bytes.set(sent.bytes, from)
    const item = history.stage({ kind: 'batch', sent })
    this.#inFlight.set(slot, { sent, item })
    log.append({ ...sent.entry }, bytes, from, from + sent.bytes.length, this, slot)
    bytes.fill(0xdd)
  }

  // ---- AppendTicket

  settled(slot: number, verdict: number, baseOffset: number): void {
    const { sent } = this.#take(slot)
    this.#outstanding.splice(this.#outstanding.indexOf(sent), 1)
    this.#world.decided(sent, VERDICTS.get(verdict)!, baseOffset)
    this.#lastAnswered = sent
    if (verdict === FENCED || verdict === OUT_OF_ORDER) this.#turnedAway()
  }

  refused(slot: number, error: ChronikError): void {
    const { sent, item } = this.#take(slot)
    this.#world.batchRefused(item, error)
    if (this.#isIdempotent) this.#goesBack = true
    else this.#outstanding.splice(this.#outstanding.indexOf(sent), 1)
  }

  #take(slot: number): { sent: SentBatch; item: Item } {
    const sending = this.#inFlight.get(slot)
    if (sending === undefined) throw new Error(`slot ${slot} is answered twice, or was never asked`)
    this.#inFlight.delete(slot)
    return sending
  }

  /** It begins anew, in the next epoch: what it had in flight is answered in the old one. */
  #turnedAway(): void {
    this.#outstanding = this.#outstanding.filter(sent =>
      [...this.#inFlight.values()].some(other => other.sent === sent),
    )
    this.#epoch++
    this.#nextSequence = 0
    this.#goesBack = false
    this.#lastAnswered = null
  }
}
