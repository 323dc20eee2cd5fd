import { assert } from '#base/assert.ts'
import type { ChronikError } from '#base/errors.ts'
import type { ByteWriter } from '#bytes/cursor.ts'
import {
  ACCEPTED,
  DUPLICATE,
  FENCED,
  IN_TRANSACTION,
  NO_PARTITION,
  NO_TRANSACTIONAL_ID,
  NOT_IN_TRANSACTION,
  OUT_OF_ORDER,
} from '#core/core.ts'
import type { Partition } from '#core/state.ts'
import type { AppendTicket } from '#log/log.ts'
import type { RecordError } from '#records/facts.ts'
import type { KafkaConnection } from './connection.ts'
import { errorCode } from './protocol/protocol.ts'

// A produce request between its reading and its answer. Its partitions are decided one by one: at once if a check fails,
// otherwise when their batch is committed. The answer is written by hand, field by field for every version: it is the other
// half of the hot path (test/unit/kafka/produce-ticket.test.ts compares it with the codec).

export interface ProducedTopic {
  /** As the request named it: by name up to version 12, then by id (16 bytes). */
  readonly name: Buffer
  readonly partCount: number
}

/** One partition of the request; `index` is the partition's number. */
export interface ProducedPart {
  readonly index: number
  /** Of its records in the request. */
  from: number
  to: number
  partition: Partition | null
  errorCode: number
  baseOffset: number
  appendTimeMs: number
  message: string | null
  recordErrors: readonly RecordError[] | null
}

export const FLEXIBLE_FROM = 9
export const TOPIC_ID_FROM = 13
const THROTTLE_TIME_FROM = 1
const APPEND_TIME_FROM = 2
const LOG_START_FROM = 5
const RECORD_ERRORS_FROM = 8
/** KIP-890: the producer may abort and go on. */
const ABORTABLE_FROM = 11

const UNKNOWN_TOPIC_OR_PARTITION = errorCode('UNKNOWN_TOPIC_OR_PARTITION')
const UNKNOWN_TOPIC_ID = errorCode('UNKNOWN_TOPIC_ID')
const TRANSACTION_ABORTABLE = errorCode('TRANSACTION_ABORTABLE')
const KAFKA_STORAGE_ERROR = errorCode('KAFKA_STORAGE_ERROR')
const CODE_OF_VERDICT: ReadonlyMap<number, number> = new Map([
  [FENCED, errorCode('INVALID_PRODUCER_EPOCH')],
  [OUT_OF_ORDER, errorCode('OUT_OF_ORDER_SEQUENCE_NUMBER')],
  [NO_TRANSACTIONAL_ID, errorCode('INVALID_PRODUCER_ID_MAPPING')],
  [NOT_IN_TRANSACTION, errorCode('INVALID_TXN_STATE')],
  [IN_TRANSACTION, errorCode('INVALID_TXN_STATE')],
])

export class ProduceTicket implements AppendTicket {
  readonly connection: KafkaConnection
  readonly version: number
  readonly correlationId: number
  /** Null: the request names none. */
  readonly transactionalId: string | null
  readonly acks: number
  readonly frameBytes: number
  readonly beganMs: number
  readonly topics: ProducedTopic[]
  readonly parts: ProducedPart[]
  #undecided: number

  constructor(options: {
    connection: KafkaConnection
    version: number
    correlationId: number
    transactionalId: string | null
    acks: number
    frameBytes: number
    beganMs: number
    topics: ProducedTopic[]
    parts: ProducedPart[]
  }) {
    this.connection = options.connection
    this.version = options.version
    this.correlationId = options.correlationId
    this.transactionalId = options.transactionalId
    this.acks = options.acks
    this.frameBytes = options.frameBytes
    this.beganMs = options.beganMs
    this.topics = options.topics
    this.parts = options.parts
    this.#undecided = options.parts.length
  }

  get isDecided(): boolean {
    return this.#undecided === 0
  }

  // ---- decisions

