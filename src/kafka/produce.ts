import { type ByteReader, MalformedBytes } from '#bytes/cursor.ts'
import { type BatchEntry, JOINS_TRANSACTION_BIT, newBatchEntry } from '#core/produce-record.kernel.ts'
import { NO_PRODUCER } from '#core/producers.ts'
import type { Partition, Topic } from '#core/state.ts'
import { isTransactional, KNOWN_ATTRIBUTES } from '#records/batch.ts'
import { BatchFacts, type LongContext, NO_ERROR, type ProduceContext } from '#records/facts.ts'
import { inspectBatch } from '#records/validate.ts'
import type { Broker } from './broker.ts'
import type { Frame, KafkaConnection } from './connection.ts'
import { FLEXIBLE_FROM, type ProducedPart, type ProducedTopic, ProduceTicket, TOPIC_ID_FROM } from './produce-ticket.ts'
import { errorCode, type RequestHeader } from './protocol/protocol.ts'

// 0 Produce v3-13, and a refusal for v0-2. v7: zstd. v9: flexible. v13: topic ids.
//
// The hot path in: the request is read where it lies, each batch is checked where it lies, and copied once, into the log.
// Partitions of a request are staged in its order, requests of a connection in theirs. A large compressed batch is opened off
// this thread; the connection goes on with nothing else meanwhile, so that the order holds.

export const PRODUCE_KEY = 0
/** Versions 0 to 2 are listed for old librdkafka (KAFKA-18659), and refused. */
export const PRODUCE_VERSIONS = { min: 0, max: 13 }
const SERVED_FROM = 3

const TOPIC_ID_BYTES = 16
/** KIP-890: from here on what is produced brings its partition into the transaction. */
const JOINS_FROM = 12

const UNKNOWN_TOPIC_OR_PARTITION = errorCode('UNKNOWN_TOPIC_OR_PARTITION')
const UNKNOWN_TOPIC_ID = errorCode('UNKNOWN_TOPIC_ID')
const INVALID_REQUIRED_ACKS = errorCode('INVALID_REQUIRED_ACKS')
const UNSUPPORTED_VERSION = errorCode('UNSUPPORTED_VERSION')
const KAFKA_STORAGE_ERROR = errorCode('KAFKA_STORAGE_ERROR')

// Used again by every request that is handled without waiting.
const sharedFacts = new BatchFacts()
const sharedContext: ProduceContext = { nowMs: 0, produceVersion: 0 }
const entry: BatchEntry = newBatchEntry()

/** Stages what a produce request brings. A promise if its frame is needed for longer than this call. */
export function produce(
  connection: KafkaConnection,
  frame: Frame,
  header: RequestHeader,
  reader: ByteReader,
): Promise<void> | null {
  const ticket = readRequest(connection, frame, header, reader)
  connection.enqueue(ticket)
  if (ticket.parts.length === 0) ticket.settleEmpty()
  sharedContext.nowMs = connection.broker.clock.nowMs()
  sharedContext.produceVersion = ticket.version
  for (const [slot, part] of ticket.parts.entries()) {
    if (!mayInspect(connection.broker, ticket, part)) continue
    const rules = connection.broker.topicRules.of(part.partition.topic)
    if (inspectBatch(frame.bytes, part.from, part.to, rules, sharedContext, sharedFacts) === 'pending') {
      return produceFrom(ticket, slot, keep(frame, ticket), sharedContext.nowMs)
    }
    stage(ticket, slot, frame.bytes, sharedFacts)
  }
  return null
}

/** Goes on from a part that must be opened off this thread. The order of parts is kept. */
async function produceFrom(ticket: ProduceTicket, first: number, bytes: Buffer, nowMs: number): Promise<void> {
  const facts = new BatchFacts()
  const { broker } = ticket.connection
  const nextTurn = (): Promise<void> => new Promise(resolve => broker.clock.soon(resolve))
  const context: LongContext = { nowMs, produceVersion: ticket.version, nextTurn }
  for (let slot = first; slot < ticket.parts.length; slot++) {
    const part = ticket.parts[slot]!
    if (!mayInspect(broker, ticket, part)) continue
    const rules = broker.topicRules.of(part.partition.topic)
    const isPending = inspectBatch(bytes, part.from, part.to, rules, context, facts) === 'pending'
    const found = isPending ? await broker.opening.inspect(bytes, part.from, part.to, rules, context, facts) : facts
    stage(ticket, slot, bytes, found)
  }
}

