import type { Partition } from '#core/state.ts'
import type { UnsealedPartition } from '#log/log.ts'
import { MERGED_UP_TO_BYTES } from './merge-plan.ts'

// What is to be sealed now, and when to look again: pure. A partition is due when it has enough for a segment, when its oldest
// unsealed record has waited long enough, when it has so much that a copy of it is not worth while, or when the write-ahead log is to
// get rid of its oldest files. Small ones do not get an object each: when one is due, all that have waited half as long go with it, so
// that a thousand trickles are few objects.

export interface SealLimits {
  /** A segment has about so many bytes at most, or the topic's segment.bytes. */
  readonly segmentBytes: number
  /** A record waits so long at most, or the topic's segment.ms. */
  readonly segmentMs: number
  /** What is in no segment after so long is copied into the store (recovery/record-tail.ts). Infinity: nothing is. */
  readonly tailMs: number
}

/** Smaller ones share an object, which they leave when they are merged: none stays for the sake of one part. */
export const SMALL_BYTES = MERGED_UP_TO_BYTES
/** Of a shared object, all parts together. */
export const SHARED_BYTES = 32 << 20
const SHARED_PARTS = 4096
/**
 * A partition that has so much when it would be copied is sealed instead. A segment of this size is written once more when it is
 * merged, as a copy would be; smaller ones would be more than once.
 */
export const EARLY_BYTES = 512 << 10
/** By what a partition got within this part of the time, what it will have is told. */
const LEAST_EVIDENCE = 1 / 4
/** Sealing that takes longer is not relied on, ... */
const SEALED_IN_MS = 5_000
/** ... nor is it for what has gathered behind so many times as much as is sealed at once. */
const RELIED_ON_SEALS = 3
/** An open transaction keeps what is behind its begin from being sealed: looked at again after so long. */
const BLOCKED_MS = 5_000

/** What is to be sealed of a partition: about so much, in parts of at most so many bytes. */
export interface SealWish {
  readonly partition: Partition
  readonly maxBytes: number
  readonly partBytes: number
}

export interface SealPlan {
  /** Each is one object, of one partition or of several small ones. */
  readonly objects: readonly (readonly SealWish[])[]
  /** When the next one is due if nothing comes. */
  readonly nextDueMs: number
}

export interface SealFacts {
  readonly nowMs: number
  readonly limits: SealLimits
  /** Is being sealed already. */
  isBusy(partition: Partition): boolean
  /** Partitions with records in a WAL file that begins before it are due. */
  readonly pressedBefore: number
}

export function planSeals(waiting: Iterable<UnsealedPartition>, facts: SealFacts): SealPlan {
  const { nowMs } = facts
  const objects: SealWish[][] = []
  const [small, early] = [new Wave(), new Wave()]
  let nextDueMs = Number.POSITIVE_INFINITY
  for (const unsealed of waiting) {
    const { partition, sizeBytes, sinceMs } = unsealed
    if (facts.isBusy(partition)) continue
    const limits = limitsOf(partition, facts.limits)
    unsealed.tellBytes = tellBytesOf(sizeBytes, limits)
    if (partition.firstUnstableOffset <= partition.walStart) {
      nextDueMs = Math.min(nextDueMs, nowMs + Math.min(BLOCKED_MS, limits.tailMs))
      continue
    }
    const dueMs = partition.extents.fileAt(0) < facts.pressedBefore ? nowMs : dueMsOf(unsealed, limits, nowMs)
    if (dueMs > nowMs) nextDueMs = Math.min(nextDueMs, dueMs)
    const isEarly = sizeBytes >= EARLY_BYTES && nowMs - sinceMs >= limits.tailMs / 2
    const isLate = nowMs - sinceMs >= limits.segmentMs / 2
    const wish = { partition, maxBytes: Math.min(sizeBytes, limits.enoughBytes), partBytes: limits.partBytes }
    if (isEarly && sizeBytes < SMALL_BYTES) early.add(wish, dueMs <= nowMs)
    else if (sizeBytes < SMALL_BYTES && (isLate || dueMs <= nowMs)) small.add(wish, dueMs <= nowMs)
    else if (dueMs <= nowMs) objects.push([wish])
  }
  objects.push(...early.objects(), ...small.objects())
  return { objects, nextDueMs }
}

