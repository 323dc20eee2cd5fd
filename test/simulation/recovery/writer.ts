import { FENCED, OUT_OF_ORDER } from '#core/core.ts'
import { makeBatch, type SentBatch } from '#test/simulation/batches.ts'
import { Violation } from '#test/simulation/history.ts'
import { Line } from './line.ts'
import type { Answer, RecoveryWorld } from './recovery-world.ts'

const IN_FLIGHT = 5
const LONGEST_WAIT_MS = 4000

/**
 * An idempotent producer of one partition. What was not answered it sends again, in order and before anything new, to whatever
 * machine there is.
 */
export class Writer {
  readonly #world: RecoveryWorld
  #place: { topicId: string; index: number } | null = null
  #line: Line | null = null
  #producerId = -1
  #epoch = 0
  #sequence = 0
  /** Oldest first. */
  #outstanding: SentBatch[] = []
  readonly #inFlight = new Set<SentBatch>()
  #answeredMs = 0
  #waitMs = 0
  isEnding = false

  constructor(world: RecoveryWorld) {
    this.#world = world
  }

  get isIdle(): boolean {
    return this.#outstanding.length === 0
  }

  toString(): string {
    return `writer ${this.#producerId} has ${this.#outstanding.length}, ${this.#inFlight.size} in flight`
  }

  run(): void {
    const { prng, plan, clock } = this.#world
    clock.after(plan.gapMs * 2 * prng.fraction(), () => {
      this.#world.guard(() => this.#step())
      this.run()
    })
  }

  #step(): void {
    const { clock } = this.#world
    if (this.#line !== null) {
      const isSilent = this.#inFlight.size > 0 && clock.monotonicMs() - this.#answeredMs > this.#waitMs
      if (!this.#line.isOpen || this.#line.isBusy || isSilent) this.#hangUp()
    }
    if (this.#line === null && !this.#connect()) return
    if (this.#line!.isBusy) return
    if (this.#place === null && !this.#choose()) return
    const missing = this.#outstanding.filter(sent => !this.#inFlight.has(sent))
    if (missing.length > 0) {
      // In order: not before everything is known of what is on its way.
      if (this.#inFlight.size === 0) for (const sent of missing) if (!this.#send(sent)) return
      return
    }
    if (this.isEnding || this.#world.isQuiet || this.#outstanding.length >= IN_FLIGHT) return
    const sent = this.#newBatch()
    this.#outstanding.push(sent)
    this.#send(sent)
  }

  #hangUp(): void {
    this.#line = null
    this.#inFlight.clear()
  }

  #connect(): boolean {
    this.#line = Line.open(this.#world)
    this.#waitMs = this.#world.prng.between(50, LONGEST_WAIT_MS)
    return this.#line !== null
  }

  #choose(): boolean {
    const { prng } = this.#world
    if (this.isEnding) {
      this.#outstanding = []
      return false
    }
    const partitions = this.#line!.log.state.partitions.filter(partition => partition !== undefined)
    if (partitions.length === 0) return false
    const { topic, index } = prng.pick(partitions)
    this.#place = { topicId: topic.id, index }
    this.#outstanding = []
    this.#inFlight.clear()
    this.#producerId = this.#world.nextId()
    this.#epoch = 0
    this.#sequence = 0
    return true
  }

  #newBatch(): SentBatch {
    const { prng, clock } = this.#world
    const recordCount = prng.between(1, 5)
    const who = { producerId: this.#producerId, producerEpoch: this.#epoch, baseSequence: this.#sequence }
    this.#sequence += recordCount
    const what = { id: this.#world.nextId(), ordinal: 0, sizeBytes: prng.between(80, 1500), recordCount }
    return makeBatch({ ...what, ...who, timestampMs: clock.nowMs() }, prng)
  }

  #send(sent: SentBatch): boolean {
    const line = this.#line!
    const place = this.#place!
    if (line.log.state.topicsById.get(place.topicId)?.partitions[place.index] === undefined) {
      this.#place = null
      return false
    }
    if (this.#inFlight.size === 0) this.#answeredMs = this.#world.clock.monotonicMs()
    this.#inFlight.add(sent)
    const isListening = (): boolean => this.#line === line && this.#inFlight.has(sent)
    const isSent = line.send(sent, place, {
      answered: answer => {
        if (isListening()) this.#answered(answer)
      },
      refused: () => {
        if (isListening()) this.#inFlight.delete(sent)
      },
    })
    if (!isSent) this.#inFlight.delete(sent)
    return isSent
  }

  #answered({ sent, verdict }: Answer): void {
    this.#answeredMs = this.#world.clock.monotonicMs()
    this.#inFlight.delete(sent)
    if (verdict === FENCED || verdict === OUT_OF_ORDER) {
      if (!this.#world.isLossy) {
        this.#world.violation ??= new Violation(`batch ${sent.id} of a producer that keeps its order is turned away`)
      }
      this.#world.count('turnedAway')
      this.#beginEpoch()
      return
    }
    this.#outstanding.splice(this.#outstanding.indexOf(sent), 1)
  }

  /** As Kafka's producer does it: what was not stored is sent again, with another epoch. */
  #beginEpoch(): void {
    this.#hangUp()
    this.#outstanding = []
    this.#epoch++
    this.#sequence = 0
  }
}