/** The frame's bytes for as long as the request takes: they are the connection's read buffer otherwise. */
function keep(frame: Frame, ticket: ProduceTicket): Buffer {
  if (frame.owned) return frame.bytes
  const bytes = Buffer.from(frame.bytes.subarray(frame.from, frame.to))
  for (const part of ticket.parts) {
    part.from -= frame.from
    part.to -= frame.from
  }
  return bytes
}

function mayInspect(
  broker: Broker,
  ticket: ProduceTicket,
  part: ProducedPart,
): part is ProducedPart & { partition: Partition } {
  const { refusal } = broker.log
  if (part.errorCode !== NO_ERROR) ticket.fail(part, part.errorCode, part.message)
  else if (refusal !== null) ticket.fail(part, KAFKA_STORAGE_ERROR, refusal.message)
  else return true
  return false
}

function stage(ticket: ProduceTicket, slot: number, bytes: Buffer, facts: BatchFacts): void {
  const part = ticket.parts[slot]!
  const { broker } = ticket.connection
  if (facts.errorCode !== NO_ERROR) {
    part.recordErrors = facts.recordErrors
    ticket.fail(part, facts.errorCode, facts.errorMessage)
    return
  }
  broker.metrics.messagesReceived.value += facts.recordCount
  let attributes = facts.attributes & KNOWN_ATTRIBUTES
  if (isTransactional(attributes)) {
    const problem = broker.transactions.mayProduce(ticket.transactionalId, facts.producerId)
    if (problem !== 'NONE') {
      ticket.fail(part, errorCode(problem), null)
      return
    }
    if (ticket.version >= JOINS_FROM) attributes |= JOINS_TRANSACTION_BIT
  }
  const { failure } = broker.log.commits
  if (failure !== null || part.partition === null) {
    ticket.fail(part, KAFKA_STORAGE_ERROR, failure?.message ?? null)
    return
  }
  entry.ordinal = part.partition.ordinal
  entry.crc = facts.crc
  entry.recordCount = facts.recordCount
  entry.maxTimestampMs = facts.maxTimestampMs
  entry.producerId = facts.producerId < 0 ? NO_PRODUCER : facts.producerId
  entry.producerEpoch = facts.producerEpoch
  entry.baseSequence = facts.baseSequence
  entry.attributes = attributes
  entry.appendTimeMs = facts.logAppendTimeMs
  const { replacement } = facts
  const from = replacement === null ? part.from : 0
  const to = replacement === null ? part.to : replacement.length
  broker.log.append(entry, replacement ?? bytes, from, to, ticket, slot)
}

// ---- reading the request

function readRequest(
  connection: KafkaConnection,
  frame: Frame,
  header: RequestHeader,
  reader: ByteReader,
): ProduceTicket {
  const version = header.apiVersion
  const flexible = version >= FLEXIBLE_FROM
  const transactionalIdBytes = version < SERVED_FROM ? -1 : readLength(reader, flexible)
  const transactionalId = transactionalIdBytes < 0 ? null : reader.utf8(transactionalIdBytes)
  const acks = reader.i16()
  reader.i32() // timeout: an answer never waits for another broker
  const into: ReadTopics = { topics: [], parts: [] }
  const { maxRequestElements } = connection.broker.settings
  for (let left = readCount(reader, flexible, maxRequestElements); left > 0; left--) {
    readTopic(connection, reader, version, into)
  }
  if (flexible) skipTags(reader)
  if (version < SERVED_FROM) refuseAll(into.parts, UNSUPPORTED_VERSION, null)
  else if (acks < -1 || acks > 1) refuseAll(into.parts, INVALID_REQUIRED_ACKS, null)
  return new ProduceTicket({
    connection,
    version,
    correlationId: header.correlationId,
    transactionalId,
    acks,
    frameBytes: frame.to - frame.from,
    beganMs: connection.broker.clock.monotonicMs(),
    ...into,
  })
}

