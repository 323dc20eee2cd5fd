import { epochAt } from '#core/leader-epochs.ts'
import type { Partition } from '#core/state.ts'
import type { Broker, RequestContext } from '#kafka/broker.ts'
import { defineHandler } from '#kafka/handler.ts'
import { checkLeaderEpoch, partitionNamed } from '#kafka/partitions.ts'
import { ListOffsetsRequest, ListOffsetsResponse } from '#kafka/protocol/apis/02-list-offsets.ts'
import { errorCode, type KafkaErrorName } from '#kafka/protocol/protocol.ts'
import { offsetForTimestamp, offsetOfMaxTimestamp } from '#log/find-by-timestamp.ts'
import { highWatermark, lastStableOffset } from '#log/read-bounds.ts'

// ListOffsets v1-11: the ends of a log, or the first record from a time on. v2: for consumers that
// read what is committed, the log ends where the first open transaction begins.

type WantedPartition = ListOffsetsRequest['topics'][number]['partitions'][number]
type PartitionAnswer = ListOffsetsResponse['topics'][number]['partitions'][number]
type Answers = PartitionAnswer[]

/** What holds for a partition besides what it is asked. */
interface Asked {
  readonly topic: string
  readonly isCommittedOnly: boolean
  readonly isRepeated: boolean
  readonly deadlineMs: number
}

/** Timestamps that are none, and the versions that know them. */
const LATEST = -1
const EARLIEST = -2
const MAX_TIMESTAMP = -3
const EARLIEST_LOCAL = -4
const LATEST_TIERED = -5
const EARLIEST_PENDING_UPLOAD = -6
const KNOWN_FROM: ReadonlyMap<number, number> = new Map([
  [LATEST, 1],
  [EARLIEST, 1],
  [MAX_TIMESTAMP, 7],
  [EARLIEST_LOCAL, 8],
  [LATEST_TIERED, 9],
  [EARLIEST_PENDING_UPLOAD, 11],
])

const NONE = errorCode('NONE')
const READ_COMMITTED = 1
const NOWHERE = { timestamp: -1, offset: -1, leaderEpoch: -1 }

/** Partitions whose records are searched at the same time. */
const SEARCHES_AT_ONCE = 8
/** No search begins later: who asked gets what was found in time, and asks for the others again. */
const SEARCH_MS = 10_000

export const listOffsets = defineHandler(
  { request: ListOffsetsRequest, response: ListOffsetsResponse, versions: [1, 11] },
  async (request, context) => {
    const repeated = repeatedPartitions(request)
    const isCommittedOnly = request.isolationLevel === READ_COMMITTED
    const deadlineMs = context.broker.clock.monotonicMs() + SEARCH_MS
    const topics = request.topics.map(({ name, partitions }) => ({ name, wanted: partitions, answers: [] as Answers }))
    const work: (() => Promise<void>)[] = []
    for (const { name, wanted, answers } of topics) {
      for (const [i, partition] of wanted.entries()) {
        const isRepeated = repeated.has(`${name}:${partition.partitionIndex}`)
        const asked = { topic: name, isCommittedOnly, isRepeated, deadlineMs }
        work.push(async () => {
          answers[i] = await answerPartition(asked, partition, context)
        })
      }
    }
    await someAtOnce(work)
    return { topics: topics.map(({ name, answers }) => ({ name, partitions: answers })) }
  },
)

async function someAtOnce(work: readonly (() => Promise<void>)[]): Promise<void> {
  let next = 0
  const take = async (): Promise<void> => {
    while (next < work.length) await work[next++]!()
  }
  await Promise.all(Array.from({ length: SEARCHES_AT_ONCE }, take))
}

function repeatedPartitions({ topics }: ListOffsetsRequest): Set<string> {
  const seen = new Set<string>()
  const repeated = new Set<string>()
  for (const { name, partitions } of topics) {
    for (const { partitionIndex } of partitions) {
      const key = `${name}:${partitionIndex}`
      if (seen.has(key)) repeated.add(key)
      seen.add(key)
    }
  }
  return repeated
}

async function answerPartition(
  { topic, isCommittedOnly, isRepeated, deadlineMs }: Asked,
  wanted: WantedPartition,
  { broker, version }: RequestContext,
): Promise<PartitionAnswer> {
  const { timestamp, currentLeaderEpoch, partitionIndex } = wanted
  if (isRepeated) return refused(wanted, 'INVALID_REQUEST')
  if (timestamp < 0 && version < (KNOWN_FROM.get(timestamp) ?? Number.POSITIVE_INFINITY)) {
    return refused(wanted, 'UNSUPPORTED_VERSION')
  }
  const partition = partitionNamed(broker, topic, partitionIndex)
  if (partition === undefined) return refused(wanted, 'UNKNOWN_TOPIC_OR_PARTITION')
  const epochProblem = checkLeaderEpoch(partition, currentLeaderEpoch)
  if (epochProblem !== null) return refused(wanted, epochProblem)
  const isSearch = timestamp >= 0 || timestamp === MAX_TIMESTAMP
  if (isSearch && broker.clock.monotonicMs() >= deadlineMs) return refused(wanted, 'KAFKA_STORAGE_ERROR')
  try {
    const at = await find(broker, partition, timestamp, isCommittedOnly)
    // Before v4 there is no epoch to tell.
    return { partitionIndex, errorCode: NONE, ...at, leaderEpoch: version < 4 ? -1 : at.leaderEpoch }
  } catch (thrown) {
    broker.unreadable.note(partition, thrown)
    return refused(wanted, 'KAFKA_STORAGE_ERROR')
  }
}

async function find(
  { log }: Broker,
  partition: Partition,
  timestamp: number,
  isCommittedOnly: boolean,
): Promise<typeof NOWHERE> {
  const { leaderEpoch, logStart, walStart, segments } = partition
  const endOffset = isCommittedOnly ? lastStableOffset(log, partition) : highWatermark(log, partition)
  switch (timestamp) {
    case LATEST:
      return { timestamp: -1, offset: endOffset, leaderEpoch }
    case EARLIEST:
      return { timestamp: -1, offset: logStart, leaderEpoch: epochAt(partition, logStart) }
    case EARLIEST_LOCAL:
    case EARLIEST_PENDING_UPLOAD: {
      const offset = Math.max(logStart, Math.min(walStart, endOffset))
      return { timestamp: -1, offset, leaderEpoch: epochAt(partition, offset) }
    }
    case LATEST_TIERED: {
      // Kafka: the last offset in the other tier, as it was offered.
      if (segments.length === 0) return NOWHERE
      const offset = Math.min(walStart, endOffset) - 1
      return { timestamp: -1, offset, leaderEpoch: epochAt(partition, offset) }
    }
    default: {
      const found =
        timestamp === MAX_TIMESTAMP
          ? await offsetOfMaxTimestamp(log, partition)
          : await offsetForTimestamp(log, partition, timestamp)
      if (found === null || found.offset >= endOffset) return NOWHERE
      return { timestamp: found.timestampMs, offset: found.offset, leaderEpoch: epochAt(partition, found.offset) }
    }
  }
}

function refused({ partitionIndex }: WantedPartition, error: KafkaErrorName): PartitionAnswer {
  return { partitionIndex, errorCode: errorCode(error), ...NOWHERE }
}
