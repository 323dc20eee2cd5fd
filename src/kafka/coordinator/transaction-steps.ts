import type { Change } from '#core/change-records.ts'
import type { State } from '#core/state.ts'
import { LAST_EPOCH, NO_EPOCH, type Transaction } from '#core/transactions.ts'
import type { KafkaErrorName } from '#kafka/protocol/protocol.ts'
import type { ProposedEnd } from '#log/log.ts'

// What a coordinator of transactions answers: (state, request) -> an answer, or a record to be made durable and the answer that
// is true once it is applied (Kafka: TransactionCoordinator, TransactionMetadata; KIP-98, KIP-360, KIP-890). The record names
// the producer that was found; should the state have moved on before it is applied, it changes nothing, and one decides again.

/** Who may write with a transactional id. */
export interface ProducerIdentity {
  readonly producerId: number
  readonly epoch: number
}

export interface TransactionAnswer extends ProducerIdentity {
  readonly error: KafkaErrorName
}

export type Decision =
  | { readonly kind: 'answer'; readonly answer: TransactionAnswer }
  | { readonly kind: 'propose'; readonly change: Change; readonly answer: TransactionAnswer }
  /** `thenAgain`: it clears the way for what was asked. */
  | { readonly kind: 'end'; readonly end: ProposedEnd; readonly answer: TransactionAnswer; readonly thenAgain?: true }
  /** To be decided again with a producer id that was never used. */
  | { readonly kind: 'needs-producer-id' }
  /** The same, once some transactional id was forgotten. */
  | { readonly kind: 'needs-room' }

/** Whose offsets a transaction commits: of one group, as all that is known does; every id that a client names is kept. */
const MAX_GROUPS = 1000

export const NOBODY: ProducerIdentity = { producerId: -1, epoch: NO_EPOCH }

const answer = (error: KafkaErrorName, identity: ProducerIdentity = NOBODY): Decision => ({
  kind: 'answer',
  answer: { error, ...identity },
})

const NONE: TransactionAnswer = { error: 'NONE', ...NOBODY }

// ---- InitProducerId

export interface InitRequest {
  readonly transactionalId: string
  readonly timeoutMs: number
  /** KIP-360: who the producer has been so far; null if it begins. */
  readonly from: ProducerIdentity | null
  readonly newProducerId: number | null
}

export function decideInit(state: State, request: InitRequest, limits: { maxTransactionalIds: number }): Decision {
  const { transactionalId, from, newProducerId } = request
  const transaction = state.transactions.get(transactionalId)
  if (transaction === undefined) {
    if (state.transactions.size >= limits.maxTransactionalIds) return { kind: 'needs-room' }
    if (newProducerId === null) return { kind: 'needs-producer-id' }
    return claim(NOBODY, { producerId: newProducerId, epoch: 0 }, request)
  }
  if (from !== null && !isCurrent(transaction, from)) {
    // Whoever has begun a transaction has heard who it is now: somebody else asks.
    if (transaction.isOngoing || !isPrevious(transaction, from)) return answer('PRODUCER_FENCED')
    if (transaction.epoch <= LAST_EPOCH) return answer('NONE', identityOf(transaction))
  }
  if (transaction.isOngoing) return { ...decideFencing(transaction), thenAgain: true }
  const { producerId, epoch } = transaction
  if (epoch < LAST_EPOCH) return claim(transaction, { producerId, epoch: epoch + 1 }, request)
  if (newProducerId === null) return { kind: 'needs-producer-id' }
  return claim(transaction, { producerId: newProducerId, epoch: 0 }, request)
}

function claim(
  from: ProducerIdentity,
  to: ProducerIdentity,
  request: Pick<InitRequest, 'transactionalId' | 'timeoutMs' | 'from'>,
): Decision {
  const { transactionalId, timeoutMs } = request
  const change: Change = {
    kind: 'transactional-id-claimed',
    transactionalId,
    timeoutMs,
    fromProducerId: from.producerId,
    fromEpoch: from.epoch,
    ...to,
    isNamed: request.from !== null,
  }
  return { kind: 'propose', change, answer: { error: 'NONE', ...to } }
}

// ---- AddPartitionsToTxn, AddOffsetsToTxn

export interface JoinRequest extends ProducerIdentity {
  readonly transactionalId: string
  readonly ordinals: readonly number[]
  readonly groupIds: readonly string[]
}

export function decideJoin(state: State, request: JoinRequest, limits: { maxOpenTransactions: number }): Decision {
  const { transactionalId, producerId, epoch, ordinals, groupIds } = request
  const transaction = state.transactions.get(transactionalId)
  const problem = problemWith(transaction, request)
  if (problem !== 'NONE') return answer(problem)
  const isIn =
    transaction?.isOngoing &&
    ordinals.every(ordinal => transaction.partitions.has(ordinal)) &&
    groupIds.every(groupId => transaction.groups.has(groupId))
  if (isIn) return answer('NONE')
  if (!mayBegin(state, transaction, limits) || !hasRoomFor(transaction, groupIds)) return answer('POLICY_VIOLATION')
  const change: Change = { kind: 'transaction-joined', transactionalId, producerId, epoch, ordinals, groupIds }
  return { kind: 'propose', change, answer: NONE }
}

