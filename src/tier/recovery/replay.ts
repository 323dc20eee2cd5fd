import { ByteReader } from '#bytes/cursor.ts'
import { decodeChange, PRODUCE_RECORD, typeOfChange } from '#core/change-records.ts'
import { apply, NO_EFFECTS } from '#core/core.ts'
import type { Segment } from '#core/segments.ts'
import type { State } from '#core/state.ts'
import type { ArchivedGroup } from './archive-format.ts'

// The records of the metadata log on top of a checkpoint: the state is that of the live broker, by the same function. What comes
// behind the time that is wanted changes nothing; but records that were in no segment then may be in one that was sealed later.

const SEGMENTS_COMMITTED = typeOfChange('segments-committed')
const TIME_BYTES = 8

export class Replay {
  readonly state: State
  readonly #untilMs: number
  #position: number
  #isOver = false
  /** By ordinal: segments of the same log that were made behind the time. */
  readonly laterSegments = new Map<number, Segment[]>()

  /** `untilMs`: null for everything. */
  constructor(state: State, position: number, untilMs: number | null) {
    this.state = state
    this.#position = position
    this.#untilMs = untilMs ?? Number.POSITIVE_INFINITY
  }

  /** Behind what was applied. */
  get position(): number {
    return this.#position
  }

  /** A record behind the time was met. */
  get isOver(): boolean {
    return this.#isOver
  }

  add({ position, endPosition, records }: ArchivedGroup): void {
    // Pieces may overlap after an answer was lost.
    if (!this.#isOver && position < this.#position) return
    const section = new ByteReader(records)
    while (section.remaining > 0) this.#addRecord(section)
    if (!this.#isOver) this.#position = endPosition
  }

  #addRecord(section: ByteReader): void {
    const type = section.u8()
    const version = section.u8()
    const bodyBytes = section.u32()
    const bodyAt = section.take(bodyBytes)
    const body = new ByteReader(section.bytes, bodyAt, bodyAt + bodyBytes)
    // Every record begins with its time.
    this.#isOver ||= bodyBytes >= TIME_BYTES && section.bytes.readDoubleBE(bodyAt) > this.#untilMs
    if (!this.#isOver) apply(this.state, { type, version, body }, NO_EFFECTS)
    else if (type !== PRODUCE_RECORD && type === SEGMENTS_COMMITTED) this.#addLater(type, version, body)
  }

  #addLater(type: number, version: number, body: ByteReader): void {
    const { change } = decodeChange(type, version, body)
    if (change.kind !== 'segments-committed') return
    for (const { ordinal, segment } of change.parts) {
      const known = this.laterSegments.get(ordinal)
      if (known === undefined) this.laterSegments.set(ordinal, [segment])
      else known.push(segment)
    }
  }
}
