import type { Partition } from '#core/state.ts'

// Which small segments become one: pure. Segments are in classes by size, each eight times the one before; when eight neighbours are
// of a class or smaller, and together larger than that, they become one of a larger class. So a record is copied once a class,
// however slowly its partition grows: were what is larger already copied with every few that come, it would be hundreds of times.

/** Neighbours that are merged at least. */
export const MERGED_SEGMENTS = 8
const FIRST_CLASS_BYTES = 1 << 10
/** Of the last class. What is larger stays as it is. */
export const MERGED_UP_TO_BYTES = 4 << 20

export interface MergePlan {
  readonly partition: Partition
  /** Of the first segment, and of the last one: what lies between them may be gone when it is to be merged. */
  readonly baseOffset: number
  readonly nextOffset: number
  readonly sizeBytes: number
}

/** The oldest neighbours of the smallest class that are enough; null if there are none. */
export function planMerge(partition: Partition, objectBytes: number): MergePlan | null {
  if (partition.segments.length < MERGED_SEGMENTS) return null
  // Retention removes whole segments.
  const maxBytes = Math.min(objectBytes, partition.topic.segmentBytes)
  for (let classBytes = FIRST_CLASS_BYTES; classBytes <= MERGED_UP_TO_BYTES; classBytes *= 8) {
    const found = runOf(partition, classBytes, maxBytes)
    if (found !== null) return found
  }
  return null
}

function runOf(partition: Partition, classBytes: number, maxBytes: number): MergePlan | null {
  const { segments, cleanedTo } = partition
  let [from, sizeBytes] = [0, 0]
  for (let to = 0; ; to++) {
    const nextBytes = to < segments.length ? segments.sizeBytesAt(to) : Number.POSITIVE_INFINITY
    const hasNext = to > from && to < segments.length
    const isOver = hasNext && spansTooLong(partition, from, to)
    // What is compacted and what is not stay apart.
    const isBorder = isOver || (hasNext && segments.baseOffsetAt(to) === cleanedTo)
    if (nextBytes <= classBytes && sizeBytes + nextBytes <= maxBytes && !isBorder) {
      sizeBytes += nextBytes
      continue
    }
    // To what spans its time nothing will come that makes it large enough.
    if (to - from >= MERGED_SEGMENTS && (sizeBytes > classBytes || isOver)) {
      const nextOffset = segments.at(to - 1).nextOffset
      return { partition, baseOffset: segments.baseOffsetAt(from), nextOffset, sizeBytes }
    }
    if (to >= segments.length) return null
    ;[from, sizeBytes] = nextBytes <= classBytes ? [to, nextBytes] : [to + 1, 0]
  }
}

/** Retention removes whole segments, when their newest record is old: no more than segment.ms after the oldest one was. */
function spansTooLong({ segments, topic }: Partition, from: number, last: number): boolean {
  const endMs = segments.createdMsAt(Math.min(last + 1, segments.length - 1))
  return endMs - segments.createdMsAt(from) > topic.segmentMs
}

/** Of a shared object, all parts together: they are read and written in one go. */
const SHARED_BYTES = 16 << 20
/** Each is a record of the log; those of one object are proposed, and applied, in one go. */
const SHARED_PARTS = 1024
/** A part of this size has an object of its own. */
const SMALL_BYTES = 1 << 20

/** What is to be merged together: each list is one object, of one partition or of several small runs. */
export function sharedMerges(runs: readonly MergePlan[]): MergePlan[][] {
  const objects: MergePlan[][] = []
  let shared: MergePlan[] = []
  let sharedBytes = 0
  for (const run of runs) {
    if (run.sizeBytes >= SMALL_BYTES) {
      objects.push([run])
      continue
    }
    if (sharedBytes + run.sizeBytes > SHARED_BYTES || shared.length === SHARED_PARTS) {
      objects.push(shared)
      shared = []
      sharedBytes = 0
    }
    shared.push(run)
    sharedBytes += run.sizeBytes
  }
  if (shared.length > 0) objects.push(shared)
  return objects
}
