import type { ByteReader, ByteWriter } from '#bytes/cursor.ts'
import { readText, writeText } from './fields.ts'
import { readCommittedTopics, writeCommittedTopics } from './group-fields.ts'
import type { CommittedTopic } from './groups.ts'
import { type Marker, Transaction, type TransactionPhase } from './transactions.ts'

// Transactions as bytes: in records of the commit log, and in checkpoints. A record names the producer that its proposer found,
// by id and epoch: if it is another one by the time the record is applied, nothing changes.

/** A producer takes a transactional id. */
export interface TransactionalIdClaim {
  readonly kind: 'transactional-id-claimed'
  readonly transactionalId: string
  readonly timeoutMs: number
  /** Who has it so far; -1: nobody. */
  readonly fromProducerId: number
  readonly fromEpoch: number
  readonly producerId: number
  readonly epoch: number
  /** The claimer named who has it so far as itself, so it may ask again. Others who name that one are zombies. */
  readonly isNamed: boolean
}

/** A transaction is in further partitions and groups; it begins if it is in none. */
export interface TransactionJoin {
  readonly kind: 'transaction-joined'
  readonly transactionalId: string
  readonly producerId: number
  readonly epoch: number
  readonly ordinals: readonly number[]
  readonly groupIds: readonly string[]
}

/** A transaction is committed or aborted, in all its partitions and groups; the payload of the record is their markers. */
export interface TransactionEnd {
  readonly kind: 'transaction-ended'
  readonly transactionalId: string
  readonly producerId: number
  readonly epoch: number
  readonly isCommit: boolean
  /** The producer did not ask for it and is not to go on: it will not be taken for one that did. */
  readonly fences: boolean
  readonly markerEpoch: number
  /** Who may go on with the transactional id. */
  readonly nextProducerId: number
  readonly nextEpoch: number
  /** Start position of the WAL file that holds the payload, and position of the payload. */
  readonly file: number
  readonly payloadPosition: number
  /** One for each partition of the transaction: if they are others by now, nothing is ended. */
  readonly markers: readonly Marker[]
}

/** Offsets that count once their transaction commits. */
export interface TransactionOffsets {
  readonly kind: 'transaction-offsets-committed'
  readonly groupId: string
  readonly producerId: number
  readonly epoch: number
  /** KIP-890: the group need not have been added before. */
  readonly joins: boolean
  readonly topics: readonly CommittedTopic[]
}

type Fields<C> = Omit<C, 'kind'>

export function writeTransactionalIdClaim(into: ByteWriter, claim: Fields<TransactionalIdClaim>): void {
  writeText(into, claim.transactionalId)
  into.i32(claim.timeoutMs)
  into.i64(claim.fromProducerId)
  into.i16(claim.fromEpoch)
  into.i64(claim.producerId)
  into.i16(claim.epoch)
  into.u8(claim.isNamed ? 1 : 0)
}

export function readTransactionalIdClaim(from: ByteReader): Fields<TransactionalIdClaim> {
  return {
    transactionalId: readText(from),
    timeoutMs: from.i32(),
    fromProducerId: from.i64(),
    fromEpoch: from.i16(),
    producerId: from.i64(),
    epoch: from.i16(),
    isNamed: from.u8() === 1,
  }
}

export function writeTransactionJoin(into: ByteWriter, join: Fields<TransactionJoin>): void {
  writeText(into, join.transactionalId)
  into.i64(join.producerId)
  into.i16(join.epoch)
  into.uvarint(join.ordinals.length)
  for (const ordinal of join.ordinals) into.u32(ordinal)
  into.uvarint(join.groupIds.length)
  for (const groupId of join.groupIds) writeText(into, groupId)
}

export function readTransactionJoin(from: ByteReader): Fields<TransactionJoin> {
  const transactionalId = readText(from)
  const producerId = from.i64()
  const epoch = from.i16()
  const ordinals: number[] = []
  for (let left = from.uvarint(); left > 0; left--) ordinals.push(from.u32())
  const groupIds: string[] = []
  for (let left = from.uvarint(); left > 0; left--) groupIds.push(readText(from))
  return { transactionalId, producerId, epoch, ordinals, groupIds }
}

