import type { Broker } from '#kafka/broker.ts'
import { FEATURES, FEATURES_EPOCH, type Feature } from '#kafka/features.ts'
import { defineHandler, type Handler } from '#kafka/handler.ts'
import { PRODUCE_KEY, PRODUCE_VERSIONS } from '#kafka/produce.ts'
import { ApiVersionsRequest, ApiVersionsResponse } from '#kafka/protocol/apis/18-api-versions.ts'
import { errorCode, type KafkaErrorName } from '#kafka/protocol/protocol.ts'

// ApiVersions v0-5: what the handlers declare. v3: features, and the client's software by name. v5: the client may say which
// broker it means (KIP-1242).

const API_VERSIONS_KEY = 18
const VERSIONS = [0, 5] as const

const NAMES_SOFTWARE_FROM = 3
const FROM_ZERO_FROM = 4
const NAMES_BROKER_FROM = 5
const SOFTWARE = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/

/** The handler of ApiVersions beside the others. */
export function apiVersions(others: readonly Handler[]): Handler {
  const apiKeys = [
    { apiKey: PRODUCE_KEY, minVersion: PRODUCE_VERSIONS.min, maxVersion: PRODUCE_VERSIONS.max },
    { apiKey: API_VERSIONS_KEY, minVersion: VERSIONS[0], maxVersion: VERSIONS[1] },
    ...others.map(({ request, versions }) => ({
      apiKey: request.api.key,
      minVersion: versions.min,
      maxVersion: versions.max,
    })),
  ].sort((a, b) => a.apiKey - b.apiKey)
  // KAFKA-17492: clients of before v4 cannot read a feature that begins with level 0.
  const supportedBefore = FEATURES.filter(({ minimum }) => minimum > 0)
  return defineHandler(
    { request: ApiVersionsRequest, response: ApiVersionsResponse, versions: VERSIONS },
    (request, { broker, version }) => {
      const problem = problemWith(request, version, broker)
      if (problem !== null) return { errorCode: errorCode(problem), apiKeys: [] }
      return {
        errorCode: errorCode('NONE'),
        apiKeys,
        supportedFeatures: (version < FROM_ZERO_FROM ? supportedBefore : FEATURES).map(supported),
        finalizedFeaturesEpoch: FEATURES_EPOCH,
        finalizedFeatures: FEATURES.map(finalized),
      }
    },
  )
}

function supported({ name, minimum, level }: Feature) {
  return { name, minVersion: minimum, maxVersion: level }
}

function finalized({ name, level }: Feature) {
  return { name, minVersionLevel: level, maxVersionLevel: level }
}

function problemWith(request: ApiVersionsRequest, version: number, { settings, log }: Broker): KafkaErrorName | null {
  const { clientSoftwareName, clientSoftwareVersion, clusterId, nodeId } = request
  if (version >= NAMES_SOFTWARE_FROM && !(SOFTWARE.test(clientSoftwareName) && SOFTWARE.test(clientSoftwareVersion))) {
    return 'INVALID_REQUEST'
  }
  if (version < NAMES_BROKER_FROM || (clusterId === null && nodeId === -1)) return null
  if (clusterId === null || nodeId === -1) return 'INVALID_REQUEST'
  return clusterId === log.state.clusterId && nodeId === settings.nodeId ? null : 'REBOOTSTRAP_REQUIRED'
}
