// Consume, transform, produce: a member of a group that copies its partitions of the input to the output, each copy in the
// transaction that commits the offset behind what was copied. It does what the clients of Apache Kafka do, and knows at every
// moment whether it may be told that somebody has taken its place.

import { errorName, type KafkaErrorName } from '#kafka/protocol/protocol.ts'
import { buildBatch } from '#test/support/batch-builder.ts'
import type { Prng } from '#test/support/sim/prng.ts'
import {
  type CopyHistory,
  type Generation,
  INPUT,
  inputValue,
  OUTPUT,
  outputOf,
  type TransactionHistory,
} from './copy-history.ts'
import { BrokenPromise } from './history.ts'
import { type Line, Stopped, sleep } from './line.ts'
import { demandMember, Membership, MembershipLost } from './membership.ts'

export const TRANSACTION_TIMEOUT_MS = 2000
const FETCH_BYTES = 2000
const LONG_POLL_MS = 50
const ABORTS = 0.15
/** It asks for the next epoch of its own so often (KIP-360). */
const BUMPS = 0.03
const NO_TRANSACTION = -1
/** By so much the clocks of two processes may differ. */
const CLOCK_MS = 20

/** Another one has its transactional id, or its transaction took too long: this one is over. */
class Fenced extends Error {
  override readonly name = 'Fenced'
}

// Since KIP-890 a commit that comes too late, or once another one has begun, is told INVALID_TXN_STATE.
const FENCED: ReadonlySet<KafkaErrorName> = new Set(['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED'])
/** For a moment only. */
const TRY_AGAIN: ReadonlySet<KafkaErrorName> = new Set(['CONCURRENT_TRANSACTIONS', 'COORDINATOR_NOT_AVAILABLE'])

export class Copier {
  readonly line: Line
  readonly #transactionalId: string
  readonly #generation: Generation
  readonly #history: CopyHistory
  readonly #prng: Prng
  readonly #membership: Membership
  readonly #positions = new Map<number, number>()
  #producerId = -1
  #epoch = -1
  readonly #sequences = new Map<number, number>()
  #beganMs = NO_TRANSACTION
  /** Another copier was started with its transactional id. */
  isReplaced = false

  constructor(of: { line: Line; transactionalId: string; generation: Generation; history: CopyHistory; prng: Prng }) {
    this.line = of.line
    this.#transactionalId = of.transactionalId
    this.#generation = of.generation
    this.#history = of.history
    this.#prng = of.prng
    this.#membership = new Membership(of.line, of.history.facts)
  }

  /** Until it is stopped, or fenced. */
  async run(): Promise<void> {
    try {
      await this.#init()
      for (;;) {
        await this.#membership.join()
        await this.#copyAsMember()
      }
    } catch (thrown) {
      if (thrown instanceof Fenced) this.#history.figures.fenced++
      else if (!(thrown instanceof Stopped)) throw thrown
    }
  }

  async #copyAsMember(): Promise<void> {
    try {
      await this.#loadPositions()
      for (;;) {
        await this.#membership.heartbeat()
        await this.#copySome()
        if (this.#prng.chance(BUMPS)) await this.#init()
      }
    } catch (thrown) {
      if (!(thrown instanceof MembershipLost)) throw thrown
      if (thrown.message.endsWith('UNKNOWN_MEMBER_ID')) this.#membership.memberId = ''
    }
  }

  // ---- being somebody

