import { defineHandler } from '#kafka/handler.ts'
import { ListTransactionsRequest, ListTransactionsResponse } from '#kafka/protocol/apis/66-list-transactions.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'

// ListTransactions v0-1 (KIP-664). v1: only those that have been open for so long (KIP-994).

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

export const listTransactions = defineHandler(
  { request: ListTransactionsRequest, response: ListTransactionsResponse, versions: [0, 1] },
  ({ stateFilters, producerIdFilters, durationFilter }, { broker }) => {
    const { clock, log } = broker
    const states = new Set(stateFilters)
    const producers = new Set(producerIdFilters)
    const nowMs = clock.nowMs()
    const found = [...log.state.transactions.values()].filter(
      ({ phase, producerId, isOngoing, startedMs }) =>
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
