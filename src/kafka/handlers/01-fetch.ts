import { assert } from '#base/assert.ts'
import { ChronikError } from '#base/errors.ts'
import type { Timer } from '#base/ports.ts'
import { endOfEpoch } from '#core/leader-epochs.ts'
import type { Partition } from '#core/state.ts'
import type { AbortedTransactions } from '#core/transactions.ts'
import type { Broker, RequestContext } from '#kafka/broker.ts'
import { type FetchPlan, planFetch } from '#kafka/fetch-plan.ts'
import { partitionKey, type SessionPartition } from '#kafka/fetch-sessions.ts'
import { defineHandler } from '#kafka/handler.ts'
import { checkLeaderEpoch } from '#kafka/partitions.ts'
import { FetchRequest, FetchResponse } from '#kafka/protocol/apis/01-fetch.ts'
import { errorCode, type KafkaErrorName } from '#kafka/protocol/protocol.ts'
import type { Waiter } from '#log/log.ts'
import { highWatermark, lastStableOffset } from '#log/read-bounds.ts'
import { availableBytes, type LogSlices, NOTHING, readLog, release } from '#log/read-log.ts'

// Fetch v4-18. v7: sessions (KIP-227). v12: truncation detection (KIP-595). v13: topic ids. v16: who leads (KIP-951).
//
// A fetch that finds too little waits: for a change of one of its partitions, or for its time to end, whichever is first.
// What it found is not kept meanwhile. Whole batches are answered, from the one that holds the offset on; the first batch of the
// first partition that has any comes even if it is larger than every limit, so that a consumer always gets on.

export const fetch = defineHandler(
  { request: FetchRequest, response: FetchResponse, versions: [4, 18] },
  (request, context) => {
    const plan = planFetch(context.broker, request, context.version)
    if ('error' in plan) return { errorCode: errorCode(plan.error), responses: [] }
    return new Fetching(request, plan, context).start()
  },
)

type Response = FetchResponse
type PartitionAnswer = Response['responses'][number]['partitions'][number]

/** A partition that is there and may be read at the wanted offset. */
interface Readable {
  readonly wanted: SessionPartition
  readonly partition: Partition
}

/** What an answer is being made of. */
interface Reading {
  readonly wanted: readonly SessionPartition[]
  readonly answers: Map<SessionPartition, PartitionAnswer>
  readonly reads: LogSlices[]
  leftBytes: number
  /** Until then partitions that must be read from elsewhere are waited for. */
  readonly deadlineMs: number
}

interface FoundRecords {
  readonly read: LogSlices
  readonly aborted: AbortedTransactions | null
}

const NO_ERROR = errorCode('NONE')
const READ_COMMITTED = 1
const TOPIC_IDS_FROM = 13
const LEADERS_FROM = 16
/** Longer than any client waits for an answer: one that asks for more and is gone without a word does not wait for ever. */
const MAX_WAIT_MS = 5 * 60_000
/** Kafka: remote.fetch.max.wait.ms */
const SLOW_READ_MS = 500

class Fetching {
  readonly #request: FetchRequest
  readonly #plan: FetchPlan
  readonly #context: RequestContext
  readonly #broker: Broker
  readonly #beganMs: number
  #waitedMs = 0
  /** False once nobody waits for records any more. */
  #mayRead = true

  constructor(request: FetchRequest, plan: FetchPlan, context: RequestContext) {
    this.#request = request
    this.#plan = plan
    this.#context = context
    this.#broker = context.broker
    this.#beganMs = context.broker.clock.monotonicMs()
  }

