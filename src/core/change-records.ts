import { ChronikError } from '#base/errors.ts'
import { type ByteReader, ByteWriter } from '#bytes/cursor.ts'
import { readConsumerChanges, writeConsumerChanges } from './consumer-group-fields.ts'
import type { ConsumerChange } from './consumer-groups.ts'
import { readText, readTextMap, writeText, writeTextMap } from './fields.ts'
import {
  readCommittedTopics,
  readGeneration,
  readRemovedTopics,
  writeCommittedTopics,
  writeGeneration,
  writeRemovedTopics,
} from './group-fields.ts'
import type { CommittedTopic, Generation, RemovedTopic } from './groups.ts'
import {
  readSegmentsCommitted,
  readSegmentsReplaced,
  type SegmentsCommitted,
  type SegmentsReplaced,
  writeSegmentsCommitted,
  writeSegmentsReplaced,
} from './segment-fields.ts'
import {
  readTransactionalIdClaim,
  readTransactionEnd,
  readTransactionJoin,
  readTransactionOffsets,
  type TransactionalIdClaim,
  type TransactionEnd,
  type TransactionJoin,
  type TransactionOffsets,
  writeTransactionalIdClaim,
  writeTransactionEnd,
  writeTransactionJoin,
  writeTransactionOffsets,
} from './transaction-fields.ts'

// The record types of the commit log besides produced batches, each with its fields and codec. Numbers and layouts are stored:
// a number is never reused, and a layout changes only with a new version that `decodeChange` still tells from the old one.
// docs/formats/commit-record.md shows the bytes.

export const PRODUCE_RECORD = 1
export const RECORD_VERSION = 1

export type Change =
  | { kind: 'cluster-created'; clusterId: string }
  | { kind: 'topic-created'; id: string; name: string; partitionCount: number; configs: ReadonlyMap<string, string> }
  | { kind: 'topic-deleted'; id: string }
  | { kind: 'partitions-added'; id: string; partitionCount: number }
  | { kind: 'topic-configs-set'; id: string; configs: ReadonlyMap<string, string> }
  | { kind: 'broker-configs-set'; configs: ReadonlyMap<string, string> }
  | { kind: 'log-start-moved'; ordinal: number; offset: number }
  | { kind: 'producer-ids-allocated'; count: number }
  | { kind: 'producers-expired'; lastAppendBeforeMs: number }
  | { kind: 'group-saved'; groupId: string; saved: Generation }
  | { kind: 'offsets-committed'; groupId: string; topics: readonly CommittedTopic[] }
  | { kind: 'offsets-removed'; groupId: string; topics: readonly RemovedTopic[] }
  | { kind: 'group-removed'; groupId: string }
  /** `foundAt`: how many commits there were by then. */
  | {
      kind: 'offsets-expired'
      groupId: string
      foundAt: number
      topics: readonly RemovedTopic[]
      removesGroup: boolean
    }
  | TransactionalIdClaim
  | TransactionJoin
  | TransactionEnd
  | { kind: 'transactional-id-removed'; transactionalId: string; producerId: number; epoch: number }
  | TransactionOffsets
  | { kind: 'consumer-group-changed'; groupId: string; changes: readonly ConsumerChange[] }
  | { kind: 'group-configs-set'; groupId: string; configs: ReadonlyMap<string, string> }
  | SegmentsCommitted
  | SegmentsReplaced
  /** Its objects are deleted. */
  | { kind: 'garbage-removed'; ids: readonly number[] }
  /** From here on another owner may write to the object store, or one with another data directory. */
  | { kind: 'generation-begun'; generation: number; ownerId: string }

export type ChangeKind = Change['kind']
type Fields<K extends ChangeKind> = Omit<Extract<Change, { kind: K }>, 'kind'>

interface ChangeCodec<K extends ChangeKind> {
  type: number
  write(into: ByteWriter, fields: Fields<K>): void
  read(from: ByteReader): Fields<K>
}

