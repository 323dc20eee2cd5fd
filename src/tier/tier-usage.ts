import { Walk } from '#base/walk.ts'
import type { Topic } from '#core/state.ts'
import type { Log } from '#log/log.ts'
import type { Series } from '#observe/metrics.ts'
import type { TierFigures } from '#observe/tier-metrics.ts'

// How much each topic has in which tier: computed when somebody asks, with breaks in which others have their turn.

export async function measureTiers({ state, clock }: Log, maxTopics: number): Promise<TierFigures> {
  const walk = new Walk(clock)
  const bytes: Series[] = []
  let segments = 0
  let topics = 0
  for (const topic of [...state.topics.values()]) {
    if (walk.stepped(topic.partitions.length)) await walk.rest()
    segments += topic.partitions.reduce((sum, partition) => sum + partition.segments.length, 0)
    if (++topics <= maxTopics) bytes.push(...bytesOf(topic))
  }
  let garbageObjects = 0
  for (const garbage of state.garbage.values()) garbageObjects += garbage.segments.length
  return { bytes, segments, garbageObjects, topicsLeftOut: Math.max(0, topics - maxTopics) }
}

function bytesOf({ name, partitions }: Topic): Series[] {
  let walBytes = 0
  let storeBytes = 0
  for (const { extents, segments } of partitions) {
    walBytes += extents.sizeBytes()
    storeBytes += segments.sizeBytes()
  }
  return [
    { labelValues: ['wal', name], value: walBytes },
    { labelValues: ['store', name], value: storeBytes },
  ]
}
