// One producer with a transactional id: what it was told is what it says next, unless a case has it say something else.

import { buildBatch, type RecordFields } from '#test/support/batch-builder.ts'
import { until } from '#test/support/until.ts'
import type { ApiName, RequestBody, ResponseBody } from '#test/support/wire-messages.ts'
import type { Conversation, ProduceOptions } from './conversation.ts'

const NONE = 0
const TRANSACTIONAL = 0x10
const TIMEOUT_MS = 60_000
// The same for both brokers, and of now: Kafka would begin a new segment with the first marker, and delete the old one.
const WRITTEN_MS = Date.now()
// The coordinator loads what it knows (14, 15, 16), or writes what the last transaction has brought about (51).
const NOT_YET = new Set([14, 15, 16, 51])
const LATEST_INIT = 5
const LATEST_END = 5

type Instead<N extends ApiName> = { readonly version?: number } & Partial<RequestBody<N>>

export class Transactor {
  readonly transactionalId: string
  readonly #broker: Conversation
  producerId = -1
  epoch = -1
  #sequences = new Map<string, number>()

  constructor(broker: Conversation, transactionalId: string) {
    this.#broker = broker
    this.transactionalId = transactionalId
  }

  /** A transactional id that nobody has used, and who has it. */
  static async open(broker: Conversation, timeoutMs = TIMEOUT_MS): Promise<Transactor> {
    const transactor = new Transactor(broker, broker.topicName('transactional'))
    await transactor.ready()
    await transactor.init({ transactionTimeoutMs: timeoutMs })
    return transactor
  }

  /** Waits until there is a coordinator. */
  async ready(): Promise<void> {
    const coordinatorKeys = [this.transactionalId]
    const isThere = ({ coordinators }: ResponseBody<'FindCoordinator'>) => coordinators[0]!.errorCode === NONE
    await this.#broker.sendUntil('FindCoordinator', 4, { coordinatorKeys, keyType: 1 }, isThere)
    await this.settled()
  }

  /** Waits until what was ended last is written everywhere. */
  async settled(): Promise<string> {
    let state = ''
    await until('the end of the transaction', async () => {
      const { errorCode, transactionState } = await this.described()
      state = transactionState
      return !NOT_YET.has(errorCode) && !state.startsWith('Prepare')
    })
    return state
  }

  async described() {
    const transactionalIds = [this.transactionalId]
    const { transactionStates } = await this.#broker.send('DescribeTransactions', 0, { transactionalIds })
    return transactionStates[0]!
  }

  /** Asks until the coordinator is ready to answer, and remembers who it is now. */
  async init({ version = LATEST_INIT, ...body }: Instead<'InitProducerId'> = {}) {
    const request = { transactionalId: this.transactionalId, transactionTimeoutMs: TIMEOUT_MS, ...body }
    const isAnswered = ({ errorCode }: ResponseBody<'InitProducerId'>) => !NOT_YET.has(errorCode)
    const answer = await this.#broker.sendUntil('InitProducerId', version, request, isAnswered)
    if (answer.errorCode === NONE) this.#is(answer)
    return answer
  }

  #is({ producerId, producerEpoch }: { producerId: number; producerEpoch: number }): void {
    this.producerId = producerId
    this.epoch = producerEpoch
    this.#sequences = new Map()
  }

  add(
    topic: string,
    partitions: readonly number[] = [0],
    { version = 3, ...body }: Instead<'AddPartitionsToTxn'> = {},
  ) {
    return this.#broker.send('AddPartitionsToTxn', version, {
      v3AndBelowTransactionalId: this.transactionalId,
      v3AndBelowProducerId: this.producerId,
      v3AndBelowProducerEpoch: this.epoch,
      v3AndBelowTopics: [{ name: topic, partitions: [...partitions] }],
      ...body,
    })
  }

  addOffsets(groupId: string, { version = 4, ...body }: Instead<'AddOffsetsToTxn'> = {}) {
    return this.#broker.send('AddOffsetsToTxn', version, { ...this.#self(), groupId, ...body })
  }

  commitOffset(
    groupId: string,
    topic: string,
    offset: number,
    { version = 5, ...body }: Instead<'TxnOffsetCommit'> = {},
  ) {
    const partitions = [{ partitionIndex: 0, committedOffset: offset, committedMetadata: `at ${offset}` }]
    return this.#broker.send('TxnOffsetCommit', version, {
      ...this.#self(),
      groupId,
      topics: [version >= 6 ? { topicId: topic, partitions } : { name: topic, partitions }],
      ...body,
    })
  }

  /** Its answer, as soon as the one before has been settled. */
  async end(committed: boolean, { version = LATEST_END, ...body }: Instead<'EndTxn'> = {}) {
    const request = { ...this.#self(), committed, ...body }
    const isAnswered = ({ errorCode }: ResponseBody<'EndTxn'>) => !NOT_YET.has(errorCode)
    const answer = await this.#broker.sendUntil('EndTxn', version, request, isAnswered)
    await this.settled()
    if (answer.errorCode === NONE && version >= LATEST_END) this.#is(answer)
    return answer
  }

  /** Records of the transaction. From v12 on it is begun by them. */
  async produce(topic: string, records: readonly RecordFields[], options: ProduceOptions = {}) {
    const { version = 12, partition = 0, ...fields } = options
    const place = `${topic}-${partition}`
    const baseSequence = options.baseSequence ?? this.#sequences.get(place) ?? 0
    const identity = {
      baseTimestampMs: WRITTEN_MS,
      producerId: this.producerId,
      producerEpoch: this.epoch,
      baseSequence,
      attributes: TRANSACTIONAL,
    }
    const batch = buildBatch(records, { ...identity, ...fields })
    const topicData = [{ name: topic, partitionData: [{ index: partition, records: batch }] }]
    const body = { transactionalId: this.transactionalId, acks: -1, timeoutMs: 10_000, topicData }
    // Kafka asks the coordinator of the transaction first, which may still be busy with the last one.
    const isAnswered = ({ responses }: ResponseBody<'Produce'>) =>
      !NOT_YET.has(responses[0]!.partitionResponses[0]!.errorCode)
    const { responses } = await this.#broker.sendUntil('Produce', version, body, isAnswered)
    const answer = responses[0]!.partitionResponses[0]!
    if (answer.errorCode === NONE) this.#sequences.set(place, baseSequence + records.length)
    return answer
  }

  #self() {
    return { transactionalId: this.transactionalId, producerId: this.producerId, producerEpoch: this.epoch }
  }
}
