import { ChronikError } from '#base/errors.ts'
import { directoryId } from '#log/directory-id.ts'
import { hasNoLog } from '#log/place-checkpoint.ts'
import { GENERATION_PREFIX, parseGenerationKey } from './archive-names.ts'
import { describeOwner, type OwnerFile } from './owner-format.ts'
import { inspectStore, readOwner } from './ownership.ts'
import { type ArchiveReader, listCheckpoints } from './read-archive.ts'
import { planAround, type RestorePlan } from './restore.ts'
import { checkRestorable } from './restored-objects.ts'
import { decideStart } from './start-decision.ts'
import { type TakeOverOptions, takeOverStore } from './take-over.ts'

// `chronik restore`: says what a store would give back, at its end or at a time, and makes a data directory of it if told to.

export interface RestoreDirectoryOptions extends Omit<TakeOverOptions, 'id'> {
  readonly createsHonestly: boolean
  readonly takeOver: boolean
}

export interface RestorableStore {
  readonly plan: RestorePlan
  readonly owner: OwnerFile | null
}

/** Changes nothing, neither here nor there. */
export async function lookAtRestore(
  options: ArchiveReader & Pick<TakeOverOptions, 'atMs' | 'acceptsLoss'>,
): Promise<RestorableStore> {
  const { store, signal, atMs, acceptsLoss } = options
  const owner = await readOwner(store, signal)
  const plan = await planAround(
    options,
    { atMs, acceptsLoss, owner, nextGeneration: (await newestGenerationOf(options, owner)) + 1 },
    found => checkRestorable(options, found),
  )
  if (plan === null) throw nothingThere(store.place)
  return { plan, owner }
}

/** By the names of objects, too: what the owner has written last may be missing or damaged. */
async function newestGenerationOf(reader: ArchiveReader, owner: OwnerFile | null): Promise<number> {
  const { store, signal } = reader
  let newest = owner?.generation ?? 0
  for await (const { key } of store.list(GENERATION_PREFIX, '', signal)) {
    newest = Math.max(newest, parseGenerationKey(key) ?? 0)
  }
  for (const { generation } of await listCheckpoints(reader)) newest = Math.max(newest, generation)
  return newest
}

/** The data directory is locked. Afterwards a start with it owns the store. */
export async function restoreDirectory(options: RestoreDirectoryOptions): Promise<RestorePlan> {
  const { store, disk, dataDir } = options
  if (!(await hasNoLog(disk, dataDir))) {
    const message = `${dataDir} has a log: name an empty directory, or move what is in it aside`
    throw new ChronikError('DATA_DIRECTORY_NOT_EMPTY', 'invalid', message)
  }
  const id = await directoryId(options, dataDir)
  const facts = await inspectStore(options, options)
  const decision = decideStart({ id, log: null }, facts, options.takeOver)
  if (decision.kind === 'refuse') throw new ChronikError(decision.code, decision.error, decision.message)
  if (decision.kind !== 'restore' || facts.archivedGeneration < 0) throw nothingThere(store.place)
  const plan = await takeOverStore({ ...options, id }, facts, decision)
  if (plan === null) throw nothingThere(store.place)
  return plan
}

function nothingThere(place: string): ChronikError {
  const message = `there is nothing to restore in ${place}: no broker has archived anything there`
  return new ChronikError('NOTHING_TO_RESTORE', 'invalid', message)
}

/** For people. */
export function describeOwnerOf({ owner }: RestorableStore): string {
  if (owner === null) return 'nobody that can be read'
  const stopped = owner.phase === 'stopped' ? ', stopped in good order' : ''
  return `${describeOwner(owner)}, last heard of ${new Date(owner.writtenMs).toISOString()} by its own clock${stopped}`
}