const COMMITS = 1
const FENCES = 2

export function writeTransactionEnd(into: ByteWriter, end: Fields<TransactionEnd>): void {
  writeText(into, end.transactionalId)
  into.i64(end.producerId)
  into.i16(end.epoch)
  into.u8((end.isCommit ? COMMITS : 0) | (end.fences ? FENCES : 0))
  into.i16(end.markerEpoch)
  into.i64(end.nextProducerId)
  into.i16(end.nextEpoch)
  into.f64(end.file)
  into.f64(end.payloadPosition)
  into.u32(end.markers.length)
  for (const { ordinal, place, sizeBytes, crc } of end.markers) {
    into.u32(ordinal)
    into.u32(place)
    into.u32(sizeBytes)
    into.u32(crc)
  }
}

export function readTransactionEnd(from: ByteReader): Fields<TransactionEnd> {
  const transactionalId = readText(from)
  const producerId = from.i64()
  const epoch = from.i16()
  const flags = from.u8()
  const markerEpoch = from.i16()
  const nextProducerId = from.i64()
  const nextEpoch = from.i16()
  const file = from.f64()
  const payloadPosition = from.f64()
  const markers: Marker[] = []
  for (let left = from.u32(); left > 0; left--) {
    markers.push({ ordinal: from.u32(), place: from.u32(), sizeBytes: from.u32(), crc: from.u32() })
  }
  const producer = { transactionalId, producerId, epoch, markerEpoch, nextProducerId, nextEpoch }
  const how = { isCommit: (flags & COMMITS) !== 0, fences: (flags & FENCES) !== 0 }
  return { ...producer, ...how, file, payloadPosition, markers }
}

export function writeTransactionOffsets(into: ByteWriter, commit: Fields<TransactionOffsets>): void {
  writeText(into, commit.groupId)
  into.i64(commit.producerId)
  into.i16(commit.epoch)
  into.u8(commit.joins ? 1 : 0)
  writeCommittedTopics(into, commit.topics)
}

export function readTransactionOffsets(from: ByteReader): Fields<TransactionOffsets> {
  return {
    groupId: readText(from),
    producerId: from.i64(),
    epoch: from.i16(),
    joins: from.u8() === 1,
    topics: readCommittedTopics(from),
  }
}

// ---- in a checkpoint

/** Numbers are stored: they stay as they are. */
const PHASES: readonly TransactionPhase[] = ['Empty', 'Ongoing', 'CompleteCommit', 'CompleteAbort']

export function writeTransaction(into: ByteWriter, transaction: Transaction): void {
  writeText(into, transaction.id)
  into.i64(transaction.producerId)
  into.i16(transaction.epoch)
  into.i64(transaction.previousProducerId)
  into.i16(transaction.previousEpoch)
  into.i32(transaction.timeoutMs)
  into.u8(PHASES.indexOf(transaction.phase))
  into.f64(transaction.startedMs)
  into.f64(transaction.updatedMs)
  into.uvarint(transaction.partitions.size)
  for (const ordinal of transaction.partitions) into.u32(ordinal)
  into.uvarint(transaction.groups.size)
  for (const groupId of transaction.groups) writeText(into, groupId)
}

export function readTransaction(from: ByteReader): Transaction {
  const transaction = new Transaction(readText(from))
  transaction.producerId = from.i64()
  transaction.epoch = from.i16()
  transaction.previousProducerId = from.i64()
  transaction.previousEpoch = from.i16()
  transaction.timeoutMs = from.i32()
  transaction.phase = PHASES[from.u8()]!
  transaction.startedMs = from.f64()
  transaction.updatedMs = from.f64()
  for (let left = from.uvarint(); left > 0; left--) transaction.partitions.add(from.u32())
  for (let left = from.uvarint(); left > 0; left--) transaction.groups.add(readText(from))
  return transaction
}
