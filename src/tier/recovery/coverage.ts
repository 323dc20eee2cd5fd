import type { Segment } from '#core/segments.ts'

// Which copies in the store make up a range of a partition: pure.

/** A segment, or a part of an object of the record tail, as a segment of its partition. */
export interface Copy {
  readonly segment: Segment
  /** The object it is in. */
  readonly key: string
}

/** What of a copy is taken: all of it, or its batches in between. */
export interface Taken {
  readonly copy: Copy
  readonly from: number
  readonly to: number
}

export function isWhole({ copy, from, to }: Taken): boolean {
  return copy.segment.baseOffset === from && copy.segment.nextOffset === to
}

/** Copies one behind the other from `from` on, up to `to` or as far as there are any. Each begins and ends with batches. */
export function cover(from: number, to: number, copies: readonly Copy[]): Taken[] {
  const taken: Taken[] = []
  for (let offset = from; offset < to; ) {
    const best = longestAt(offset, copies)
    if (best === null) break
    const end = Math.min(best.segment.nextOffset, to)
    taken.push({ copy: best, from: offset, to: end })
    offset = end
  }
  return taken
}

/** Where the copies that have an offset begin: what is before it is not wanted, but may come with it. */
export function beginOf(offset: number, copies: readonly Copy[]): number {
  return longestAt(offset, copies)?.segment.baseOffset ?? offset
}

/** Of those that have the offset the one that goes on for longest; among equals one that begins there, which is taken as it is. */
function longestAt(offset: number, copies: readonly Copy[]): Copy | null {
  let best: Copy | null = null
  for (const copy of copies) {
    const { baseOffset, nextOffset } = copy.segment
    if (baseOffset > offset || nextOffset <= offset) continue
    const isBetter =
      best === null ||
      nextOffset > best.segment.nextOffset ||
      (nextOffset === best.segment.nextOffset && baseOffset === offset)
    if (isBetter) best = copy
  }
  return best
}
