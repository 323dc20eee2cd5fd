import { ACCEPTED, DUPLICATE } from '#core/core.ts'
import { JOINS_TRANSACTION_BIT } from '#core/produce-record.kernel.ts'
import type { Transaction } from '#core/transactions.ts'
import { TRANSACTIONAL_BIT } from '#records/batch.ts'
import { makeBatch } from '#test/simulation/batches.ts'
import { Line, NoAnswer } from './line.ts'
import type { Answer, Attempt, RecoveryWorld } from './recovery-world.ts'

const SHORTEST_WAIT_MS = 200
const LONGEST_WAIT_MS = 3000
const TIMEOUT_MS = 60_000
const QUIET_MS = 5000

/** It is not its id any more, or something else went wrong for good: it begins anew. */
class Refused extends Error {}
class Over extends Error {}

/** A producer of transactions, which goes on with the one that it is in when it comes to another machine. */
export class Transactor {
  readonly #world: RecoveryWorld
  readonly #id: string
  #line: Line | null = null
  #producerId = -1
  #epoch = -1
  #sequences = new Map<string, number>()
  isEnding = false
  isIdle = false

  constructor(world: RecoveryWorld, id: string) {
    this.#world = world
    this.#id = id
  }

  toString(): string {
    return `transactor ${this.#producerId}/${this.#epoch}`
  }

  async run(): Promise<void> {
    for (;;) {
      try {
        await this.#claim()
        for (;;) await this.#transact()
      } catch (thrown) {
        if (thrown instanceof Over) {
          this.isIdle = true
          return
        }
        if (!(thrown instanceof Refused || thrown instanceof NoAnswer)) {
          this.#world.violation ??= thrown
          return
        }
      }
      await this.#sleep(this.#world.plan.gapMs)
    }
  }

  async #sleep(delayMs: number): Promise<void> {
    await new Promise<void>(resolve => this.#world.clock.after(delayMs, resolve))
  }

