import { apis } from '#kafka/protocol/protocol.ts'

// What a broker of Kafka 4.4 serves to clients: versions that are stable, without those of its controllers among each other.

export interface ApiOfKafka {
  readonly key: number
  readonly name: string
  readonly versions: string
  readonly area: string
}

/** Those that have no schema here, because nothing here reads them. */
const WITHOUT_SCHEMA: readonly (readonly [key: number, name: string, versions: string])[] = [
  [38, 'CreateDelegationToken', '1-3'],
  [39, 'RenewDelegationToken', '1-2'],
  [40, 'ExpireDelegationToken', '1-2'],
  [41, 'DescribeDelegationToken', '1-3'],
  [64, 'UnregisterBroker', '0'],
  [71, 'GetTelemetrySubscriptions', '0'],
  [72, 'PushTelemetry', '0'],
  [76, 'ShareGroupHeartbeat', '1'],
  [77, 'ShareGroupDescribe', '1'],
  [78, 'ShareFetch', '1-2'],
  [79, 'ShareAcknowledge', '1-2'],
  [80, 'AddRaftVoter', '0-1'],
  [81, 'RemoveRaftVoter', '0'],
  [83, 'InitializeShareGroupState', '0'],
  [84, 'ReadShareGroupState', '0'],
  [85, 'WriteShareGroupState', '0-1'],
  [86, 'DeleteShareGroupState', '0'],
  [87, 'ReadShareGroupStateSummary', '0-1'],
  [88, 'StreamsGroupHeartbeat', '0-1'],
  [89, 'StreamsGroupDescribe', '0-1'],
  [90, 'DescribeShareGroupOffsets', '0-1'],
  [91, 'AlterShareGroupOffsets', '0'],
  [92, 'DeleteShareGroupOffsets', '0'],
  [93, 'StreamsGroupTopologyDescriptionUpdate', '0'],
  [94, 'UnregisterController', '0'],
]

const AREAS: Readonly<Record<string, readonly number[]>> = {
  records: [0, 1, 2, 21, 23],
  'topics and configs': [3, 19, 20, 32, 33, 35, 37, 44, 74, 75],
  'consumer groups': [8, 9, 10, 11, 12, 13, 14, 15, 16, 42, 47],
  'consumer groups, new protocol (KIP-848)': [68, 69],
  'idempotent producers': [22, 61],
  transactions: [24, 25, 26, 27, 28, 65, 66],
  'the connection': [18],
  'the cluster': [34, 43, 45, 46, 55, 57, 60, 64, 80, 81, 94],
  'users and ACLs': [17, 29, 30, 31, 36, 50, 51],
  'delegation tokens': [38, 39, 40, 41],
  quotas: [48, 49],
  'metrics of clients': [71, 72],
  'share groups': [76, 77, 78, 79, 83, 84, 85, 86, 87, 90, 91, 92],
  'streams groups': [88, 89, 93],
}

const areaOfKey = new Map(Object.entries(AREAS).flatMap(([area, keys]) => keys.map(key => [key, area] as const)))

export const apisOfKafka: readonly ApiOfKafka[] = [
  ...[...apis.values()].map(({ key, name, request }) => [key, name, request.api.versions] as const),
  ...WITHOUT_SCHEMA,
]
  .map(([key, name, versions]) => ({ key, name, versions, area: areaOfKey.get(key) ?? '' }))
  .sort((a, b) => a.key - b.key)
