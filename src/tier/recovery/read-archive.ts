import { ChronikError } from '#base/errors.ts'
import type { ObjectFacts, ObjectReader } from '#object-store/object-store.ts'
import {
  ARCHIVE_HEADER_BYTES,
  type ArchivedObject,
  decodeArchived,
  peekArchived,
  readGroups,
  type Unpack,
} from './archive-format.ts'
import {
  CHECKPOINT_PREFIX,
  type CheckpointName,
  checkpointKey,
  metalogFolder,
  metalogKeyBefore,
  parseCheckpointKey,
  parseMetalogKey,
} from './archive-names.ts'
import { mapAtOnce } from './map-at-once.ts'
import type { RecoveryProgress } from './progress.ts'
import { inOrder } from './pruning.ts'
import type { Replay } from './replay.ts'
import { isLoss } from './tail-objects.ts'

// Reading the archive: the checkpoint to begin with, and the pieces of the log behind it.

const PIECES_AT_ONCE = 8
const HEADERS_AT_ONCE = 16

export interface ArchiveReader {
  readonly store: ObjectReader
  readonly signal: AbortSignal
  readonly unpack: Unpack
  readonly progress: RecoveryProgress
  report(level: 'info' | 'warn', message: string, fields?: Record<string, unknown>): void
}

export async function listCheckpoints({ store, signal }: ArchiveReader): Promise<CheckpointName[]> {
  const found: CheckpointName[] = []
  for await (const { key } of store.list(CHECKPOINT_PREFIX, '', signal)) {
    const name = parseCheckpointKey(key)
    if (name !== null) found.push(name)
  }
  return inOrder(found)
}

export interface FoundCheckpoint {
  readonly name: CheckpointName
  readonly object: ArchivedObject
}

/** To which time; null: all there is. Before the begin of the window it is refused. */
export interface RestoreTime {
  readonly atMs: number | null
  readonly windowBeginMs: number
}

export const ALL_THERE_IS: RestoreTime = { atMs: null, windowBeginMs: Number.NEGATIVE_INFINITY }

/** The last one not behind the time. Those that are damaged are passed over: the pieces behind an earlier one say the same. */
export async function readCheckpoint(reader: ArchiveReader, time: RestoreTime): Promise<FoundCheckpoint | null> {
  const names = await listCheckpoints(reader)
  const usable = time.atMs === null ? names : await notBehind(reader, names, { ...time, atMs: time.atMs })
  for (const name of usable.toReversed()) {
    try {
      const facts = await factsOf(reader, checkpointKey(name))
      reader.progress.expect(1, facts.sizeBytes)
      return { name, object: await readObject(reader, facts) }
    } catch (thrown) {
      if (!isLoss(thrown)) throw thrown
      reader.report('warn', `${(thrown as Error).message}: the checkpoint before it is used`)
    }
  }
  if (usable.length === 0) return null
  const message = `no checkpoint in ${reader.store.place} can be read: put one back from a copy of the store`
  throw new ChronikError('ARCHIVE_DAMAGED', 'corrupt', message)
}

async function notBehind(
  reader: ArchiveReader,
  names: readonly CheckpointName[],
  { atMs, windowBeginMs }: RestoreTime & { readonly atMs: number },
): Promise<CheckpointName[]> {
  const times = await mapAtOnce(names, HEADERS_AT_ONCE, name => stateTimeOf(reader, name))
  const usable = names.filter((_, i) => times[i]! <= atMs)
  if ((usable.length > 0 && atMs >= windowBeginMs) || names.length === 0) return usable
  // The checkpoint that the window begins with is older than it; what was deleted in between is gone.
  const earliest = new Date(Math.max(Math.min(...times), windowBeginMs)).toISOString()
  throw new ChronikError(
    'BEFORE_RESTORE_WINDOW',
    'invalid',
    `${reader.store.place} can be restored to ${earliest} or later, and not to ${new Date(atMs).toISOString()}`,
  )
}

