import type { Clock } from '#base/ports.ts'
import type { Transaction } from '#core/transactions.ts'
import type { Log } from '#log/log.ts'
import type { Logger } from '#observe/log.ts'

// Some applications take a new transactional id for every transaction (Flink's sink does, unless told otherwise), and Kafka
// remembers each for a week. Where there are as many as there may be, those make room that were used longest ago.

/** Looked at in one turn. Of each thousand the older half goes: nearly as good as the order of all, which nobody keeps. */
const SAMPLE = 1000

export class UnusedTransactionalIds {
  readonly #log: Log
  readonly #clock: Clock
  readonly #logger: Logger
  /** Who was idle for less may be about to go on. */
  readonly #idleMs: number
  #next: Iterator<Transaction>
  #forgetting: Promise<boolean> | null = null

  constructor(options: { log: Log; clock: Clock; logger: Logger; idleMs: number }) {
    this.#log = options.log
    this.#clock = options.clock
    this.#logger = options.logger
    this.#idleMs = options.idleMs
    this.#next = this.#log.state.transactions.values()
  }

  /** False: all are in use. Whoever asks meanwhile gets the same answer. */
  forgetSome(): Promise<boolean> {
    this.#forgetting ??= this.#forget().finally(() => {
      this.#forgetting = null
    })
    return this.#forgetting
  }

  async #forget(): Promise<boolean> {
    for (let left = this.#log.state.transactions.size; left > 0; left -= SAMPLE) {
      const unused = this.#sample(Math.min(SAMPLE, left)).filter(transaction => this.#isUnused(transaction))
      if (unused.length === 0) {
        await new Promise<void>(resolve => this.#clock.soon(resolve))
        continue
      }
      unused.sort((a, b) => a.updatedMs - b.updatedMs)
      const count = await this.#remove(unused.slice(0, Math.ceil(unused.length / 2)))
      if (count > 0) return true
    }
    return false
  }

  #isUnused({ isOngoing, updatedMs }: Transaction): boolean {
    return !isOngoing && updatedMs + this.#idleMs < this.#clock.nowMs()
  }

  /** The next ones, from wherever the last look ended, and round again. */
  #sample(count: number): Transaction[] {
    const sample: Transaction[] = []
    for (let rounds = 0; sample.length < count && rounds < 2; ) {
      const { value, done } = this.#next.next()
      if (done !== true) {
        sample.push(value)
        continue
      }
      this.#next = this.#log.state.transactions.values()
      rounds++
    }
    return sample
  }

  async #remove(transactions: readonly Transaction[]): Promise<number> {
    const removals = transactions.map(({ id, producerId, epoch }) =>
      this.#log.propose({ kind: 'transactional-id-removed', transactionalId: id, producerId, epoch }),
    )
    const count = (await Promise.all(removals)).filter(outcome => outcome === 'NONE').length
    this.#logger.info('transactional ids forgotten: there were as many as max-transactional-ids', { count })
    return count
  }
}
