import type { Broker } from '#kafka/broker.ts'
import { defineHandler } from '#kafka/handler.ts'
import { partitionNamed } from '#kafka/partitions.ts'
import { WriteTxnMarkersRequest, WriteTxnMarkersResponse } from '#kafka/protocol/apis/27-write-txn-markers.ts'
import { errorCode, type KafkaErrorName } from '#kafka/protocol/protocol.ts'

// WriteTxnMarkers v1-2: how an administrator aborts a transaction that hangs in a partition (Admin.abortTransaction). Here no
// transaction ends in one partition alone: the whole is aborted, and its producer fenced. To commit is for the producer alone.

type WantedMarker = WriteTxnMarkersRequest['markers'][number]

export const writeTxnMarkers = defineHandler(
  { request: WriteTxnMarkersRequest, response: WriteTxnMarkersResponse, versions: [1, 2] },
  async ({ markers }, { broker }) => {
    const answers: WriteTxnMarkersResponse['markers'][number][] = []
    for (const marker of markers) {
      const topics: WriteTxnMarkersResponse['markers'][number]['topics'][number][] = []
      for (const { name, partitionIndexes } of marker.topics) {
        const partitions: { partitionIndex: number; errorCode: number }[] = []
        for (const partitionIndex of partitionIndexes) {
          const error = await abort(broker, marker, name, partitionIndex)
          partitions.push({ partitionIndex, errorCode: errorCode(error) })
        }
        topics.push({ name, partitions })
      }
      answers.push({ producerId: marker.producerId, topics })
    }
    return { markers: answers }
  },
)

async function abort(broker: Broker, marker: WantedMarker, topic: string, index: number): Promise<KafkaErrorName> {
  const partition = partitionNamed(broker, topic, index)
  if (partition === undefined) return 'UNKNOWN_TOPIC_OR_PARTITION'
  const transaction = broker.log.state.transactionOfProducer.get(marker.producerId)
  const isOpen = partition.openTransactions?.has(marker.producerId) === true
  // It has ended, which is what was wanted.
  if (transaction === undefined || !isOpen) return 'NONE'
  if (marker.producerEpoch < transaction.epoch) return 'INVALID_PRODUCER_EPOCH'
  return marker.transactionResult ? 'INVALID_TXN_STATE' : broker.transactions.abort(transaction)
}
