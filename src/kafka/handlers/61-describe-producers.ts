import type { Producer } from '#core/producers.ts'
import type { Broker } from '#kafka/broker.ts'
import { defineHandler } from '#kafka/handler.ts'
import { partitionNamed } from '#kafka/partitions.ts'
import { DescribeProducersRequest, DescribeProducersResponse } from '#kafka/protocol/apis/61-describe-producers.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'
import { refusal } from '#kafka/refusal.ts'
import { topicNameProblem } from '#kafka/topic-names.ts'

// DescribeProducers v0: the idempotent producers that a partition remembers (KIP-664).

type Answer = DescribeProducersResponse['topics'][number]['partitions'][number]

const NO_EPOCH = -1

export const describeProducers = defineHandler(
  { request: DescribeProducersRequest, response: DescribeProducersResponse, versions: [0, 0] },
  ({ topics }, { broker }) => ({
    topics: topics.map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map(index => describePartition(broker, name, index)),
    })),
  }),
)

function describePartition(broker: Broker, topic: string, partitionIndex: number): Answer {
  const partition = partitionNamed(broker, topic, partitionIndex)
  if (partition === undefined) {
    const problem = topicNameProblem(topic)
    const { code, message } =
      problem === null ? refusal('UNKNOWN_TOPIC_OR_PARTITION') : refusal('INVALID_TOPIC_EXCEPTION', problem)
    return { partitionIndex, errorCode: errorCode(code), errorMessage: message, activeProducers: [] }
  }
  const activeProducers = [...(partition.producers ?? [])].map(([id, producer]) => ({
    ...describeProducer(id, producer),
    currentTxnStartOffset: partition.openTransactions?.get(id) ?? -1,
  }))
  return { partitionIndex, errorCode: errorCode('NONE'), activeProducers }
}

function describeProducer(producerId: number, { epoch, batches }: Producer): Answer['activeProducers'][number] {
  const last = batches.at(-1)
  return {
    producerId,
    producerEpoch: epoch,
    lastSequence: last?.lastSequence ?? -1,
    lastTimestamp: last?.timestampMs ?? -1,
    coordinatorEpoch: NO_EPOCH,
  }
}
