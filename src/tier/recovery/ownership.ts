import { ChronikError } from '#base/errors.ts'
import type { Clock, Random } from '#base/ports.ts'
import { type ObjectFacts, type ObjectReader, type ObjectStore, PROBE_PREFIX } from '#object-store/object-store.ts'
import { SEGMENT_PREFIX } from '#segments/segment-names.ts'
import {
  CHECKPOINT_PREFIX,
  GENERATION_PREFIX,
  generationKey,
  metalogFolder,
  metalogKeyBefore,
  OWNER_KEY,
  parseCheckpointKey,
  parseGenerationKey,
  parseMetalogKey,
} from './archive-names.ts'
import {
  decodeGenerationFile,
  decodeOwnerFile,
  describeOwner,
  encodeGenerationFile,
  type GenerationFile,
  type OwnerFile,
} from './owner-format.ts'
import { isStopped, type StoreFacts, silenceMs } from './start-decision.ts'

// Whose store it is, asked and changed. A generation belongs to who created its object; that happens once, whatever answers are lost
// on the way. How long an owner has been silent is measured by the clock of the store alone: an object is written now, and its time
// compared with that of what the owner wrote last.

/** More than any of these objects has. */
const SMALL_OBJECT_BYTES = 1 << 16
/** How often a silent owner is looked at. */
const LOOK_MS = 500

export interface OwnershipOptions {
  readonly store: ObjectStore
  readonly clock: Clock
  readonly random: Random
  readonly signal: AbortSignal
  report(level: 'info' | 'warn', message: string, fields?: Record<string, unknown>): void
}

export async function inspectStore(
  options: OwnershipOptions,
  about: { readonly createsHonestly: boolean },
): Promise<StoreFacts> {
  const { store, signal } = options
  const newest = await newestGeneration(store, signal)
  const checkpoints: { generation: number; position: number }[] = []
  for await (const { key } of store.list(CHECKPOINT_PREFIX, '', signal)) {
    const name = parseCheckpointKey(key)
    if (name !== null) checkpoints.push(name)
  }
  return {
    ...about,
    place: store.place,
    newest,
    ...(await lookAtOwner(options, newest)),
    archivedGeneration: Math.max(-1, ...checkpoints.map(({ generation }) => generation)),
    hasSegments: await hasAny(store, SEGMENT_PREFIX, signal),
    archivedTo: newest === null ? -1 : await archivedEnd(options, newest.generation, checkpoints),
  }
}

async function newestGeneration(store: ObjectStore, signal: AbortSignal): Promise<GenerationFile | null> {
  let newest = 0
  for await (const { key } of store.list(GENERATION_PREFIX, '', signal)) {
    newest = Math.max(newest, parseGenerationKey(key) ?? 0)
  }
  return newest === 0 ? null : readGeneration(store, newest, signal)
}

async function readGeneration(store: ObjectStore, generation: number, signal: AbortSignal): Promise<GenerationFile> {
  const key = generationKey(generation)
  return decodeGenerationFile(key, await store.getRange(key, 0, SMALL_OBJECT_BYTES, signal))
}

async function hasAny(store: ObjectStore, prefix: string, signal: AbortSignal): Promise<boolean> {
  for await (const _ of store.list(prefix, '', signal)) return true
  return false
}

/** End of the chain that the newest checkpoint of a generation begins, if there is one. */
async function archivedEnd(
  { store, signal }: OwnershipOptions,
  generation: number,
  checkpoints: readonly { generation: number; position: number }[],
): Promise<number> {
  const own = checkpoints.filter(checkpoint => checkpoint.generation === generation)
  let end = Math.max(-1, ...own.map(({ position }) => position))
  // There may be a day of pieces before it.
  const before = metalogKeyBefore(generation, Math.max(0, end))
  for await (const { key } of store.list(metalogFolder(generation), before, signal)) {
    end = Math.max(end, parseMetalogKey(key)?.to ?? -1)
  }
  return end
}

