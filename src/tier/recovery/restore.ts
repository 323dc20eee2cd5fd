import { ChronikError } from '#base/errors.ts'
import { decodeState } from '#core/checkpoint.ts'
import type { Partition, State } from '#core/state.ts'
import { buildEndMarker } from '#records/build.ts'
import { storedSegment } from '#segments/segment-names.ts'
import { beginOf, type Copy, cover, type Taken } from './coverage.ts'
import { type ClosingMarker, type Mended, mendState } from './mend-state.ts'
import type { OwnerFile } from './owner-format.ts'
import { type ArchiveReader, readCheckpoint, replayPieces } from './read-archive.ts'
import { Replay } from './replay.ts'
import { readTailObjects, tailSegment } from './tail-objects.ts'

// What the store can give back: the state at the end of its log, or at a time, and of which objects the records are that were in no
// segment then. Changes nothing anywhere; restored-objects.ts and placeCheckpoint make a data directory of it.

/** Of each partition, what is put behind its segments: copies that are there, or are to be cut out, and markers. */
export interface RestoredPartition {
  readonly partition: Partition
  readonly taken: readonly Taken[]
  readonly markers: readonly ClosingMarker[]
}

export interface RestorePlan {
  /** Mended; without the segments of `partitions`. */
  readonly state: State
  readonly generation: number
  readonly position: number
  readonly stateTimeMs: number
  /** Nothing that was answered can be missing but what `mended` says. */
  readonly isComplete: boolean
  readonly mended: Mended
  readonly partitions: readonly RestoredPartition[]
}

export interface RestoreWish {
  /** Null: all there is. */
  readonly atMs: number | null
  readonly owner: OwnerFile | null
}

/** Null: there is nothing to restore. */
export async function planRestore(reader: ArchiveReader, { atMs, owner }: RestoreWish): Promise<RestorePlan | null> {
  const { report } = reader
  const found = await readCheckpoint(reader, atMs)
  if (found === null) return null
  const { generation, position } = found.name
  const replay = new Replay(decodeState(found.object.content), position, atMs)
  report('info', 'restoring: the checkpoint is read', { generation, position })
  const followed = await replayPieces(reader, generation, replay, () => isCovered(replay))
  const isShort = owner?.generation === generation && replay.position < owner.archivedTo
  if (atMs === null && (!followed || isShort)) throw missingPiece(reader, replay.position)
  const { state } = replay
  report('info', 'restoring: the metadata log is read', { position: replay.position, topics: state.topics.size })
  const isComplete = atMs === null && isAllThere(owner, generation, replay.position)
  const takenBy = await copiesOfRest(reader, generation, replay)
  const ends = new Map([...takenBy].map(([partition, taken]) => [partition, endOf(partition, taken)]))
  const stateTimeMs = state.timeMs
  const mended = mendState(state, { isComplete, ends, markerBytes: MARKER_BYTES })
  const partitions = [...new Set([...takenBy.keys(), ...mended.markers.keys()])].map(partition => ({
    partition,
    taken: takenBy.get(partition) ?? [],
    markers: mended.markers.get(partition) ?? [],
  }))
  return { state, generation, position: replay.position, stateTimeMs, isComplete, mended, partitions }
}

const MARKER_BYTES = buildEndMarker('abort', {
  producerId: 0,
  producerEpoch: 0,
  coordinatorEpoch: 0,
  timestampMs: 0,
}).length

/** Everything that was answered is in what was archived. */
export function isAllThere(owner: OwnerFile | null, generation: number, position: number): boolean {
  if (owner === null || owner.generation !== generation) return false
  if (owner.phase === 'stopped') return owner.archivedTo === position
  return owner.durability === 'bucket'
}

function missingPiece({ store }: ArchiveReader, position: number): ChronikError {
  const message =
    `${store.place} misses a piece of the metadata log behind position ${position}: put it back from a copy of the store, or ` +
    "restore to a time before it with 'chronik restore --at'"
  return new ChronikError('ARCHIVE_DAMAGED', 'corrupt', message)
}

/** Of those that have records in no segment. */
function* unsealed({ partitions }: State): Generator<Partition> {
  for (const partition of partitions) {
    if (partition === undefined || partition.extents.length === 0) continue
    if (partition.logStart < partition.nextOffset) yield partition
  }
}

/** Everything that was in no segment at the time is in later ones: no need to read on. */
function isCovered({ isOver, state, laterSegments }: Replay): boolean {
  if (!isOver) return false
  for (const { ordinal, nextOffset } of unsealed(state)) {
    if ((laterSegments.get(ordinal)?.at(-1)?.nextOffset ?? 0) < nextOffset) return false
  }
  return true
}

/** Of each partition that has records in no segment, where in the store there are copies of them. */
export async function copiesOfRest(
  reader: ArchiveReader,
  generation: number,
  { state, laterSegments }: Replay,
): Promise<Map<Partition, Taken[]>> {
  const taken = new Map<Partition, Taken[]>()
  const wanted = [...unsealed(state)]
  if (wanted.length === 0) return taken
  const copies = new Map<Partition, Copy[]>(wanted.map(partition => [partition, []]))
  for (const [partition, known] of copies) {
    for (const segment of laterSegments.get(partition.ordinal) ?? []) {
      known.push({ segment, key: storedSegment(partition, segment).key })
    }
  }
  const objects = await readTailObjects(reader, generation, (key, why) =>
    reader.report('warn', `${key} of the record tail cannot be read, its records may be lost: ${why}`),
  )
  for (const object of objects) {
    for (const part of object.parts) {
      const partition = state.topicsById.get(part.topicId)?.partitions[part.partition]
      if (partition === undefined) continue
      copies.get(partition)?.push({ segment: tailSegment(object, part), key: object.key })
    }
  }
  for (const [partition, known] of copies) taken.set(partition, takeCopies(partition, known))
  return taken
}

function takeCopies(partition: Partition, copies: readonly Copy[]): Taken[] {
  const { walStart, logStart, nextOffset, segments } = partition
  // What was deleted before may be in no copy: the records begin with the batch that has the first one that is left.
  const isDeleted = segments.length === 0 && logStart > walStart
  const from = isDeleted ? Math.max(walStart, beginOf(logStart, copies)) : walStart
  return cover(from, nextOffset, copies)
}

/** Where the records are there up to. */
export function endOf({ walStart, logStart }: Partition, taken: readonly Taken[]): number {
  return Math.max(logStart, walStart, taken.at(-1)?.to ?? 0)
}
