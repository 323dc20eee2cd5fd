import { maxTimestampOf, setBaseOffset, setMaxTimestamp } from '#records/batch.ts'
import { buildBatch } from '#records/build.ts'

// A log to compact that is made while it is read, in memory that is used again: batches of records with keys of 16 bytes, drawn
// at random. What is made twice is the same.

const KEY_BYTES = 16
const CHUNK_BYTES = 1 << 20
const DIGIT_0 = 48

export interface CompactionLoad {
  readonly records: number
  readonly keys: number
  readonly recordsPerBatch: number
  readonly valueBytes: number
  readonly timestampMs: number
}

export class LoadChunks {
  readonly #load: CompactionLoad
  readonly #template: Buffer
  readonly #keyPlaces: number[] = []
  readonly #chunk: Buffer
  #random = 1
  /** Of the batches so far. */
  bytes = 0
  /** What it took to make them. */
  spentMs = 0

  constructor(load: CompactionLoad) {
    this.#load = load
    const { recordsPerBatch, valueBytes, timestampMs } = load
    const key = Buffer.from(`key-${'0'.repeat(KEY_BYTES - 4)}`)
    const records = Array.from({ length: recordsPerBatch }, (_, i) => {
      return { timestampMs: timestampMs + (i >> 3), key, value: Buffer.alloc(valueBytes, 'v') }
    })
    this.#template = buildBatch(records)
    for (let place = this.#template.indexOf(key); place >= 0; place = this.#template.indexOf(key, place + 1)) {
      this.#keyPlaces.push(place + KEY_BYTES)
    }
    this.#chunk = Buffer.alloc(Math.max(1, Math.floor(CHUNK_BYTES / this.#template.length)) * this.#template.length)
  }

  *[Symbol.iterator](): Generator<Buffer> {
    const { records, recordsPerBatch } = this.#load
    this.#random = 1
    for (let offset = 0; offset < records; ) {
      const startMs = cpuMs()
      let at = 0
      for (; at < this.#chunk.length && offset < records; offset += recordsPerBatch) {
        this.#writeBatch(at, offset)
        at += this.#template.length
      }
      this.bytes += at
      this.spentMs += cpuMs() - startMs
      yield this.#chunk.subarray(0, at)
    }
  }

  #writeBatch(at: number, offset: number): void {
    const chunk = this.#chunk
    this.#template.copy(chunk, at)
    for (const place of this.#keyPlaces) {
      this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0
      let rest = Math.floor((this.#random / 2 ** 32) * this.#load.keys)
      for (let digit = at + place - 1; rest > 0; digit--) {
        chunk[digit] = DIGIT_0 + (rest % 10)
        rest = Math.floor(rest / 10)
      }
    }
    setBaseOffset(chunk, at, offset)
    setMaxTimestamp(chunk, at, maxTimestampOf(chunk, at), 0)
  }
}

/** Time that this process had on any core: another's does not count. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
