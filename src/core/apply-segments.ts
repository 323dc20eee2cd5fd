import { assert } from '#base/assert.ts'
import { bury, holdObject } from './garbage.ts'
import type { SegmentName, SegmentsCommitted, SegmentsReplaced } from './segment-fields.ts'
import type { Segment } from './segments.ts'
import type { Partition, State } from './state.ts'

// What the records of segments do to the state. The object was in the store before its record was proposed; whether the record
// still fits what happened meanwhile is decided here, part by part. What is left out is an object, or a part of one, that nothing
// refers to.

export type SegmentOutcome = 'NONE' | 'INVALID_UPDATE_VERSION' | 'STALE_CONTROLLER_EPOCH'

export function commitSegments(state: State, { parts }: SegmentsCommitted): SegmentOutcome {
  let outcome: SegmentOutcome = 'NONE'
  for (const { ordinal, segment } of parts) {
    const partition = state.partitions[ordinal]
    if (segment.generation !== state.generation) outcome = 'STALE_CONTROLLER_EPOCH'
    else if (partition === undefined || !continues(partition, segment)) outcome = 'INVALID_UPDATE_VERSION'
    else {
      partition.segments.add(segment)
      partition.extents.seal(segment.nextOffset, segment.sizeBytes, state.releaseFile)
      holdObject(state, segment)
    }
  }
  // Some may have been deleted while they were sealed. Only now is it known what else is in their object.
  for (const { ordinal, segment } of parts) {
    const partition = state.partitions[ordinal]
    if (partition === undefined || segment.nextOffset > partition.logStart) continue
    bury(state, partition, partition.segments.takeBefore(partition.logStart))
  }
  return outcome
}

/** Is it what is to be sealed next? */
function continues(partition: Partition, { baseOffset, nextOffset }: Segment): boolean {
  return baseOffset === partition.walStart && nextOffset > baseOffset && nextOffset <= partition.lastStableOffset
}

export function replaceSegments(state: State, { ordinal, replaced, by, cleaned }: SegmentsReplaced): SegmentOutcome {
  const partition = state.partitions[ordinal]
  const [first, last] = [replaced[0], replaced.at(-1)]
  if (partition === undefined || first === undefined || last === undefined) return 'INVALID_UPDATE_VERSION'
  if (by.some(({ generation }) => generation !== state.generation)) return 'STALE_CONTROLLER_EPOCH'
  const { segments } = partition
  const index = segments.indexOf(first.baseOffset)
  if (!replaced.every((name, i) => isAt(partition, index + i, name))) return 'INVALID_UPDATE_VERSION'
  assert(by[0]?.baseOffset === first.baseOffset, 'segments begin where those began that they replace')
  assert(by.at(-1)?.nextOffset === last.nextOffset, 'segments end where those ended that they replace')
  for (const segment of by) holdObject(state, segment)
  bury(state, partition, segments.replace(index, replaced.length, by))
  if (cleaned === null) return 'NONE'
  partition.cleanedTo = cleaned.toOffset
  partition.cleanHorizonMs = cleaned.horizonMs
  // Compaction leaves no record of them.
  partition.aborted = partition.aborted?.from(cleaned.toOffset) ?? null
  return 'NONE'
}

function isAt({ segments }: Partition, index: number, name: SegmentName): boolean {
  if (index < 0 || index >= segments.length) return false
  const { baseOffset, nextOffset, revision } = segments.at(index)
  return baseOffset === name.baseOffset && nextOffset === name.nextOffset && revision === name.revision
}
