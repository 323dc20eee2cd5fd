import { assert } from '#base/assert.ts'
import { UNCOMPRESSED } from '#bytes/codecs.ts'
import {
  attributesOf,
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  codecOf,
  isControl,
  lastOffsetOf,
  recordCountOf,
} from '#records/batch.ts'
import { openRecords } from '#records/read.ts'
import { BYTES_PER_TURN, checkedBatchEnd, checkedRecordCount, damagedBatch, RECORDS_PER_TURN } from './checked-batch.ts'
import type { OffsetMap } from './offset-map.kernel.ts'
import { fetchAhead, KeyScan, mapKeys } from './records.kernel.ts'
import { type AbortedIndex, AbortedLookup } from './transactions.ts'

export interface MapOptions {
  /** Empty. */
  readonly map: OffsetMap
  /** The range whose keys count: what was compacted before ends at `from`. */
  readonly from: number
  readonly to: number
  readonly aborted: AbortedIndex | null
  /** The records of a batch may take this many bytes once decompressed. */
  readonly decompressLimitBytes: number
  /** Resolves when others have had their turn on this thread. */
  nextTurn(): Promise<void>
}

/**
 * The first half of a pass (Kafka: Cleaner.buildOffsetMap): puts the keys of [from, to) into the map. `chunks` are the batches of
 * that range in order, whole ones in each. Returns the end of what the map knows about: `to`, or where a batch begins whose keys
 * found no room any more. Only if the keys of one batch alone are too many for the map the end is within that batch.
 */
export async function buildOffsetMap(
  chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
  options: MapOptions,
): Promise<number> {
  assert(options.map.size === 0, 'an offset map is empty before a pass')
  const mapping = new Mapping(options)
  let bytesInTurn = 0
  for await (const chunk of chunks) {
    let fetchedTo = 0
    for (let at = 0; at < chunk.length; ) {
      if (at >= fetchedTo) fetchedTo = fetchAhead(options.map, chunk, at)
      const end = checkedBatchEnd(chunk, at)
      let isMapped = mapping.mapNow(chunk, at, end)
      if (isMapped === 'pending') {
        isMapped = await mapping.mapLater(chunk, at)
        bytesInTurn += mapping.openedBytes
      }
      if (!isMapped) return mapping.end
      bytesInTurn += end - at
      at = end
      if (bytesInTurn < BYTES_PER_TURN) continue
      bytesInTurn = 0
      await options.nextTurn()
    }
  }
  return options.to
}

class Mapping {
  readonly #options: MapOptions
  readonly #lookup: AbortedLookup
  readonly #scan = new KeyScan()
  /** What the map knows about ends here. */
  end: number
  /** Of the records that `mapLater` looked at last, decompressed. */
  openedBytes = 0

  constructor(options: MapOptions) {
    this.#options = options
    this.#lookup = new AbortedLookup(options.aborted)
    this.end = options.from
    this.#scan.fromOffset = options.from
  }

  /** Puts the keys of a batch into the map; false if there is no room. */
  mapNow(bytes: Buffer, at: number, end: number): boolean | 'pending' {
    const nextOffset = lastOffsetOf(bytes, at) + 1
    if (nextOffset <= this.#options.from) return true
    const attributes = attributesOf(bytes, at)
    const hasNoKeys = isControl(attributes) || recordCountOf(bytes, at) === 0
    if (hasNoKeys || this.#lookup.find(bytes, at) !== undefined) {
      this.end = nextOffset
      return true
    }
    if (codecOf(attributes) !== UNCOMPRESSED || recordCountOf(bytes, at) > RECORDS_PER_TURN) return 'pending'
    const from = at + BATCH_HEADER_BYTES
    const count = checkedRecordCount(bytes, at, end - from)
    this.#begin(bytes, at, from)
    mapKeys(this.#options.map, bytes, end, count, this.#scan)
    return this.#concludes(bytes, at, end)
  }

  /** The same for one that takes longer. */
  async mapLater(bytes: Buffer, at: number): Promise<boolean> {
    const body = await openRecords(bytes, at, this.#options.decompressLimitBytes)
    this.openedBytes = body.length
    const count = checkedRecordCount(bytes, at, body.length)
    const scan = this.#scan
    this.#begin(bytes, at, 0)
    for (;;) {
      mapKeys(this.#options.map, body, body.length, Math.min(count, scan.index + RECORDS_PER_TURN), scan)
      if (scan.isFull || scan.isDamaged || scan.index === count) break
      await this.#options.nextTurn()
    }
    return this.#concludes(bytes, at, body.length)
  }

  #begin(bytes: Buffer, at: number, from: number): void {
    this.#scan.begin(from)
    this.#scan.baseOffset = baseOffsetOf(bytes, at)
    this.#scan.lastOffset = -1
  }

  #concludes(bytes: Buffer, at: number, bodyEnd: number): boolean {
    const scan = this.#scan
    if (scan.isDamaged || (!scan.isFull && scan.at !== bodyEnd)) {
      throw damagedBatch('a batch with damaged records', bytes, at)
    }
    if (scan.isFull) {
      // Kafka always ends within the batch. Between batches the log can be cut there; the keys that are in the map already do
      // no harm: their records are in the log, and stay, being behind the end.
      if (this.end === this.#options.from) this.end = scan.lastOffset + 1
      return false
    }
    this.end = lastOffsetOf(bytes, at) + 1
    return true
  }
}
