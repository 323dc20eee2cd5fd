import { defineHandler } from '#kafka/handler.ts'
import { ListTransactionsRequest, ListTransactionsResponse } from '#kafka/protocol/apis/66-list-transactions.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'
import { compileRegex } from '#kafka/regular-expressions.ts'

// ListTransactions v0-2 (KIP-664). v1: only those that have been open for so long (KIP-994). v2: only ids that match (KIP-1152).

/** Kafka's names; here a transaction is open or it has ended, so that some are never seen. */
const STATES: ReadonlySet<string> = new Set([
  'Empty',
  'Ongoing',
  'PrepareCommit',
  'PrepareAbort',
  'CompleteCommit',
  'CompleteAbort',
  'Dead',
  'PrepareEpochFence',
])

const ALL = { matches: () => true }
const NOTHING = { unknownStateFilters: [], transactionStates: [] }

export const listTransactions = defineHandler(
  { request: ListTransactionsRequest, response: ListTransactionsResponse, versions: [0, 2] },
  ({ stateFilters, producerIdFilters, durationFilter, transactionalIdPattern }, { broker }) => {
    const { clock, log } = broker
    const states = new Set(stateFilters)
    const producers = new Set(producerIdFilters)
    const nowMs = clock.nowMs()
    const pattern = transactionalIdPattern ? compileRegex(transactionalIdPattern) : ALL
    if (pattern === null) return { ...NOTHING, errorCode: errorCode('INVALID_REGULAR_EXPRESSION') }
    const found = [...log.state.transactions.values()].filter(
      ({ id, phase, producerId, isOngoing, startedMs }) =>
        pattern.matches(id) &&
        (states.size === 0 || states.has(phase)) &&
        (producers.size === 0 || producers.has(producerId)) &&
        (durationFilter < 0 || (isOngoing && nowMs - startedMs > durationFilter)),
    )
    return {
      errorCode: errorCode('NONE'),
      unknownStateFilters: stateFilters.filter(name => !STATES.has(name)),
      transactionStates: found.map(({ id, producerId, phase }) => ({
        transactionalId: id,
        producerId,
        transactionState: phase,
      })),
    }
  },
)
