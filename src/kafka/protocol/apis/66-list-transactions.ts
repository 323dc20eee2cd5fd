import {
  type ApiId,
  array,
  type Decoded,
  type Encodable,
  int16,
  int32,
  int64,
  request,
  response,
  string,
} from '#kafka/protocol/schema.ts'

const api: ApiId = { key: 66, name: 'ListTransactions', versions: '0-2', flexibleFrom: 0 }

// KIP-664. v1: by duration (KIP-994). v2: by a pattern of transactional ids (KIP-1152).
export const ListTransactionsRequest = request(api, {
  stateFilters: array(string()),
  producerIdFilters: array(int64()),
  durationFilter: int64('1+').default(-1),
  transactionalIdPattern: string('2+').nullable().default(null),
})
export type ListTransactionsRequest = Decoded<typeof ListTransactionsRequest>

// v2: INVALID_REGULAR_EXPRESSION.
export const ListTransactionsResponse = response(api, {
  throttleTimeMs: int32().default(0),
  errorCode: int16(),
  unknownStateFilters: array(string()),
  transactionStates: array({ transactionalId: string(), producerId: int64(), transactionState: string() }),
})
export type ListTransactionsResponse = Encodable<typeof ListTransactionsResponse>
