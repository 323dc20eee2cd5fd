/**
 * Tools take the version of the cluster from metadata.version: the level is that of Kafka 4.4, whose API versions these are.
 * Features that clients act upon (transaction.version, group.version) come here once they work.
 */
export const METADATA_VERSION = { name: 'metadata.version', minimum: 7, level: 33 }

/** To be raised with every change of a level: clients believe the highest epoch that they have seen. */
export const FEATURES_EPOCH = 1
