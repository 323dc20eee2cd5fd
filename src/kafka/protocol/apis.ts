import { ProduceRequest, ProduceResponse } from './apis/00-produce.ts'
import { FetchRequest, FetchResponse } from './apis/01-fetch.ts'
import { ListOffsetsRequest, ListOffsetsResponse } from './apis/02-list-offsets.ts'
import { MetadataRequest, MetadataResponse } from './apis/03-metadata.ts'
import { OffsetCommitRequest, OffsetCommitResponse } from './apis/08-offset-commit.ts'
import { OffsetFetchRequest, OffsetFetchResponse } from './apis/09-offset-fetch.ts'
import { FindCoordinatorRequest, FindCoordinatorResponse } from './apis/10-find-coordinator.ts'
import { JoinGroupRequest, JoinGroupResponse } from './apis/11-join-group.ts'
import { HeartbeatRequest, HeartbeatResponse } from './apis/12-heartbeat.ts'
import { LeaveGroupRequest, LeaveGroupResponse } from './apis/13-leave-group.ts'
import { SyncGroupRequest, SyncGroupResponse } from './apis/14-sync-group.ts'
import { DescribeGroupsRequest, DescribeGroupsResponse } from './apis/15-describe-groups.ts'
import { ListGroupsRequest, ListGroupsResponse } from './apis/16-list-groups.ts'
import { SaslHandshakeRequest, SaslHandshakeResponse } from './apis/17-sasl-handshake.ts'
import { ApiVersionsRequest, ApiVersionsResponse } from './apis/18-api-versions.ts'
import { CreateTopicsRequest, CreateTopicsResponse } from './apis/19-create-topics.ts'
import { DeleteTopicsRequest, DeleteTopicsResponse } from './apis/20-delete-topics.ts'
import { DeleteRecordsRequest, DeleteRecordsResponse } from './apis/21-delete-records.ts'
import { InitProducerIdRequest, InitProducerIdResponse } from './apis/22-init-producer-id.ts'
import { OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse } from './apis/23-offset-for-leader-epoch.ts'
import { AddPartitionsToTxnRequest, AddPartitionsToTxnResponse } from './apis/24-add-partitions-to-txn.ts'
import { AddOffsetsToTxnRequest, AddOffsetsToTxnResponse } from './apis/25-add-offsets-to-txn.ts'
import { EndTxnRequest, EndTxnResponse } from './apis/26-end-txn.ts'
import { WriteTxnMarkersRequest, WriteTxnMarkersResponse } from './apis/27-write-txn-markers.ts'
import { TxnOffsetCommitRequest, TxnOffsetCommitResponse } from './apis/28-txn-offset-commit.ts'
import { DescribeAclsRequest, DescribeAclsResponse } from './apis/29-describe-acls.ts'
import { CreateAclsRequest, CreateAclsResponse } from './apis/30-create-acls.ts'
import { DeleteAclsRequest, DeleteAclsResponse } from './apis/31-delete-acls.ts'
import { DescribeConfigsRequest, DescribeConfigsResponse } from './apis/32-describe-configs.ts'
import { AlterConfigsRequest, AlterConfigsResponse } from './apis/33-alter-configs.ts'
import { AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse } from './apis/34-alter-replica-log-dirs.ts'
import { DescribeLogDirsRequest, DescribeLogDirsResponse } from './apis/35-describe-log-dirs.ts'
import { SaslAuthenticateRequest, SaslAuthenticateResponse } from './apis/36-sasl-authenticate.ts'
import { CreatePartitionsRequest, CreatePartitionsResponse } from './apis/37-create-partitions.ts'
import { DeleteGroupsRequest, DeleteGroupsResponse } from './apis/42-delete-groups.ts'
import { ElectLeadersRequest, ElectLeadersResponse } from './apis/43-elect-leaders.ts'
import { IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse } from './apis/44-incremental-alter-configs.ts'
import {
  AlterPartitionReassignmentsRequest,
  AlterPartitionReassignmentsResponse,
} from './apis/45-alter-partition-reassignments.ts'
import {
  ListPartitionReassignmentsRequest,
  ListPartitionReassignmentsResponse,
} from './apis/46-list-partition-reassignments.ts'
import { OffsetDeleteRequest, OffsetDeleteResponse } from './apis/47-offset-delete.ts'
import { DescribeClientQuotasRequest, DescribeClientQuotasResponse } from './apis/48-describe-client-quotas.ts'
import { AlterClientQuotasRequest, AlterClientQuotasResponse } from './apis/49-alter-client-quotas.ts'
import {
  DescribeUserScramCredentialsRequest,
  DescribeUserScramCredentialsResponse,
} from './apis/50-describe-user-scram-credentials.ts'
import {
  AlterUserScramCredentialsRequest,
  AlterUserScramCredentialsResponse,
} from './apis/51-alter-user-scram-credentials.ts'
import { DescribeQuorumRequest, DescribeQuorumResponse } from './apis/55-describe-quorum.ts'
import { UpdateFeaturesRequest, UpdateFeaturesResponse } from './apis/57-update-features.ts'
import { DescribeClusterRequest, DescribeClusterResponse } from './apis/60-describe-cluster.ts'
import { DescribeProducersRequest, DescribeProducersResponse } from './apis/61-describe-producers.ts'
import { DescribeTransactionsRequest, DescribeTransactionsResponse } from './apis/65-describe-transactions.ts'
import { ListTransactionsRequest, ListTransactionsResponse } from './apis/66-list-transactions.ts'
import { ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse } from './apis/68-consumer-group-heartbeat.ts'
import { ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse } from './apis/69-consumer-group-describe.ts'
import { ListConfigResourcesRequest, ListConfigResourcesResponse } from './apis/74-list-config-resources.ts'
import { DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse } from './apis/75-describe-topic-partitions.ts'
import type { Message } from './schema.ts'

