import { Walk } from '#base/walk.ts'
import type { Transaction } from '#core/transactions.ts'
import type { Broker } from '#kafka/broker.ts'
import { defineHandler } from '#kafka/handler.ts'
import {
  DescribeTransactionsRequest,
  DescribeTransactionsResponse,
} from '#kafka/protocol/apis/65-describe-transactions.ts'
import { errorCode, type KafkaErrorName } from '#kafka/protocol/protocol.ts'

// DescribeTransactions v0 (KIP-664). An id that is named again is answered again, as in Kafka.

type Described = DescribeTransactionsResponse['transactionStates'][number]

/** Most partitions in an answer, which is written in one go. A first transaction is described whatever it has. */
const MAX_PARTITIONS = 100_000

export const describeTransactions = defineHandler(
  { request: DescribeTransactionsRequest, response: DescribeTransactionsResponse, versions: [0, 0] },
  async ({ transactionalIds }, { broker }) => {
    const walk = new Walk(broker.clock)
    const known = new Map<string, { described: Described; partitionCount: number }>()
    const transactionStates: Described[] = []
    let leftCount = MAX_PARTITIONS
    for (const transactionalId of transactionalIds) {
      const again = known.get(transactionalId)
      const transaction = broker.log.state.transactions.get(transactionalId)
      const partitionCount = again?.partitionCount ?? transaction?.partitions.size ?? 0
      if (partitionCount > leftCount && leftCount < MAX_PARTITIONS) {
        // What Kafka says while it loads its state: clients ask again, and only for these.
        transactionStates.push(refused(transactionalId, 'COORDINATOR_LOAD_IN_PROGRESS'))
      } else {
        const described = again?.described ?? describeId(broker, transactionalId, transaction)
        known.set(transactionalId, { described, partitionCount })
        transactionStates.push(described)
        leftCount -= partitionCount
      }
      if (walk.stepped(again === undefined ? 1 + partitionCount : 1)) await walk.rest()
    }
    return { transactionStates }
  },
)

function refused(transactionalId: string, error: KafkaErrorName): Described {
  return {
    errorCode: errorCode(error),
    transactionalId,
    transactionState: '',
    transactionTimeoutMs: 0,
    transactionStartTimeMs: 0,
    producerId: 0,
    producerEpoch: 0,
    topics: [],
  }
}

function describeId(broker: Broker, transactionalId: string, transaction: Transaction | undefined): Described {
  if (transaction !== undefined) return describe(broker, transaction)
  return refused(transactionalId, transactionalId === '' ? 'INVALID_REQUEST' : 'TRANSACTIONAL_ID_NOT_FOUND')
}

function describe({ log }: Broker, transaction: Transaction): Described {
  const byTopic = new Map<string, number[]>()
  for (const ordinal of transaction.partitions) {
    const partition = log.state.partitions[ordinal]
    if (partition === undefined) continue
    const { name } = partition.topic
    const partitions = byTopic.get(name)
    if (partitions === undefined) byTopic.set(name, [partition.index])
    else partitions.push(partition.index)
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
