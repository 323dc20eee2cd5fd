import { OWN_OBJECT } from '#core/segments.ts'
import type { Partition, State } from '#core/state.ts'
import { keyOfGarbage, type SegmentName, storedSegment } from '#segments/segment-names.ts'
import type { HeldSegment } from './check-segment.ts'

// Which objects a state refers to, and which of them were met: pure. Of a segment with an object of its own that is a bit, of one in a
// shared object two numbers.

/** A segment by its partition and its place among those. */
type RowNumber = readonly [ordinal: number, index: number]

export class HeldObjects {
  readonly #state: State
  readonly #met = new Map<number, Uint8Array>()
  readonly #shared = new Map<string, RowNumber[]>()
  readonly #garbage = new Set<string>()
  /** Of all that is referred to, without indexes. */
  readonly sizeBytes: number

  constructor(state: State) {
    this.#state = state
    let sizeBytes = 0
    for (const partition of state.partitions) {
      if (partition === undefined) continue
      const { ordinal, segments } = partition
      this.#met.set(ordinal, new Uint8Array(segments.length))
      sizeBytes += segments.sizeBytes()
      for (let i = 0; i < segments.length; i++) {
        if (segments.at(i).sharedAt === OWN_OBJECT) continue
        const { key } = storedSegment(partition, segments.at(i))
        const rows = this.#shared.get(key)
        if (rows === undefined) this.#shared.set(key, [[ordinal, i]])
        else rows.push([ordinal, i])
      }
    }
    this.sizeBytes = sizeBytes
    for (const garbage of state.garbage.values()) {
      const { segments } = garbage
      for (let i = 0; i < segments.length; i++) this.#garbage.add(keyOfGarbage(garbage, segments.at(i)))
    }
  }

  /** It waits to be deleted. */
  isGarbage(key: string): boolean {
    return this.#garbage.has(key)
  }

  /** What lies in the object; nothing if nobody refers to it. */
  find(key: string, name: SegmentName): HeldSegment[] {
    return this.#rowsOf(key, name).map(row => this.#held(row))
  }

  /** The same, and the object is there. */
  meet(key: string, name: SegmentName): HeldSegment[] {
    const rows = this.#rowsOf(key, name)
    for (const [ordinal, index] of rows) this.#met.get(ordinal)![index] = 1
    return rows.map(row => this.#held(row))
  }

  #rowsOf(key: string, name: SegmentName): readonly RowNumber[] {
    if (name.sharedAt !== OWN_OBJECT) return this.#shared.get(key) ?? []
    const partition = this.#state.topicsById.get(name.topicId)?.partitions[name.partition]
    const index = partition?.segments.indexOf(name.baseOffset) ?? -1
    if (partition === undefined || index < 0) return []
    return storedSegment(partition, partition.segments.at(index)).key === key ? [[partition.ordinal, index]] : []
  }

  #held([ordinal, index]: RowNumber): HeldSegment {
    return heldSegment(this.#state.partitions[ordinal]!, index)
  }

  /** Objects that were not met, with what is to be in them. */
  *missing(): Generator<{ key: string; held: HeldSegment[] }> {
    for (const [ordinal, met] of this.#met) {
      for (let i = met.indexOf(0); i >= 0; i = met.indexOf(0, i + 1)) {
        const held = this.#held([ordinal, i])
        if (held.segment.sharedAt === OWN_OBJECT) yield { key: held.segment.key, held: [held] }
      }
    }
    for (const [key, rows] of this.#shared) {
      const [ordinal, index] = rows[0]!
      if (this.#met.get(ordinal)![index] === 0) yield { key, held: rows.map(row => this.#held(row)) }
    }
  }
}

function heldSegment(partition: Partition, index: number): HeldSegment {
  return { topicName: partition.topic.name, segment: storedSegment(partition, partition.segments.at(index)) }
}
