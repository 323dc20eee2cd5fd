import type { PartitionOrdinal } from '#base/numbers.ts'
import { Extents } from './extents.ts'
import type { Garbage } from './garbage.ts'
import { Group } from './groups.ts'
import type { Producer } from './producers.ts'
import { Segments } from './segments.ts'
import type { AbortedTransactions, Transaction } from './transactions.ts'

// What the commit log amounts to: the state that `apply` makes of its records, one after the other. Only `apply` changes it.
// Users will be one more field here, with their record types in `change-records.ts` and their section in `checkpoint.ts`.

/** Kafka's own defaults: what splits an extent if the topic says nothing. */
const DEFAULT_SEGMENT_BYTES = 1073741824
const DEFAULT_SEGMENT_MS = 604800000

/** A single broker keeps its leadership; who restores from the store what another one has lost leads with the next epoch. */
export const FIRST_LEADER_EPOCH = 0

/** By Kafka's names. */
export type Configs = ReadonlyMap<string, string>

/** A leader epoch, and the offset of its first record. */
export interface EpochStart {
  readonly epoch: number
  readonly startOffset: number
}

export class Partition {
  readonly ordinal: PartitionOrdinal
  readonly topic: Topic
  readonly index: number
  leaderEpoch = FIRST_LEADER_EPOCH
  /** Of the epochs behind the first one, oldest first; null if there are none. */
  laterEpochs: EpochStart[] | null = null
  /** Of the next record. Consumers read no further, and less while it is not answered: log/read-bounds.ts. */
  nextOffset = 0
  /** Records before it are gone. */
  logStart = 0
  /** What is in the object store: the older records. */
  readonly segments: Segments
  /** What is in the write-ahead log: the newer ones. */
  readonly extents: Extents
  /** Compaction has been through all before it. */
  cleanedTo = 0
  /** When the last of what compaction left there for its time only may go, -1 if there is nothing. */
  cleanHorizonMs = -1
  /** By producer id; null until the first idempotent batch. */
  producers: Map<number, Producer> | null = null
  /** First offsets of the open transactions by producer id, in ascending order; null until the first transaction. */
  openTransactions: Map<number, number> | null = null
  /** Null until the first one. */
  aborted: AbortedTransactions | null = null

  constructor(
    ordinal: PartitionOrdinal,
    topic: Topic,
    index: number,
    { segments = new Segments(), extents = new Extents() } = {},
  ) {
    this.ordinal = ordinal
    this.topic = topic
    this.index = index
    this.segments = segments
    this.extents = extents
  }

  /** Records before it are in segments, from it on they are in the write-ahead log. */
  get walStart(): number {
    return this.extents.length === 0 ? this.nextOffset : this.extents.baseOffsetAt(0)
  }

  /** Where the first open transaction begins: up to here records are read_committed. */
  get lastStableOffset(): number {
    return Math.max(this.firstUnstableOffset, this.logStart)
  }

  /** The same wherever the log starts, which may be within a batch: this is where one begins, or the end. */
  get firstUnstableOffset(): number {
    const open = this.openTransactions
    if (open === null || open.size === 0) return this.nextOffset
    return open.values().next().value ?? this.nextOffset
  }
}

export class Topic {
  /** As Kafka prints it: 22 characters of base64url. */
  readonly id: string
  readonly name: string
  readonly partitions: Partition[] = []
  /** Overrides only, as the user gave them. */
  configs: Configs
  segmentBytes = DEFAULT_SEGMENT_BYTES
  segmentMs = DEFAULT_SEGMENT_MS

  constructor(id: string, name: string, configs: Configs, brokerConfigs: Configs) {
    this.id = id
    this.name = name
    this.configs = configs
    this.setConfigs(configs, brokerConfigs)
  }

  setConfigs(configs: Configs, brokerConfigs: Configs): void {
    this.configs = configs
    // As config/topic-config.ts has it.
    const ofTopic = configs.get('internal.segment.bytes') || configs.get('segment.bytes')
    const segmentBytes = ofTopic ?? brokerConfigs.get('log.segment.bytes')
    const segmentMs = configs.get('segment.ms') ?? brokerConfigs.get('log.roll.ms')
    this.segmentBytes = Number(segmentBytes ?? DEFAULT_SEGMENT_BYTES)
    this.segmentMs = Number(segmentMs ?? DEFAULT_SEGMENT_MS)
  }
}

export class State {
  /** Largest time that a record carried: it never goes back. */
  timeMs = 0
  clusterId = ''
  nextProducerId = 0
  /** Dynamic defaults for all topics, by Kafka's broker config names. */
  brokerConfigs: Configs = new Map()
  readonly topics = new Map<string, Topic>()
  readonly topicsById = new Map<string, Topic>()
  readonly groups = new Map<string, Group>()
  /** Records so far that committed offsets. */
  commitCount = 0
  readonly transactions = new Map<string, Transaction>()
  /** By the producer id that may write now: derived. */
  readonly transactionOfProducer = new Map<number, Transaction>()
  /** Those that are open: derived. */
  readonly openTransactions = new Set<Transaction>()
  /** Configs of groups, which need not exist, by group id. */
  readonly groupConfigs = new Map<string, Configs>()
  /** Another number whenever topics come, grow or go: derived, not in the checkpoint. */
  topicsEpoch = 0
  /** By ordinal; a deleted partition leaves its place empty. */
  readonly partitions: (Partition | undefined)[] = []
  /** How many extents still need a WAL file, by the file's start position: derived, not in the checkpoint. */
  readonly extentsOfFile = new Map<number, number>()

  /** Of who may write to the object store; 0 if it was never used. */
  generation = 0
  /** Whose generation that is: of the data directory that this state is kept in. */
  ownerId = ''
  /** By id, oldest first. */
  readonly garbage = new Map<number, Garbage>()
  /** How much garbage there was so far. */
  garbageCount = 0
  /** How many segments lie in each shared object: derived, not in the checkpoint. */
  readonly sharedSegments = new Map<string, number>()

  partitionCount(): number {
    let count = 0
    for (const topic of this.topics.values()) count += topic.partitions.length
    return count
  }

  /** Those that can be read. */
  recordCount(): number {
    let count = 0
    for (const partition of this.partitions) if (partition) count += partition.nextOffset - partition.logStart
    return count
  }

  /** The group of this name, made if there is none. */
  group(id: string): Group {
    let group = this.groups.get(id)
    if (group === undefined) {
      group = new Group(id)
      this.groups.set(id, group)
    }
    return group
  }

  holdFile(file: number): void {
    this.extentsOfFile.set(file, (this.extentsOfFile.get(file) ?? 0) + 1)
  }

  releaseFile = (file: number): void => {
    const left = (this.extentsOfFile.get(file) ?? 0) - 1
    if (left > 0) this.extentsOfFile.set(file, left)
    else this.extentsOfFile.delete(file)
  }
}