/** What the owner wrote last, and for how long it has been silent. */
async function lookAtOwner(
  options: OwnershipOptions,
  newest: GenerationFile | null,
): Promise<Pick<StoreFacts, 'owner' | 'silentMs'>> {
  const { store, signal, report } = options
  if (newest === null) return { owner: await readOwner(store, signal), silentMs: Number.POSITIVE_INFINITY }
  const now = await writtenNow(options)
  const written = [await store.head(OWNER_KEY, signal), await store.head(generationKey(newest.generation), signal)]
  const lastMs = Math.max(...written.map(facts => facts?.modifiedMs ?? 0))
  const owner = written[0] === null ? null : await readOwner(store, signal)
  if (owner === null && written[0] !== null) {
    // What it has promised may be more than usual: nobody knows how long is long enough.
    report('warn', `${OWNER_KEY} in ${store.place} cannot be read: its owner counts as one that lives`)
    return { owner, silentMs: 0 }
  }
  return { owner, silentMs: (now?.modifiedMs ?? 0) - lastMs }
}

/** An object of now, for its time. */
async function writtenNow({ store, random, signal }: OwnershipOptions): Promise<ObjectFacts | null> {
  const key = `${PROBE_PREFIX}owner-${random.bytes(8).toString('hex')}`
  try {
    await store.put(key, [Buffer.from('what time is it?\n')], signal)
    return await store.head(key, signal)
  } finally {
    // One that stays goes when the store is tried at a later start.
    await store.delete(key, signal).catch(() => {})
  }
}

const UNREADABLE: ReadonlySet<string> = new Set(['OBJECT_MISSING', 'OWNER_DAMAGED'])

/** Null if there is none, or it cannot be read. */
export async function readOwner(store: ObjectReader, signal: AbortSignal): Promise<OwnerFile | null> {
  try {
    return decodeOwnerFile(await store.getRange(OWNER_KEY, 0, SMALL_OBJECT_BYTES, signal))
  } catch (thrown) {
    // The object of the generation says who it is; this one only that it lives.
    if (thrown instanceof ChronikError && UNREADABLE.has(thrown.code)) return null
    throw thrown
  }
}

/** Creates the generation; throws if somebody else was faster. */
export async function createGeneration(
  { store, clock, random, signal }: OwnershipOptions,
  about: { readonly generation: number; readonly ownerId: string; readonly host: string },
): Promise<void> {
  const attempt = random.bytes(16).toString('base64url')
  const file = { ...about, attempt, begunMs: clock.nowMs() }
  const key = generationKey(about.generation)
  const isCreated = await store.putIfAbsent(key, [encodeGenerationFile(file)], signal).catch(async thrown => {
    // Perhaps it was: then it is there.
    if ((await store.head(key, signal)) === null) throw thrown
    return false
  })
  if (isCreated) return
  // It may be there by an attempt of this call whose answer was lost.
  const found = await readGeneration(store, about.generation, signal)
  if (found.attempt === attempt) return
  throw new ChronikError(
    'STORE_TAKEN_OVER',
    'conflict',
    `${store.place} was taken over by ${describeOwner(found)} a moment before`,
  )
}

/**
 * Waits until the owner before has surely stopped answering. To be called when the next generation is there, whatever was seen before:
 * it may have come back to life since. From then on it does not renew what it has promised.
 */
export async function awaitSilence(options: OwnershipOptions, before: GenerationFile): Promise<void> {
  const { clock, report } = options
  const beganMs = clock.monotonicMs()
  let hasTold = false
  for (;;) {
    const { owner, silentMs } = await lookAtOwner(options, before)
    // One that never gives up has noticed the new generation by then.
    const promisedMs = silenceMs(owner, before)
    const enoughMs = promisedMs === Number.POSITIVE_INFINITY ? NEVER_GIVES_UP_MS : promisedMs
    // It renews only if it finds no next generation: what it promised before that was created runs out in this time.
    const waitedMs = clock.monotonicMs() - beganMs
    if (isStopped(owner, before) || silentMs >= enoughMs || waitedMs >= enoughMs) return
    if (!hasTold) report('info', `waiting until ${describeOwner(before)} has surely stopped`, { silentMs, enoughMs })
    hasTold = true
    await new Promise<void>(resolve => clock.after(LOOK_MS, resolve))
  }
}

const NEVER_GIVES_UP_MS = 11_000
