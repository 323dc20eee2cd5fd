import { assert } from '#base/assert.ts'
import type { ConfigRule, ConfigType } from './kafka-config.ts'
import { isWildcard } from './setting-types.ts'
import { defaultSettings, type SettingName, type Settings } from './settings.ts'
import { documentationOf, TOPIC_CONFIG_NAMES, topicConfigOf } from './topic-config-table.ts'

export interface BrokerConfig {
  readonly type: ConfigType
  readonly documentation: string
  /** The topic config it gives the default of. */
  readonly topicConfig: string | null
  /** What it can be altered to while the broker runs; null: it cannot. */
  readonly alterable: ConfigRule | null
  /** Older names of the same, which count where this one has no value. */
  readonly coarser: readonly string[]
  /** Null: no value. */
  readonly default: string | null
  /** The settings that give it another value. */
  readonly from: readonly SettingName[]
  value(settings: Settings): string | null
}

/** The settings behind defaults of topics. */
const SETTING_OF_DEFAULT: Readonly<Record<string, SettingName>> = {
  'message.max.bytes': 'maxMessageBytes',
  'log.retention.ms': 'logRetentionMs',
  'log.retention.bytes': 'logRetentionBytes',
}

/** The configs that topics without their own value follow: all of them can be altered while the broker runs. */
function topicDefaults(): [string, BrokerConfig][] {
  return TOPIC_CONFIG_NAMES.flatMap((topicName): [string, BrokerConfig][] => {
    const config = topicConfigOf(topicName)
    assert(config !== undefined, 'the table has its own names')
    const [name, ...coarser] = config.broker
    if (name === undefined) return []
    const setting = SETTING_OF_DEFAULT[name]
    return [
      [
        name,
        {
          type: config.rule.type,
          documentation: `Default of the topic config ${topicName}. ${documentationOf(config)}`,
          topicConfig: topicName,
          alterable: config.rule,
          // The default of log.retention.ms is that of log.retention.hours.
          coarser,
          default: coarser.length > 0 ? null : config.default,
          from: setting === undefined ? [] : [setting],
          value: settings => (setting === undefined ? null : String(settings[setting])),
        },
      ],
    ]
  })
}

/** Older names of the same defaults, in coarser units; they count where the finer name has no value. */
function fallbacks(): [string, BrokerConfig][] {
  const entry = (name: string, type: ConfigType, value: string | null, finer: string): [string, BrokerConfig] => {
    const documentation = `Counts where ${finer} has no value.`
    return [
      name,
      {
        type,
        documentation,
        topicConfig: null,
        alterable: null,
        coarser: [],
        default: value,
        from: [],
        value: () => null,
      },
    ]
  }
  return [
    entry('log.retention.minutes', 'INT', null, 'log.retention.ms'),
    entry('log.retention.hours', 'INT', '168', 'log.retention.ms'),
    entry('log.roll.hours', 'INT', '168', 'log.roll.ms'),
    entry('log.roll.jitter.hours', 'INT', '0', 'log.roll.jitter.ms'),
    entry('log.flush.scheduler.interval.ms', 'LONG', '9223372036854775807', 'log.flush.interval.ms'),
  ]
}

/** What the settings of the process say, under Kafka's names. */
function fromSettings(): [string, BrokerConfig][] {
  const entry = (name: string, config: Pick<BrokerConfig, 'type' | 'from' | 'value' | 'documentation'>) => {
    const shared = { topicConfig: null, alterable: null, coarser: [], default: config.value(defaultSettings()) }
    return [name, { ...shared, ...config }] satisfies [string, BrokerConfig]
  }
  const plain = (name: string, type: ConfigType, setting: SettingName, documentation: string) => {
    return entry(name, { type, from: [setting], value: settings => String(settings[setting]), documentation })
  }
  const constant = (name: string, type: ConfigType, value: string | null, documentation: string) => {
    return entry(name, { type, from: [], value: () => value, documentation })
  }
  return [
    plain('node.id', 'INT', 'nodeId', 'Id of this broker.'),
    plain('broker.id', 'INT', 'nodeId', 'Id of this broker.'),
    constant('broker.rack', 'STRING', null, 'Racks are not known here.'),
    constant('process.roles', 'LIST', 'broker,controller', 'One process does all.'),
    entry('listeners', {
      type: 'LIST',
      from: ['bindAddr', 'kafkaPort'],
      value: listenersOf,
      documentation: 'Addresses that are listened on.',
    }),
    entry('advertised.listeners', {
      type: 'LIST',
      from: ['advertisedAddr', 'advertisedPort', 'bindAddr'],
      value: advertisedListenersOf,
      documentation: 'Addresses that clients are told. Without a value each client is told the address it has reached.',
    }),
    constant('listener.security.protocol.map', 'STRING', 'PLAINTEXT:PLAINTEXT', 'Nothing is encrypted.'),
    constant('authorizer.class.name', 'STRING', '', 'Nothing is authorized.'),
    plain('log.dir', 'LIST', 'dataDir', 'Directory of everything that is stored.'),
    plain('log.dirs', 'LIST', 'dataDir', 'Directory of everything that is stored.'),
    plain('auto.create.topics.enable', 'BOOLEAN', 'autoCreateTopics', 'Whether asking for a topic creates it.'),
    constant('delete.topic.enable', 'BOOLEAN', 'true', 'Topics can be deleted.'),
    plain('num.partitions', 'INT', 'numPartitions', 'Partitions of a topic that is created without a number.'),
    constant('default.replication.factor', 'INT', '1', 'One replica is all there is.'),
    plain('max.connections', 'INT', 'maxConnections', 'Open connections; further ones are closed at once.'),
    plain('socket.request.max.bytes', 'INT', 'maxRequestBytes', 'Largest request; a larger one closes its connection.'),
    plain('queued.max.request.bytes', 'LONG', 'maxInflightBytes', 'Unanswered requests at which reading pauses.'),
    plain('fetch.max.bytes', 'INT', 'fetchMaxBytes', 'Largest answer to a fetch.'),
    plain('max.incremental.fetch.session.cache.slots', 'INT', 'maxFetchSessions', 'Incremental fetch sessions.'),
    plain('log.retention.check.interval.ms', 'LONG', 'retentionCheckIntervalMs', 'How often retention is applied.'),
    ...groupConfigs(plain, constant),
    plain('producer.id.expiration.ms', 'INT', 'producerIdExpirationMs', 'When an idle producer is forgotten.'),
    plain('transaction.max.timeout.ms', 'INT', 'transactionMaxTimeoutMs', 'Longest time to keep a transaction open.'),
    plain('transactional.id.expiration.ms', 'INT', 'transactionalIdExpirationMs', 'When an unused id is forgotten.'),
  ]
}

