// The messages that the tests send, by the name of their API.

import * as produce from '#kafka/protocol/apis/00-produce.ts'
import * as fetch from '#kafka/protocol/apis/01-fetch.ts'
import * as listOffsets from '#kafka/protocol/apis/02-list-offsets.ts'
import * as metadata from '#kafka/protocol/apis/03-metadata.ts'
import * as offsetCommit from '#kafka/protocol/apis/08-offset-commit.ts'
import * as offsetFetch from '#kafka/protocol/apis/09-offset-fetch.ts'
import * as findCoordinator from '#kafka/protocol/apis/10-find-coordinator.ts'
import * as joinGroup from '#kafka/protocol/apis/11-join-group.ts'
import * as heartbeat from '#kafka/protocol/apis/12-heartbeat.ts'
import * as leaveGroup from '#kafka/protocol/apis/13-leave-group.ts'
import * as syncGroup from '#kafka/protocol/apis/14-sync-group.ts'
import * as describeGroups from '#kafka/protocol/apis/15-describe-groups.ts'
import * as listGroups from '#kafka/protocol/apis/16-list-groups.ts'
import * as apiVersions from '#kafka/protocol/apis/18-api-versions.ts'
import * as createTopics from '#kafka/protocol/apis/19-create-topics.ts'
import * as deleteTopics from '#kafka/protocol/apis/20-delete-topics.ts'
import * as deleteRecords from '#kafka/protocol/apis/21-delete-records.ts'
import * as initProducerId from '#kafka/protocol/apis/22-init-producer-id.ts'
import * as offsetForLeaderEpoch from '#kafka/protocol/apis/23-offset-for-leader-epoch.ts'
import * as addPartitionsToTxn from '#kafka/protocol/apis/24-add-partitions-to-txn.ts'
import * as addOffsetsToTxn from '#kafka/protocol/apis/25-add-offsets-to-txn.ts'
import * as endTxn from '#kafka/protocol/apis/26-end-txn.ts'
import * as writeTxnMarkers from '#kafka/protocol/apis/27-write-txn-markers.ts'
import * as txnOffsetCommit from '#kafka/protocol/apis/28-txn-offset-commit.ts'
import * as describeAcls from '#kafka/protocol/apis/29-describe-acls.ts'
import * as createAcls from '#kafka/protocol/apis/30-create-acls.ts'
import * as deleteAcls from '#kafka/protocol/apis/31-delete-acls.ts'
import * as describeConfigs from '#kafka/protocol/apis/32-describe-configs.ts'
import * as alterConfigs from '#kafka/protocol/apis/33-alter-configs.ts'
import * as describeLogDirs from '#kafka/protocol/apis/35-describe-log-dirs.ts'
import * as createPartitions from '#kafka/protocol/apis/37-create-partitions.ts'
import * as deleteGroups from '#kafka/protocol/apis/42-delete-groups.ts'
import * as electLeaders from '#kafka/protocol/apis/43-elect-leaders.ts'
import * as incrementalAlterConfigs from '#kafka/protocol/apis/44-incremental-alter-configs.ts'
import * as alterPartitionReassignments from '#kafka/protocol/apis/45-alter-partition-reassignments.ts'
import * as listPartitionReassignments from '#kafka/protocol/apis/46-list-partition-reassignments.ts'
import * as offsetDelete from '#kafka/protocol/apis/47-offset-delete.ts'
import * as describeQuorum from '#kafka/protocol/apis/55-describe-quorum.ts'
import * as updateFeatures from '#kafka/protocol/apis/57-update-features.ts'
import * as describeCluster from '#kafka/protocol/apis/60-describe-cluster.ts'
import * as describeProducers from '#kafka/protocol/apis/61-describe-producers.ts'
import * as describeTransactions from '#kafka/protocol/apis/65-describe-transactions.ts'
import * as listTransactions from '#kafka/protocol/apis/66-list-transactions.ts'
import * as consumerGroupHeartbeat from '#kafka/protocol/apis/68-consumer-group-heartbeat.ts'
import * as consumerGroupDescribe from '#kafka/protocol/apis/69-consumer-group-describe.ts'
import * as listConfigResources from '#kafka/protocol/apis/74-list-config-resources.ts'
import * as describeTopicPartitions from '#kafka/protocol/apis/75-describe-topic-partitions.ts'
import type { Decoded, Encodable } from '#kafka/protocol/protocol.ts'

