import { defineHandler } from '#kafka/handler.ts'
import { sortCommits } from '#kafka/offset-commits.ts'
import { OffsetCommitRequest, OffsetCommitResponse } from '#kafka/protocol/apis/08-offset-commit.ts'
import { propose } from '#kafka/refusal.ts'

// OffsetCommit v2-10. The answer comes when the offsets are durable. v10: topics by id.

const IDS_FROM = 10

export const offsetCommit = defineHandler(
  { request: OffsetCommitRequest, response: OffsetCommitResponse, versions: [2, 10] },
  async (request, { broker, version }) => {
    const { groupId, memberId, groupInstanceId, retentionTimeMs } = request
    const caller = { memberId, instanceId: groupInstanceId, generation: request.generationIdOrMemberEpoch }
    const { commits, answer } = sortCommits(broker, request.topics, {
      byId: version >= IDS_FROM,
      mayCommit: broker.groups.mayCommit(groupId, caller, version),
      expiresMs: retentionTimeMs < 0 ? -1 : broker.clock.nowMs() + retentionTimeMs,
    })
    if (commits.length === 0) return { topics: answer('NONE') }
    const problem = await propose(broker, { kind: 'offsets-committed', groupId, topics: commits })
    // Kafka: a coordinator whose log cannot be written to is not available.
    return { topics: answer(problem === null ? 'NONE' : 'COORDINATOR_NOT_AVAILABLE') }
  },
)