function groupConfigs(
  plain: (name: string, type: ConfigType, setting: SettingName, documentation: string) => [string, BrokerConfig],
  constant: (name: string, type: ConfigType, value: string | null, documentation: string) => [string, BrokerConfig],
): [string, BrokerConfig][] {
  const own = 'Groups may have their own.'
  return [
    plain('group.initial.rebalance.delay.ms', 'INT', 'groupInitialRebalanceDelayMs', 'How long first members wait.'),
    plain('group.min.session.timeout.ms', 'INT', 'groupMinSessionTimeoutMs', 'Shortest session of a classic member.'),
    plain('group.max.session.timeout.ms', 'INT', 'groupMaxSessionTimeoutMs', 'Longest session of a classic member.'),
    plain('group.max.size', 'INT', 'groupMaxSize', 'Members of one classic group.'),
    plain('group.consumer.session.timeout.ms', 'INT', 'groupConsumerSessionTimeoutMs', `Session of a member. ${own}`),
    plain('group.consumer.min.session.timeout.ms', 'INT', 'groupConsumerMinSessionTimeoutMs', 'Shortest for a group.'),
    plain('group.consumer.max.session.timeout.ms', 'INT', 'groupConsumerMaxSessionTimeoutMs', 'Longest for a group.'),
    plain('group.consumer.heartbeat.interval.ms', 'INT', 'groupConsumerHeartbeatIntervalMs', `Between two. ${own}`),
    plain(
      'group.consumer.min.heartbeat.interval.ms',
      'INT',
      'groupConsumerMinHeartbeatIntervalMs',
      'Shortest for a group.',
    ),
    plain(
      'group.consumer.max.heartbeat.interval.ms',
      'INT',
      'groupConsumerMaxHeartbeatIntervalMs',
      'Longest for a group.',
    ),
    plain(
      'group.consumer.assignment.interval.ms',
      'INT',
      'groupConsumerAssignmentIntervalMs',
      `Between two assignments. ${own}`,
    ),
    plain(
      'group.consumer.min.assignment.interval.ms',
      'INT',
      'groupConsumerMinAssignmentIntervalMs',
      'Shortest for a group.',
    ),
    plain(
      'group.consumer.max.assignment.interval.ms',
      'INT',
      'groupConsumerMaxAssignmentIntervalMs',
      'Longest for a group.',
    ),
    plain('group.consumer.max.size', 'INT', 'groupConsumerMaxSize', 'Members of one consumer group.'),
    constant('group.consumer.assignors', 'LIST', 'uniform,range', 'The first is taken unless members name another.'),
    plain(
      'group.consumer.migration.policy',
      'STRING',
      'groupConsumerMigrationPolicy',
      'Whether groups change their type while they have members.',
    ),
    plain('offset.metadata.max.bytes', 'INT', 'offsetMetadataMaxBytes', 'Text that is kept with a committed offset.'),
    [
      'offsets.retention.minutes',
      {
        type: 'INT',
        documentation: 'How long offsets are kept that no member needs.',
        topicConfig: null,
        alterable: null,
        coarser: [],
        default: inMinutes(defaultSettings()),
        from: ['offsetsRetentionMs'],
        value: inMinutes,
      },
    ],
  ]
}

function inMinutes({ offsetsRetentionMs }: Settings): string {
  return String(Math.ceil(offsetsRetentionMs / 60_000))
}

function listenersOf({ bindAddr, kafkaPort }: Settings): string {
  return `PLAINTEXT://${bracketed(bindAddr)}:${kafkaPort}`
}

function advertisedListenersOf({ advertisedAddr, advertisedPort, bindAddr, kafkaPort }: Settings): string | null {
  const host = advertisedAddr ?? (isWildcard(bindAddr) ? null : bindAddr)
  return host === null ? null : `PLAINTEXT://${bracketed(host)}:${advertisedPort ?? kafkaPort}`
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

/** Every broker config that is known here, by name. */
export const BROKER_CONFIGS: ReadonlyMap<string, BrokerConfig> = new Map([
  ...topicDefaults(),
  ...fallbacks(),
  ...fromSettings(),
])
