import type { Partition, Topic } from '#core/state.ts'
import type { Broker } from '#kafka/broker.ts'
import { defineHandler } from '#kafka/handler.ts'
import { DescribeLogDirsRequest, DescribeLogDirsResponse } from '#kafka/protocol/apis/35-describe-log-dirs.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'

// DescribeLogDirs v1-5: the one data directory, and what each partition takes of it. v4: the space of its file system.

const NONE = errorCode('NONE')
const SPACE_FROM = 4

export const describeLogDirs = defineHandler(
  { request: DescribeLogDirsRequest, response: DescribeLogDirsResponse, versions: [1, 5] },
  async (request, { broker, version }) => {
    const { disk, dataDir } = broker.log.options
    const topics = wantedTopics(broker, request).map(({ topic, partitions }) => ({
      name: topic.name,
      partitions: partitions.map(partition => ({
        partitionIndex: partition.index,
        partitionSize: sizeBytesOf(partition),
        offsetLag: 0,
        isFutureKey: false,
      })),
    }))
    const directory = { errorCode: NONE, logDir: dataDir, topics }
    if (version < SPACE_FROM) return { errorCode: NONE, results: [directory] }
    const { totalBytes, freeBytes } = await disk.space(dataDir)
    return { errorCode: NONE, results: [{ ...directory, totalBytes, usableBytes: freeBytes }] }
  },
)

/** Kafka: what is not there is not answered. */
function wantedTopics({ log }: Broker, request: DescribeLogDirsRequest): { topic: Topic; partitions: Partition[] }[] {
  if (request.topics === null) {
    return [...log.state.topics.values()].map(topic => ({ topic, partitions: topic.partitions }))
  }
  return request.topics.flatMap(({ topic: name, partitions: indexes }) => {
    const topic = log.state.topics.get(name)
    const partitions = [...new Set(indexes)].flatMap(index => topic?.partitions[index] ?? [])
    return topic === undefined || partitions.length === 0 ? [] : [{ topic, partitions }]
  })
}

function sizeBytesOf({ segments, extents }: Partition): number {
  return segments.sizeBytes() + extents.sizeBytes()
}