  start(): Response | Promise<Response> {
    if (this.#request.maxWaitMs <= 0 || this.#isSatisfied()) return this.#answer()
    return this.#wait()
  }

  // ---- waiting

  #isSatisfied(): boolean {
    const { partitions } = this.#plan
    if (partitions.size === 0) return true
    const minBytes = Math.min(this.#request.minBytes, this.#maxBytes())
    let sizeBytes = 0
    for (const wanted of partitions.values()) {
      const found = this.#check(wanted)
      if ('error' in found || found.diverges) return true
      const { partition } = found
      const range = { offset: wanted.fetchOffset, endOffset: this.#endOf(partition), maxBytes: wanted.maxBytes }
      sizeBytes += availableBytes(this.#broker.log, partition, range)
      if (sizeBytes >= minBytes) return true
    }
    return sizeBytes >= minBytes
  }

  #wait(): Promise<Response> {
    const { log, clock } = this.#broker
    const ordinals: number[] = []
    const beganMs = clock.monotonicMs()
    return new Promise((resolve, reject) => {
      let timer: Timer | null = null
      let hasEnded = false
      const end = (): void => {
        if (hasEnded) return
        hasEnded = true
        timer?.cancel()
        for (const ordinal of ordinals) log.waiters.stop(ordinal, waiter)
        this.#waitedMs = clock.monotonicMs() - beganMs
        try {
          resolve(this.#answer())
        } catch (thrown) {
          reject(thrown)
        }
      }
      const waiter: Waiter = {
        wake: () => {
          if (this.#isSatisfied()) end()
        },
      }
      for (const wanted of this.#plan.partitions.values()) {
        const partition = this.#find(wanted)
        if (partition === undefined) continue
        log.waiters.waitFor(partition.ordinal, waiter)
        ordinals.push(partition.ordinal)
      }
      timer = clock.after(Math.min(this.#request.maxWaitMs, MAX_WAIT_MS), end)
      this.#context.onGone(() => {
        if (!hasEnded) this.#mayRead = false
        end()
      })
    })
  }

  // ---- finding

  #find(wanted: SessionPartition): Partition | undefined {
    const { state } = this.#broker.log
    const topic = wanted.topicId === '' ? state.topics.get(wanted.topic) : state.topicsById.get(wanted.topicId)
    return topic?.partitions[wanted.partition]
  }

  /** Kafka: ReplicaManager.readFromLog, Partition.readRecords. */
  #check(wanted: SessionPartition): { error: KafkaErrorName } | { partition: Partition; diverges: boolean } {
    const partition = this.#find(wanted)
    if (partition === undefined) {
      const byId = this.#context.version >= TOPIC_IDS_FROM && !this.#broker.log.state.topicsById.has(wanted.topicId)
      return { error: byId ? 'UNKNOWN_TOPIC_ID' : 'UNKNOWN_TOPIC_OR_PARTITION' }
    }
    const problem = wanted.currentLeaderEpoch < 0 ? null : checkLeaderEpoch(partition, wanted.currentLeaderEpoch)
    if (problem !== null) return { error: problem }
    const { fetchOffset, lastFetchedEpoch } = wanted
    const end = lastFetchedEpoch < 0 ? undefined : endOfEpoch(partition, lastFetchedEpoch)
    // What is gone from the begin is out of range, whatever was there.
    if (end === null || fetchOffset < partition.logStart) return { error: 'OFFSET_OUT_OF_RANGE' }
    if (end !== undefined && (end.epoch < lastFetchedEpoch || end.endOffset < fetchOffset)) {
      return { partition, diverges: true }
    }
    if (fetchOffset > partition.nextOffset) return { error: 'OFFSET_OUT_OF_RANGE' }
    return { partition, diverges: false }
  }

  /** Up to where this consumer may read. */
  #endOf(partition: Partition): number {
    const { log } = this.#broker
    return this.#isCommittedOnly ? lastStableOffset(log, partition) : highWatermark(log, partition)
  }

  get #isCommittedOnly(): boolean {
    return this.#request.isolationLevel === READ_COMMITTED
  }

  #maxBytes(): number {
    return Math.min(this.#request.maxBytes, this.#broker.settings.fetchMaxBytes)
  }

  // ---- answering

