import type { Transaction } from '#core/transactions.ts'
import type { Broker } from '#kafka/broker.ts'
import { defineHandler } from '#kafka/handler.ts'
import {
  DescribeTransactionsRequest,
  DescribeTransactionsResponse,
} from '#kafka/protocol/apis/65-describe-transactions.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'

// DescribeTransactions v0 (KIP-664).

type Described = DescribeTransactionsResponse['transactionStates'][number]

export const describeTransactions = defineHandler(
  { request: DescribeTransactionsRequest, response: DescribeTransactionsResponse, versions: [0, 0] },
  ({ transactionalIds }, { broker }) => ({
    transactionStates: transactionalIds.map((transactionalId): Described => {
      const transaction = broker.log.state.transactions.get(transactionalId)
      if (transaction !== undefined) return describe(broker, transaction)
      const code = errorCode(transactionalId === '' ? 'INVALID_REQUEST' : 'TRANSACTIONAL_ID_NOT_FOUND')
      return { ...NOTHING, errorCode: code, transactionalId }
    }),
  }),
)

const NOTHING = {
  transactionState: '',
  transactionTimeoutMs: 0,
  transactionStartTimeMs: 0,
  producerId: 0,
  producerEpoch: 0,
  topics: [],
}

function describe({ log }: Broker, transaction: Transaction): Described {
  const byTopic = new Map<string, number[]>()
  for (const ordinal of transaction.partitions) {
    const partition = log.state.partitions[ordinal]
    if (partition === undefined) continue
    const { name } = partition.topic
    byTopic.set(name, [...(byTopic.get(name) ?? []), partition.index])
  }
  return {
    errorCode: errorCode('NONE'),
    transactionalId: transaction.id,
    transactionState: transaction.phase,
    transactionTimeoutMs: transaction.timeoutMs,
    transactionStartTimeMs: transaction.phase === 'Empty' ? -1 : transaction.startedMs,
    producerId: transaction.producerId,
    producerEpoch: transaction.epoch,
    topics: [...byTopic].map(([topic, partitions]) => ({ topic, partitions })),
  }
}
