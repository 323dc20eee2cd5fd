import { assert } from '#base/assert.ts'
import { type EpochStart, FIRST_LEADER_EPOCH, type Partition } from './state.ts'

// Which leader wrote which records (Kafka: LeaderEpochFileCache). A single broker leads with one epoch; whoever restores a partition
// of which somebody may have read more leads with another one, so that consumers who have find out. Epochs come from generations of
// the store: two restores of the same moment have different ones.
//
// Batches in segments carry the epoch of who wrote them. Those in the write-ahead log are all of the partition's epoch now.

/** Kafka: RecordBatch.NO_PARTITION_LEADER_EPOCH */
const UNDEFINED_EPOCH = -1
/** Of a store that nobody had before. */
const FIRST_GENERATION = 1

/** Who leads from here on: what is there behind the offset is not, and never was. */
export function beginEpoch(partition: Partition, startOffset: number, epoch: number): void {
  assert(partition.extents.length === 0, 'no records of the leader before are in the write-ahead log')
  assert(epoch > partition.leaderEpoch, 'epochs only grow')
  partition.leaderEpoch = epoch
  // Epochs without records are forgotten.
  const earlier = (partition.laterEpochs ?? []).filter(known => known.startOffset < startOffset)
  partition.laterEpochs = [...earlier, { epoch, startOffset }]
}

/** Of who leads first in a generation. */
export function epochOf(generation: number): number {
  return FIRST_LEADER_EPOCH + generation - FIRST_GENERATION
}

/** Where the records of the leaders before end; 0 if there was none. */
export function endOfLeaderBefore({ laterEpochs }: Partition): number {
  return laterEpochs?.at(-1)?.startOffset ?? 0
}

function epochsOf({ laterEpochs }: Partition): EpochStart[] {
  return [{ epoch: FIRST_LEADER_EPOCH, startOffset: 0 }, ...(laterEpochs ?? [])]
}

/** Of who wrote the record there, or is to write it. */
export function epochAt(partition: Partition, offset: number): number {
  if (partition.laterEpochs === null) return partition.leaderEpoch
  return epochsOf(partition).findLast(({ startOffset }) => startOffset <= offset)?.epoch ?? FIRST_LEADER_EPOCH
}

/**
 * Where the records of an epoch end, or of the last one before it that has any (Kafka: endOffsetFor). Null for an epoch that is
 * not there yet.
 */
export function endOfEpoch(partition: Partition, wanted: number): { epoch: number; endOffset: number } | null {
  const { leaderEpoch, nextOffset, logStart } = partition
  if (wanted === leaderEpoch) return { epoch: wanted, endOffset: nextOffset }
  if (wanted === UNDEFINED_EPOCH || wanted > leaderEpoch) return null
  // What is gone from the begin, is gone with its epochs.
  const first = epochAt(partition, logStart)
  const left = epochsOf(partition).filter(({ epoch }) => epoch >= first)
  const next = left.find(({ epoch }) => epoch > wanted)
  assert(next !== undefined, 'the epoch of now is always there')
  const own = left.findLast(({ epoch }) => epoch <= wanted)
  return { epoch: own?.epoch ?? wanted, endOffset: Math.max(logStart, next.startOffset) }
}