/** One that is open already may go on. */
export function mayBegin(
  state: State,
  transaction: Transaction | undefined,
  { maxOpenTransactions }: { maxOpenTransactions: number },
): boolean {
  return transaction?.isOngoing === true || state.openTransactions.size < maxOpenTransactions
}

/** May it commit offsets of these groups too? */
export function hasRoomFor(transaction: Transaction | undefined, groupIds: readonly string[]): boolean {
  const groups = transaction?.isOngoing ? transaction.groups : null
  const added = groupIds.filter(groupId => !groups?.has(groupId)).length
  return added === 0 || (groups?.size ?? 0) + added <= MAX_GROUPS
}

/** Is this the producer that has the transactional id? */
export function problemWith(transaction: Transaction | undefined, asking: ProducerIdentity): KafkaErrorName {
  if (transaction?.producerId !== asking.producerId) return 'INVALID_PRODUCER_ID_MAPPING'
  return transaction.isHeldBy(asking.producerId, asking.epoch) ? 'NONE' : 'PRODUCER_FENCED'
}

// ---- EndTxn

export interface EndRequest extends ProducerIdentity {
  readonly transactionalId: string
  readonly isCommit: boolean
  /** KIP-890: the producer goes on with the next epoch. */
  readonly bumps: boolean
  readonly newProducerId: number | null
}

export function decideEnd(state: State, request: EndRequest): Decision {
  const { isCommit, bumps } = request
  const transaction = state.transactions.get(request.transactionalId)
  if (transaction === undefined) return answer('INVALID_PRODUCER_ID_MAPPING')
  const ended = isCommit ? 'CompleteCommit' : 'CompleteAbort'
  if (bumps && !transaction.isOngoing && isPrevious(transaction, request)) {
    if (transaction.phase !== ended) return answer('INVALID_TXN_STATE')
    if (transaction.epoch <= LAST_EPOCH) return answer('NONE', identityOf(transaction))
    const { id: transactionalId, timeoutMs } = transaction
    const { newProducerId } = request
    if (newProducerId === null) return { kind: 'needs-producer-id' }
    return claim(transaction, { producerId: newProducerId, epoch: 0 }, { transactionalId, timeoutMs, from: request })
  }
  const problem = problemWith(transaction, request)
  if (problem !== 'NONE') return answer(problem)
  // Before KIP-890 the epoch does not tell whether this is the same request again: the answer may have been lost.
  if (!bumps && transaction.phase === ended) return answer('NONE', identityOf(transaction))
  // KIP-890: to abort where nothing was begun is how a producer gets the next epoch.
  if (!transaction.isOngoing && (isCommit || !bumps)) return answer('INVALID_TXN_STATE')
  return end(transaction, request)
}

function end(transaction: Transaction, request: EndRequest): Decision {
  const { producerId, epoch } = transaction
  let next = identityOf(transaction)
  if (request.bumps && epoch < LAST_EPOCH) next = { producerId, epoch: epoch + 1 }
  else if (request.bumps) {
    if (request.newProducerId === null) return { kind: 'needs-producer-id' }
    next = { producerId: request.newProducerId, epoch: 0 }
  }
  const markerEpoch = request.bumps ? epoch + 1 : epoch
  const how = { isCommit: request.isCommit, fences: false, markerEpoch }
  return { kind: 'end', end: endOf(transaction, how, next), answer: { error: 'NONE', ...next } }
}

/** Aborts what a producer has left open, so that the producer itself cannot go on. */
export function decideFencing(transaction: Transaction): Extract<Decision, { kind: 'end' }> {
  const { producerId, epoch } = transaction
  const next = { producerId, epoch: epoch + 1 }
  const how = { isCommit: false, fences: true, markerEpoch: next.epoch }
  return { kind: 'end', end: endOf(transaction, how, next), answer: { error: 'NONE', ...next } }
}

/** The same for an administrator, unless the producer has ended it itself. */
export function decideAbort(transaction: Transaction, found: ProducerIdentity): Decision {
  return transaction.isOngoing && isCurrent(transaction, found) ? decideFencing(transaction) : answer('NONE')
}

function endOf(
  { id, producerId, epoch, partitions }: Transaction,
  how: Pick<ProposedEnd, 'isCommit' | 'fences' | 'markerEpoch'>,
  next: ProducerIdentity,
): ProposedEnd {
  const after = { nextProducerId: next.producerId, nextEpoch: next.epoch }
  return { transactionalId: id, producerId, epoch, ...how, ...after, ordinals: [...partitions] }
}

function identityOf({ producerId, epoch }: Transaction): ProducerIdentity {
  return { producerId, epoch }
}

function isCurrent(transaction: Transaction, { producerId, epoch }: ProducerIdentity): boolean {
  return transaction.producerId === producerId && transaction.epoch === epoch
}

/**
 * The producer was told who it is now, and did not hear it; or its transaction took too long, and it was not told. Behind the last
 * epoch there is nobody: then it is somebody new.
 */
function isPrevious(
  { previousProducerId, previousEpoch }: Transaction,
  { producerId, epoch }: ProducerIdentity,
): boolean {
  return epoch >= 0 && previousProducerId === producerId && previousEpoch === epoch
}
