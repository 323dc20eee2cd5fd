// Watches how long consumers that read committed are kept waiting: a transaction may keep them no longer than its timeout. The time
// in which there is no broker is not counted.

import { OUTPUT, OUTPUT_PARTITIONS } from './copy-history.ts'
import { BrokenPromise } from './history.ts'
import { type Line, Stopped, sleep } from './line.ts'

const LATEST = -1
const EVERY_MS = 40
/** Where the broker was gone between two looks, it was there for so much of the time at most. */
const MOST_AROUND_A_LOSS_MS = 400

/** Until its line is stopped. Returns the longest time that a last stable offset did not move in front of a log's end. */
export async function watchStability(line: Line, atMostMs: number): Promise<number> {
  const since = new Map<number, { offset: number; atMs: number }>()
  let longestMs = 0
  let lookedAtMs = Date.now()
  let { lossCount } = line
  /** So long there was a broker. */
  let upMs = 0
  try {
    for (;;) {
      const committed = await latest(line, 1)
      const all = await latest(line, 0)
      const passedMs = Date.now() - lookedAtMs
      upMs += line.lossCount === lossCount ? passedMs : Math.min(passedMs, MOST_AROUND_A_LOSS_MS)
      lookedAtMs = Date.now()
      lossCount = line.lossCount
      for (const [partition, offset] of committed) {
        const known = since.get(partition)
        if (offset >= all.get(partition)!) since.delete(partition)
        else if (known?.offset !== offset) since.set(partition, { offset, atMs: upMs })
        else longestMs = Math.max(longestMs, upMs - known.atMs)
        if (longestMs > atMostMs)
          throw new BrokenPromise(`output-${partition} is stuck at ${offset} for ${longestMs} ms`)
      }
      await sleep(EVERY_MS)
    }
  } catch (thrown) {
    if (!(thrown instanceof Stopped)) throw thrown
    return longestMs
  }
}

async function latest(line: Line, isolationLevel: 0 | 1): Promise<Map<number, number>> {
  const partitions = Array.from({ length: OUTPUT_PARTITIONS }, (_, partitionIndex) => ({
    partitionIndex,
    timestamp: LATEST,
  }))
  const { topics } = await line.ask('ListOffsets', 6, {
    replicaId: -1,
    isolationLevel,
    topics: [{ name: OUTPUT, partitions }],
  })
  return new Map(topics[0]!.partitions.map(({ partitionIndex, offset }) => [partitionIndex, offset]))
}
