import type { Broker } from '#kafka/broker.ts'
import { RESOURCE_TYPES } from '#kafka/config-resources.ts'
import { defineHandler } from '#kafka/handler.ts'
import {
  ListConfigResourcesRequest,
  ListConfigResourcesResponse,
} from '#kafka/protocol/apis/74-list-config-resources.ts'
import { errorCode } from '#kafka/protocol/protocol.ts'

// ListConfigResources v0-1. v0 was about client metrics alone, of which there are none; v1: all that has configs (KIP-1142).

const TYPES_FROM = 1

export const listConfigResources = defineHandler(
  { request: ListConfigResourcesRequest, response: ListConfigResourcesResponse, versions: [0, 1] },
  ({ resourceTypes }, { broker, version }) => {
    const known: number[] = Object.values(RESOURCE_TYPES)
    if (!resourceTypes.every(type => known.includes(type))) {
      return { errorCode: errorCode('UNSUPPORTED_VERSION'), configResources: [] }
    }
    const asked =
      version < TYPES_FROM ? [RESOURCE_TYPES.clientMetrics] : resourceTypes.length > 0 ? resourceTypes : known
    const configResources = [...new Set(asked)].flatMap(resourceType =>
      namesOf(broker, resourceType).map(resourceName => ({ resourceName, resourceType })),
    )
    return { errorCode: errorCode('NONE'), configResources }
  },
)

function namesOf({ log, settings }: Broker, type: number): string[] {
  if (type === RESOURCE_TYPES.topic) return [...log.state.topics.keys()]
  if (type === RESOURCE_TYPES.group) return [...log.state.groupConfigs.keys()]
  return type === RESOURCE_TYPES.broker ? [`${settings.nodeId}`] : []
}