  settled(slot: number, verdict: number, baseOffset: number, appendTimeMs: number): void {
    const part = this.parts[slot]
    assert(part !== undefined, 'the slot was given to the log with the batch')
    part.baseOffset = baseOffset
    part.appendTimeMs = appendTimeMs
    const { transactionalId } = this
    if (transactionalId !== null && verdict === ACCEPTED) this.connection.broker.transactions.produced(transactionalId)
    this.fail(part, this.#codeOf(verdict), null)
  }

  refused(slot: number, error: ChronikError): void {
    const part = this.parts[slot]
    assert(part !== undefined, 'the slot was given to the log with the batch')
    this.fail(part, KAFKA_STORAGE_ERROR, error.message)
  }

  /** Decides a part; NO_ERROR is a success. */
  fail(part: ProducedPart, code: number, message: string | null): void {
    part.errorCode = code
    part.message = message
    this.#undecided--
    assert(this.#undecided >= 0, 'a part is decided once')
    if (this.#undecided === 0) this.#decided()
  }

  /** A request without partitions. */
  settleEmpty(): void {
    assert(this.parts.length === 0, 'there is nothing to decide')
    this.#decided()
  }

  #codeOf(verdict: number): number {
    if (verdict === ACCEPTED || verdict === DUPLICATE) return 0
    if (verdict === NO_PARTITION) return this.version >= TOPIC_ID_FROM ? UNKNOWN_TOPIC_ID : UNKNOWN_TOPIC_OR_PARTITION
    if (verdict === NOT_IN_TRANSACTION && this.version >= ABORTABLE_FROM) return TRANSACTION_ABORTABLE
    const code = CODE_OF_VERDICT.get(verdict)
    assert(code !== undefined, 'every verdict has its code')
    return code
  }

  #decided(): void {
    this.connection.produceDecided(this)
  }

  get failed(): boolean {
    for (const part of this.parts) if (part.errorCode !== 0) return true
    return false
  }

  // ---- the answer

  /** Appends the answer's frame, or nothing if the request wanted none; false if it wanted none and failed. */
  writeAnswer(into: ByteWriter): boolean {
    if (this.acks === 0) return !this.failed
    const flexible = this.version >= FLEXIBLE_FROM
    const start = into.reserve(4)
    into.i32(this.correlationId)
    if (flexible) into.u8(0)
    writeCount(into, this.topics.length, flexible)
    let slot = 0
    for (const topic of this.topics) {
      if (this.version < TOPIC_ID_FROM) writeLength(into, topic.name.length, flexible)
      into.raw(topic.name)
      writeCount(into, topic.partCount, flexible)
      for (const end = slot + topic.partCount; slot < end; slot++) this.#writePart(into, this.parts[slot]!, flexible)
      if (flexible) into.u8(0)
    }
    if (this.version >= THROTTLE_TIME_FROM) into.i32(0)
    if (flexible) into.u8(0)
    into.bytes.writeInt32BE(into.offset - start - 4, start)
    return true
  }

  #writePart(into: ByteWriter, part: ProducedPart, flexible: boolean): void {
    into.i32(part.index)
    into.i16(part.errorCode)
    into.i64(part.baseOffset)
    if (this.version >= APPEND_TIME_FROM) into.i64(part.appendTimeMs)
    if (this.version >= LOG_START_FROM) into.i64(part.errorCode === 0 ? (part.partition?.logStart ?? -1) : -1)
    if (this.version >= RECORD_ERRORS_FROM) {
      const errors = part.recordErrors ?? []
      writeCount(into, errors.length, flexible)
      for (const error of errors) {
        into.i32(error.index)
        writeNullableText(into, error.message, flexible)
        if (flexible) into.u8(0)
      }
      writeNullableText(into, part.message, flexible)
    }
    if (flexible) into.u8(0)
  }
}

function writeCount(into: ByteWriter, count: number, flexible: boolean): void {
  if (flexible) into.uvarint(count + 1)
  else into.i32(count)
}

function writeLength(into: ByteWriter, length: number, flexible: boolean): void {
  if (flexible) into.uvarint(length + 1)
  else into.i16(length)
}

function writeNullableText(into: ByteWriter, text: string | null, flexible: boolean): void {
  if (text !== null) {
    writeLength(into, Buffer.byteLength(text), flexible)
    into.utf8(text)
  } else if (flexible) into.uvarint(0)
  else into.i16(-1)
}
