import type { CodecName } from '#bytes/codecs.ts'

// What is asked of a batch that a producer sent, and what was found out about it.

// Kafka's numbers for its errors, as far as a batch can be the reason.
export const NO_ERROR = 0
export const CORRUPT_MESSAGE = 2
export const MESSAGE_TOO_LARGE = 10
export const RECORD_LIST_TOO_LARGE = 18
export const INVALID_TIMESTAMP = 32
export const UNSUPPORTED_COMPRESSION_TYPE = 76
export const INVALID_RECORD = 87

/** What a topic asks of its batches; one object for a topic, used for all of them. Names are those of Kafka's topic configs. */
export interface BatchRules {
  /** `max.message.bytes` */
  readonly maxMessageBytes: number
  /** `segment.bytes` */
  readonly segmentBytes: number
  /** `message.timestamp.type` */
  readonly timestampType: 'CreateTime' | 'LogAppendTime'
  /** `message.timestamp.before.max.ms`; Infinity for Kafka's largest number. */
  readonly timestampBeforeMaxMs: number
  /** `message.timestamp.after.max.ms`; Infinity for Kafka's largest number. */
  readonly timestampAfterMaxMs: number
  /** `cleanup.policy` holds `compact` */
  readonly compacted: boolean
  /** `compression.type` */
  readonly compression: CodecName | 'producer'
  /** `compression.<codec>.level` of that codec; undefined for the codec's own default. */
  readonly compressionLevel: number | undefined
  /** The records of one batch may take this many bytes once decompressed. */
  readonly decompressLimitBytes: number
}

/** What a batch comes with; owned by the caller, who may use it again for the next. */
export interface ProduceContext {
  nowMs: number
  /** Version of the produce request. */
  produceVersion: number
}

/** Of an inspection that takes its time. */
export interface LongContext extends ProduceContext {
  /** Resolves when others have had their turn on this thread. */
  nextTurn(): Promise<void>
}

/** Kafka: ProduceResponse.RecordError */
export interface RecordError {
  /** Index of the record in its batch. */
  readonly index: number
  readonly message: string
}

/** Filled by an inspection; owned by the caller, who may use it again. The header fields are those of the bytes to be stored. */
export class BatchFacts {
  /** One of the numbers above. If it is not NO_ERROR the batch must not be stored and only the next two mean anything. */
  errorCode = NO_ERROR
  errorMessage: string | null = null
  recordErrors: readonly RecordError[] | null = null

  /** What to store in place of the bytes that came, or null if they are to be stored as they are. */
  replacement: Buffer | null = null
  sizeBytes = 0
  crc = 0
  attributes = 0
  recordCount = 0
  baseTimestampMs = -1
  maxTimestampMs = -1
  /** Below 0: without a producer id. */
  producerId = -1
  producerEpoch = -1
  baseSequence = -1
  /** The time the batch got if the topic has LogAppendTime, else -1. */
  logAppendTimeMs = -1
}
