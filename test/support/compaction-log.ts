// A partition as it is written, for tests of compaction: its batches as bytes, and the same as plain objects to tell what must
// become of them (compaction-model.ts).

import fc from 'fast-check'
import { CODEC_NAMES, type CodecName } from '#bytes/codecs.ts'
import { type Producer, rememberBatch, rememberMarker, sequenceAfter } from '#core/producers.ts'
import { AbortedTransactions } from '#core/transactions.ts'
import { attributesOf, setBaseOffset, setMaxTimestamp } from '#records/batch.ts'
import { buildBatch, buildEndMarker } from '#records/build.ts'

export const START_MS = 1_700_000_000_000
export const PRODUCERS = 3

export interface PlainRecord {
  readonly offset: number
  readonly timestampMs: number
  readonly key: string | null
  readonly value: string | null
}

export interface PlainTransaction {
  isAborted: boolean
}

export interface PlainBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly leaderEpoch: number
  readonly codec: CodecName
  readonly isTransactional: boolean
  readonly isMarker: boolean
  readonly hasAppendTime: boolean
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly baseTimestampMs: number
  readonly maxTimestampMs: number
  readonly horizonMs: number | null
  readonly records: readonly PlainRecord[]
}

/** What bytes do not say. */
export interface WrittenBatch extends PlainBatch {
  readonly transaction: PlainTransaction | null
}

export interface RecordEvent {
  readonly key: string | null
  readonly value: string | null
  /** From START_MS; null for a record without a time. */
  readonly timeMs: number | null
  readonly hasHeaders: boolean
}

export type LogEvent =
  | {
      readonly kind: 'batch'
      /** -1 for none. */
      readonly producer: number
      readonly isTransactional: boolean
      readonly codec: CodecName
      readonly hasAppendTime: boolean
      readonly records: readonly RecordEvent[]
    }
  | { readonly kind: 'end'; readonly producer: number; readonly isCommit: boolean; readonly bumpsEpoch: boolean }

const someKey = fc.constantFrom('a', 'b', 'c', 'd', 'a key that is longer than a block of the hash', '')
const someValue = fc.oneof(
  { weight: 5, arbitrary: fc.string({ maxLength: 12 }) },
  { weight: 1, arbitrary: fc.nat(40).map(size => 'long '.repeat(100 * size)) },
)

const someRecord: fc.Arbitrary<RecordEvent> = fc.record({
  key: fc.option(someKey, { nil: null, freq: 12 }),
  value: fc.option(someValue, { nil: null, freq: 3 }),
  timeMs: fc.option(fc.oneof(fc.nat(200), fc.nat(3_000_000_000)), { nil: null, freq: 15 }),
  hasHeaders: fc.nat(5).map(number => number === 0),
})

export const someEvent: fc.Arbitrary<LogEvent> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('batch' as const),
      producer: fc.integer({ min: -1, max: PRODUCERS - 1 }),
      isTransactional: fc.boolean(),
      codec: fc.oneof(fc.constant('uncompressed' as const), fc.constantFrom(...CODEC_NAMES)),
      hasAppendTime: fc.nat(5).map(number => number === 0),
      records: fc.array(someRecord, { minLength: 1, maxLength: 6 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      producer: fc.nat(PRODUCERS - 1),
      isCommit: fc.boolean(),
      bumpsEpoch: fc.boolean(),
    }),
  },
)

const HEADERS = [
  { key: 'header', value: Buffer.from('x') },
  { key: 'empty', value: null },
]

export class WrittenLog {
  batches: WrittenBatch[] = []
  bytes: Buffer[] = []
  nextOffset = 0
  readonly producers = new Map<number, Producer>()
  readonly aborted = new AbortedTransactions()
  readonly #epochs = new Map<number, number>()
  readonly #sequences = new Map<number, number>()
  readonly #open = new Map<number, { firstOffset: number | null; transaction: PlainTransaction }>()

