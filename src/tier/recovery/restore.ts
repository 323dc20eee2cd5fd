import { assert } from '#base/assert.ts'
import { ChronikError, messageOf } from '#base/errors.ts'
import { decodeState } from '#core/checkpoint.ts'
import type { Partition, State } from '#core/state.ts'
import { buildEndMarker } from '#records/build.ts'
import { storedSegment } from '#segments/segment-names.ts'
import { beginOf, type Copy, cover, type Taken } from './coverage.ts'
import { type ClosingMarker, type Mended, mendState } from './mend-state.ts'
import { IS_MISSING, keyOf, keysOf, missesSegments, missingOf } from './missing-objects.ts'
import type { OwnerFile } from './owner-format.ts'
import { type ArchiveReader, goesOnAfter, readCheckpoint, replayPieces } from './read-archive.ts'
import { Replay } from './replay.ts'
import { CopyUnreadable } from './restored-objects.ts'
import { isLoss, readTailObjects, tailSegment } from './tail-objects.ts'

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
  /** As it was at a time, not at the end. */
  readonly isAtTime: boolean
  /** Nothing that was answered can be missing but what `mended` says. */
  readonly isComplete: boolean
  readonly mended: Mended
  /** What should be there and is not, or is damaged: it is left out. */
  readonly damage: readonly Damage[]
  readonly partitions: readonly RestoredPartition[]
}

export interface Damage {
  readonly what: string
  readonly why: string
}

export interface RestoreWish {
  /** Null: all there is. */
  readonly atMs: number | null
  readonly owner: OwnerFile | null
  /** Of who is to own what is restored. */
  readonly nextGeneration: number
  /** Go on without what is damaged, and what is lost by that. */
  readonly acceptsLoss: boolean
  /** By key, copies of records that are known to be damaged. */
  readonly unreadable: ReadonlyMap<string, string>
}

/** Null: there is nothing to restore. Refused if there is damage that loses something, unless that is accepted. */
export async function planRestore(reader: ArchiveReader, wish: RestoreWish): Promise<RestorePlan | null> {
  const { report, progress } = reader
  const { atMs, owner, acceptsLoss } = wish
  progress.step = 'checkpoint'
  const found = await readCheckpoint(reader, { atMs, windowBeginMs: windowBeginMs(owner) })
  if (found === null) return null
  const { generation, position } = found.name
  const replay = new Replay(decodeState(found.object.content), position, atMs)
  report('info', 'restoring: the checkpoint is read', { generation, position })
  progress.step = 'metalog'
  let broken: string | null = null
  const followed = await replayPieces(reader, generation, replay, () => isCovered(replay)).catch(thrown => {
    if (!isLoss(thrown)) throw thrown
    broken = messageOf(thrown)
    return false
  })
  const isShort = owner?.generation === generation && replay.position < owner.archivedTo
  const endsEarly = !replay.isOver && (broken !== null || !followed || isShort)
  const end = { generation, position: replay.position }
  const wasAway = endsEarly && broken === null && atMs !== null && (await goesOnAfter(reader, end, atMs))
  if (wasAway) report('warn', 'the store knows nothing of that time, it was away: the state before is restored')
  const isBroken = endsEarly && !wasAway
  if (isBroken && !acceptsLoss) throw brokenLog(reader, replay, broken)
  const { state } = replay
  report('info', 'restoring: the metadata log is read', { position: replay.position, topics: state.topics.size })
  const isComplete = atMs === null && !isBroken && isAllThere(owner, generation, replay.position)
  const unreadable = new Map(wish.unreadable)
  // What became of the last records of that time may be said behind it.
  if (broken !== null && replay.isOver) unreadable.set('the metadata log behind that time', broken)
  const damage: Damage[] = []
  if (atMs !== null) {
    const missing = await missingSegments(reader, replay, unreadable)
    if (missing.length > 0 && !acceptsLoss) throw missesSegments(reader.store.place, missing)
    damage.push(...missing.map(what => ({ what, why: IS_MISSING })))
  }
  progress.step = 'tail'
  const takenBy = await copiesOfRest(reader, generation, replay, unreadable)
  const ends = new Map([...takenBy].map(([partition, taken]) => [partition, endOf(partition, taken)]))
  const stateTimeMs = state.timeMs
  const mended = mendState(state, {
    isComplete,
    isAllRead: isComplete && owner?.phase === 'stopped',
    generation: wish.nextGeneration,
    ends,
    markerBytes: MARKER_BYTES,
  })
  progress.records = state.recordCount()
  damage.push(...[...unreadable].map(([what, why]) => ({ what, why })))
  if (isComplete && damage.length === 0 && mended.lostRecords > 0)
    damage.push({ what: 'a copy of records', why: IS_MISSING })
  if (damage.length > 0 && mended.lostRecords > 0 && !acceptsLoss) throw losesRecords(damage, mended)
  if (isBroken)
    damage.push({ what: `the metadata log behind position ${replay.position}`, why: broken ?? MISSING_PIECE })
  const partitions = [...new Set([...takenBy.keys(), ...mended.markers.keys()])].map(partition => ({
    partition,
    taken: takenBy.get(partition) ?? [],
    markers: mended.markers.get(partition) ?? [],
  }))
  const isAtTime = atMs !== null
  return { state, generation, position: replay.position, stateTimeMs, isAtTime, isComplete, mended, damage, partitions }
}

