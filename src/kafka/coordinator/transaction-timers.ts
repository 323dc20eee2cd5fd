import type { State } from '#core/state.ts'
import type { Transaction } from '#core/transactions.ts'

// When open transactions are given up. Deadlines go by the monotonic clock: the one on the wall may be set. They are not stored:
// after a restart each transaction goes on with what is left of its time by the wall then, and has never more than the whole.

interface Deadline {
  /** Which of the transactions of its id. */
  readonly begun: number
  readonly atMs: number
}

export class TransactionTimers {
  readonly #state: State
  readonly #deadlines = new Map<Transaction, Deadline>()

  constructor(state: State, nowMs: number, wallMs: number) {
    this.#state = state
    for (const transaction of state.openTransactions) {
      const { startedMs, timeoutMs } = transaction
      const leftMs = Math.min(Math.max(startedMs + timeoutMs - wallMs, 0), timeoutMs)
      this.#deadlines.set(transaction, { begun: transaction.begunCount, atMs: nowMs + leftMs })
    }
  }

  /** It is open, and may have begun just now: then its deadline, else null. */
  began(transaction: Transaction, nowMs: number): number | null {
    if (this.#deadlines.get(transaction)?.begun === transaction.begunCount) return null
    const atMs = nowMs + transaction.timeoutMs
    this.#deadlines.set(transaction, { begun: transaction.begunCount, atMs })
    return atMs
  }

  isOverdue(transaction: Transaction, nowMs: number): boolean {
    const deadline = this.#deadlines.get(transaction)
    return transaction.isOngoing && deadline?.begun === transaction.begunCount && deadline.atMs <= nowMs
  }

  overdue(nowMs: number): Transaction[] {
    return [...this.#state.openTransactions].filter(transaction => this.isOverdue(transaction, nowMs))
  }

  /** Of the open ones the first; Infinity: there is none. Forgets those that have ended. */
  firstMs(): number {
    let firstMs = Number.POSITIVE_INFINITY
    for (const [transaction, { begun, atMs }] of this.#deadlines) {
      if (!transaction.isOngoing || begun !== transaction.begunCount) this.#deadlines.delete(transaction)
      else firstMs = Math.min(firstMs, atMs)
    }
    return firstMs
  }
}