  /** What is asked is asked of one machine after the other, until it is answered. */
  async #ask<T>(call: (line: Line) => Promise<T>): Promise<T> {
    for (let left = 20; left > 0; left--) {
      this.#line ??= Line.open(this.#world)
      const line = this.#line
      if (line?.isOpen && !line.isBusy) {
        const waitMs = this.#world.prng.between(SHORTEST_WAIT_MS, LONGEST_WAIT_MS)
        try {
          return await line.ask(call(line), waitMs)
        } catch (thrown) {
          if (!(thrown instanceof NoAnswer)) throw thrown
        }
      }
      this.#line = null
      await this.#sleep(50 + this.#world.prng.between(0, 300))
    }
    throw new NoAnswer()
  }

  #find(line: Line): Transaction | undefined {
    return line.log.state.transactions.get(this.#id)
  }

  async #claim(): Promise<void> {
    const outcome = await this.#ask(async line => {
      const known = this.#find(line)
      if (known?.isOngoing) {
        await this.#endOn(line, known, { isCommit: false, fences: true })
        return 'CONCURRENT_TRANSACTIONS'
      }
      if (this.isEnding) throw new Over()
      const producerId = known?.producerId ?? 1_000_000 + this.#world.nextId()
      const epoch = (known?.epoch ?? -1) + 1
      const from = { fromProducerId: known?.producerId ?? -1, fromEpoch: known?.epoch ?? -1 }
      const claim = { transactionalId: this.#id, timeoutMs: TIMEOUT_MS, ...from, isNamed: false, producerId, epoch }
      const claimed = await line.decided(line.log.propose({ kind: 'transactional-id-claimed', ...claim }))
      if (claimed === 'NONE') this.#become(producerId, epoch)
      return claimed
    })
    if (outcome !== 'NONE') throw new Refused(outcome)
  }

  #become(producerId: number, epoch: number): void {
    this.#producerId = producerId
    this.#epoch = epoch
    this.#sequences = new Map()
  }

  #endOn(
    line: Line,
    { producerId, epoch, partitions }: Transaction,
    { isCommit, fences }: { isCommit: boolean; fences: boolean },
  ): Promise<string> {
    const next = { nextProducerId: producerId, nextEpoch: epoch + 1, markerEpoch: epoch + 1 }
    const end = { transactionalId: this.#id, producerId, epoch, isCommit, fences, ...next, ordinals: [...partitions] }
    return line.decided(line.log.endTransaction(end))
  }

  async #transact(): Promise<void> {
    const { prng, attempts, plan } = this.#world
    const attempt: Attempt = {
      producerId: this.#producerId,
      producerEpoch: this.#epoch,
      acked: [],
      isCommitAsked: false,
    }
    attempts.set(this.#id, attempt)
    for (let left = prng.between(1, 3); left > 0; left--) {
      await this.#produce(attempt)
      await this.#sleep(plan.gapMs * 2 * prng.fraction())
    }
    await this.#end(attempt, prng.chance(0.7))
    if (this.isEnding) throw new Over()
    while (this.#world.isQuiet) await this.#sleep(QUIET_MS)
    if (prng.chance(0.1)) throw new Refused('a new one')
  }

  async #produce(attempt: Attempt): Promise<void> {
    const { prng, clock } = this.#world
    const place = await this.#ask(async ({ log }) => {
      const partitions = log.state.partitions.filter(partition => partition !== undefined)
      return partitions.length === 0 ? null : prng.pick(partitions)
    })
    if (place === null) throw new Refused('nothing to write to')
    const [topicId, index] = [place.topic.id, place.index]
    const key = `${topicId}:${index}`
    const baseSequence = this.#sequences.get(key) ?? 0
    const what = { id: this.#world.nextId(), ordinal: 0, sizeBytes: 120, recordCount: 1, timestampMs: clock.nowMs() }
    const who = { producerId: this.#producerId, producerEpoch: this.#epoch, baseSequence }
    const sent = makeBatch({ ...what, ...who, attributes: TRANSACTIONAL_BIT | JOINS_TRANSACTION_BIT }, prng)
    const { verdict, baseOffset } = await this.#ask(
      line =>
        new Promise<Answer>((resolve, reject) => {
          const isSent = line.send(
            sent,
            { topicId, index },
            { answered: resolve, refused: () => reject(new NoAnswer()) },
          )
          if (isSent) return
          // One that is full takes more later; else what it was for is gone.
          if (line.log.refusal === null) resolve({ sent, verdict: -1, baseOffset: -1 })
          else reject(new NoAnswer())
        }),
    )
    if (verdict !== ACCEPTED && verdict !== DUPLICATE) throw new Refused(`verdict ${verdict}`)
    this.#sequences.set(key, baseSequence + 1)
    attempt.acked.push({ story: key, baseOffset, crc: sent.entry.crc })
  }

  async #end(attempt: Attempt, isCommit: boolean): Promise<void> {
    attempt.isCommitAsked = isCommit
    const outcome = await this.#ask(async line => {
      const found = this.#find(line)
      if (found === undefined) return 'INVALID_PRODUCER_ID_MAPPING'
      if (found.producerId !== this.#producerId || found.epoch !== this.#epoch) return this.#wasEnded(found, isCommit)
      const ended = await this.#endOn(line, found, { isCommit, fences: false })
      if (ended === 'NONE') this.#become(this.#producerId, this.#epoch + 1)
      return ended
    })
    if (outcome !== 'NONE') throw new Refused(outcome)
    this.#world.count(isCommit ? 'commits' : 'aborts')
  }

  /** Who did not get the answer is told again. */
  #wasEnded(found: Transaction, isCommit: boolean): string {
    const isBefore = found.previousProducerId === this.#producerId && found.previousEpoch === this.#epoch
    if (!isBefore || found.phase !== (isCommit ? 'CompleteCommit' : 'CompleteAbort')) return 'PRODUCER_FENCED'
    this.#become(found.producerId, found.epoch)
    return 'NONE'
  }
}