export const wireMessages = {
  Produce: { request: produce.ProduceRequest, response: produce.ProduceResponse },
  Fetch: { request: fetch.FetchRequest, response: fetch.FetchResponse },
  ListOffsets: { request: listOffsets.ListOffsetsRequest, response: listOffsets.ListOffsetsResponse },
  Metadata: { request: metadata.MetadataRequest, response: metadata.MetadataResponse },
  OffsetCommit: { request: offsetCommit.OffsetCommitRequest, response: offsetCommit.OffsetCommitResponse },
  OffsetFetch: { request: offsetFetch.OffsetFetchRequest, response: offsetFetch.OffsetFetchResponse },
  FindCoordinator: {
    request: findCoordinator.FindCoordinatorRequest,
    response: findCoordinator.FindCoordinatorResponse,
  },
  JoinGroup: { request: joinGroup.JoinGroupRequest, response: joinGroup.JoinGroupResponse },
  Heartbeat: { request: heartbeat.HeartbeatRequest, response: heartbeat.HeartbeatResponse },
  LeaveGroup: { request: leaveGroup.LeaveGroupRequest, response: leaveGroup.LeaveGroupResponse },
  SyncGroup: { request: syncGroup.SyncGroupRequest, response: syncGroup.SyncGroupResponse },
  DescribeGroups: { request: describeGroups.DescribeGroupsRequest, response: describeGroups.DescribeGroupsResponse },
  ListGroups: { request: listGroups.ListGroupsRequest, response: listGroups.ListGroupsResponse },
  ApiVersions: { request: apiVersions.ApiVersionsRequest, response: apiVersions.ApiVersionsResponse },
  CreateTopics: { request: createTopics.CreateTopicsRequest, response: createTopics.CreateTopicsResponse },
  DeleteTopics: { request: deleteTopics.DeleteTopicsRequest, response: deleteTopics.DeleteTopicsResponse },
  DeleteRecords: { request: deleteRecords.DeleteRecordsRequest, response: deleteRecords.DeleteRecordsResponse },
  InitProducerId: { request: initProducerId.InitProducerIdRequest, response: initProducerId.InitProducerIdResponse },
  AddPartitionsToTxn: {
    request: addPartitionsToTxn.AddPartitionsToTxnRequest,
    response: addPartitionsToTxn.AddPartitionsToTxnResponse,
  },
  AddOffsetsToTxn: {
    request: addOffsetsToTxn.AddOffsetsToTxnRequest,
    response: addOffsetsToTxn.AddOffsetsToTxnResponse,
  },
  EndTxn: { request: endTxn.EndTxnRequest, response: endTxn.EndTxnResponse },
  WriteTxnMarkers: {
    request: writeTxnMarkers.WriteTxnMarkersRequest,
    response: writeTxnMarkers.WriteTxnMarkersResponse,
  },
  TxnOffsetCommit: {
    request: txnOffsetCommit.TxnOffsetCommitRequest,
    response: txnOffsetCommit.TxnOffsetCommitResponse,
  },
  DescribeTransactions: {
    request: describeTransactions.DescribeTransactionsRequest,
    response: describeTransactions.DescribeTransactionsResponse,
  },
  ListTransactions: {
    request: listTransactions.ListTransactionsRequest,
    response: listTransactions.ListTransactionsResponse,
  },
  OffsetForLeaderEpoch: {
    request: offsetForLeaderEpoch.OffsetForLeaderEpochRequest,
    response: offsetForLeaderEpoch.OffsetForLeaderEpochResponse,
  },
  DescribeAcls: { request: describeAcls.DescribeAclsRequest, response: describeAcls.DescribeAclsResponse },
  CreateAcls: { request: createAcls.CreateAclsRequest, response: createAcls.CreateAclsResponse },
  DeleteAcls: { request: deleteAcls.DeleteAclsRequest, response: deleteAcls.DeleteAclsResponse },
  DescribeConfigs: {
    request: describeConfigs.DescribeConfigsRequest,
    response: describeConfigs.DescribeConfigsResponse,
  },
  AlterConfigs: { request: alterConfigs.AlterConfigsRequest, response: alterConfigs.AlterConfigsResponse },
  DescribeLogDirs: {
    request: describeLogDirs.DescribeLogDirsRequest,
    response: describeLogDirs.DescribeLogDirsResponse,
  },
  CreatePartitions: {
    request: createPartitions.CreatePartitionsRequest,
    response: createPartitions.CreatePartitionsResponse,
  },
  DeleteGroups: { request: deleteGroups.DeleteGroupsRequest, response: deleteGroups.DeleteGroupsResponse },
  ElectLeaders: { request: electLeaders.ElectLeadersRequest, response: electLeaders.ElectLeadersResponse },
  IncrementalAlterConfigs: {
    request: incrementalAlterConfigs.IncrementalAlterConfigsRequest,
    response: incrementalAlterConfigs.IncrementalAlterConfigsResponse,
  },
  AlterPartitionReassignments: {
    request: alterPartitionReassignments.AlterPartitionReassignmentsRequest,
    response: alterPartitionReassignments.AlterPartitionReassignmentsResponse,
  },
  ListPartitionReassignments: {
    request: listPartitionReassignments.ListPartitionReassignmentsRequest,
    response: listPartitionReassignments.ListPartitionReassignmentsResponse,
  },
  OffsetDelete: { request: offsetDelete.OffsetDeleteRequest, response: offsetDelete.OffsetDeleteResponse },
  DescribeQuorum: { request: describeQuorum.DescribeQuorumRequest, response: describeQuorum.DescribeQuorumResponse },
  UpdateFeatures: { request: updateFeatures.UpdateFeaturesRequest, response: updateFeatures.UpdateFeaturesResponse },
  DescribeCluster: {
    request: describeCluster.DescribeClusterRequest,
    response: describeCluster.DescribeClusterResponse,
  },
  DescribeProducers: {
    request: describeProducers.DescribeProducersRequest,
    response: describeProducers.DescribeProducersResponse,
  },
  ConsumerGroupHeartbeat: {
    request: consumerGroupHeartbeat.ConsumerGroupHeartbeatRequest,
    response: consumerGroupHeartbeat.ConsumerGroupHeartbeatResponse,
  },
  ConsumerGroupDescribe: {
    request: consumerGroupDescribe.ConsumerGroupDescribeRequest,
    response: consumerGroupDescribe.ConsumerGroupDescribeResponse,
  },
  ListConfigResources: {
    request: listConfigResources.ListConfigResourcesRequest,
    response: listConfigResources.ListConfigResourcesResponse,
  },
  DescribeTopicPartitions: {
    request: describeTopicPartitions.DescribeTopicPartitionsRequest,
    response: describeTopicPartitions.DescribeTopicPartitionsResponse,
  },
}

export type ApiName = keyof typeof wireMessages
/** What the version in use lacks can be left out; encoding fails where something else is missing. */
export type RequestBody<N extends ApiName> = Loose<Encodable<(typeof wireMessages)[N]['request']>>
export type ResponseBody<N extends ApiName> = Decoded<(typeof wireMessages)[N]['response']>

type Loose<T> = T extends Uint8Array
  ? T
  : T extends readonly (infer Item)[]
    ? readonly Loose<Item>[]
    : T extends object
      ? { readonly [K in keyof T]?: Loose<T[K]> }
      : T
