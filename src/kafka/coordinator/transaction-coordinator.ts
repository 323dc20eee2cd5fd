import { messageOf } from '#base/errors.ts'
import type { Clock, Timer } from '#base/ports.ts'
import type { TransactionOffsets } from '#core/transaction-fields.ts'
import type { Transaction } from '#core/transactions.ts'
import type { ProducerIds } from '#kafka/producer-ids.ts'
import type { KafkaErrorName } from '#kafka/protocol/protocol.ts'
import { storageRefusal } from '#kafka/refusal.ts'
import type { Log } from '#log/log.ts'
import type { Logger } from '#observe/log.ts'
import type { Metrics } from '#observe/product-metrics.ts'
import {
  type Decision,
  decideAbort,
  decideEnd,
  decideFencing,
  decideInit,
  decideJoin,
  type EndRequest,
  hasRoomFor,
  type InitRequest,
  type JoinRequest,
  mayBegin,
  NOBODY,
  type ProducerIdentity,
  problemWith,
  type TransactionAnswer,
} from './transaction-steps.ts'
import { TransactionTimers } from './transaction-timers.ts'
import { UnusedTransactionalIds } from './unused-transactional-ids.ts'

// The coordinator of all transactions: decides (transaction-steps.ts), makes what was decided durable, and decides again if the
// state moved on meanwhile. It holds nothing but the timer for transactions that are left open: all it knows is in the log's
// state, so a restart, or another broker, goes on where it stopped.

export interface TransactionLimits {
  readonly maxTimeoutMs: number
  readonly maxTransactionalIds: number
  readonly maxOpenTransactions: number
}

/** Somebody else was faster so many times: the client is told to ask again. */
const ATTEMPTS = 10
/** What could not be aborted in time is tried again after this long. */
const RETRY_MS = 1000
/** Proposed before the first of them is in force. */
const ABORTS_AT_ONCE = 256

export class TransactionCoordinator {
  readonly #log: Log
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #metrics: Metrics
  readonly #producerIds: ProducerIds
  readonly #limits: TransactionLimits
  readonly #timers: TransactionTimers
  readonly #unusedIds: UnusedTransactionalIds
  #timer: { timer: Timer; atMs: number } | null = null
  #aborting: Promise<void> = Promise.resolve()
  #isClosed = false

  constructor(options: {
    log: Log
    clock: Clock
    logger: Logger
    metrics: Metrics
    producerIds: ProducerIds
    limits: TransactionLimits
  }) {
    this.#log = options.log
    this.#clock = options.clock
    this.#logger = options.logger
    this.#metrics = options.metrics
    this.#producerIds = options.producerIds
    this.#limits = options.limits
    this.#timers = new TransactionTimers(options.log.state, options.clock.monotonicMs(), options.clock.nowMs())
    this.#unusedIds = new UnusedTransactionalIds({ ...options, idleMs: options.limits.maxTimeoutMs })
    this.#ringAt(this.#timers.firstMs())
  }

  // ---- requests

