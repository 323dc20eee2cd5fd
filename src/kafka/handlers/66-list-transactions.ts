import { Walk } from '#base/walk.ts'
import type { Broker } from '#kafka/broker.ts'
import { defineHandler } from '#kafka/handler.ts'
import { ListTransactionsRequest, ListTransactionsResponse } from '#kafka/protocol/apis/66-list-transactions.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'
import { RegexSearch } from '#kafka/regex-search.ts'
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

type Listed = ListTransactionsResponse['transactionStates'][number]

/** Also for an expression that takes too long: Kafka has nothing nearer, and a client that tried again would fare no better. */
const REFUSED = {
  errorCode: errorCode('INVALID_REGULAR_EXPRESSION'),
  unknownStateFilters: [],
  transactionStates: [],
}

export const listTransactions = defineHandler(
  { request: ListTransactionsRequest, response: ListTransactionsResponse, versions: [0, 2] },
  async (request, { broker }) => {
    const { stateFilters, transactionalIdPattern } = request
    const regex = transactionalIdPattern ? compileRegex(transactionalIdPattern) : undefined
    if (regex === null) return REFUSED
    const listed = await listFiltered(broker, request)
    const transactionStates =
      regex === undefined ? listed : await new RegexSearch(regex, listed, idOf, broker.clock).finish()
    if (transactionStates === null) return REFUSED
    const unknownStateFilters = stateFilters.filter(name => !STATES.has(name))
    return { errorCode: errorCode('NONE'), unknownStateFilters, transactionStates }
  },
)

const idOf = ({ transactionalId }: Listed): string => transactionalId

/** Those that pass all filters but the expression, which costs most. */
async function listFiltered(
  { clock, log }: Broker,
  { stateFilters, producerIdFilters, durationFilter }: ListTransactionsRequest,
): Promise<Listed[]> {
  const states = new Set(stateFilters)
  const producers = new Set(producerIdFilters)
  const nowMs = clock.nowMs()
  const walk = new Walk(clock)
  const listed: Listed[] = []
  for (const { id, phase, producerId, isOngoing, startedMs } of log.state.transactions.values()) {
    const isWanted =
      (states.size === 0 || states.has(phase)) &&
      (producers.size === 0 || producers.has(producerId)) &&
      (durationFilter < 0 || (isOngoing && nowMs - startedMs > durationFilter))
    if (isWanted) listed.push({ transactionalId: id, producerId, transactionState: phase })
    if (walk.stepped()) await walk.rest()
  }
  return listed
}
