import { type Mutant, one } from '#test/simulation/mutants.ts'

// Bugs that coordinators of groups and transactions are known to have had, each as a change of the source.

const TRANSACTIONS = 'src/core/apply-transactions.ts'
const STEPS = 'src/kafka/coordinator/transaction-steps.ts'
const COORDINATOR = 'src/kafka/coordinator/transaction-coordinator.ts'
const GROUPS = 'src/kafka/coordinator/classic-coordinator.ts'

const found: readonly Mutant[] = [
  one(
    'a marker is written without a look at the epoch',
    100,
    TRANSACTIONS,
    "  if (transaction.epoch !== end.epoch) return 'PRODUCER_FENCED'\n",
    '',
  ),
  one('offsets of an aborted transaction count', 20, TRANSACTIONS, 'if (isCommit) takeOver(state', 'takeOver(state'),
  one(
    'the last stable offset passes an open transaction',
    20,
    'src/core/state.ts',
    'if (open === null || open.size === 0) return',
    'if (open === null || open.size < 2) return',
  ),
  one(
    'a commit of an old generation is accepted',
    100,
    'src/kafka/coordinator/classic-requests.ts',
    "    const error = checkCaller(group, caller)\n    if (error !== 'NONE') return error\n  } else if",
    "    const error = checkMember(group, memberId, instanceId)\n    if (error !== 'NONE') return error\n  } else if",
  ),
  one(
    'any generation is heard',
    50,
    'src/kafka/coordinator/classic-requests.ts',
    "return caller.generation === group.generation ? 'NONE' : 'ILLEGAL_GENERATION'",
    "return 'NONE'",
  ),
  one(
    'a transaction ends though it is in other partitions by now',
    100,
    TRANSACTIONS,
    "  if (!isInExactly(transaction, end.markers)) return 'CONCURRENT_TRANSACTIONS'\n",
    '',
  ),
  one(
    'a producer goes on behind the abort for its time',
    20,
    STEPS,
    'const next = { producerId, epoch: epoch + 1 }',
    'const next = { producerId, epoch }',
  ),
  one(
    'what was ended in time is fenced nevertheless',
    500,
    TRANSACTIONS,
    "  if (end.fences && !transaction.isOngoing) return 'INVALID_TXN_STATE'\n",
    '',
  ),
  one(
    'two clients get one epoch',
    20,
    STEPS,
    'return claim(transaction, { producerId, epoch: epoch + 1 }, request)',
    'return claim(transaction, { producerId, epoch }, request)',
  ),
  one(
    'batches of a fenced producer are taken',
    20,
    'src/core/core.ts',
    '  if (!transaction.isHeldBy(entry.producerId, entry.producerEpoch)) return FENCED\n',
    '',
  ),
  one(
    'of two commits of an offset the one that is applied last counts',
    100,
    TRANSACTIONS,
    'if (known === undefined || known.order < committed.order) offsets',
    'offsets',
  ),
  one(
    'offsets that an open transaction is about to change are told',
    50,
    'src/kafka/handlers/09-offset-fetch.ts',
    'pending: requireStable ? new Map() : null',
    'pending: null',
  ),
  one('an aborted transaction is not remembered', 20, TRANSACTIONS, 'partition.aborted.add({', 'void ({'),
  one(
    'consumers are told of no aborted transaction that began before they read',
    50,
    'src/core/transactions.ts',
    'if (firstOffset < to) {',
    'if (firstOffset < to && firstOffset >= from) {',
  ),
  one(
    'the end of a transaction wakes nobody',
    50,
    'src/log/log.ts',
    'this.waiters.changed(batch.ordinal)\n    if (this.#held === null) return\n',
    "if ('attributes' in batch) this.waiters.changed(batch.ordinal)\n    if (this.#held === null) return\n",
  ),
  one(
    'batches overtake the changes before them',
    20,
    'src/log/log.ts',
    '    this.#endProduced(group)\n    writeRecord(group.records, type',
    '    writeRecord(group.records, type',
  ),
  one(
    'what a transaction has open is not restored',
    50,
    'src/core/checkpoint.ts',
    'openTransactions?.set(from.i64(), from.i64())',
    'void [from.i64(), from.i64()]',
  ),
  one(
    'open transactions are not aborted in time after a restart',
    300,
    'src/core/checkpoint.ts',
    '    if (transaction.isOngoing) state.openTransactions.add(transaction)\n',
    '',
  ),
  one(
    'nobody watches the transactions that a restart finds',
    300,
    COORDINATOR,
    '    this.#ringAt(this.#timers.firstMs())\n  }\n',
    '  }\n',
  ),
  one(
    'the timer of transactions does nothing',
    20,
    COORDINATOR,
    'this.#aborting = this.#aborting.then(() => this.#abortOverdue())',
    '',
  ),
  one(
    'a transaction that begins with a batch is not watched',
    100,
    'src/kafka/produce-ticket.ts',
    '    if (transactionalId !== null && verdict === ACCEPTED) this.connection.broker.transactions.produced(transactionalId)\n',
    '    void transactionalId\n',
  ),
  one(
    'an abort that a further partition overtook waits for a second',
    500,
    COORDINATOR,
    "if (outcome !== 'NONE') continue",
    "if (outcome !== 'NONE') return",
  ),
  one(
    'who joins twice is answered once',
    200,
    'src/kafka/coordinator/classic-join.ts',
    "  refuseWaiting(member, 'REBALANCE_IN_PROGRESS', step)\n",
    '',
  ),
  one(
    'sessions do not end after a restart',
    300,
    GROUPS,
    'step => rebalance(group, step))\n    else this.#arm(group)\n',
    'step => rebalance(group, step))\n',
  ),
  one(
    'a generation is told before it is durable',
    500,
    GROUPS,
    "await this.#log.propose({ kind: 'group-saved'",
    "void this.#log.propose({ kind: 'group-saved'",
  ),
]

export const COORDINATION_MUTANTS = found.map((mutant): Mutant => ({ ...mutant, of: 'coordination' }))