const CODECS: { readonly [K in ChangeKind]: ChangeCodec<K> } = {
  'cluster-created': {
    type: 2,
    write: (into, { clusterId }) => writeText(into, clusterId),
    read: from => ({ clusterId: readText(from) }),
  },
  'topic-created': {
    type: 3,
    write(into, { id, name, partitionCount, configs }) {
      writeText(into, id)
      writeText(into, name)
      into.uvarint(partitionCount)
      writeTextMap(into, configs)
    },
    read: from => ({
      id: readText(from),
      name: readText(from),
      partitionCount: from.uvarint(),
      configs: readTextMap(from),
    }),
  },
  'topic-deleted': {
    type: 4,
    write: (into, { id }) => writeText(into, id),
    read: from => ({ id: readText(from) }),
  },
  'partitions-added': {
    type: 5,
    write(into, { id, partitionCount }) {
      writeText(into, id)
      into.uvarint(partitionCount)
    },
    read: from => ({ id: readText(from), partitionCount: from.uvarint() }),
  },
  'topic-configs-set': {
    type: 6,
    write(into, { id, configs }) {
      writeText(into, id)
      writeTextMap(into, configs)
    },
    read: from => ({ id: readText(from), configs: readTextMap(from) }),
  },
  'broker-configs-set': {
    type: 7,
    write: (into, { configs }) => writeTextMap(into, configs),
    read: from => ({ configs: readTextMap(from) }),
  },
  'log-start-moved': {
    type: 8,
    write(into, { ordinal, offset }) {
      into.u32(ordinal)
      into.i64(offset)
    },
    read: from => ({ ordinal: from.u32(), offset: from.i64() }),
  },
  'producer-ids-allocated': {
    type: 9,
    write: (into, { count }) => into.uvarint(count),
    read: from => ({ count: from.uvarint() }),
  },
  'producers-expired': {
    type: 10,
    write: (into, { lastAppendBeforeMs }) => into.f64(lastAppendBeforeMs),
    read: from => ({ lastAppendBeforeMs: from.f64() }),
  },
  'group-saved': {
    type: 11,
    write(into, { groupId, saved }) {
      writeText(into, groupId)
      writeGeneration(into, saved)
    },
    read: from => ({ groupId: readText(from), saved: readGeneration(from) }),
  },
  'offsets-committed': {
    type: 12,
    write(into, { groupId, topics }) {
      writeText(into, groupId)
      writeCommittedTopics(into, topics)
    },
    read: from => ({ groupId: readText(from), topics: readCommittedTopics(from) }),
  },
  'offsets-removed': {
    type: 13,
    write(into, { groupId, topics }) {
      writeText(into, groupId)
      writeRemovedTopics(into, topics)
    },
    read: from => ({ groupId: readText(from), topics: readRemovedTopics(from) }),
  },
  'group-removed': {
    type: 14,
    write: (into, { groupId }) => writeText(into, groupId),
    read: from => ({ groupId: readText(from) }),
  },
  'transactional-id-claimed': { type: 15, write: writeTransactionalIdClaim, read: readTransactionalIdClaim },
  'transaction-joined': { type: 16, write: writeTransactionJoin, read: readTransactionJoin },
  'transaction-ended': { type: 17, write: writeTransactionEnd, read: readTransactionEnd },
  'transactional-id-removed': {
    type: 18,
    write(into, { transactionalId, producerId, epoch }) {
      writeText(into, transactionalId)
      into.i64(producerId)
      into.i16(epoch)
    },
    read: from => ({ transactionalId: readText(from), producerId: from.i64(), epoch: from.i16() }),
  },
  'transaction-offsets-committed': { type: 19, write: writeTransactionOffsets, read: readTransactionOffsets },
  'consumer-group-changed': {
    type: 20,
    write(into, { groupId, changes }) {
      writeText(into, groupId)
      writeConsumerChanges(into, changes)
    },
    read: from => ({ groupId: readText(from), changes: readConsumerChanges(from) }),
  },
  'group-configs-set': {
    type: 21,
    write(into, { groupId, configs }) {
      writeText(into, groupId)
      writeTextMap(into, configs)
    },
    read: from => ({ groupId: readText(from), configs: readTextMap(from) }),
  },
  'offsets-expired': {
    type: 22,
    write(into, { groupId, foundAt, topics, removesGroup }) {
      writeText(into, groupId)
      into.i64(foundAt)
      writeRemovedTopics(into, topics)
      into.u8(removesGroup ? 1 : 0)
    },
    read: from => ({
      groupId: readText(from),
      foundAt: from.i64(),
      topics: readRemovedTopics(from),
      removesGroup: from.u8() === 1,
    }),
  },
  'segments-committed': { type: 23, write: writeSegmentsCommitted, read: readSegmentsCommitted },
  'segments-replaced': { type: 24, write: writeSegmentsReplaced, read: readSegmentsReplaced },
  'garbage-removed': {
    type: 25,
    write(into, { ids }) {
      into.uvarint(ids.length)
      for (const id of ids) into.i64(id)
    },
    read: from => ({ ids: Array.from({ length: from.uvarint() }, () => from.i64()) }),
  },
  'generation-begun': {
    type: 26,
    write(into, { generation, ownerId }) {
      into.u32(generation)
      writeText(into, ownerId)
    },
    read: from => ({ generation: from.u32(), ownerId: readText(from) }),
  },
}

const KINDS = new Map<number, ChangeKind>((Object.keys(CODECS) as ChangeKind[]).map(kind => [CODECS[kind].type, kind]))

/** Names of all record types by number: for metrics and the dump. */
export const RECORD_TYPE_NAMES: ReadonlyMap<number, string> = new Map([[PRODUCE_RECORD, 'produced'], ...KINDS])

export function typeOfChange(kind: ChangeKind): number {
  return CODECS[kind].type
}

/** The body of a change: the time it was proposed, then its fields. */
export function encodeChange(change: Change, timeMs: number): Buffer {
  const into = new ByteWriter()
  into.f64(timeMs)
  const codec = CODECS[change.kind] as ChangeCodec<ChangeKind>
  codec.write(into, change)
  return into.written()
}

export function decodeChange(type: number, version: number, from: ByteReader): { timeMs: number; change: Change } {
  const kind = KINDS.get(type)
  if (kind === undefined || version !== RECORD_VERSION) {
    const message = `the log has a record of type ${type}, version ${version}, which only a newer version knows: upgrade first`
    throw new ChronikError('RECORD_TOO_NEW', 'invalid', message)
  }
  const timeMs = from.f64()
  const fields = CODECS[kind].read(from)
  return { timeMs, change: { kind, ...fields } as Change }
}
