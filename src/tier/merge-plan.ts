import type { Segment } from '#core/segments.ts'
import type { Partition } from '#core/state.ts'

// Which small segments become one: pure. Segments are in classes by size, each eight times the one before; when eight neighbours are
// of a class or smaller they become one of a larger class. So a record is copied once a class, however slowly its partition grows.

/** Neighbours that are merged at least. */
export const MERGED_SEGMENTS = 8
const FIRST_CLASS_BYTES = 1 << 10
/** The largest class: larger segments stay as they are. */
export const MERGED_UP_TO_BYTES = 4 << 20

export interface MergePlan {
  readonly partition: Partition
  /** Indexes of segments. */
  readonly from: number
  readonly to: number
  readonly sizeBytes: number
}

/** The oldest neighbours of the smallest class that are enough; null if there are none. */
function planMerge(partition: Partition, objectBytes: number): MergePlan | null {
  const { segments, topic } = partition
  if (segments.length < MERGED_SEGMENTS) return null
  // Retention removes whole segments.
  const maxBytes = Math.min(objectBytes, topic.segmentBytes)
  for (let sizeClass = 0; FIRST_CLASS_BYTES * 8 ** sizeClass <= MERGED_UP_TO_BYTES; sizeClass++) {
    const found = runOf(partition, FIRST_CLASS_BYTES * 8 ** sizeClass, maxBytes)
    if (found !== null) return found
  }
  return null
}

function runOf(partition: Partition, upToBytes: number, maxBytes: number): MergePlan | null {
  const { segments } = partition
  let run: MergePlan = { partition, from: 0, to: 0, sizeBytes: 0 }
  for (let i = 0; i < segments.length; i++) {
    const segment = segments.at(i)
    const { sizeBytes } = segment
    const goesOn = sizeBytes <= upToBytes && run.sizeBytes + sizeBytes <= maxBytes && !isBorder(partition, segment, run)
    if (goesOn) run = { ...run, to: i + 1, sizeBytes: run.sizeBytes + sizeBytes }
    else if (run.to - run.from >= MERGED_SEGMENTS) return run
    else run = { partition, from: sizeBytes <= upToBytes ? i : i + 1, to: i + 1, sizeBytes }
  }
  return run.to - run.from >= MERGED_SEGMENTS ? run : null
}

/** What is compacted and what is not stay apart. */
function isBorder({ cleanedTo }: Partition, { baseOffset }: Segment, run: MergePlan): boolean {
  return run.to > run.from && baseOffset === cleanedTo
}

/** Of a shared object, all parts together: they are read and written in one go. */
const SHARED_BYTES = 16 << 20
/** A part of this size has an object of its own. */
const SMALL_BYTES = 1 << 20

/** What is to be merged: each list is one object, of one partition or of several small runs. */
export function planMerges(partitions: readonly Partition[], maxBytes: number): MergePlan[][] {
  const objects: MergePlan[][] = []
  let shared: MergePlan[] = []
  let sharedBytes = 0
  for (const partition of partitions) {
    const run = planMerge(partition, maxBytes)
    if (run === null) continue
    if (run.sizeBytes >= SMALL_BYTES) {
      objects.push([run])
      continue
    }
    if (sharedBytes + run.sizeBytes > SHARED_BYTES) {
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
