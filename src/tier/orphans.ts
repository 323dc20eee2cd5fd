import { isHeld } from '#core/garbage.ts'
import { OWN_OBJECT, type Segments } from '#core/segments.ts'
import type { State } from '#core/state.ts'
import type { SegmentName } from '#segments/segment-names.ts'

// Which object is an orphan: pure. Its name says it all, since a name is used again only for what is not decided yet: the range of a
// partition that is to be sealed next has the same name whenever it is tried, a shared object is named by where the log stood when it
// was begun, a compacted one by when.

/** What is being made now: the oldest of each; Infinity if there is none. */
export interface InFlight {
  readonly sharedAt: number
  readonly revision: number
}

/** Does no segment of the state lie in the object, and can none come to? It may be known garbage. */
export function isUnreferenced(name: SegmentName, state: State, inFlight: InFlight): boolean {
  if (name.generation > state.generation) return false
  const isEarlier = name.generation < state.generation
  if (name.sharedAt !== OWN_OBJECT) return !isHeld(state, name) && (isEarlier || name.sharedAt < inFlight.sharedAt)
  const partition = state.topicsById.get(name.topicId)?.partitions[name.partition]
  if (partition !== undefined && has(partition.segments, name)) return false
  if (isEarlier) return true
  if (name.revision !== 0) return name.revision < inFlight.revision
  return partition === undefined || name.baseOffset < partition.walStart
}

function has(segments: Segments, name: SegmentName): boolean {
  const at = segments.indexOf(name.baseOffset)
  if (at < 0) return false
  const { baseOffset, nextOffset, generation, revision, sharedAt, hash } = segments.at(at)
  return (
    baseOffset === name.baseOffset &&
    nextOffset === name.nextOffset &&
    generation === name.generation &&
    revision === name.revision &&
    hash === name.hash &&
    sharedAt === OWN_OBJECT
  )
}
