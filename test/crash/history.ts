// What a broker was sent and what it promised, kept outside of it, and what it says after it was killed, checked against that.

import { crc32c } from '@node-rs/crc32'

export interface SentBatch {
  /** Counted over all writers. It is the batch's time as well, so that it can be told wherever the batch turns up. */
  readonly id: number
  readonly writer: string
  readonly crc: number
  readonly sizeBytes: number
  readonly recordCount: number
  /** Null as long as nobody knows whether it was stored. */
  baseOffset: number | null
}

/** A batch as a consumer gets it. */
export interface FetchedBatch {
  readonly id: number
  readonly baseOffset: number
  readonly crc: number
  readonly sizeBytes: number
  readonly recordCount: number
}

/** The promises are broken. */
export class BrokenPromise extends Error {
  override readonly name = 'BrokenPromise'
}

function demand(condition: boolean, message: () => string): asserts condition {
  if (!condition) throw new BrokenPromise(message())
}

export class PartitionHistory {
  readonly topic: string
  readonly index: number
  /** Acknowledged or not; those that turned out not to be stored are gone from it. */
  readonly batches = new Map<number, SentBatch>()
  /** Acknowledged, and asked for: where the log starts is between the two. */
  logStart = 0
  wantedLogStart = 0
  /** The highest that anybody was told. */
  watermark = 0

  constructor(topic: string, index: number) {
    this.topic = topic
    this.index = index
  }

  get name(): string {
    return `${this.topic}-${this.index}`
  }

  /** Somebody was told, by an answer or by a fetch, that the batch is stored there: it is from now on. */
  stored(id: number, baseOffset: number): void {
    const batch = this.batches.get(id)
    demand(batch !== undefined, () => `${this.name}: batch ${id} at ${baseOffset} was never sent, or had been lost`)
    demand(
      batch.baseOffset === null || batch.baseOffset === baseOffset,
      () => `${this.name}: batch ${id} was at ${batch.baseOffset}, now at ${baseOffset}`,
    )
    batch.baseOffset = baseOffset
    this.watermark = Math.max(this.watermark, baseOffset + batch.recordCount)
  }

  logStartMoved(logStart: number): void {
    this.logStart = Math.max(this.logStart, logStart)
    for (const { id, baseOffset, recordCount } of this.batches.values()) {
      if (baseOffset !== null && baseOffset + recordCount <= this.logStart) this.batches.delete(id)
    }
  }

  /** All that the partition holds now, from its log start to its end. What nobody was told of and is not there is lost. */
  check(found: { logStart: number; watermark: number; batches: readonly FetchedBatch[] }): void {
    const { logStart, watermark, batches } = found
    demand(
      logStart >= this.logStart && logStart <= this.wantedLogStart,
      () => `${this.name} starts at ${logStart}, not between ${this.logStart} and ${this.wantedLogStart}`,
    )
    demand(watermark >= this.watermark, () => `${this.name} ends at ${watermark}, but had reached ${this.watermark}`)
    this.wantedLogStart = logStart
    this.logStartMoved(logStart)
    const seen = this.#checkOrder(batches, logStart, watermark)
    for (const batch of this.batches.values()) {
      if (seen.has(batch.id)) continue
      demand(
        batch.baseOffset === null,
        () => `${this.name}: batch ${batch.id} of ${batch.writer}, acknowledged at ${batch.baseOffset}, is gone`,
      )
      this.batches.delete(batch.id)
    }
    this.watermark = watermark
  }

  #checkOrder(batches: readonly FetchedBatch[], logStart: number, watermark: number): Set<number> {
    const seen = new Set<number>()
    const lastOfWriter = new Map<string, number>()
    let nextOffset: number | null = null
    for (const fetched of batches) {
      const { id, baseOffset, recordCount } = fetched
      const isDense: boolean = nextOffset === null ? baseOffset <= logStart : baseOffset === nextOffset
      demand(isDense, () => `${this.name}: a gap or an overlap at ${baseOffset}, not ${nextOffset ?? logStart}`)
      demand(!seen.has(id), () => `${this.name}: batch ${id} is there twice`)
      this.stored(id, baseOffset)
      this.#checkContent(fetched)
      const { writer } = this.batches.get(id)!
      demand((lastOfWriter.get(writer) ?? -1) < id, () => `${this.name}: batch ${id} of ${writer} is out of order`)
      lastOfWriter.set(writer, id)
      seen.add(id)
      nextOffset = baseOffset + recordCount
    }
    demand((nextOffset ?? logStart) === watermark, () => `${this.name}: read up to ${nextOffset}, not ${watermark}`)
    return seen
  }

  #checkContent({ id, crc, sizeBytes, recordCount }: FetchedBatch): void {
    const sent = this.batches.get(id)!
    const isSame = sent.crc === crc && sent.sizeBytes === sizeBytes && sent.recordCount === recordCount
    demand(isSame, () => `${this.name}: batch ${id} is not what was sent`)
  }
}

const HEADER_BYTES = 61

/** The batches of a fetched record set, their checksums compared with their bytes. */
export function fetchedBatches(recordSet: Buffer, firstTimeMs: number): FetchedBatch[] {
  const batches: FetchedBatch[] = []
  for (let at = 0; at + HEADER_BYTES <= recordSet.length; ) {
    const sizeBytes = 12 + recordSet.readInt32BE(at + 8)
    if (at + sizeBytes > recordSet.length) break
    const batch = recordSet.subarray(at, at + sizeBytes)
    const baseOffset = Number(batch.readBigInt64BE(0))
    const crc = batch.readUInt32BE(17)
    demand(crc32c(batch.subarray(21)) === crc, () => `the batch at offset ${baseOffset} does not match its checksum`)
    demand(batch.readInt32BE(23) === batch.readInt32BE(57) - 1, () => `the batch at ${baseOffset} has odd offsets`)
    batches.push({
      id: Number(batch.readBigInt64BE(27)) - firstTimeMs,
      baseOffset,
      crc,
      sizeBytes,
      recordCount: batch.readInt32BE(57),
    })
    at += sizeBytes
  }
  return batches
}

/** All partitions that are written, and the clock of batches. */
export class History {
  /** Batch 0 has this time. A time within the bounds that a topic has for its records. */
  readonly firstTimeMs = Date.now()
  readonly partitions: readonly PartitionHistory[]
  #nextId = 1

  constructor(topics: Readonly<Record<string, number>>) {
    this.partitions = Object.entries(topics).flatMap(([topic, count]) =>
      Array.from({ length: count }, (_, index) => new PartitionHistory(topic, index)),
    )
  }

  newId(): number {
    return this.#nextId++
  }

  partition(topic: string, index: number): PartitionHistory {
    const partition = this.partitions.find(candidate => candidate.topic === topic && candidate.index === index)
    demand(partition !== undefined, () => `nobody wrote to ${topic}-${index}`)
    return partition
  }
}
