import { ChronikError, messageOf } from '#base/errors.ts'
import type { Finding, Inspector } from '#base/inspection.ts'
import { decodeState } from '#core/checkpoint.ts'
import type { ObjectFacts, ObjectReader } from '#object-store/object-store.ts'
import {
  type ArchivedObject,
  type ArchiveHeader,
  decodeArchived,
  readGroups,
  type Unpack,
} from '#tier/recovery/archive-format.ts'
import {
  CHECKPOINT_PREFIX,
  type CheckpointName,
  GENERATION_PREFIX,
  METALOG_PREFIX,
  type MetalogName,
  metalogFolder,
  OWNER_KEY,
  parseCheckpointKey,
  parseGenerationKey,
  parseMetalogKey,
} from '#tier/recovery/archive-names.ts'
import { mapAtOnce } from '#tier/recovery/map-at-once.ts'
import {
  decodeGenerationFile,
  decodeOwnerFile,
  type GenerationFile,
  type OwnerFile,
} from '#tier/recovery/owner-format.ts'
import { isLoss } from '#tier/recovery/tail-objects.ts'
import { type Chain, followChain } from './chain.ts'

// Checks what the store has besides segments: who owns it, and the archive that a lost data directory is made anew from.

const OBJECTS_AT_ONCE = 8
/** More than an object that says whose the store is has. */
const SMALL_OBJECT_BYTES = 1 << 16

export interface ArchiveToCheck {
  readonly store: ObjectReader
  readonly inspector: Inspector
  readonly unpack: Unpack
}

export interface CheckedArchive {
  /** Null: it is not there, or cannot be read. */
  readonly owner: OwnerFile | null
  readonly newest: GenerationFile | null
  readonly checkpoints: number
  /** The newest generation of which there is a checkpoint; -1: none. */
  readonly archivedGeneration: number
  readonly pieces: number
  readonly sizeBytes: number
  /** Up to where the newest generation is archived; -1: nothing is. */
  readonly archivedTo: number
}

type Listed<Name> = ObjectFacts & { readonly name: Name }

export async function checkArchive(options: ArchiveToCheck): Promise<CheckedArchive> {
  const { inspector } = options
  inspector.begins('archive', 0)
  // What it speaks of was there before.
  const owner = await readOwner(options)
  const newest = await checkGenerations(options)
  if (owner !== null) checkOwner(options, owner, newest)
  const before = await listNamed(options, CHECKPOINT_PREFIX, parseCheckpointKey)
  const pieces = await listNamed(options, METALOG_PREFIX, parseMetalogKey)
  const checkpoints = together(before, pieces, await listNamed(options, CHECKPOINT_PREFIX, parseCheckpointKey))
  const sizeBytes = [...checkpoints, ...pieces].reduce((sum, facts) => sum + facts.sizeBytes, 0)
  inspector.begins('archive', sizeBytes)
  await mapAtOnce(checkpoints, OBJECTS_AT_ONCE, facts => checkObject(options, facts, checkCheckpoint))
  await mapAtOnce(pieces, OBJECTS_AT_ONCE, facts => checkObject(options, facts, checkPiece))
  const archivedTo = checkChains(options, { checkpoints, pieces, newest, owner })
  const archivedGeneration = Math.max(-1, ...checkpoints.map(({ name }) => name.generation))
  const counts = { checkpoints: checkpoints.length, pieces: pieces.length, sizeBytes }
  return { owner, newest, ...counts, archivedGeneration, archivedTo }
}

/**
 * Of the checkpoints that were listed before the pieces and after them, those that belong together with these, whatever a broker did
 * meanwhile: it takes away a checkpoint first and then the pieces behind it, and writes a piece first and then the checkpoint at its end.
 */
function together(
  before: readonly Listed<CheckpointName>[],
  pieces: readonly Listed<MetalogName>[],
  after: readonly Listed<CheckpointName>[],
): Listed<CheckpointName>[] {
  const known = new Set(before.map(({ key }) => key))
  const ends = new Map<number, number>()
  for (const { name } of pieces) ends.set(name.generation, Math.max(name.to, ends.get(name.generation) ?? 0))
  return after.filter(({ key, name }) => known.has(key) || name.position <= (ends.get(name.generation) ?? -1))
}

async function listNamed<Name>(
  { store, inspector }: ArchiveToCheck,
  prefix: string,
  parse: (key: string) => Name | null,
): Promise<Listed<Name>[]> {
  const found: Listed<Name>[] = []
  for await (const facts of store.list(prefix, '', inspector.signal)) {
    const name = parse(facts.key)
    if (name !== null) found.push({ ...facts, name })
  }
  return found
}

// ---- whose it is

async function checkGenerations(options: ArchiveToCheck): Promise<GenerationFile | null> {
  let newest: GenerationFile | null = null
  for (const { key, name } of await listNamed(options, GENERATION_PREFIX, parseGenerationKey)) {
    const file = await readSmall(options, key, bytes => decodeGenerationFile(key, bytes))
    if (file === null) continue
    if (file.generation === name) newest = file
    else options.inspector.found(damage(key, `${key} says that it is of generation ${file.generation}: ${PUT_BACK}`))
  }
  return newest
}

async function readOwner(options: ArchiveToCheck): Promise<OwnerFile | null> {
  const isThere = (await options.store.head(OWNER_KEY, options.inspector.signal)) !== null
  return isThere ? readSmall(options, OWNER_KEY, decodeOwnerFile) : null
}

