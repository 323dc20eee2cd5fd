import { FIRST_LEADER_EPOCH } from '#core/state.ts'
import type { RequestContext } from '#kafka/broker.ts'
import { defineHandler } from '#kafka/handler.ts'
import { DescribeQuorumRequest, DescribeQuorumResponse } from '#kafka/protocol/apis/55-describe-quorum.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'
import { refusal } from '#kafka/refusal.ts'

// DescribeQuorum v0-2. What Kafka keeps in the log of its controllers is in the commit log here: the quorum is this broker, and
// offsets are positions in that log. v1: when a replica was last in step. v2: the nodes and where they listen.

type Partition = DescribeQuorumResponse['topics'][number]['partitions'][number]

const QUORUM_TOPIC = '__cluster_metadata'
const QUORUM_PARTITION = 0

export const describeQuorum = defineHandler(
  { request: DescribeQuorumRequest, response: DescribeQuorumResponse, versions: [0, 2] },
  ({ topics }, context) => {
    const { broker, advertised } = context
    const isQuorum = (topicName: string, index: number) => topicName === QUORUM_TOPIC && index === QUORUM_PARTITION
    const described = topics.map(({ topicName, partitions }) => ({
      topicName,
      partitions: partitions.map(({ partitionIndex }) =>
        isQuorum(topicName, partitionIndex) ? quorum(context) : unknown(partitionIndex),
      ),
    }))
    const isAsked = topics.some(({ topicName, partitions }) =>
      partitions.some(({ partitionIndex }) => isQuorum(topicName, partitionIndex)),
    )
    const node = { nodeId: broker.settings.nodeId, listeners: [{ name: 'CONTROLLER', ...advertised }] }
    return {
      errorCode: errorCode('NONE'),
      errorMessage: '',
      topics: described,
      nodes: isAsked && context.version >= NODES_FROM ? [node] : [],
    }
  },
)

const NODES_FROM = 2

function quorum({ broker }: RequestContext): Partition {
  const { settings, log, clock } = broker
  const endOffset = log.commits.position
  const nowMs = clock.nowMs()
  return {
    partitionIndex: QUORUM_PARTITION,
    errorCode: errorCode('NONE'),
    errorMessage: '',
    leaderId: settings.nodeId,
    leaderEpoch: FIRST_LEADER_EPOCH,
    highWatermark: endOffset,
    currentVoters: [
      {
        replicaId: settings.nodeId,
        replicaDirectoryId: '',
        logEndOffset: endOffset,
        lastFetchTimestamp: nowMs,
        lastCaughtUpTimestamp: nowMs,
      },
    ],
    observers: [],
  }
}

function unknown(partitionIndex: number): Partition {
  const { code, message } = refusal('UNKNOWN_TOPIC_OR_PARTITION')
  return {
    partitionIndex,
    errorCode: errorCode(code),
    errorMessage: message,
    leaderId: 0,
    leaderEpoch: 0,
    highWatermark: 0,
    currentVoters: [],
    observers: [],
  }
}
