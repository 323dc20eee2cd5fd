/** A feature of the cluster that clients and tools act upon. It has one level: that of the release. */
export interface Feature {
  readonly name: string
  readonly minimum: number
  readonly level: number
}

export const FEATURES: readonly Feature[] = [
  // Tools take the version of the cluster from it: the level is that of Kafka 4.4, whose API versions these are.
  { name: 'metadata.version', minimum: 7, level: 33 },
  // KIP-890: partitions and groups join a transaction by themselves, and each end brings the next epoch.
  { name: 'transaction.version', minimum: 0, level: 2 },
  // KIP-848: members of groups may speak the consumer protocol.
  { name: 'group.version', minimum: 0, level: 1 },
]

/** To be raised with every change of a level: clients believe the highest epoch that they have seen. */
export const FEATURES_EPOCH = 3