function checkOwner({ inspector }: ArchiveToCheck, owner: OwnerFile, newest: GenerationFile | null): void {
  const isUnknown = newest === null || owner.generation > newest.generation
  const isOther = newest?.generation === owner.generation && newest.ownerId !== owner.ownerId
  if (!isUnknown && !isOther) return
  const message =
    `${OWNER_KEY} speaks of generation ${owner.generation} of data directory ${owner.ownerId}, and no object in ${GENERATION_PREFIX} ` +
    `does: ${PUT_BACK}`
  inspector.found(damage(OWNER_KEY, message))
}

async function readSmall<T>(
  { store, inspector }: ArchiveToCheck,
  key: string,
  decode: (bytes: Buffer) => T,
): Promise<T | null> {
  try {
    return decode(await store.getRange(key, 0, SMALL_OBJECT_BYTES, inspector.signal))
  } catch (thrown) {
    if (!isUnreadable(thrown)) throw thrown
    inspector.found(damage(key, messageOf(thrown)))
    return null
  }
}

// ---- checkpoints and pieces

async function checkObject<Name>(
  { store, inspector, unpack }: ArchiveToCheck,
  { key, sizeBytes, name }: Listed<Name>,
  check: (name: Name, object: ArchivedObject, key: string) => void,
): Promise<void> {
  const { signal } = inspector
  try {
    const bytes = await store.getRange(key, 0, Math.max(1, sizeBytes), signal)
    check(name, await decodeArchived(key, bytes, unpack), key)
  } catch (thrown) {
    // Listed a moment ago, and not needed any more.
    const isGone = thrown instanceof ChronikError && thrown.code === 'OBJECT_MISSING'
    if (!isGone && !isUnreadable(thrown)) throw thrown
    if (!isGone) inspector.found(damage(key, messageOf(thrown)))
  }
  inspector.passed(sizeBytes)
}

function checkCheckpoint({ generation, position }: CheckpointName, object: ArchivedObject, key: string): void {
  requireHeader(key, object.header, { kind: 'checkpoint', generation, from: position, to: position })
  decodeState(object.content)
}

function checkPiece(name: MetalogName, object: ArchivedObject, key: string): void {
  requireHeader(key, object.header, { kind: 'metalog', ...name })
  for (const _ of readGroups(key, object));
}

function requireHeader(
  key: string,
  { kind, generation, from, to }: ArchiveHeader,
  name: Pick<ArchiveHeader, 'kind' | 'generation' | 'from' | 'to'>,
): void {
  if (kind === name.kind && generation === name.generation && from === name.from && to === name.to) return
  const what = `a ${kind} of generation ${generation}, positions ${from} to ${to}`
  throw new ChronikError('ARCHIVE_DAMAGED', 'corrupt', `${key} has another object in it, ${what}: ${PUT_BACK}`)
}

// ---- what follows what

interface Names {
  readonly checkpoints: readonly Listed<CheckpointName>[]
  readonly pieces: readonly Listed<MetalogName>[]
  readonly newest: GenerationFile | null
  readonly owner: OwnerFile | null
}

/** Returns up to where the newest generation can be followed. */
function checkChains({ inspector }: ArchiveToCheck, { checkpoints, pieces, newest, owner }: Names): number {
  const generations = new Set([...checkpoints, ...pieces].map(({ name }) => name.generation))
  let archivedTo = -1
  for (const generation of [...generations].sort((a, b) => a - b)) {
    const of = <Name extends { generation: number }>(listed: readonly Listed<Name>[]): Name[] =>
      listed.map(({ name }) => name).filter(name => name.generation === generation)
    const chain = followChain(of(checkpoints), of(pieces))
    for (const finding of breaksOf(generation, chain)) inspector.found(finding)
    if (generation === newest?.generation) archivedTo = chain.end
  }
  if (newest === null || owner?.generation !== newest.generation || owner.archivedTo <= archivedTo) return archivedTo
  const folder = metalogFolder(newest.generation)
  const has = archivedTo < 0 ? 'no checkpoint of it' : `the archive only up to ${archivedTo}`
  const message = `${OWNER_KEY} says that the log is archived up to position ${owner.archivedTo}, and the store has ${has}: ${PUT_BACK}`
  inspector.found(damage(folder, message))
  return archivedTo
}

function* breaksOf(generation: number, { breaks }: Chain): Generator<Finding> {
  const folder = metalogFolder(generation)
  for (const { from, to, isBridged } of breaks) {
    const what = `${folder} has no piece of the metadata log from position ${from} to ${to}`
    if (isBridged) {
      const message =
        `${what}, where a checkpoint goes on: a broker was killed or could not reach the store there, or a piece was lost. No ` +
        'moment in between can be restored'
      yield { kind: 'notice', where: folder, message, affected: [] }
    } else {
      yield damage(
        folder,
        `${what}: what is behind it cannot be restored before it is put back from a copy of the store`,
      )
    }
  }
}

const PUT_BACK = 'put the right one back from a copy of the store'

function damage(where: string, message: string): Finding {
  return { kind: 'damage', where, message, affected: [] }
}

/** It will not be read by asking again. */
function isUnreadable(thrown: unknown): boolean {
  return isLoss(thrown) || (thrown instanceof ChronikError && TOO_NEW.has(thrown.code))
}

const TOO_NEW: ReadonlySet<string> = new Set([
  'ARCHIVE_TOO_NEW',
  'CHECKPOINT_TOO_NEW',
  'OWNER_TOO_NEW',
  'MALFORMED_BYTES',
])