/**
 * By the clock of the owner: the time in the state is of it, and so is when it deletes. An owner that is gone deletes nothing: the
 * window ends with what it wrote last.
 */
function windowBeginMs(owner: OwnerFile | null): number {
  return owner === null ? Number.NEGATIVE_INFINITY : owner.writtenMs - owner.restoreWindowMs
}

/** Segments of the state that are gone; adds the later ones, of which there may be other copies, to the unreadable. */
async function missingSegments(
  reader: ArchiveReader,
  { state, laterSegments }: Replay,
  unreadable: Map<string, string>,
): Promise<string[]> {
  const wanted = new Set(keysOf(state.partitions))
  const later = new Set<string>()
  for (const partition of unsealed(state)) {
    for (const segment of laterSegments.get(partition.ordinal) ?? []) later.add(keyOf(partition, segment))
  }
  const missing = await missingOf(reader, [...wanted, ...later])
  for (const key of missing) if (!wanted.has(key)) unreadable.set(key, IS_MISSING)
  return [...missing].filter(key => wanted.has(key))
}

/** The same, and `read` reads what the plan takes: what cannot be read is left out of the next plan. */
export async function planAround(
  reader: ArchiveReader,
  wish: Omit<RestoreWish, 'unreadable'>,
  read: (plan: RestorePlan) => Promise<void>,
): Promise<RestorePlan | null> {
  const unreadable = new Map<string, string>()
  for (;;) {
    const plan = await planRestore(reader, { ...wish, unreadable })
    if (plan === null) return null
    try {
      await read(plan)
      return plan
    } catch (thrown) {
      if (!(thrown instanceof CopyUnreadable)) throw thrown
      assert(!unreadable.has(thrown.key), 'what is known to be unreadable is not taken again')
      unreadable.set(thrown.key, messageOf(thrown.cause))
      reader.report('warn', `${thrown.message}: it is tried without it`)
    }
  }
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

const MISSING_PIECE = 'a piece of it is missing'

function brokenLog({ store }: ArchiveReader, { position, state }: Replay, broken: string | null): ChronikError {
  const missing = `${store.place} misses a piece of the metadata log behind position ${position}: put it back from a copy of the store`
  const message =
    `${broken ?? missing}. Without it 'chronik restore --accept-loss' gives the state of ${new Date(state.timeMs).toISOString()}; ` +
    'what came behind is lost then'
  return new ChronikError('ARCHIVE_DAMAGED', 'corrupt', message)
}

function losesRecords(damage: readonly Damage[], { lostRecords, cutPartitions }: Mended): ChronikError {
  const [first] = damage
  assert(first !== undefined, 'there is damage')
  const others = damage.length > 1 ? ` and ${damage.length - 1} others` : ''
  const message =
    `${first.what}${others} cannot be read (${first.why}), and ${lostRecords} records at the end of ${cutPartitions.length} partitions ` +
    "are nowhere else: put it back from a copy of the store. 'chronik restore --accept-loss' restores what is there without them"
  return new ChronikError('RESTORE_LOSES_RECORDS', 'corrupt', message)
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

/** Of each partition that has records in no segment, where in the store there are copies of them; adds what cannot be read to the unreadable. */
export async function copiesOfRest(
  reader: ArchiveReader,
  generation: number,
  { state, laterSegments }: Replay,
  unreadable: Map<string, string>,
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
  const objects = await readTailObjects(reader, generation, (key, why) => {
    reader.report('warn', `${key} of the record tail cannot be read: ${why}`)
    unreadable.set(key, why)
  })
  for (const object of objects) {
    for (const part of object.parts) {
      const partition = state.topicsById.get(part.topicId)?.partitions[part.partition]
      if (partition === undefined) continue
      copies.get(partition)?.push({ segment: tailSegment(object, part), key: object.key })
    }
  }
  for (const [partition, known] of copies) {
    const readable = known.filter(({ key }) => !unreadable.has(key))
    taken.set(partition, takeCopies(partition, readable))
  }
  return taken
}

function takeCopies(partition: Partition, copies: readonly Copy[]): Taken[] {
  const { walStart, logStart, nextOffset } = partition
  // What was deleted before may be in no copy: the records begin with the batch that has the first one that is left.
  const from = logStart > walStart ? Math.max(walStart, beginOf(logStart, copies)) : walStart
  return cover(from, nextOffset, copies)
}

/** Where the records are there up to. */
export function endOf({ walStart, logStart }: Partition, taken: readonly Taken[]): number {
  return Math.max(logStart, walStart, taken.at(-1)?.to ?? 0)
}
