// What every client is asked to show, one sentence each. The programs of the other languages know the cases by their names.

export const CATALOGUE = {
  'codec-none': 'returns what was written uncompressed',
  'codec-gzip': 'returns what was written with gzip',
  'codec-snappy': 'returns what was written with snappy',
  'codec-lz4': 'returns what was written with lz4',
  'codec-zstd': 'returns what was written with zstd',
  idempotent: 'writes each record once and in order with an idempotent producer',
  acks: 'writes with acks=0 and with acks=1',
  headers: 'keeps headers, repeated ones and empty ones as well',
  nulls: 'tells null keys and values from empty ones',
  'big-message': 'carries a message just below the limit',
  'too-large': 'is told that a message is too large',
  partitions: 'writes to and reads from many partitions',
  'auto-create': 'creates a topic by writing to it',
  'seek-beginning': 'reads from the beginning',
  'seek-end': 'reads from the end only what comes after',
  'seek-timestamp': 'begins to read at a time',
  'long-poll': 'gets a new record in a fetch that waits for it',
  'create-topic': 'creates a topic, and is told if there is one already',
  'describe-topic': 'describes a topic with its partitions',
  'list-topics': 'lists topics',
  'create-partitions': 'adds partitions',
  'delete-topic': 'deletes a topic, and is told if there is none',
  'delete-records': 'deletes records up to an offset',
  'describe-configs': 'describes configs, with where their values come from',
  'alter-configs': 'replaces the configs of a topic',
  'incremental-alter-configs': 'changes single configs of a topic',
  'describe-cluster': 'describes the cluster by the address it was told',
  'list-offsets': 'lists the first and the last offset, and that of a time',
} as const

/** What every client shows of groups and transactions, if it has them. */
export const COORDINATION = {
  share: 'shares partitions among members, and gives those of one that leaves to the others',
  vanish: 'gives the partitions of a member that vanishes to the others',
  resume: 'goes on where it committed',
  'commit-metadata': 'commits by hand, with a note',
  static: 'keeps the place of a static member that comes back',
  'list-groups': 'lists groups, and describes one with its members',
  'alter-offsets': 'sets the offsets of a group, and reads from there',
  'delete-group': 'deletes a group, and is told if it has members',
  transactions: 'reads what was committed and not what was aborted',
  'open-transaction': 'reads up to a transaction that is open, unless it wants all',
  process: 'consumes, produces and commits offsets in one transaction',
  zombie: 'fences a producer whose successor has begun',
} as const

export type CaseName = keyof typeof CATALOGUE | keyof typeof COORDINATION
