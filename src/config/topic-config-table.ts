import type { ConfigRule } from './kafka-config.ts'

export interface TopicConfig {
  readonly rule: ConfigRule
  /** Null: unset, and shown only when set. */
  readonly default: string | null
  /** Broker configs that give the default, the first that has a value. */
  readonly broker: readonly string[]
  /** `none`: stored and described, but nothing in this release reads it. */
  readonly effect: 'full' | 'part' | 'none'
  readonly about: string
}

const LONGEST = '9223372036854775807'
const boolean = { type: 'BOOLEAN' } as const
const text = (...oneOf: string[]) => ({ type: 'STRING', oneOf }) as const
const int = (min: number, max?: number) => ({ type: 'INT', min, ...(max === undefined ? {} : { max }) }) as const
const long = (min: number) => ({ type: 'LONG', min }) as const
const throttledReplicas = { type: 'LIST', throttledReplicas: true } as const

/** Every topic config of Kafka 4.4. */
export const TOPIC_CONFIGS = {
  'cleanup.policy': {
    rule: { type: 'LIST', oneOf: ['compact', 'delete'] },
    default: 'delete',
    broker: ['log.cleanup.policy'],
    effect: 'full',
    about:
      'What happens to old records: delete removes them by retention.ms and retention.bytes; an empty list keeps them ' +
      'all. With compact, records without a key are refused, and of each key the newest record is kept: sealed segments are ' +
      'written anew in the background.',
  },
  'compression.gzip.level': {
    rule: { ...int(1, 9), orEqual: -1 },
    default: '-1',
    broker: ['compression.gzip.level'],
    effect: 'full',
    about: "Level when compression.type is gzip; -1 is the codec's own default.",
  },
  'compression.lz4.level': {
    rule: int(1, 17),
    default: '9',
    broker: ['compression.lz4.level'],
    effect: 'none',
    about: 'Level when compression.type is lz4: there is one only.',
  },
  'compression.type': {
    rule: text('uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'),
    default: 'producer',
    broker: ['compression.type'],
    effect: 'full',
    about: 'Codec that batches are stored with. producer keeps every batch as it came, which costs nothing.',
  },
  'compression.zstd.level': {
    rule: int(-131072, 22),
    default: '3',
    broker: ['compression.zstd.level'],
    effect: 'full',
    about: 'Level when compression.type is zstd.',
  },
  'delete.retention.ms': {
    rule: long(0),
    default: '86400000',
    broker: ['log.cleaner.delete.retention.ms'],
    effect: 'full',
    about: 'How long compaction keeps the marker of a deleted key.',
  },
  'errors.deadletterqueue.group.enable': {
    rule: boolean,
    default: 'false',
    broker: [],
    effect: 'none',
    about: 'Whether share groups may write records they could not deliver to this topic.',
  },
  'file.delete.delay.ms': {
    rule: long(0),
    default: '60000',
    broker: ['log.segment.delete.delay.ms'],
    effect: 'none',
    about: 'How long a file stays on disk after its records are deleted.',
  },
  'flush.messages': {
    rule: long(1),
    default: LONGEST,
    broker: ['log.flush.interval.messages'],
    effect: 'none',
    about:
      'Records between two syncs to disk. When acknowledged records are on disk is set for the whole broker: wal-sync.',
  },
  'flush.ms': {
    rule: long(0),
    default: LONGEST,
    broker: ['log.flush.interval.ms', 'log.flush.scheduler.interval.ms'],
    effect: 'none',
    about:
      'Time between two syncs to disk. When acknowledged records are on disk is set for the whole broker: wal-sync.',
  },
  'follower.replication.throttled.replicas': {
    rule: throttledReplicas,
    default: '',
    broker: [],
    effect: 'none',
    about: 'Replicas whose copying is slowed down on the receiving side, or * for all.',
  },
  'index.interval.bytes': {
    rule: int(0),
    default: '4096',
    broker: ['log.index.interval.bytes'],
    effect: 'none',
    about: 'Bytes of log between two entries of its offset index.',
  },
  'internal.segment.bytes': {
    rule: { type: 'INT' },
    default: null,
    broker: [],
    effect: 'full',
    about: 'Takes the place of segment.bytes, without its lower bound: for tests.',
  },
  'leader.replication.throttled.replicas': {
    rule: throttledReplicas,
    default: '',
    broker: [],
    effect: 'none',
    about: 'Replicas whose copying is slowed down on the sending side, or * for all.',
  },
  'local.retention.bytes': {
    rule: long(-2),
    default: '-2',
    broker: ['log.local.retention.bytes'],
    effect: 'full',
    about:
      'Of a partition at most so many bytes stay in the cache of a bucket once they are sealed; -2 is retention.bytes. In any ' +
      'case cache-bytes is the limit of all. Objects that small partitions share stay until their room is needed.',
  },
  'local.retention.ms': {
    rule: long(-2),
    default: '-2',
    broker: ['log.local.retention.ms'],
    effect: 'full',
    about:
      'How long records stay at most in the cache of a bucket once they are sealed; -2 is retention.ms. In any case cache-bytes ' +
      'is the limit of all. Objects that small partitions share stay until their room is needed.',
  },
  'max.compaction.lag.ms': {
    rule: long(1),
    default: LONGEST,
    broker: ['log.cleaner.max.compaction.lag.ms'],
    effect: 'full',
    about: 'After this long a record must be open to compaction.',
  },
  'max.decompressed.message.bytes': {
    rule: int(1, 2147483639),
    default: '2147483639',
    broker: ['max.decompressed.message.bytes'],
    effect: 'none',
    about:
      'Largest record after decompression. The limit of a whole batch is set for the broker: max-decompressed-bytes.',
  },
  'max.message.bytes': {
    rule: int(0),
    default: '1048588',
    broker: ['message.max.bytes'],
    effect: 'full',
    about: 'Largest record batch, as stored: after compression.',
  },
  'message.timestamp.after.max.ms': {
    rule: long(0),
    default: '3600000',
    broker: ['log.message.timestamp.after.max.ms'],
    effect: 'full',
    about: "How far ahead of the broker's clock a record's own timestamp may be; a record beyond it is refused.",
  },
  'message.timestamp.before.max.ms': {
    rule: long(0),
    default: LONGEST,
    broker: ['log.message.timestamp.before.max.ms'],
    effect: 'full',
    about: "How far behind the broker's clock a record's own timestamp may be; a record beyond it is refused.",
  },
  'message.timestamp.type': {
    rule: text('CreateTime', 'LogAppendTime'),
    default: 'CreateTime',
    broker: ['log.message.timestamp.type'],
    effect: 'full',
    about: "Timestamp of a record: CreateTime is the producer's, LogAppendTime the broker's when it stored the record.",
  },
  'min.cleanable.dirty.ratio': {
    rule: { type: 'DOUBLE', min: 0, max: 1 },
    default: '0.5',
    broker: ['log.cleaner.min.cleanable.ratio'],
    effect: 'full',
    about: 'Share of the log that must be new before it is compacted again.',
  },
  'min.compaction.lag.ms': {
    rule: long(0),
    default: '0',
    broker: ['log.cleaner.min.compaction.lag.ms'],
    effect: 'full',
    about: 'For this long a record is not compacted away.',
  },
  'min.insync.replicas': {
    rule: int(1),
    default: '1',
    broker: ['min.insync.replicas'],
    effect: 'none',
    about: 'Replicas that must have a record before acks=all is answered. One replica is all there is.',
  },
  preallocate: {
    rule: boolean,
    default: 'false',
    broker: ['log.preallocate'],
    effect: 'none',
    about: 'Whether a file gets its full size when it is made. The files of the write-ahead log always do.',
  },
  'remote.copy.lag.bytes': {
    rule: long(-1),
    default: '-1',
    broker: ['log.remote.copy.lag.bytes'],
    effect: 'none',
    about: 'Bytes of newer records after which a segment may be copied to remote storage.',
  },
  'remote.copy.lag.ms': {
    rule: long(-1),
    default: '0',
    broker: ['log.remote.copy.lag.ms'],
    effect: 'none',
    about: 'Time after which a segment may be copied to remote storage.',
  },
  'remote.log.copy.disable': {
    rule: boolean,
    default: 'false',
    broker: [],
    effect: 'none',
    about: 'Whether copying to remote storage is stopped while what is there stays readable.',
  },
  'remote.log.delete.on.disable': {
    rule: boolean,
    default: 'false',
    broker: [],
    effect: 'none',
    about: 'Whether the remote copy is deleted when remote storage is switched off.',
  },
  'remote.storage.enable': {
    rule: boolean,
    default: 'false',
    broker: [],
    effect: 'none',
    about: "Kafka's own remote storage; true is refused.",
  },
  'retention.bytes': {
    rule: { type: 'LONG' },
    default: '-1',
    broker: ['log.retention.bytes'],
    effect: 'full',
    about: 'Bytes kept of each partition, where cleanup.policy has delete; -1 is no limit. Whole segments are removed.',
  },
  'retention.ms': {
    rule: long(-1),
    default: '604800000',
    broker: ['log.retention.ms', 'log.retention.minutes', 'log.retention.hours'],
    effect: 'full',
    about: 'How long records are kept, where cleanup.policy has delete; -1 is for ever. Whole segments are removed.',
  },
  'segment.bytes': {
    rule: int(1048576),
    default: '1073741824',
    broker: ['log.segment.bytes'],
    effect: 'full',
    about:
      'Largest size of a segment, which retention removes as a whole; by default segments have 64 MiB at most (seal-max-bytes). ' +
      'Also the largest batch.',
  },
  'segment.index.bytes': {
    rule: int(4),
    default: '10485760',
    broker: ['log.index.size.max.bytes'],
    effect: 'none',
    about: 'Size of the index of a segment.',
  },
  'segment.jitter.ms': {
    rule: long(0),
    default: '0',
    broker: ['log.roll.jitter.ms', 'log.roll.jitter.hours'],
    effect: 'none',
    about: 'Random time taken off segment.ms, so that segments do not all end at once.',
  },
  'segment.ms': {
    rule: long(1),
    default: '604800000',
    broker: ['log.roll.ms', 'log.roll.hours'],
    effect: 'full',
    about:
      'Longest time that records wait to be sealed; seal-max-ms if that is less. Small segments are merged later, whatever their ' +
      'age.',
  },
  'unclean.leader.election.enable': {
    rule: boolean,
    default: 'false',
    broker: ['unclean.leader.election.enable'],
    effect: 'none',
    about: 'Whether a replica that lacks acknowledged records may become the leader.',
  },
} as const satisfies Record<string, TopicConfig>

export type TopicConfigName = keyof typeof TOPIC_CONFIGS

export const TOPIC_CONFIG_NAMES = Object.keys(TOPIC_CONFIGS) as TopicConfigName[]

/** The entry of a name that came from outside. */
export function topicConfigOf(name: string): TopicConfig | undefined {
  return Object.hasOwn(TOPIC_CONFIGS, name) ? TOPIC_CONFIGS[name as TopicConfigName] : undefined
}

/** What DescribeConfigs and the docs say. */
export function documentationOf(config: Pick<TopicConfig, 'about' | 'effect'>): string {
  return config.effect === 'none' ? `${config.about} Stored; without effect in this release.` : config.about
}