/** Infinity if it cannot be read. */
async function stateTimeOf({ store, signal }: ArchiveReader, name: CheckpointName): Promise<number> {
  const key = checkpointKey(name)
  try {
    return peekArchived(key, await store.getRange(key, 0, ARCHIVE_HEADER_BYTES, signal)).stateTimeMs
  } catch (thrown) {
    if (!isLoss(thrown)) throw thrown
    return Number.POSITIVE_INFINITY
  }
}

async function factsOf({ store, signal }: ArchiveReader, key: string): Promise<ObjectFacts> {
  const facts = await store.head(key, signal)
  if (facts === null) throw new ChronikError('OBJECT_MISSING', 'invalid', `${key} is not in ${store.place}`)
  return facts
}

async function readObject(
  { store, signal, unpack, progress }: ArchiveReader,
  { key, sizeBytes }: ObjectFacts,
): Promise<ArchivedObject> {
  const bytes = await store.getRange(key, 0, Math.max(1, sizeBytes), signal)
  progress.did(sizeBytes)
  return decodeArchived(key, bytes, unpack)
}

/**
 * Replays the pieces behind a position, as far as they follow each other. Returns true if none is missing. Throws if one is
 * damaged; those before it are replayed then.
 */
export async function replayPieces(
  reader: ArchiveReader,
  generation: number,
  replay: Replay,
  isDone: () => boolean,
): Promise<boolean> {
  const listed = await listPieces(reader, generation, replay.position)
  for (let at = 0; at < listed.length && !isDone(); at += PIECES_AT_ONCE) {
    const some = listed.slice(at, at + PIECES_AT_ONCE)
    for (const [i, piece] of (await mapAtOnce(some, PIECES_AT_ONCE, facts => readPiece(reader, facts))).entries()) {
      if (isDone()) return true
      if ('lost' in piece) throw piece.lost
      if (addPiece(replay, some[i]!.key, piece)) continue
      reader.report('warn', `the metadata log has a gap at position ${replay.position}: what is behind it is left out`)
      return false
    }
  }
  return true
}

async function listPieces(
  { store, signal, progress }: ArchiveReader,
  generation: number,
  position: number,
): Promise<ObjectFacts[]> {
  const listed: ObjectFacts[] = []
  for await (const facts of store.list(metalogFolder(generation), metalogKeyBefore(generation, position), signal)) {
    if (parseMetalogKey(facts.key) === null) continue
    listed.push(facts)
    progress.expect(1, facts.sizeBytes)
  }
  return listed
}

/**
 * Nothing is known of the log behind the position, up to a checkpoint of a state behind the time: its owner could not write what came in
 * between. Otherwise a piece was lost, or the checkpoint.
 */
export async function goesOnAfter(
  reader: ArchiveReader,
  { generation, position }: CheckpointName,
  atMs: number,
): Promise<boolean> {
  const { store, signal } = reader
  let nextFrom = Number.POSITIVE_INFINITY
  for await (const { key } of store.list(metalogFolder(generation), metalogKeyBefore(generation, position), signal)) {
    const piece = parseMetalogKey(key)
    if (piece === null || piece.to <= position) continue
    nextFrom = piece.from
    break
  }
  const names = await listCheckpoints(reader)
  const next = names.find(name => name.generation === generation && name.position > position)
  if (next === undefined || next.position > nextFrom) return false
  const timeMs = await stateTimeOf(reader, next)
  return timeMs > atMs && timeMs < Number.POSITIVE_INFINITY
}

async function readPiece(reader: ArchiveReader, facts: ObjectFacts): Promise<ArchivedObject | { lost: unknown }> {
  try {
    return await readObject(reader, facts)
  } catch (thrown) {
    if (!isLoss(thrown)) throw thrown
    return { lost: thrown }
  }
}

/** False: something before it is missing. */
function addPiece(replay: Replay, key: string, object: ArchivedObject): boolean {
  const { from, to } = object.header
  if (!replay.isOver && from > replay.position) return false
  if (!replay.isOver && to <= replay.position) return true
  for (const group of readGroups(key, object)) replay.add(group)
  return true
}
