import { endOfEpoch } from '#core/leader-epochs.ts'
import type { Partition } from '#core/state.ts'
import type { Broker } from '#kafka/broker.ts'
import { defineHandler } from '#kafka/handler.ts'
import { checkLeaderEpoch, partitionNamed } from '#kafka/partitions.ts'
import {
  OffsetForLeaderEpochRequest,
  OffsetForLeaderEpochResponse,
} from '#kafka/protocol/apis/23-offset-for-leader-epoch.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'

// OffsetForLeaderEpoch v2-4: where the records of a leader end (KIP-101, KIP-320).

type Wanted = OffsetForLeaderEpochRequest['topics'][number]['partitions'][number]
type Answer = OffsetForLeaderEpochResponse['topics'][number]['partitions'][number]

const UNDEFINED_EPOCH = -1
const UNDEFINED = { leaderEpoch: UNDEFINED_EPOCH, endOffset: -1 }

export const offsetForLeaderEpoch = defineHandler(
  { request: OffsetForLeaderEpochRequest, response: OffsetForLeaderEpochResponse, versions: [2, 4] },
  ({ topics }, { broker }) => ({
    topics: topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(wanted => answer(broker, topic, wanted)),
    })),
  }),
)

function answer(broker: Broker, topic: string, wanted: Wanted): Answer {
  const partition = partitionNamed(broker, topic, wanted.partition)
  const problem =
    partition === undefined ? 'UNKNOWN_TOPIC_OR_PARTITION' : checkLeaderEpoch(partition, wanted.currentLeaderEpoch)
  if (partition === undefined || problem !== null) {
    return { partition: wanted.partition, errorCode: errorCode(problem ?? 'NONE'), ...UNDEFINED }
  }
  return { partition: wanted.partition, errorCode: errorCode('NONE'), ...endOf(partition, wanted.leaderEpoch) }
}

function endOf(partition: Partition, wanted: number): typeof UNDEFINED {
  const end = endOfEpoch(partition, wanted)
  return end === null ? UNDEFINED : { leaderEpoch: end.epoch, endOffset: end.endOffset }
}
