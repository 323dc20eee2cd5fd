import type { Finding } from '#base/inspection.ts'
import type { Partition, State } from '#core/state.ts'

// Has each partition a place for every record that it is to have: pure. Segments first, then extents of the write-ahead log, each
// where the one before ends, from where the log begins to where it ends.

export function* checkState({ partitions }: State): Generator<Finding> {
  for (const partition of partitions) {
    if (partition === undefined) continue
    const { topic, index } = partition
    const name = `${topic.name}-${index}`
    for (const { end, begin } of breaksOf(partition)) {
      const message = `${name}: what begins at offset ${begin} does not follow what ends at ${end}: restore it from a backup`
      const affected = [{ topic: topic.name, partition: index, fromOffset: end, toOffset: begin }]
      yield { kind: 'damage', where: name, message, affected }
    }
  }
}

function* breaksOf({ segments, extents, logStart, nextOffset }: Partition): Generator<{ end: number; begin: number }> {
  let end: number | null = null
  for (const rows of [segments, extents]) {
    for (let i = 0; i < rows.length; i++) {
      const row = rows.at(i)
      // The log may begin within the first of them.
      end ??= Math.min(row.baseOffset, logStart)
      if (row.baseOffset !== end) yield { end, begin: row.baseOffset }
      end = row.nextOffset
    }
  }
  end ??= logStart
  if (end !== nextOffset) yield { end, begin: nextOffset }
}
