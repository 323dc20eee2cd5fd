import type { Broker } from '#kafka/broker.ts'
import { problemWith } from '#kafka/coordinator/transaction-steps.ts'
import { defineHandler } from '#kafka/handler.ts'
import { partitionNamed } from '#kafka/partitions.ts'
import { AddPartitionsToTxnRequest, AddPartitionsToTxnResponse } from '#kafka/protocol/apis/24-add-partitions-to-txn.ts'
import { errorCode, type KafkaErrorName } from '#kafka/protocol/protocol.ts'

// AddPartitionsToTxn v0-5: all partitions or none. v2: PRODUCER_FENCED. v4: several transactions at once, or only asked whether the
// partitions are in them: what brokers send each other, and any client may.

const FENCED_FROM = 2
const SEVERAL_FROM = 4

type WantedTransaction = AddPartitionsToTxnRequest['transactions'][number]
type TopicResults = NonNullable<AddPartitionsToTxnResponse['resultsByTopicV3AndBelow']>

export const addPartitionsToTxn = defineHandler(
  { request: AddPartitionsToTxnRequest, response: AddPartitionsToTxnResponse, versions: [0, 5] },
  async (request, { broker, version }) => {
    if (version >= SEVERAL_FROM) {
      const resultsByTransaction = await Promise.all(
        request.transactions.map(async wanted => {
          const { transactionalId } = wanted
          return { transactionalId, topicResults: await addPartitions(broker, wanted, version) }
        }),
      )
      return { errorCode: errorCode('NONE'), resultsByTransaction }
    }
    const wanted: WantedTransaction = {
      transactionalId: request.v3AndBelowTransactionalId,
      producerId: request.v3AndBelowProducerId,
      producerEpoch: request.v3AndBelowProducerEpoch,
      topics: request.v3AndBelowTopics,
      verifyOnly: false,
    }
    return { errorCode: errorCode('NONE'), resultsByTopicV3AndBelow: await addPartitions(broker, wanted, version) }
  },
)

async function addPartitions(broker: Broker, wanted: WantedTransaction, version: number): Promise<TopicResults> {
  const { transactionalId, producerId, producerEpoch, topics, verifyOnly } = wanted
  if (verifyOnly) return verify(broker, wanted)
  const ordinals: number[] = []
  let isMissing = false
  for (const { name, partitions } of topics) {
    for (const index of partitions) {
      const partition = partitionNamed(broker, name, index)
      if (partition === undefined) isMissing = true
      else ordinals.push(partition.ordinal)
    }
  }
  if (isMissing) {
    return resultsOf(topics, (name, index) =>
      partitionNamed(broker, name, index) === undefined ? 'UNKNOWN_TOPIC_OR_PARTITION' : 'OPERATION_NOT_ATTEMPTED',
    )
  }
  const producer = { transactionalId, producerId, epoch: producerEpoch }
  const error = await broker.transactions.join({ ...producer, ordinals, groupIds: [] })
  const told = error === 'PRODUCER_FENCED' && version < FENCED_FROM ? 'INVALID_PRODUCER_EPOCH' : error
  return resultsOf(topics, () => told)
}

function verify(
  broker: Broker,
  { transactionalId, producerId, producerEpoch, topics }: WantedTransaction,
): TopicResults {
  const transaction = broker.log.state.transactions.get(transactionalId)
  const problem = problemWith(transaction, { producerId, epoch: producerEpoch })
  return resultsOf(topics, (name, index) => {
    if (problem !== 'NONE') return problem
    const ordinal = partitionNamed(broker, name, index)?.ordinal ?? -1
    return transaction?.partitions.has(ordinal) ? 'NONE' : 'TRANSACTION_ABORTABLE'
  })
}

function resultsOf(
  topics: WantedTransaction['topics'],
  errorOf: (topic: string, partition: number) => KafkaErrorName,
): TopicResults {
  return topics.map(({ name, partitions }) => ({
    name,
    resultsByPartition: partitions.map(partitionIndex => ({
      partitionIndex,
      partitionErrorCode: errorCode(errorOf(name, partitionIndex)),
    })),
  }))
}
