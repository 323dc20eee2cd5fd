import { errorName } from '#kafka/protocol/protocol.ts'
import { Violation } from '#test/simulation/history.ts'
import { buildBatch } from '#test/support/batch-builder.ts'
import type { ResponseBody } from '#test/support/wire-messages.ts'
import { Over } from './agreements.ts'
import type { Machine } from './machine.ts'
import { type Manner, SimLine } from './sim-line.ts'

// A client with a transactional id, which others may have as well: each of them may be a zombie, and does not know it.

interface Known {
  readonly ordinal: number
  readonly topic: string
  readonly index: number
}

/** One transaction as its client knows it: batches that were acknowledged. */
interface Attempt {
  readonly batches: { readonly ordinal: number; readonly baseOffset: number; readonly crc: number }[]
  readonly added: Set<string>
}

/** Something was refused: the client begins anew. */
class Refused extends Error {}

const FENCED = ['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED']

export class Transactor {
  readonly #machine: Machine
  readonly #line: SimLine
  readonly #id: string
  /** KIP-890 */
  readonly #isNew: boolean
  readonly #timeoutMs: number
  #producerId = -1
  #epoch = -1
  readonly #sequences = new Map<number, number>()
  #batches = 0

  constructor(machine: Machine, name: string, id: string) {
    this.#machine = machine
    this.#id = id
    this.#line = new SimLine(machine, name)
    this.#isNew = machine.prng.chance(0.6)
    this.#timeoutMs = machine.prng.pick([30, 200, 1000])
  }

  async run(): Promise<void> {
    try {
      for (;;) {
        await this.#untilRefused()
        await this.#machine.sleep(this.#machine.prng.between(0, 50))
      }
    } catch (thrown) {
      if (!(thrown instanceof Over)) throw thrown
    }
  }

