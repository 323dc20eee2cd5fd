import type { Partition } from '#core/state.ts'
import { type LogSlices, release } from '#log/read-log.ts'
import { parseSegmentKey, type StoredSegment, storedSegment } from '#segments/segment-names.ts'
import { Violation } from './history.ts'
import { checkRead } from './reader.ts'
import type { World } from './world.ts'

/** What is in segments is what was accepted, once; what is in the store is what the log knows, and `isAll` there is nothing else. */
export async function audit(world: World, isAll: boolean): Promise<void> {
  const { tiers, log } = world
  if (tiers === null) return
  const referenced = new Set<string>()
  await world.calmly(async () => {
    for (const partition of log.state.partitions) {
      for (const segment of segmentsOf(partition)) {
        referenced.add(segment.key)
        await auditSegment(world, partition!, segment)
      }
    }
  })
  const keys = await world.clock.run(tiers.keys())
  for (const key of referenced) if (!keys.includes(key)) throw new Violation(`the object ${key} is gone`)
  if (!isAll) return
  if (log.state.garbage.size > 0) throw new Violation(`${log.state.garbage.size} pieces of garbage are left`)
  const orphans = keys.filter(key => !referenced.has(key) && !mayBeWritten(world, key))
  if (orphans.length > 0) throw new Violation(`objects that nobody knows are left: ${orphans}`)
}

function segmentsOf(partition: Partition | undefined): StoredSegment[] {
  if (partition === undefined) return []
  const { segments, walStart } = partition
  const all = Array.from({ length: segments.length }, (_, i) => storedSegment(partition, segments.at(i)))
  for (const [i, segment] of all.entries()) {
    if (segment.nextOffset !== (all[i + 1]?.baseOffset ?? walStart)) {
      throw new Violation(`nothing follows the segment ${segment.key}`)
    }
  }
  return all
}

async function auditSegment({ log, clock, history }: World, partition: Partition, segment: StoredSegment) {
  const model = history.model.partitions[partition.ordinal]!
  const { baseOffset, nextOffset, sizeBytes } = segment
  const span = await clock.run(log.segments.span(segment, 0, sizeBytes))
  const read: LogSlices = { slices: [], sizeBytes: 0, nextOffset, pinned: [], taken: [] }
  span.addTo(read, 0, sizeBytes)
  span.release()
  checkRead(model, baseOffset, read)
  release(log, read)
  if (model.batches[model.indexOf(baseOffset)]?.baseOffset !== baseOffset) {
    throw new Violation(`no batch begins where the segment ${segment.key} does`)
  }
}

/** An upload of a life before this one that was never finished; what comes to be sealed there takes its place. */
function mayBeWritten({ log }: World, key: string): boolean {
  const name = parseSegmentKey(key)
  const partition = log.state.topicsById.get(name?.topicId ?? '')?.partitions[name?.partition ?? -1]
  return name !== null && partition !== undefined && name.baseOffset >= partition.walStart
}