  #answer(): Response | Promise<Response> {
    const answers = new Map<SessionPartition, PartitionAnswer>()
    const wanted = [...this.#plan.partitions.values()]
    const deadlineMs = this.#broker.clock.monotonicMs() + SLOW_READ_MS
    const reading: Reading = { wanted, answers, reads: [], leftBytes: this.#maxBytes(), deadlineMs }
    const pending = this.#readFrom(0, reading)
    this.#context.onSent(() => this.#letGo(reading.reads))
    if (pending === null) return this.#response(answers)
    return pending.then(() => this.#response(answers))
  }

  /** Checks and reads one partition after the other; goes on by promise from the first that is not in memory. */
  #readFrom(first: number, reading: Reading): Promise<void> | null {
    const { answers } = reading
    for (let i = first; i < reading.wanted.length; i++) {
      const wanted = reading.wanted[i]!
      // Not sooner: while others are read, its log start may move.
      const found = this.#check(wanted)
      if ('error' in found) answers.set(wanted, this.#refusal(wanted, found.error))
      else if (found.diverges) answers.set(wanted, this.#divergingAnswer(wanted, found.partition))
      else {
        const read = this.#read({ wanted, partition: found.partition }, reading)
        if (read !== null) return read.then(() => this.#readFrom(i + 1, reading) ?? undefined)
      }
    }
    return null
  }

  /** Null: it is answered already. */
  #read(readable: Readable, reading: Reading): Promise<void> | null {
    const { wanted, partition } = readable
    const { answers, reads } = reading
    const broker = this.#broker
    // Less when many answers are being read, or wait to be sent.
    const roomBytes = Math.max(0, broker.settings.maxInflightBytes - broker.fetchedBytes)
    const limitBytes = Math.max(0, Math.min(wanted.maxBytes, reading.leftBytes, roomBytes))
    const isFirst = reads.length === 0
    // Of what is read: compaction may put other records in its place meanwhile, and forget what was aborted among these.
    const { aborted } = partition
    const take = (read: LogSlices): void => {
      if (read.sizeBytes > 0) reads.push(read)
      broker.fetchedBytes += read.sizeBytes
      reading.leftBytes = Math.max(0, reading.leftBytes - read.sizeBytes)
      answers.set(wanted, this.#recordsAnswer(wanted, partition, { read, aborted }))
    }
    const mayRead = this.#mayRead && (limitBytes > 0 || isFirst)
    const endOffset = this.#endOf(partition)
    const range = { offset: wanted.fetchOffset, endOffset, maxBytes: limitBytes, atLeastOne: isFirst }
    const read = mayRead ? readLog(broker.log, partition, range) : NOTHING
    if (!(read instanceof Promise)) {
      take(read)
      return null
    }
    // What it may find is taken while it is looked for: others read at the same time.
    broker.fetchedBytes += limitBytes
    void read.then(
      () => (broker.fetchedBytes -= limitBytes),
      () => (broker.fetchedBytes -= limitBytes),
    )
    return this.#inTime(read, readable, reading).then(
      slices => {
        take(slices)
        // With records that are gone by now, what tells which of them were aborted is gone, too.
        const problem = this.#checkAgain(readable)
        if (problem !== null) answers.set(wanted, errorAnswer(wanted, problem))
      },
      thrown => {
        answers.set(wanted, errorAnswer(wanted, this.#whyUnread(readable, thrown)))
      },
    )
  }

  /**
   * Nothing if a partition takes long whose records must come from the object store, and there are others in the request: they do
   * not wait for it. What was asked of the store is there for the next fetch.
   */
  #inTime(read: Promise<LogSlices>, readable: Readable, { wanted: all, deadlineMs }: Reading): Promise<LogSlices> {
    // Its records are in the write-ahead log: what others waited for the store is not its fault.
    const isLocal = readable.wanted.fetchOffset >= readable.partition.walStart
    if (isLocal || all.length === 1) return read
    const { clock, log } = this.#broker
    return new Promise((resolve, reject) => {
      let isLate = false
      const timer = clock.after(Math.max(0, deadlineMs - clock.monotonicMs()), () => {
        isLate = true
        resolve(NOTHING)
      })
      read.then(
        slices => {
          timer.cancel()
          if (isLate) release(log, slices)
          else resolve(slices)
        },
        thrown => {
          timer.cancel()
          if (!isLate) reject(thrown)
          else if (thrown instanceof ChronikError && thrown.kind !== 'closed') this.#whyUnread(readable, thrown)
        },
      )
    })
  }

  /** Who believes in an earlier leader is told of the one there is (KIP-951). */
  #refusal(wanted: SessionPartition, error: KafkaErrorName): PartitionAnswer {
    const answer = errorAnswer(wanted, error)
    const leaderEpoch = this.#find(wanted)?.leaderEpoch
    const isTold = error === 'FENCED_LEADER_EPOCH' && this.#context.version >= LEADERS_FROM
    if (!isTold || leaderEpoch === undefined) return answer
    return { ...answer, currentLeader: { leaderId: this.#broker.settings.nodeId, leaderEpoch } }
  }

  #recordsAnswer(wanted: SessionPartition, partition: Partition, { read, aborted }: FoundRecords): PartitionAnswer {
    const { log } = this.#broker
    const answer = {
      partitionIndex: wanted.partition,
      errorCode: NO_ERROR,
      highWatermark: highWatermark(log, partition),
      lastStableOffset: lastStableOffset(log, partition),
      logStartOffset: partition.logStart,
      abortedTransactions: null,
      records: { byteLength: read.sizeBytes, slices: read.slices },
    }
    if (!this.#isCommittedOnly) return answer
    const among = read.sizeBytes === 0 ? [] : (aborted?.between(wanted.fetchOffset, read.nextOffset) ?? [])
    return { ...answer, abortedTransactions: among }
  }

  #divergingAnswer(wanted: SessionPartition, partition: Partition): PartitionAnswer {
    const end = endOfEpoch(partition, wanted.lastFetchedEpoch)
    assert(end !== null, 'an epoch that is not known does not diverge')
    const divergingEpoch = { epoch: end.epoch, endOffset: end.endOffset }
    return { ...this.#recordsAnswer(wanted, partition, { read: NOTHING, aborted: null }), divergingEpoch }
  }

  /** Its records, or all of its topic, may have gone while it was read; or the disk does not give them. */
  #whyUnread(readable: Readable, thrown: unknown): KafkaErrorName {
    const problem = this.#checkAgain(readable)
    if (problem !== null) return problem
    this.#broker.unreadable.note(readable.partition, thrown)
    return 'KAFKA_STORAGE_ERROR'
  }

  /** Of one that was read. */
  #checkAgain({ wanted, partition }: Readable): KafkaErrorName | null {
    const found = this.#check(wanted)
    if ('error' in found) return found.error
    // By its name another topic is found: what was read is of one that is gone.
    return found.partition === partition ? null : 'UNKNOWN_TOPIC_OR_PARTITION'
  }

  #letGo(reads: readonly LogSlices[]): void {
    for (const read of reads) {
      this.#broker.fetchedBytes -= read.sizeBytes
      release(this.#broker.log, read)
    }
  }

  /** Where the leaders are that the answers name. */
  #leadersIn(answers: Map<SessionPartition, PartitionAnswer>): Pick<Response, 'nodeEndpoints'> {
    const hasOne = [...answers.values()].some(({ currentLeader }) => currentLeader !== undefined)
    return hasOne ? { nodeEndpoints: [{ nodeId: this.#broker.settings.nodeId, ...this.#context.advertised }] } : {}
  }

  #response(answers: Map<SessionPartition, PartitionAnswer>): Response {
    const { session, incremental, partitions } = this.#plan
    const byTopic = new Map<string, Response['responses'][number] & { partitions: PartitionAnswer[] }>()
    for (const [wanted, answer] of answers) {
      if (session !== null && !tell(wanted, answer) && incremental) continue
      const key = wanted.topicId || wanted.topic
      const topic = byTopic.get(key)
      if (topic === undefined) byTopic.set(key, { topic: wanted.topic, topicId: wanted.topicId, partitions: [answer] })
      else topic.partitions.push(answer)
      if (session === null || !hasRecords(answer)) continue
      // One that had data goes behind the others, so that all get their turn under a limit of bytes.
      const place = partitionKey(wanted)
      if (partitions.delete(place)) partitions.set(place, wanted)
    }
    const { metrics, clock } = this.#broker
    metrics.fetchLatency.observe((clock.monotonicMs() - this.#beganMs - this.#waitedMs) / 1000)
    const responses = [...byTopic.values()]
    return { errorCode: NO_ERROR, sessionId: session?.id ?? 0, responses, ...this.#leadersIn(answers) }
  }
}

/** Remembers what the consumer is told of a partition; false if it knows that already. */
function tell(wanted: SessionPartition, answer: PartitionAnswer): boolean {
  const { highWatermark, logStartOffset = -1 } = answer
  const isNews =
    hasRecords(answer) ||
    answer.errorCode !== NO_ERROR ||
    answer.divergingEpoch !== undefined ||
    wanted.highWatermark !== highWatermark ||
    wanted.logStartOffset !== logStartOffset
  // After an error the recovery is told, too.
  wanted.highWatermark = answer.errorCode === NO_ERROR ? highWatermark : -1
  wanted.logStartOffset = logStartOffset
  return isNews
}

function hasRecords(answer: PartitionAnswer): boolean {
  return answer.records !== null && (answer.records as { byteLength: number }).byteLength > 0
}

function errorAnswer(wanted: SessionPartition, error: KafkaErrorName): PartitionAnswer {
  return {
    partitionIndex: wanted.partition,
    errorCode: errorCode(error),
    highWatermark: -1,
    abortedTransactions: null,
    records: { byteLength: 0, slices: [] },
  }
}
