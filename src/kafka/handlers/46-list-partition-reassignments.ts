import { defineHandler } from '#kafka/handler.ts'
import {
  ListPartitionReassignmentsRequest,
  ListPartitionReassignmentsResponse,
} from '#kafka/protocol/apis/46-list-partition-reassignments.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'

// ListPartitionReassignments v0: with one broker none is ever under way.
export const listPartitionReassignments = defineHandler(
  { request: ListPartitionReassignmentsRequest, response: ListPartitionReassignmentsResponse, versions: [0, 0] },
  () => ({ errorCode: errorCode('NONE'), errorMessage: null, topics: [] }),
)