interface PartitionLimits {
  /** Of one segment. */
  readonly partBytes: number
  /** With so much it is due: however small segments are to be, objects are not. */
  readonly enoughBytes: number
  readonly segmentMs: number
  readonly tailMs: number
}

function limitsOf({ topic }: Partition, { segmentBytes, segmentMs, tailMs }: SealLimits): PartitionLimits {
  return {
    partBytes: Math.min(segmentBytes, topic.segmentBytes),
    enoughBytes: Math.min(segmentBytes, Math.max(topic.segmentBytes, SMALL_BYTES)),
    segmentMs: Math.min(segmentMs, topic.segmentMs),
    tailMs,
  }
}

function dueMsOf({ sizeBytes, sinceMs }: UnsealedPartition, limits: PartitionLimits, nowMs: number): number {
  const dueMs = sinceMs + (sizeBytes >= EARLY_BYTES ? Math.min(limits.tailMs, limits.segmentMs) : limits.segmentMs)
  return sizeBytes >= limits.enoughBytes ? Math.min(nowMs, dueMs) : dueMs
}

/** At what size of a partition to look again. */
function tellBytesOf(sizeBytes: number, { enoughBytes, tailMs }: PartitionLimits): number {
  const isTailed = tailMs < Number.POSITIVE_INFINITY
  return isTailed && sizeBytes < EARLY_BYTES ? Math.min(EARLY_BYTES, enoughBytes) : Math.max(enoughBytes, sizeBytes + 1)
}

/** What is to be copied of a partition. */
export interface CopyWish {
  readonly from: number
  /** It is so much that it is sealed as soon as the store takes it. */
  readonly isSealedNext: boolean
}

/** Not what will be in a segment before it would be copied again; what is overdue is not relied on. */
export function copyWishOf(
  unsealed: UnsealedPartition,
  { nowMs, limits }: Pick<SealFacts, 'nowMs' | 'limits'>,
): CopyWish {
  const { partition, sizeBytes } = unsealed
  const { walStart, firstUnstableOffset } = partition
  const from = isSealedSoon(unsealed, nowMs, limits) ? firstUnstableOffset : walStart
  const isEnough = sizeBytes >= EARLY_BYTES && limits.tailMs < Number.POSITIVE_INFINITY
  return { from, isSealedNext: isEnough && firstUnstableOffset > walStart }
}

function isSealedSoon(unsealed: UnsealedPartition, nowMs: number, limits: SealLimits): boolean {
  const { partition, sizeBytes, sinceMs, sealingSinceMs, sealingBytes, waitsSinceMs } = unsealed
  const isSealing = sealingSinceMs >= 0
  const atOnceBytes = isSealing ? sealingBytes : limitsOf(partition, limits).enoughBytes
  if (sizeBytes > RELIED_ON_SEALS * atOnceBytes) return false
  if (isSealing) return nowMs - sealingSinceMs <= SEALED_IN_MS
  const { tailMs } = limits
  const ageMs = nowMs - sinceMs
  // With as much as it got until now in each part of the time.
  const expectedBytes = sizeBytes * Math.max(1, tailMs / Math.max(ageMs, tailMs * LEAST_EVIDENCE))
  const dueMs = dueMsOf({ ...unsealed, sizeBytes: expectedBytes }, limitsOf(partition, limits), nowMs)
  return dueMs - nowMs <= tailMs && nowMs - Math.max(dueMs, waitsSinceMs) <= tailMs
}

/** Small partitions that are sealed together as soon as one of them is due. */
class Wave {
  readonly #wishes: SealWish[] = []
  #isDue = false

  add(wish: SealWish, isDue: boolean): void {
    this.#wishes.push(wish)
    this.#isDue ||= isDue
  }

  objects(): SealWish[][] {
    const objects: SealWish[][] = []
    if (!this.#isDue) return objects
    let sizeBytes = Number.POSITIVE_INFINITY
    for (const wish of this.#wishes) {
      const last = objects.at(-1)
      if (last === undefined || last.length === SHARED_PARTS || sizeBytes + wish.maxBytes > SHARED_BYTES) {
        objects.push([wish])
        sizeBytes = wish.maxBytes
      } else {
        last.push(wish)
        sizeBytes += wish.maxBytes
      }
    }
    return objects
  }
}