export interface Api {
  readonly key: number
  readonly name: string
  readonly request: Message
  readonly response: Message
  /** The first version with compact lengths and tagged fields; Infinity: none. */
  readonly flexibleFrom: number
}

function api(request: Message, response: Message): Api {
  const { key, name } = request.api
  return { key, name, request, response, flexibleFrom: request.flexibleFrom }
}

const all: readonly Api[] = [
  api(ProduceRequest, ProduceResponse),
  api(FetchRequest, FetchResponse),
  api(ListOffsetsRequest, ListOffsetsResponse),
  api(MetadataRequest, MetadataResponse),
  api(OffsetCommitRequest, OffsetCommitResponse),
  api(OffsetFetchRequest, OffsetFetchResponse),
  api(FindCoordinatorRequest, FindCoordinatorResponse),
  api(JoinGroupRequest, JoinGroupResponse),
  api(HeartbeatRequest, HeartbeatResponse),
  api(LeaveGroupRequest, LeaveGroupResponse),
  api(SyncGroupRequest, SyncGroupResponse),
  api(DescribeGroupsRequest, DescribeGroupsResponse),
  api(ListGroupsRequest, ListGroupsResponse),
  api(SaslHandshakeRequest, SaslHandshakeResponse),
  api(ApiVersionsRequest, ApiVersionsResponse),
  api(CreateTopicsRequest, CreateTopicsResponse),
  api(DeleteTopicsRequest, DeleteTopicsResponse),
  api(DeleteRecordsRequest, DeleteRecordsResponse),
  api(InitProducerIdRequest, InitProducerIdResponse),
  api(OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse),
  api(AddPartitionsToTxnRequest, AddPartitionsToTxnResponse),
  api(AddOffsetsToTxnRequest, AddOffsetsToTxnResponse),
  api(EndTxnRequest, EndTxnResponse),
  api(WriteTxnMarkersRequest, WriteTxnMarkersResponse),
  api(TxnOffsetCommitRequest, TxnOffsetCommitResponse),
  api(DescribeAclsRequest, DescribeAclsResponse),
  api(CreateAclsRequest, CreateAclsResponse),
  api(DeleteAclsRequest, DeleteAclsResponse),
  api(DescribeConfigsRequest, DescribeConfigsResponse),
  api(AlterConfigsRequest, AlterConfigsResponse),
  api(AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse),
  api(DescribeLogDirsRequest, DescribeLogDirsResponse),
  api(SaslAuthenticateRequest, SaslAuthenticateResponse),
  api(CreatePartitionsRequest, CreatePartitionsResponse),
  api(DeleteGroupsRequest, DeleteGroupsResponse),
  api(ElectLeadersRequest, ElectLeadersResponse),
  api(IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse),
  api(AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse),
  api(ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse),
  api(OffsetDeleteRequest, OffsetDeleteResponse),
  api(DescribeClientQuotasRequest, DescribeClientQuotasResponse),
  api(AlterClientQuotasRequest, AlterClientQuotasResponse),
  api(DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse),
  api(AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse),
  api(DescribeQuorumRequest, DescribeQuorumResponse),
  api(UpdateFeaturesRequest, UpdateFeaturesResponse),
  api(DescribeClusterRequest, DescribeClusterResponse),
  api(DescribeProducersRequest, DescribeProducersResponse),
  api(DescribeTransactionsRequest, DescribeTransactionsResponse),
  api(ListTransactionsRequest, ListTransactionsResponse),
  api(ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse),
  api(ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse),
  api(ListConfigResourcesRequest, ListConfigResourcesResponse),
  api(DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse),
]

/** Every API that has schemas here, by its key. What the broker serves of them, its handlers say. */
export const apis: ReadonlyMap<number, Api> = new Map(all.map(api => [api.key, api]))