  async #init(): Promise<void> {
    const body = {
      transactionalId: this.#transactionalId,
      transactionTimeoutMs: TRANSACTION_TIMEOUT_MS,
      producerId: this.#producerId,
      producerEpoch: this.#epoch,
    }
    const { producerId, producerEpoch } = await this.#untilSettled('an id', () =>
      // Who does not say who it was is somebody else each time.
      this.#producerId < 0 ? this.line.askOnce('InitProducerId', 4, body) : this.line.ask('InitProducerId', 4, body),
    )
    this.#become(producerId, producerEpoch)
  }

  #become(producerId: number, epoch: number): void {
    if (this.#producerId === producerId && this.#epoch === epoch) return
    this.#producerId = producerId
    this.#epoch = epoch
    this.#sequences.clear()
  }

  /** The answer, once it is no error that passes. */
  async #untilSettled<A extends { errorCode: number }>(what: string, ask: () => Promise<A>): Promise<A> {
    for (;;) {
      const answer = await ask()
      const error = errorName(answer.errorCode)
      if (!TRY_AGAIN.has(error)) {
        this.#demand(what, answer.errorCode)
        return answer
      }
      await sleep(LONG_POLL_MS)
    }
  }

  #demand(what: string, code: number | undefined): void {
    if (code === 0) return
    const error = errorName(code ?? -1)
    const openMs = this.#beganMs === NO_TRANSACTION ? 0 : Date.now() - this.#beganMs
    const who = `${this.#transactionalId} ${this.#generation.name} ${this.#producerId}/${this.#epoch}`
    if (!FENCED.has(error) && error !== 'INVALID_TXN_STATE') throw new BrokenPromise(`${what} of ${who}: ${error}`)
    const isLate = openMs >= TRANSACTION_TIMEOUT_MS - CLOCK_MS
    if (isLate) this.#history.figures.timedOut++
    else if (!this.isReplaced) throw new BrokenPromise(`${what} of ${who}: ${error} after ${openMs} ms, for no reason`)
    throw new Fenced(what)
  }

  // ---- copying

  async #loadPositions(): Promise<void> {
    const { facts, committed } = this.#history
    const { partitions } = this.#membership
    this.#positions.clear()
    while (this.#positions.size < partitions.length) {
      const atLeast = [...committed]
      const { topics } = await this.line.ask('OffsetFetch', 7, {
        groupId: facts.groupId,
        topics: [{ name: INPUT, partitionIndexes: partitions }],
        requireStable: true,
      })
      for (const { partitionIndex, committedOffset, errorCode } of topics[0]?.partitions ?? []) {
        // A transaction that is open is about to change it.
        if (errorName(errorCode) === 'UNSTABLE_OFFSET_COMMIT') continue
        demandMember('an offset', errorCode)
        if (committedOffset < atLeast[partitionIndex]! && atLeast[partitionIndex]! > 0) {
          throw new BrokenPromise(`input-${partitionIndex} is at ${committedOffset}, behind ${atLeast[partitionIndex]}`)
        }
        this.#positions.set(partitionIndex, Math.max(0, committedOffset))
      }
      if (this.#positions.size < partitions.length) {
        await sleep(LONG_POLL_MS)
        await this.#membership.heartbeat()
      }
    }
  }

  async #copySome(): Promise<void> {
    const ends = await this.#fetch()
    if (ends.size === 0) return
    this.#beganMs = Date.now()
    const transaction = this.#history.begin({
      transactionalId: this.#transactionalId,
      producerId: this.#producerId,
      epoch: this.#epoch,
      generation: this.#generation,
    })
    const copies = this.#copiesUpTo(ends)
    await this.#produce(transaction, copies)
    try {
      await this.#commitOffsets(ends)
    } catch (thrown) {
      if (!(thrown instanceof MembershipLost)) throw thrown
      await this.#end(transaction, 'abort', ends)
      throw thrown
    }
    if (this.#prng.chance(ABORTS)) {
      await this.#end(transaction, 'abort', ends)
      return
    }
    await this.#end(transaction, 'commit', ends)
    for (const [partition, end] of ends) this.#positions.set(partition, end)
  }

  /** By partition of the input: behind what was found there. */
  async #fetch(): Promise<Map<number, number>> {
    const ends = new Map<number, number>()
    const partitions = [...this.#positions].map(([partition, fetchOffset]) => ({
      partition,
      fetchOffset,
      partitionMaxBytes: FETCH_BYTES,
    }))
    if (partitions.length === 0) {
      await sleep(LONG_POLL_MS)
      return ends
    }
    const { responses } = await this.line.ask('Fetch', 12, {
      maxWaitMs: LONG_POLL_MS,
      minBytes: 1,
      maxBytes: FETCH_BYTES,
      isolationLevel: 1,
      topics: [{ topic: INPUT, partitions }],
    })
    for (const { partitionIndex, errorCode, records } of responses[0]?.partitions ?? []) {
      if (errorCode !== 0) throw new BrokenPromise(`a fetch of input-${partitionIndex}: ${errorName(errorCode)}`)
      const from = this.#positions.get(partitionIndex)!
      const end = endOf(records ?? Buffer.alloc(0))
      if (end > from) ends.set(partitionIndex, Math.min(end, from + this.#prng.between(1, 40)))
    }
    return ends
  }

  /** By partition of the output: the values for it. */
  #copiesUpTo(ends: ReadonlyMap<number, number>): Map<number, string[]> {
    const copies = new Map<number, string[]>()
    for (const [partition, end] of ends) {
      for (let offset = this.#positions.get(partition)!; offset < end; offset++) {
        const output = outputOf(partition, offset)
        copies.set(output, [...(copies.get(output) ?? []), inputValue(partition, offset)])
      }
    }
    return copies
  }

  get #who() {
    const { producerId, producerEpoch } = { producerId: this.#producerId, producerEpoch: this.#epoch }
    return { transactionalId: this.#transactionalId, producerId, producerEpoch }
  }

  async #produce(transaction: TransactionHistory, copies: ReadonlyMap<number, string[]>): Promise<void> {
    if (this.#generation.adds) {
      const { transactionalId, producerId, producerEpoch } = this.#who
      const { resultsByTopicV3AndBelow: results } = await this.line.ask('AddPartitionsToTxn', 3, {
        v3AndBelowTransactionalId: transactionalId,
        v3AndBelowProducerId: producerId,
        v3AndBelowProducerEpoch: producerEpoch,
        v3AndBelowTopics: [{ name: OUTPUT, partitions: [...copies.keys()] }],
      })
      for (const { partitionErrorCode } of results[0]!.resultsByPartition) {
        this.#demand('an addition of partitions', partitionErrorCode)
      }
    }
    for (const [partition, values] of copies) {
      const baseSequence = this.#sequences.get(partition) ?? 0
      const fields = { isTransactional: true, producerId: this.#producerId, producerEpoch: this.#epoch, baseSequence }
      const records = buildBatch(
        values.map(value => ({ value })),
        { ...fields, baseTimestampMs: Date.now() },
      )
      const { responses } = await this.line.ask('Produce', this.#generation.produce, {
        transactionalId: this.#transactionalId,
        acks: -1,
        timeoutMs: 10_000,
        topicData: [{ name: OUTPUT, partitionData: [{ index: partition, records }] }],
      })
      const answer = responses[0]!.partitionResponses[0]!
      this.#demand('a copy', answer.errorCode)
      transaction.batches.push({ partition, baseOffset: answer.baseOffset, values })
      this.#sequences.set(partition, baseSequence + values.length)
    }
  }

  async #commitOffsets(ends: ReadonlyMap<number, number>): Promise<void> {
    const { groupId } = this.#history.facts
    if (this.#generation.adds) {
      const { errorCode } = await this.line.ask('AddOffsetsToTxn', 3, { ...this.#who, groupId })
      this.#demand('an addition of offsets', errorCode)
    }
    const partitions = [...ends].map(([partitionIndex, committedOffset]) => ({
      partitionIndex,
      committedOffset,
      committedMetadata: null,
    }))
    const { topics } = await this.line.ask('TxnOffsetCommit', this.#generation.commitOffsets, {
      ...this.#who,
      groupId,
      generationIdOrMemberEpoch: this.#membership.generation,
      memberId: this.#membership.memberId,
      topics: [{ name: INPUT, partitions }],
    })
    for (const { errorCode } of topics[0]!.partitions) {
      if (FENCED.has(errorName(errorCode))) this.#demand('offsets', errorCode)
      demandMember('offsets', errorCode)
    }
  }

  async #end(transaction: TransactionHistory, end: 'commit' | 'abort', ends: ReadonlyMap<number, number>) {
    const answer = await this.#untilSettled(`a ${end}`, () =>
      this.line.ask('EndTxn', this.#generation.endTxn, { ...this.#who, committed: end === 'commit' }),
    )
    this.#history.ended(transaction, end, ends)
    this.#beganMs = NO_TRANSACTION
    if (!this.#generation.adds) this.#become(answer.producerId, answer.producerEpoch)
  }
}

/** The offset behind the last whole batch of a record set. */
function endOf(recordSet: Buffer): number {
  let end = -1
  for (let at = 0; at + 27 <= recordSet.length; at += 12 + recordSet.readInt32BE(at + 8)) {
    if (at + 12 + recordSet.readInt32BE(at + 8) > recordSet.length) break
    end = Number(recordSet.readBigInt64BE(at)) + recordSet.readInt32BE(at + 23) + 1
  }
  return end
}
