import { RECOVERY_SETTINGS } from './recovery-settings.ts'
import { type Setting, setting } from './setting.ts'
import {
  boolean,
  bytes,
  choice,
  count,
  duration,
  host,
  optional,
  orUnlimited,
  path,
  port,
  reachableHost,
  reachablePort,
  walSyncType,
} from './setting-types.ts'
import { STORE_SETTINGS } from './store-settings.ts'

const KIB = 2 ** 10
const MIB = 2 ** 20
const GIB = 2 ** 30
const TIB = 2 ** 40
const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** Every setting of the process: one entry each. The key gives the flag, the variable and the key in the file. */
export const SETTINGS = {
  kafkaPort: setting({
    group: 'network',
    type: port,
    default: 9092,
    alsoEnv: ['KAFKA_PORT'],
    about: 'Port of the Kafka protocol; 0 takes a free one.',
  }),
  bindAddr: setting({
    group: 'network',
    type: host,
    default: '0.0.0.0',
    about: 'Address to listen on, for every port. 0.0.0.0 is all IPv4 addresses of the machine, :: all of both kinds.',
  }),
  advertisedAddr: setting({
    group: 'network',
    type: optional(reachableHost),
    default: null,
    about:
      'Host that clients are told to connect to. Unset: the bind address, or on a wildcard the address they reached.',
  }),
  advertisedPort: setting({
    group: 'network',
    type: optional(reachablePort),
    default: null,
    about: 'Port that clients are told to connect to. Unset: the port that is listened on.',
  }),
  metricsPort: setting({
    group: 'network',
    type: port,
    default: 9090,
    alsoEnv: ['METRICS_PORT'],
    about: 'Port of /metrics and /health; 0 takes a free one.',
  }),
  searchPort: setting({
    group: 'network',
    type: port,
    default: 9200,
    withoutEffect: true,
    about: 'Port of search and SQL.',
  }),
  adminPort: setting({
    group: 'network',
    type: port,
    default: 3000,
    withoutEffect: true,
    about: 'Port of the admin API and the console.',
  }),
  pgPort: setting({
    group: 'network',
    type: port,
    default: 5432,
    withoutEffect: true,
    about: 'Port of the PostgreSQL protocol.',
  }),

  dataDir: setting({
    group: 'storage',
    type: path,
    default: './data',
    about: 'Directory of everything that is stored. One process owns it at a time.',
  }),
  walSync: setting({
    group: 'storage',
    type: walSyncType,
    default: { kind: 'always' },
    about:
      'When acknowledged records are on disk. `always`: before the answer, so they survive a power loss. ' +
      'An interval (100, 100ms): at most that much later, so they survive the process but not the power.',
  }),
  produceProfile: setting({
    group: 'storage',
    type: choice('PROFILE', ['low-latency', 'balanced', 'high-throughput', 'extreme']),
    default: 'high-throughput',
    about: 'How long produced batches are gathered before one sync covers them all, under load.',
  }),
  walFileBytes: setting({
    group: 'storage',
    type: bytes(256 * KIB, 4 * GIB),
    default: 128 * MIB,
    about:
      'Size of one file of the write-ahead log. Disk space is given back file by file, and a checkpoint is written with each.',
  }),
  walLimitBytes: setting({
    group: 'storage',
    type: bytes(4 * MIB, TIB),
    default: 4 * GIB,
    about:
      'The write-ahead log shall not be larger, but has room for nine files in any case. From half of it on records are sealed ' +
      'earlier. Three files before it is full producers are told to try again later, until the object store takes segments again.',
  }),
  sealMaxBytes: setting({
    group: 'storage',
    type: bytes(64 * KIB, GIB),
    default: 64 * MIB,
    about: 'A partition is sealed into a segment of the object store when it has so much in the write-ahead log.',
  }),
  sealMaxMs: setting({
    group: 'storage',
    type: duration(100, DAY),
    default: MINUTE,
    about: 'A record waits so long at most until it is sealed into a segment of the object store.',
  }),
  drainMs: setting({
    group: 'storage',
    type: optional(duration(0, DAY)),
    default: null,
    about:
      'When the broker stops it seals what is left, for so long at most. Then the store gets the rest of what is needed to begin ' +
      'again, for as long, or 10 s if that is more. Unset: 30 s; nothing with a store inside the data directory, ' +
      'since the write-ahead log lies beside it.',
  }),
  logCacheBytes: setting({
    group: 'storage',
    type: bytes(0, TIB),
    default: 192 * MIB,
    about: 'Memory for the end of the log, which consumers that keep up are served from.',
  }),

  ...STORE_SETTINGS,
  ...RECOVERY_SETTINGS,

  autoCreateTopics: setting({
    group: 'topics',
    type: boolean,
    default: true,
    about: 'Create a topic when a client first asks for it (Kafka: auto.create.topics.enable).',
  }),
  numPartitions: setting({
    group: 'topics',
    type: count(1, 10_000),
    default: 1,
    about: 'Partitions of a topic that is created without a number (Kafka: num.partitions).',
  }),
  maxMessageBytes: setting({
    group: 'topics',
    type: bytes(0, 2 ** 31 - 1),
    default: 1_048_588,
    about: 'Largest record batch, as sent, of a topic without its own max.message.bytes (Kafka: message.max.bytes).',
  }),
  logRetentionMs: setting({
    group: 'topics',
    type: orUnlimited(duration(0, Number.MAX_SAFE_INTEGER)),
    default: 7 * DAY,
    about: 'How long records are kept in a topic without its own retention.ms (Kafka: log.retention.ms).',
  }),
  logRetentionBytes: setting({
    group: 'topics',
    type: orUnlimited(bytes(0, Number.MAX_SAFE_INTEGER)),
    default: -1,
    about: 'How much is kept per partition of a topic without its own retention.bytes (Kafka: log.retention.bytes).',
  }),
  retentionCheckIntervalMs: setting({
    group: 'topics',
    type: duration(1, DAY),
    default: 5 * MINUTE,
    about: 'How often retention is applied (Kafka: log.retention.check.interval.ms).',
  }),
  producerIdExpirationMs: setting({
    group: 'topics',
    type: duration(1, 2 ** 31 - 1),
    default: DAY,
    about: 'An idempotent producer is forgotten after this long without a record (Kafka: producer.id.expiration.ms).',
  }),

  groupInitialRebalanceDelayMs: setting({
    group: 'groups',
    type: duration(0, 10 * MINUTE),
    default: 3 * SECOND,
    about:
      'How long the first members of a group wait for others before they are assigned partitions ' +
      '(Kafka: group.initial.rebalance.delay.ms). Tests want 0.',
  }),
  groupMinSessionTimeoutMs: setting({
    group: 'groups',
    type: duration(1, DAY),
    default: 6 * SECOND,
    about: 'Shortest session a member may ask for (Kafka: group.min.session.timeout.ms).',
  }),
  groupMaxSessionTimeoutMs: setting({
    group: 'groups',
    type: duration(1, DAY),
    default: 30 * MINUTE,
    about: 'Longest session a member may ask for (Kafka: group.max.session.timeout.ms).',
  }),
  groupMaxSize: setting({
    group: 'groups',
    type: count(1, 100_000),
    default: 10_000,
    about: 'Members of one group (Kafka: group.max.size).',
  }),
  groupMaxBytes: setting({
    group: 'groups',
    type: bytes(64 * KIB, GIB),
    default: 4 * MIB,
    about:
      'What the members of a group say of themselves, of either protocol: the names they subscribe to, above all. In a group of ' +
      'the classic protocol what they are assigned, too, each in all. More is refused with GROUP_MAX_SIZE_REACHED. Kafka keeps ' +
      '1 MiB of classic groups unless told otherwise.',
  }),
  maxGroups: setting({
    group: 'groups',
    type: count(1, 1_000_000),
    default: 100_000,
    about: 'Groups in all, those that only keep offsets too; a further one is refused with POLICY_VIOLATION.',
  }),
  groupConsumerSessionTimeoutMs: setting({
    group: 'groups',
    type: duration(1, DAY),
    default: 45 * SECOND,
    about:
      'A member of a consumer group (KIP-848) that sends nothing for this long is out, unless its group has a ' +
      'consumer.session.timeout.ms of its own (Kafka: group.consumer.session.timeout.ms).',
  }),
  groupConsumerMinSessionTimeoutMs: setting({
    group: 'groups',
    type: duration(1, DAY),
    default: 45 * SECOND,
    about: 'Shortest session that a group may be given (Kafka: group.consumer.min.session.timeout.ms).',
  }),
  groupConsumerMaxSessionTimeoutMs: setting({
    group: 'groups',
    type: duration(1, DAY),
    default: MINUTE,
    about: 'Longest session that a group may be given (Kafka: group.consumer.max.session.timeout.ms).',
  }),
  groupConsumerHeartbeatIntervalMs: setting({
    group: 'groups',
    type: duration(1, DAY),
    default: 5 * SECOND,
    about:
      'How often members of a consumer group are told to send heartbeats, unless their group has a ' +
      'consumer.heartbeat.interval.ms of its own (Kafka: group.consumer.heartbeat.interval.ms).',
  }),
  groupConsumerMinHeartbeatIntervalMs: setting({
    group: 'groups',
    type: duration(1, DAY),
    default: 5 * SECOND,
    about: 'Shortest interval that a group may be given (Kafka: group.consumer.min.heartbeat.interval.ms).',
  }),
  groupConsumerMaxHeartbeatIntervalMs: setting({
    group: 'groups',
    type: duration(1, DAY),
    default: 15 * SECOND,
    about: 'Longest interval that a group may be given (Kafka: group.consumer.max.heartbeat.interval.ms).',
  }),
  groupConsumerAssignmentIntervalMs: setting({
    group: 'groups',
    type: duration(0, DAY),
    default: SECOND,
    about:
      'Partitions of a consumer group are not assigned anew more often, unless the group has a ' +
      'consumer.assignment.interval.ms of its own (Kafka: group.consumer.assignment.interval.ms). Tests want 0.',
  }),
  groupConsumerMinAssignmentIntervalMs: setting({
    group: 'groups',
    type: duration(0, DAY),
    default: 0,
    about: 'Shortest such interval that a group may be given (Kafka: group.consumer.min.assignment.interval.ms).',
  }),
  groupConsumerMaxAssignmentIntervalMs: setting({
    group: 'groups',
    type: duration(0, DAY),
    default: 15 * SECOND,
    about: 'Longest such interval that a group may be given (Kafka: group.consumer.max.assignment.interval.ms).',
  }),
  groupConsumerMaxSize: setting({
    group: 'groups',
    type: count(1, 100_000),
    default: 10_000,
    about: 'Members of one consumer group (Kafka: group.consumer.max.size).',
  }),
  groupConsumerMigrationPolicy: setting({
    group: 'groups',
    type: choice('POLICY', ['bidirectional', 'upgrade', 'downgrade', 'disabled']),
    default: 'bidirectional',
    about:
      'Whether groups change between the classic protocol and that of consumer groups while they have members ' +
      '(Kafka: group.consumer.migration.policy).',
  }),
  offsetMetadataMaxBytes: setting({
    group: 'groups',
    type: bytes(0, MIB),
    default: 4 * KIB,
    about: 'Longest text that is kept with a committed offset (Kafka: offset.metadata.max.bytes).',
  }),
  offsetsRetentionMs: setting({
    group: 'groups',
    type: duration(1, Number.MAX_SAFE_INTEGER),
    default: 7 * DAY,
    about: 'How long offsets are kept that no member of their group needs (Kafka: offsets.retention.minutes).',
  }),
  metricsMaxTopics: setting({
    group: 'topics',
    type: count(0, 1_000_000),
    default: 1_000,
    about:
      'Topics whose bytes by tier are among the metrics, the oldest first; chronik_tier_topics_left_out says how many are not.',
  }),
  metricsMaxGroupSeries: setting({
    group: 'groups',
    type: count(0, 1_000_000),
    default: 10_000,
    about:
      'Committed offsets whose lag is among the metrics, those of the oldest groups first; ' +
      'chronik_consumer_group_lag_left_out says how many are not.',
  }),

  transactionMaxTimeoutMs: setting({
    group: 'transactions',
    type: duration(1, 2 ** 31 - 1),
    default: 15 * MINUTE,
    about: 'Longest time a producer may ask to keep a transaction open (Kafka: transaction.max.timeout.ms).',
  }),
  transactionalIdExpirationMs: setting({
    group: 'transactions',
    type: duration(1, 2 ** 31 - 1),
    default: 7 * DAY,
    about: 'A transactional id is forgotten after this long without use (Kafka: transactional.id.expiration.ms).',
  }),
  maxTransactionalIds: setting({
    group: 'transactions',
    type: count(1, 10_000_000),
    default: 100_000,
    about:
      'Transactional ids that are remembered. A further one takes the place of some that were unused for longer than ' +
      'transaction-max-timeout-ms, longest first; without such it is refused with POLICY_VIOLATION.',
  }),
  maxOpenTransactions: setting({
    group: 'transactions',
    type: count(1, 10_000_000),
    default: 10_000,
    about: 'Transactions that are open at once; what would begin a further one is refused with POLICY_VIOLATION.',
  }),

  maxConnections: setting({
    group: 'limits',
    type: count(1, 1_000_000),
    default: 10_000,
    about: 'Open Kafka connections; further ones are closed at once (Kafka: max.connections).',
  }),
  connectionsMaxIdleMs: setting({
    group: 'limits',
    type: duration(SECOND, DAY),
    default: 10 * MINUTE,
    about: 'A connection on which nothing happens for this long is closed (Kafka: connections.max.idle.ms).',
  }),
  maxRequestBytes: setting({
    group: 'limits',
    type: bytes(64 * KIB, 2 ** 31 - 1),
    default: 100 * MIB,
    about: 'Largest request; a connection that announces a larger one is closed (Kafka: socket.request.max.bytes).',
  }),
  maxRequestElements: setting({
    group: 'limits',
    type: count(1000, 100_000_000),
    default: 100_000,
    about:
      'Largest number of array elements in a request, of all its arrays together: a topic and a partition are one each. ' +
      'A connection that sends more is closed. Raise it with max-partitions, if clients ask for that many at once.',
  }),
  maxInflightBytesPerConnection: setting({
    group: 'limits',
    type: bytes(64 * KIB, TIB),
    default: 32 * MIB,
    about:
      'Unanswered requests of one connection: at this size it is not read further. A larger single request passes.',
  }),
  maxInflightBytes: setting({
    group: 'limits',
    type: bytes(64 * KIB, TIB),
    default: 128 * MIB,
    about:
      'Unanswered requests of all connections together: at this size none is read further. ' +
      'As much again is the most that is decompressed at once.',
  }),
  maxPartitions: setting({
    group: 'limits',
    type: count(1, 1_000_000),
    default: 50_000,
    about: 'Partitions of all topics together; creating more is refused.',
  }),
  maxDecompressedBytes: setting({
    group: 'limits',
    type: bytes(64 * KIB, 2 ** 31 - 1),
    default: 100 * MIB,
    about: 'Largest record batch after decompression; a larger one is refused.',
  }),
  fetchMaxBytes: setting({
    group: 'limits',
    type: bytes(KIB, 2 ** 31 - 1),
    default: 55 * MIB,
    about: 'Largest answer to a fetch, whatever the client asks for (Kafka: fetch.max.bytes).',
  }),
  maxFetchSessions: setting({
    group: 'limits',
    type: count(0, 1_000_000),
    default: 1000,
    about:
      'Incremental fetch sessions (Kafka: max.incremental.fetch.session.cache.slots); without one, fetches are full. ' +
      'All together they remember at most ten times max-partitions.',
  }),

  nodeId: setting({
    group: 'operation',
    type: count(0, 2 ** 31 - 1),
    default: 1,
    about: 'Number of this broker, as clients see it (Kafka: node.id).',
  }),
  logLevel: setting({
    group: 'operation',
    type: choice('LEVEL', ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
    default: 'info',
    about: 'Least severe log line that is written.',
  }),
  drainTimeoutMs: setting({
    group: 'operation',
    type: duration(0, 10 * MINUTE),
    default: 4 * SECOND,
    about: 'On SIGTERM, requests in work get this long to finish; a checkpoint follows.',
  }),
}

export type SettingName = keyof typeof SETTINGS
export type Settings = { readonly [Name in SettingName]: (typeof SETTINGS)[Name]['default'] }
export type ProduceProfile = Settings['produceProfile']

export const SETTING_NAMES = Object.keys(SETTINGS) as SettingName[]

/** `kafkaPort` is `kafka-port` in the file and, with two dashes, on the command line. */
export function keyOf(name: SettingName): string {
  return name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
}

/** The environment variables of a setting; the first that is set wins. */
export function variablesOf(name: SettingName): readonly string[] {
  const { alsoEnv = [] } = entryOf(name)
  return [`CHRONIK_${keyOf(name).replaceAll('-', '_').toUpperCase()}`, ...alsoEnv]
}

/** A setting by a name that is only known at run time. */
export function entryOf(name: SettingName): Setting<unknown> {
  return SETTINGS[name] as Setting<unknown>
}

export function defaultSettings(): Settings {
  return Object.fromEntries(SETTING_NAMES.map(name => [name, SETTINGS[name].default])) as unknown as Settings
}

/** What each produce profile gathers, under load, before a sync; `index` is what the metrics show. */
export const PRODUCE_PROFILES: {
  readonly [Profile in ProduceProfile]: {
    readonly index: number
    readonly gatherBatches: number
    readonly gatherMs: number
    /** Whether a record that comes alone waits for others all the same. */
    readonly gathersWhenIdle: boolean
  }
} = {
  'low-latency': { index: 0, gatherBatches: 1, gatherMs: 0, gathersWhenIdle: false },
  balanced: { index: 1, gatherBatches: 10, gatherMs: 1, gathersWhenIdle: false },
  'high-throughput': { index: 2, gatherBatches: 100, gatherMs: 2, gathersWhenIdle: false },
  extreme: { index: 3, gatherBatches: 500, gatherMs: 20, gathersWhenIdle: true },
}
