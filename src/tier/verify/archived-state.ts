import type { Finding, RecordRange } from '#base/inspection.ts'
import { decodeState } from '#core/checkpoint.ts'
import type { Partition, State } from '#core/state.ts'
import { metalogFolder } from '#tier/recovery/archive-names.ts'
import type { Taken } from '#tier/recovery/coverage.ts'
import type { OwnerFile } from '#tier/recovery/owner-format.ts'
import {
  ALL_THERE_IS,
  type ArchiveReader,
  type FoundCheckpoint,
  readCheckpoint,
  replayPieces,
} from '#tier/recovery/read-archive.ts'
import { Replay } from '#tier/recovery/replay.ts'
import { copiesOfRest, endOf, isAllThere } from '#tier/recovery/restore.ts'
import { isLoss, tailFolder } from '#tier/recovery/tail-objects.ts'

// The newest state that the store knows of, where there is no log to ask; as far as it can be made. What is damaged on the way was
// told of by who checked the archive.

export interface ArchivedState {
  readonly state: State
  readonly position: number
  readonly findings: readonly Finding[]
}

/** Null: there is no checkpoint that can be read. */
export async function archivedState(reader: ArchiveReader, owner: OwnerFile | null): Promise<ArchivedState | null> {
  const found = await unlessLost<FoundCheckpoint | null>(() => readCheckpoint(reader, ALL_THERE_IS), null)
  if (found === null) return null
  const { generation, position } = found.name
  const replay = new Replay(decodeState(found.object.content), position, null)
  const isWhole = await unlessLost(() => replayPieces(reader, generation, replay, () => false), false)
  const findings: Finding[] = []
  if (isWhole) {
    // What of the tail cannot be read was told of, too.
    const copies = await copiesOfRest(reader, generation, replay, new Map())
    const isComplete = isAllThere(owner, generation, replay.position)
    findings.push(...findLost(tailFolder(generation), copies, isComplete))
  } else {
    const where = metalogFolder(generation)
    const message =
      `what the log says behind position ${replay.position} is not known: objects that were deleted since may be called missing, and ` +
      'newer ones unreferenced'
    findings.push({ kind: 'notice', where, message, affected: [] })
  }
  return { state: replay.state, position: replay.position, findings }
}

async function unlessLost<T>(read: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await read()
  } catch (thrown) {
    if (!isLoss(thrown)) throw thrown
    return otherwise
  }
}

/** Records that are in no segment, and of which the record tail has no copy. */
function* findLost(where: string, copies: ReadonlyMap<Partition, Taken[]>, isComplete: boolean): Generator<Finding> {
  const affected: RecordRange[] = []
  for (const [partition, taken] of copies) {
    const { topic, index, nextOffset } = partition
    const end = endOf(partition, taken)
    if (end < nextOffset) affected.push({ topic: topic.name, partition: index, fromOffset: end, toOffset: nextOffset })
  }
  if (affected.length === 0) return
  const records = affected.reduce((sum, { fromOffset, toOffset }) => sum + toOffset - fromOffset, 0)
  const what = `${records} records at the end of ${affected.length} partitions are in no segment, and ${where} has no copy of them`
  yield isComplete
    ? { kind: 'damage', where, message: `${what}: put what is missing back from a copy of the store`, affected }
    : { kind: 'notice', where, message: `${what}: only the write-ahead log of their owner has them`, affected }
}