  get lastStableOffset(): number {
    const firsts = [...this.#open.values()].map(({ firstOffset }) => firstOffset ?? Number.POSITIVE_INFINITY)
    return Math.min(this.nextOffset, ...firsts)
  }

  write(event: LogEvent): void {
    if (event.kind === 'batch') this.#writeBatch(event)
    else this.#writeMarker(event)
  }

  endAll(): void {
    for (const producer of [...this.#open.keys()]) {
      this.write({ kind: 'end', producer, isCommit: producer % 2 === 0, bumpsEpoch: true })
    }
  }

  #writeBatch(event: LogEvent & { kind: 'batch' }): void {
    const { producer: producerId, codec, hasAppendTime } = event
    const isTransactional = producerId >= 0 && (event.isTransactional || this.#open.has(producerId))
    const producerEpoch = producerId < 0 ? -1 : (this.#epochs.get(producerId) ?? 0)
    const baseSequence = producerId < 0 ? -1 : (this.#sequences.get(producerId) ?? 0)
    const baseOffset = this.nextOffset
    const lastOffset = baseOffset + event.records.length - 1
    const times = event.records.map(({ timeMs }) => (timeMs === null ? -1 : START_MS + timeMs))
    const appendTime = hasAppendTime ? { logAppendTimeMs: START_MS + baseOffset } : {}
    const toBytes = (text: string | null) => (text === null ? null : Buffer.from(text))
    const bytes = buildBatch(
      event.records.map(({ key, value, hasHeaders }, i) => {
        const headers = hasHeaders ? HEADERS : []
        return { timestampMs: times[i]!, key: toBytes(key), value: toBytes(value), headers }
      }),
      { codec, leaderEpoch: 0, producerId, producerEpoch, baseSequence, transactional: isTransactional, ...appendTime },
    )
    if (producerId >= 0) {
      this.#sequences.set(producerId, sequenceAfter(baseSequence, event.records.length))
      this.#remember(producerId, producerEpoch, { baseOffset, baseSequence, count: event.records.length })
    }
    const transaction = isTransactional ? this.#join(producerId, baseOffset) : null
    const about = {
      leaderEpoch: 0,
      codec,
      isTransactional,
      isMarker: false,
      hasAppendTime,
      horizonMs: null,
      transaction,
    }
    this.#add(bytes, {
      ...about,
      ...{ baseOffset, lastOffset, producerId, producerEpoch, baseSequence },
      baseTimestampMs: times[0]!,
      maxTimestampMs: hasAppendTime ? START_MS + baseOffset : Math.max(...times),
      records: event.records.map(({ key, value }, i) => {
        return { offset: baseOffset + i, timestampMs: hasAppendTime ? START_MS + baseOffset : times[i]!, key, value }
      }),
    })
  }

  #remember(
    producerId: number,
    epoch: number,
    { baseOffset, baseSequence, count }: { baseOffset: number; baseSequence: number; count: number },
  ): void {
    const producer = this.producers.get(producerId) ?? { epoch, lastAppendMs: 0, batches: [] }
    this.producers.set(producerId, producer)
    const lastSequence = sequenceAfter(baseSequence, count - 1)
    rememberBatch(producer, epoch, { firstSequence: baseSequence, lastSequence, baseOffset, timestampMs: 0 }, 0)
  }

  #join(producerId: number, offset: number): PlainTransaction {
    const open = this.#open.get(producerId) ?? { firstOffset: offset, transaction: { isAborted: false } }
    this.#open.set(producerId, open)
    return open.transaction
  }

  /** KIP-890: with the epoch its sequence begins anew. A transaction may be without records here, in other partitions. */
  #writeMarker({ producer: producerId, isCommit, bumpsEpoch }: LogEvent & { kind: 'end' }): void {
    const producerEpoch = (this.#epochs.get(producerId) ?? 0) + (bumpsEpoch ? 1 : 0)
    const baseOffset = this.nextOffset
    const timestampMs = START_MS + baseOffset
    const bytes = buildEndMarker(isCommit ? 'commit' : 'abort', {
      ...{ producerId, producerEpoch, timestampMs },
      coordinatorEpoch: 0,
    })
    bytes.writeInt32BE(0, 12)
    this.#epochs.set(producerId, producerEpoch)
    const producer = this.producers.get(producerId) ?? { epoch: producerEpoch, lastAppendMs: 0, batches: [] }
    this.producers.set(producerId, producer)
    if (producer.epoch !== producerEpoch) this.#sequences.set(producerId, 0)
    rememberMarker(producer, producerEpoch)
    const open = this.#open.get(producerId)
    this.#open.delete(producerId)
    const transaction = open?.transaction ?? { isAborted: false }
    transaction.isAborted = !isCommit
    this.#add(bytes, {
      ...{ leaderEpoch: 0, codec: 'uncompressed', isTransactional: true, isMarker: true, hasAppendTime: false },
      ...{ baseOffset, lastOffset: baseOffset, producerId, producerEpoch, baseSequence: -1, horizonMs: null },
      baseTimestampMs: timestampMs,
      maxTimestampMs: timestampMs,
      records: [
        {
          offset: baseOffset,
          timestampMs,
          key: isCommit ? MARKER_KEYS.commit : MARKER_KEYS.abort,
          value: MARKER_VALUE,
        },
      ],
      transaction,
    })
    const firstOffset = open?.firstOffset ?? null
    if (isCommit || firstOffset === null) return
    this.aborted.add({ producerId, firstOffset, lastOffset: baseOffset, lastStableOffset: this.lastStableOffset })
  }

  #add(bytes: Buffer, batch: WrittenBatch): void {
    setBaseOffset(bytes, 0, batch.baseOffset)
    setMaxTimestamp(bytes, 0, batch.maxTimestampMs, attributesOf(bytes, 0))
    this.bytes.push(bytes)
    this.batches.push(batch)
    this.nextOffset = batch.lastOffset + 1
  }
}

const MARKER_KEYS = { abort: '\0\0\0\0', commit: '\0\0\0\u0001' }
const MARKER_VALUE = '\0'.repeat(6)
