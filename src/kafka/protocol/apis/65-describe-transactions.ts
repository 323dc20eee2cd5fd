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

const api: ApiId = { key: 65, name: 'DescribeTransactions', versions: '0', flexibleFrom: 0 }

// KIP-664.
export const DescribeTransactionsRequest = request(api, {
  transactionalIds: array(string()),
})
export type DescribeTransactionsRequest = Decoded<typeof DescribeTransactionsRequest>

// KIP-664.
export const DescribeTransactionsResponse = response(api, {
  throttleTimeMs: int32().default(0),
  transactionStates: array({
    errorCode: int16(),
    transactionalId: string(),
    transactionState: string(),
    transactionTimeoutMs: int32(),
    transactionStartTimeMs: int64(),
    producerId: int64(),
    producerEpoch: int16(),
    topics: array({ topic: string(), partitions: array(int32()) }),
  }),
})
export type DescribeTransactionsResponse = Encodable<typeof DescribeTransactionsResponse>