function refuseAll(parts: ProducedPart[], code: number, message: string | null): void {
  for (const part of parts) {
    part.errorCode = code
    part.message = message
  }
}

interface ReadTopics {
  readonly topics: ProducedTopic[]
  readonly parts: ProducedPart[]
}

function readTopic(connection: KafkaConnection, reader: ByteReader, version: number, into: ReadTopics): void {
  const flexible = version >= FLEXIBLE_FROM
  const byId = version >= TOPIC_ID_FROM
  const nameBytes = byId ? TOPIC_ID_BYTES : readLength(reader, flexible)
  if (nameBytes < 0) throw new MalformedBytes('a topic without a name')
  const nameAt = reader.take(nameBytes)
  const { name, topic } = connection.topics.at(reader.bytes, nameAt, nameBytes, byId)
  const elementsLeft = connection.broker.settings.maxRequestElements - into.topics.length - into.parts.length
  const partCount = Math.max(0, readCount(reader, flexible, elementsLeft - 1))
  into.topics.push({ name, partCount })
  for (let left = partCount; left > 0; left--) {
    const index = reader.i32()
    const sizeBytes = Math.max(0, flexible ? reader.uvarint() - 1 : reader.i32())
    const from = reader.take(sizeBytes)
    if (flexible) skipTags(reader)
    const partition = topic?.partitions[index] ?? null
    into.parts.push({
      index,
      from,
      to: from + sizeBytes,
      partition,
      errorCode: partition === null ? (byId && !topic ? UNKNOWN_TOPIC_ID : UNKNOWN_TOPIC_OR_PARTITION) : NO_ERROR,
      baseOffset: -1,
      appendTimeMs: -1,
      message: null,
      recordErrors: null,
    })
  }
  if (flexible) skipTags(reader)
}

/** Of a nullable string: -1 for null. */
function readLength(reader: ByteReader, flexible: boolean): number {
  return flexible ? reader.uvarint() - 1 : reader.i16()
}

/** Of an array; each element takes at least a byte. */
function readCount(reader: ByteReader, flexible: boolean, atMost: number): number {
  const count = flexible ? reader.uvarint() - 1 : reader.i32()
  if (count > reader.remaining) throw new MalformedBytes(`${count} elements in ${reader.remaining} bytes`)
  if (count > atMost) throw new MalformedBytes('more array elements than a request may have')
  return count
}

function skipTags(reader: ByteReader): void {
  for (let left = reader.uvarint(); left > 0; left--) {
    reader.uvarint()
    reader.take(reader.uvarint())
  }
}

/** Finds topics by the bytes of their name or id; remembers the last one, so that no text is made for it. */
export class TopicLookup {
  readonly #broker: Broker
  #last: { name: Buffer; topic: Topic | undefined; byId: boolean } | null = null

  constructor(broker: Broker) {
    this.#broker = broker
  }

  at(bytes: Buffer, from: number, length: number, byId: boolean): { name: Buffer; topic: Topic | undefined } {
    const last = this.#last
    if (
      last !== null &&
      last.byId === byId &&
      isStill(this.#broker, last.topic) &&
      isSame(last.name, bytes, from, length)
    ) {
      return last
    }
    const name = Buffer.from(bytes.subarray(from, from + length))
    const { state } = this.#broker.log
    const topic = byId ? state.topicsById.get(name.toString('base64url')) : state.topics.get(name.toString())
    this.#last = { name, topic, byId }
    return this.#last
  }
}

/** A topic that was deleted is looked for again: there may be a new one of its name. */
function isStill(broker: Broker, topic: Topic | undefined): boolean {
  return topic !== undefined && broker.log.state.topics.get(topic.name) === topic
}

function isSame(name: Buffer, bytes: Buffer, from: number, length: number): boolean {
  if (name.length !== length) return false
  for (let i = 0; i < length; i++) if (name[i] !== bytes[from + i]) return false
  return true
}
