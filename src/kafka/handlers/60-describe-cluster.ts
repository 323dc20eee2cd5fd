import { CLUSTER_OPERATIONS, OPERATIONS_NOT_ASKED } from '#kafka/authorized-operations.ts'
import { defineHandler } from '#kafka/handler.ts'
import { DescribeClusterRequest, DescribeClusterResponse } from '#kafka/protocol/apis/60-describe-cluster.ts'
import { errorCode, type KafkaErrorName } from '#kafka/protocol/protocol.ts'

// DescribeCluster v0-2: the one broker. v1: this is an endpoint of brokers, not of controllers (KIP-919).

const BROKERS = 1
const CONTROLLERS = 2

export const describeCluster = defineHandler(
  { request: DescribeClusterRequest, response: DescribeClusterResponse, versions: [0, 2] },
  ({ endpointType, includeClusterAuthorizedOperations }, { broker, advertised }) => {
    if (endpointType === CONTROLLERS) {
      return refused('MISMATCHED_ENDPOINT_TYPE', 'This is an endpoint of brokers, not of controllers')
    }
    if (endpointType !== BROKERS)
      return refused('UNSUPPORTED_ENDPOINT_TYPE', `Unsupported endpoint type ${endpointType}`)
    const { nodeId } = broker.settings
    return {
      errorCode: errorCode('NONE'),
      clusterId: broker.log.state.clusterId,
      controllerId: nodeId,
      brokers: [{ brokerId: nodeId, ...advertised, isFenced: false }],
      clusterAuthorizedOperations: includeClusterAuthorizedOperations ? CLUSTER_OPERATIONS : OPERATIONS_NOT_ASKED,
    }
  },
)

function refused(error: KafkaErrorName, errorMessage: string): DescribeClusterResponse {
  return { errorCode: errorCode(error), errorMessage, clusterId: '', brokers: [] }
}
