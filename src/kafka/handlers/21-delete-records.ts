import type { Broker } from '#kafka/broker.ts'
import { defineHandler } from '#kafka/handler.ts'
import { partitionNamed } from '#kafka/partitions.ts'
import { DeleteRecordsRequest, DeleteRecordsResponse } from '#kafka/protocol/apis/21-delete-records.ts'
import { errorCode, type KafkaErrorName } from '#kafka/protocol/protocol.ts'
import { propose, storageRefusal } from '#kafka/refusal.ts'
import { highWatermark } from '#log/read-bounds.ts'

// DeleteRecords v0-2: moves the start of logs. It may come to stand within a batch; never moves back.

type Answer = DeleteRecordsResponse['topics'][number]['partitions'][number]

/** Of an offset: all that there is now. */
const ALL = -1

export const deleteRecords = defineHandler(
  { request: DeleteRecordsRequest, response: DeleteRecordsResponse, versions: [0, 2] },
  async ({ topics }, { broker }) => {
    const answers = topics.map(async ({ name, partitions }) => ({
      name,
      partitions: await Promise.all(
        partitions.map(({ partitionIndex, offset }) => deleteBefore(broker, name, partitionIndex, offset)),
      ),
    }))
    return { topics: await Promise.all(answers) }
  },
)

async function deleteBefore(broker: Broker, topic: string, partitionIndex: number, wanted: number): Promise<Answer> {
  const refused = (error: KafkaErrorName): Answer => ({
    partitionIndex,
    lowWatermark: -1,
    errorCode: errorCode(error),
  })
  const partition = partitionNamed(broker, topic, partitionIndex)
  if (partition === undefined) return refused('UNKNOWN_TOPIC_OR_PARTITION')
  const { compacts, deletes } = broker.topicRules.of(partition.topic).config
  if (compacts && !deletes) return refused('POLICY_VIOLATION')
  const end = highWatermark(broker.log, partition)
  const offset = wanted === ALL ? end : wanted
  if (offset < 0 || offset > end) return refused('OFFSET_OUT_OF_RANGE')
  if (offset > partition.logStart) {
    const problem = await propose(broker, { kind: 'log-start-moved', ordinal: partition.ordinal, offset })
    if (problem !== null) return refused(problem.code)
  } else {
    // Who was before may not be answered yet.
    try {
      await broker.log.answered()
    } catch (thrown) {
      return refused(storageRefusal(thrown).code)
    }
  }
  return { partitionIndex, lowWatermark: partition.logStart, errorCode: errorCode('NONE') }
}
