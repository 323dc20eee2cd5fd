import { assert } from '#base/assert.ts'
import { OWN_OBJECT, type Segment, Segments } from './segments.ts'
import type { Partition, State } from './state.ts'

/** Objects of a partition's segments that nothing refers to any more: they wait to be deleted. */
export interface Garbage {
  readonly id: number
  /** State time at which it became garbage. */
  readonly sinceMs: number
  readonly topicId: string
  readonly topicName: string
  readonly partition: number
  /** Those with objects of their own, and for each shared object the last of its segments. */
  readonly segments: Segments
}

/** One more segment lies in its shared object. */
export function holdObject(state: State, segment: Segment): void {
  if (segment.sharedAt === OWN_OBJECT) return
  const name = sharedName(segment)
  state.sharedSegments.set(name, (state.sharedSegments.get(name) ?? 0) + 1)
}

/** A partition has these segments no more. */
export function bury(state: State, { topic, index }: Partition, segments: Segments): void {
  const unreferenced = new Segments()
  for (let i = 0; i < segments.length; i++) {
    const segment = segments.at(i)
    if (isLast(state, segment)) unreferenced.addApart(segment)
  }
  if (unreferenced.length === 0) return
  const id = state.garbageCount++
  const of = { topicId: topic.id, topicName: topic.name, partition: index }
  state.garbage.set(id, { id, sinceMs: state.timeMs, ...of, segments: unreferenced })
}

/** Does nothing else refer to the segment's object? */
function isLast(state: State, segment: Segment): boolean {
  if (segment.sharedAt === OWN_OBJECT) return true
  const name = sharedName(segment)
  const left = (state.sharedSegments.get(name) ?? 0) - 1
  assert(left >= 0, 'a segment in a shared object holds it')
  if (left > 0) state.sharedSegments.set(name, left)
  else state.sharedSegments.delete(name)
  return left === 0
}

type SharedName = Pick<Segment, 'generation' | 'sharedAt' | 'hash'>

/** Does a segment lie in this shared object? */
export function isHeld(state: State, name: SharedName): boolean {
  return state.sharedSegments.has(sharedName(name))
}

function sharedName({ generation, sharedAt, hash }: SharedName): string {
  return `${generation}/${sharedAt}/${hash}`
}