  async init(request: Omit<InitRequest, 'newProducerId'>): Promise<TransactionAnswer> {
    const { timeoutMs, transactionalId } = request
    if (transactionalId === '') return { error: 'INVALID_REQUEST', ...NOBODY }
    if (timeoutMs <= 0 || timeoutMs > this.#limits.maxTimeoutMs)
      return { error: 'INVALID_TRANSACTION_TIMEOUT', ...NOBODY }
    return this.#settle(newProducerId => decideInit(this.#log.state, { ...request, newProducerId }, this.#limits))
  }

  async join(request: JoinRequest): Promise<KafkaErrorName> {
    if (request.transactionalId === '') return 'INVALID_REQUEST'
    const { error } = await this.#settle(() => decideJoin(this.#log.state, request, this.#limits))
    this.#watch(this.#log.state.transactions.get(request.transactionalId))
    return error
  }

  async end(request: Omit<EndRequest, 'newProducerId'>): Promise<TransactionAnswer> {
    if (request.transactionalId === '') return { error: 'INVALID_REQUEST', ...NOBODY }
    return this.#settle(newProducerId => decideEnd(this.#log.state, { ...request, newProducerId }))
  }

  /** Aborts an open transaction that an administrator has found hanging. */
  async abort(transaction: Transaction): Promise<KafkaErrorName> {
    const { producerId, epoch } = transaction
    const { error } = await this.#settle(() => decideAbort(transaction, { producerId, epoch }))
    return error
  }

  /** May this producer write a batch of its transaction now? What it writes may begin one: `produced` is told of it. */
  mayProduce(transactionalId: string | null, producerId: number): KafkaErrorName {
    const { state } = this.#log
    const transaction = state.transactionOfProducer.get(producerId)
    if (transactionalId === null) return 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED'
    if (transaction?.id !== transactionalId) return 'INVALID_PRODUCER_ID_MAPPING'
    return mayBegin(state, transaction, this.#limits) ? 'NONE' : 'POLICY_VIOLATION'
  }

  /** A batch of a transaction was stored. */
  produced(transactionalId: string): void {
    this.#watch(this.#log.state.transactions.get(transactionalId))
  }

  /** May this producer commit offsets of a group with its transaction? */
  mayCommit(asking: ProducerIdentity & { transactionalId: string; groupId: string; joins: boolean }): KafkaErrorName {
    const { state } = this.#log
    const transaction = state.transactions.get(asking.transactionalId)
    const problem = problemWith(transaction, asking)
    if (problem !== 'NONE') return problem
    if (!asking.joins && !transaction?.groups.has(asking.groupId)) return 'INVALID_TXN_STATE'
    if (!hasRoomFor(transaction, [asking.groupId])) return 'POLICY_VIOLATION'
    return mayBegin(state, transaction, this.#limits) ? 'NONE' : 'POLICY_VIOLATION'
  }

  async commitOffsets(commit: Omit<TransactionOffsets, 'kind'>): Promise<KafkaErrorName> {
    try {
      const outcome = await this.#log.propose({ kind: 'transaction-offsets-committed', ...commit })
      this.#watch(this.#log.state.transactionOfProducer.get(commit.producerId))
      return outcome
    } catch (thrown) {
      storageRefusal(thrown)
      return 'COORDINATOR_NOT_AVAILABLE'
    }
  }

  // ---- deciding

  async #settle(decide: (newProducerId: number | null) => Decision): Promise<TransactionAnswer> {
    let newProducerId: number | null = null
    try {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const decision = decide(newProducerId)
        if (decision.kind === 'answer') {
          // What it says was done may not be answered yet itself.
          if (decision.answer.error === 'NONE') await this.#log.answered()
          return decision.answer
        }
        if (decision.kind === 'needs-producer-id') {
          newProducerId = await this.#producerIds.take()
          continue
        }
        if (decision.kind === 'needs-room') {
          if (await this.#unusedIds.forgetSome()) continue
          return { error: 'POLICY_VIOLATION', ...NOBODY }
        }
        const isEnd = decision.kind === 'end'
        const outcome = await (isEnd ? this.#log.endTransaction(decision.end) : this.#log.propose(decision.change))
        if (outcome === 'NONE' && !(isEnd && decision.thenAgain)) return decision.answer
      }
    } catch (thrown) {
      storageRefusal(thrown)
      return { error: 'COORDINATOR_NOT_AVAILABLE', ...NOBODY }
    }
    return { error: 'CONCURRENT_TRANSACTIONS', ...NOBODY }
  }

  // ---- time

  /** It may have begun just now. */
  #watch(transaction: Transaction | undefined): void {
    if (!transaction?.isOngoing) return
    const atMs = this.#timers.began(transaction, this.#clock.monotonicMs())
    if (atMs !== null) this.#ringAt(atMs)
  }

  /** Sets the timer, unless one is set that rings early enough. */
  #ringAt(atMs: number): void {
    if (this.#isClosed || atMs === Number.POSITIVE_INFINITY) return
    if (this.#timer !== null && this.#timer.atMs <= atMs) return
    this.#timer?.timer.cancel()
    const timer = this.#clock.after(Math.max(0, atMs - this.#clock.monotonicMs()), () => {
      this.#timer = null
      this.#aborting = this.#aborting.then(() => this.#abortOverdue())
    })
    this.#timer = { timer, atMs }
  }

  /** Many at once: their ends share a sync. What could not be aborted is tried again. */
  async #abortOverdue(): Promise<void> {
    const overdue = this.#timers.overdue(this.#clock.monotonicMs())
    const failures: string[] = []
    for (let i = 0; i < overdue.length && !this.#isClosed; i += ABORTS_AT_ONCE) {
      const some = overdue.slice(i, i + ABORTS_AT_ONCE)
      const outcomes = await Promise.all(some.map(transaction => this.#abortInTime(transaction)))
      failures.push(...outcomes.filter(failure => failure !== null))
    }
    // One line of the log for all of them: the disk that it goes to may be the one that is full.
    if (failures.length > 0) {
      const count = failures.length
      this.#logger.warn(`transactions could not be aborted in time, it is tried again: ${failures[0]}`, { count })
    }
    const isLeft = overdue.some(transaction => this.#timers.isOverdue(transaction, this.#clock.monotonicMs()))
    this.#ringAt(isLeft ? this.#clock.monotonicMs() + RETRY_MS : this.#timers.firstMs())
  }

  /** Why it could not be stored; null if that was not the reason. */
  async #abortInTime(transaction: Transaction): Promise<string | null> {
    const { id, startedMs, timeoutMs } = transaction
    try {
      // While others were aborted, its producer may have ended it, and begun another one; or it came to one more partition.
      for (let left = ATTEMPTS; left > 0 && this.#timers.isOverdue(transaction, this.#clock.monotonicMs()); left--) {
        const outcome = await this.#log.endTransaction(decideFencing(transaction).end)
        if (outcome !== 'NONE') continue
        this.#metrics.transactionsTimedOut.value++
        const openMs = this.#clock.nowMs() - startedMs
        this.#logger.info('transaction aborted: it was open for too long', { transactionalId: id, openMs, timeoutMs })
        return null
      }
      return null
    } catch (thrown) {
      return messageOf(thrown)
    }
  }

  /** Resolves when nothing more is proposed. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.timer.cancel()
    await this.#aborting
  }
}
