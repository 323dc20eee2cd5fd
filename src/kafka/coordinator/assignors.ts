import type { Target } from '#core/consumer-groups.ts'
import { assignRange } from './assign-range.ts'
import { assignUniform } from './assign-uniform.ts'

// Who gets which partition. Assignors are pure: the same members, topics and targets so far give the same targets.

export interface Assignee {
  readonly id: string
  readonly instanceId: string | null
  /** Ids of the topics it wants; all of them are there. */
  readonly topicIds: ReadonlySet<string>
  /** What it was to have so far. */
  readonly target: Target
}

/** Topics that somebody wants: how many partitions each has, by id. */
export type PartitionCounts = ReadonlyMap<string, number>

/** Partitions by topic id, ascending, for each member by its id. */
export type Targets = Map<string, Map<string, number[]>>

export type Assignor = (members: readonly Assignee[], counts: PartitionCounts) => Targets

export const DEFAULT_ASSIGNOR = 'uniform'

export const ASSIGNORS: ReadonlyMap<string, Assignor> = new Map([
  [DEFAULT_ASSIGNOR, assignUniform],
  ['range', assignRange],
])
