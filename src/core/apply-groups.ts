import { unreachable } from '#base/assert.ts'
import type { Change } from './change-records.ts'
import { ConsumerGroup } from './consumer-groups.ts'
import { NO_GENERATION } from './groups.ts'
import type { State } from './state.ts'

// What the records of groups do to the state. None of them is refused: their coordinator has seen to that.

export type GroupChange = Extract<
  Change,
  {
    kind:
      | 'group-saved'
      | 'group-removed'
      | 'consumer-group-changed'
      | 'group-configs-set'
      | 'offsets-committed'
      | 'offsets-removed'
      | 'offsets-expired'
  }
>
type Of<K extends GroupChange['kind']> = Extract<GroupChange, { kind: K }>

export function applyGroupChange(state: State, change: GroupChange): void {
  switch (change.kind) {
    case 'group-saved':
      saveGeneration(state, change)
      return
    case 'group-removed':
      state.groups.delete(change.groupId)
      return
    case 'consumer-group-changed':
      changeConsumerGroup(state, change)
      return
    case 'group-configs-set':
      if (change.configs.size > 0) state.groupConfigs.set(change.groupId, change.configs)
      else state.groupConfigs.delete(change.groupId)
      return
    case 'offsets-committed':
      commitOffsets(state, change)
      return
    case 'offsets-removed':
      removeOffsets(state, change)
      return
    case 'offsets-expired':
      expireOffsets(state, change)
      return
    default:
      unreachable(change)
  }
}

/** It makes the group one of the classic type. */
function saveGeneration(state: State, { groupId, saved }: Of<'group-saved'>): void {
  const group = state.group(groupId)
  group.saved = saved
  group.consumer = null
  group.savedMs = state.timeMs
}

/** All of it or nothing: a step of the coordinator is one record. It makes the group one of the consumer type. */
function changeConsumerGroup(state: State, { groupId, changes }: Of<'consumer-group-changed'>): void {
  const group = state.group(groupId)
  group.consumer ??= new ConsumerGroup()
  group.saved = NO_GENERATION
  group.savedMs = state.timeMs
  for (const change of changes) group.consumer.apply(change)
}

function commitOffsets(state: State, { groupId, topics }: Of<'offsets-committed'>): void {
  const { offsets } = state.group(groupId)
  // A topic may have been deleted while the commit was on its way.
  const left = topics.filter(({ topicId }) => state.topicsById.has(topicId))
  offsets.commitAll(left, { committedMs: state.timeMs, order: state.commitCount++ })
}

function removeOffsets(state: State, { groupId, topics }: Of<'offsets-removed'>): void {
  const group = state.groups.get(groupId)
  for (const { topicId, partitions } of topics) {
    for (const partition of partitions) group?.forget(topicId, partition)
  }
}

/** What came since they were found to be expired stays, and the group with it. */
function expireOffsets(state: State, { groupId, foundAt, topics, removesGroup }: Of<'offsets-expired'>): void {
  const group = state.groups.get(groupId)
  if (group === undefined) return
  const pending = group.pendingPartitions()
  for (const { topicId, partitions } of topics) {
    for (const partition of partitions) {
      const committed = group.offsets.get(topicId)?.get(partition)
      const isStill = committed !== undefined && committed.order < foundAt && !pending.get(topicId)?.has(partition)
      if (isStill) group.offsets.forget(topicId, partition)
    }
  }
  if (removesGroup && group.isUnused) state.groups.delete(groupId)
}