  async #untilRefused(): Promise<void> {
    try {
      await this.#init(null)
      for (;;) await this.#transact()
    } catch (thrown) {
      if (!(thrown instanceof Refused)) throw thrown
    }
  }

  /** Before KIP-890 what comes late could be of the next transaction: such a client waits until it is sure. */
  get #manner(): Manner {
    return this.#isNew ? 'free' : 'in order'
  }

  get #who() {
    return { transactionalId: this.#id, producerId: this.#producerId, producerEpoch: this.#epoch }
  }

  async #init(from: { producerId: number; epoch: number } | null): Promise<void> {
    const { asked } = this.#machine
    asked.set(this.#id, (asked.get(this.#id) ?? 0) + 1)
    const body = {
      transactionalId: this.#id,
      transactionTimeoutMs: this.#timeoutMs,
      producerId: from?.producerId ?? -1,
      producerEpoch: from?.epoch ?? -1,
    }
    const isNew = from === null
    const given = new Set<string>()
    const track = () => (answer: ResponseBody<'InitProducerId'>) => {
      if (answer.errorCode === 0 && isNew) this.#machine.give(this.#id, answer.producerId, answer.producerEpoch, given)
    }
    try {
      const answer = await this.#line.ask('InitProducerId', 4, body, { manner: isNew ? 'once' : 'in order', track })
      this.#demand(answer.errorCode)
      this.#become(answer.producerId, answer.producerEpoch)
    } finally {
      asked.set(this.#id, asked.get(this.#id)! - 1)
    }
  }

  #become(producerId: number, epoch: number): void {
    if (producerId === this.#producerId && epoch === this.#epoch) return
    this.#producerId = producerId
    this.#epoch = epoch
    this.#sequences.clear()
  }

  #demand(errorCode: number): void {
    if (errorCode !== 0) throw new Refused(errorName(errorCode))
  }

  /** Who is told that it was fenced has not its id any more. */
  #demandFenced(errorCode: number, producerId: number, epoch: number): void {
    if (!FENCED.includes(errorName(errorCode))) return
    const found = this.#machine.ledger.transactions.get(this.#id)
    if (found?.producerId === producerId && found.epoch === epoch) {
      throw new Violation(`${producerId}/${epoch} is told that it is fenced, and has its id`)
    }
  }

  // ---- a transaction

  async #transact(): Promise<void> {
    const { prng, plan } = this.#machine
    const attempt: Attempt = { batches: [], added: new Set() }
    for (let steps = prng.between(1, 4); steps > 0; steps--) {
      if (prng.chance(plan.pauses)) await this.#machine.sleep(prng.between(50, 1500))
      if (prng.chance(0.7)) await this.#produce(attempt)
      else await this.#commitOffsets(attempt)
    }
    const what = prng.fraction()
    // It is forgotten: another one, or the broker, ends it.
    if (what < 0.1) await this.#machine.sleep(prng.between(0, 1500))
    if (what < 0.15) throw new Refused('forgotten')
    if (attempt.added.size === 0 && attempt.batches.length === 0 && !this.#isNew) return
    await this.#end(attempt, what < 0.7)
    if (prng.chance(0.05)) await this.#init({ producerId: this.#producerId, epoch: this.#epoch })
  }

  #pickPartition(): Known | null {
    const { ledger, prng } = this.#machine
    const partitions = ledger.partitions.filter(partition => partition !== undefined)
    if (partitions.length === 0) return null
    const { ordinal, topicId, index } = prng.pick(partitions)
    return { ordinal, topic: ledger.topics.get(topicId)!.name, index }
  }

  async #produce(attempt: Attempt): Promise<void> {
    const known = this.#pickPartition()
    if (known === null) return
    const { ordinal, topic, index } = known
    if (!this.#isNew && !attempt.added.has(`${ordinal}`)) {
      const { resultsByTopicV3AndBelow: results } = await this.#line.ask(
        'AddPartitionsToTxn',
        3,
        {
          v3AndBelowTransactionalId: this.#id,
          v3AndBelowProducerId: this.#producerId,
          v3AndBelowProducerEpoch: this.#epoch,
          v3AndBelowTopics: [{ name: topic, partitions: [index] }],
        },
        { manner: 'in order' },
      )
      this.#demand(results[0]!.resultsByPartition[0]!.partitionErrorCode)
      attempt.added.add(`${ordinal}`)
    }
    const count = this.#machine.prng.between(1, 3)
    const baseSequence = this.#sequences.get(ordinal) ?? 0
    const [producerId, epoch] = [this.#producerId, this.#epoch]
    const value = `${this.#id} ${producerId}/${epoch} ${++this.#batches} ${this.#machine.prng.u32()}`
    const fields = { isTransactional: true, producerId, producerEpoch: epoch, baseSequence }
    const records = buildBatch(
      Array.from({ length: count }, (_, i) => ({ value: `${value} ${i}` })),
      { ...fields, baseTimestampMs: this.#machine.clock.nowMs() },
    )
    const body = {
      transactionalId: this.#id,
      acks: -1,
      timeoutMs: 1000,
      topicData: [{ name: topic, partitionData: [{ index, records }] }],
    }
    const track = () => (answer: ResponseBody<'Produce'>) => {
      const { errorCode, baseOffset } = answer.responses[0]!.partitionResponses[0]!
      this.#demandFenced(errorCode, producerId, epoch)
      if (errorCode === 0) this.#demandStored(ordinal, baseOffset, records.readUInt32BE(17))
    }
    const { responses } = await this.#line.ask('Produce', this.#isNew ? 12 : 11, body, { manner: 'free', track })
    const { errorCode, baseOffset } = responses[0]!.partitionResponses[0]!
    this.#demand(errorCode)
    attempt.batches.push({ ordinal, baseOffset, crc: records.readUInt32BE(17) })
    this.#sequences.set(ordinal, baseSequence + count)
  }

  #demandStored(ordinal: number, baseOffset: number, crc: number): void {
    const { partitions } = this.#machine.ledger
    const partition = partitions[ordinal]
    // What is late may be for a topic that was deleted, and reach another one of its name.
    if (partition === undefined || partitions.includes(undefined)) return
    if (partition.at(baseOffset)?.crc !== crc) {
      throw new Violation(`a batch is said to be at ${baseOffset} of partition ${ordinal}, where another one is`)
    }
  }

  async #commitOffsets(attempt: Attempt): Promise<void> {
    const { groups, prng } = this.#machine
    const known = this.#pickPartition()
    if (known === null) return
    const groupId = prng.pick(['alpha', 'beta'])
    if (!this.#isNew && !attempt.added.has(groupId)) {
      const added = await this.#line.ask('AddOffsetsToTxn', 3, { ...this.#who, groupId }, { manner: 'in order' })
      this.#demand(added.errorCode)
      attempt.added.add(groupId)
    }
    const [producerId, epoch] = [this.#producerId, this.#epoch]
    const asMember = prng.chance(0.5) ? this.#machine.anyMember(groupId) : null
    const generation = asMember?.generation ?? -1
    const track = () => {
      const before = groups.known(groupId)
      return ({ topics }: ResponseBody<'TxnOffsetCommit'>) => {
        const { errorCode } = topics[0]!.partitions[0]!
        this.#demandFenced(errorCode, producerId, epoch)
        if (errorCode === 0 && generation >= 0) groups.demandCurrent(groupId, generation, before)
      }
    }
    const body = {
      ...this.#who,
      groupId,
      generationIdOrMemberEpoch: generation,
      memberId: asMember?.memberId ?? '',
      topics: [
        {
          name: known.topic,
          partitions: [
            { partitionIndex: known.index, committedOffset: prng.between(0, 1000), committedMetadata: null },
          ],
        },
      ],
    }
    const { topics } = await this.#line.ask('TxnOffsetCommit', this.#isNew ? 5 : 3, body, {
      manner: this.#manner,
      track,
    })
    const error = errorName(topics[0]!.partitions[0]!.errorCode)
    // The membership is another matter: the transaction can go on without.
    if (!['ILLEGAL_GENERATION', 'UNKNOWN_MEMBER_ID', 'REBALANCE_IN_PROGRESS'].includes(error)) {
      this.#demand(topics[0]!.partitions[0]!.errorCode)
    }
  }

  async #end(attempt: Attempt, isCommit: boolean): Promise<void> {
    const [producerId, epoch] = [this.#producerId, this.#epoch]
    const track = () => (answer: ResponseBody<'EndTxn'>) => {
      this.#demandFenced(answer.errorCode, producerId, epoch)
      if (answer.errorCode === 0) this.#demandEnded(attempt, isCommit)
    }
    const body = { transactionalId: this.#id, producerId, producerEpoch: epoch, committed: isCommit }
    const answer = await this.#line.ask('EndTxn', this.#isNew ? 5 : 3, body, { manner: this.#manner, track })
    this.#demand(answer.errorCode)
    this.#machine.count(isCommit ? 'commits' : 'aborts')
    if (this.#isNew) this.#become(answer.producerId, answer.producerEpoch)
  }

  #demandEnded({ batches }: Attempt, isCommit: boolean): void {
    const fate = isCommit ? 'committed' : 'aborted'
    for (const { ordinal, baseOffset, crc } of batches) {
      const batch = this.#machine.ledger.partitions[ordinal]?.at(baseOffset)
      if (batch === undefined || batch.crc !== crc || batch.fate === fate) continue
      throw new Violation(`what ${this.#id} was told is ${fate} is ${batch.fate}, at ${baseOffset} of ${ordinal}`)
    }
  }
}
