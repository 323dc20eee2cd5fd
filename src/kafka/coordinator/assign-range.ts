import type { Assignee, PartitionCounts, Targets } from './assignors.ts'

// The range assignor: each topic's partitions are cut into as many runs as it has members, and every member gets the run of its
// place. Members stand in the same order for every topic, so topics with as many partitions and the same members are
// co-partitioned: who has partition 3 of one has partition 3 of the other. Static members come first, by instance id, so that
// their runs stay theirs when they return under other member ids.

export function assignRange(members: readonly Assignee[], counts: PartitionCounts): Targets {
  const inOrder = [...members].sort(byPlace)
  const targets: Targets = new Map(members.map(({ id }) => [id, new Map()]))
  for (const [topicId, count] of counts) {
    const subscribed = inOrder.filter(({ topicIds }) => topicIds.has(topicId))
    const longer = count % subscribed.length
    let next = 0
    for (const [place, { id }] of subscribed.entries()) {
      const length = Math.floor(count / subscribed.length) + (place < longer ? 1 : 0)
      const first = next
      next += length
      if (length > 0) {
        targets.get(id)!.set(
          topicId,
          Array.from({ length }, (_, i) => first + i),
        )
      }
    }
  }
  return targets
}

function byPlace(a: Assignee, b: Assignee): number {
  if (a.instanceId !== null && b.instanceId !== null) return compare(a.instanceId, b.instanceId)
  if (a.instanceId !== null || b.instanceId !== null) return a.instanceId !== null ? -1 : 1
  return compare(a.id, b.id)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
