import type { ErrorKind } from '#base/errors.ts'
import { describeOwner, type GenerationFile, type OwnerFile } from './owner-format.ts'

// What a start does with a data directory and a store, by what both say about themselves: pure.

/** What is known of the data directory. */
export interface DirectoryFacts {
  /** Its id, which it has before anything else. */
  readonly id: string
  /** Null: there is no log in it. */
  readonly log: {
    readonly generation: number
    readonly ownerId: string
    readonly segmentCount: number
    readonly position: number
  } | null
}

export interface StoreFacts {
  /** For people. */
  readonly place: string
  /** Null: nobody ever owned it. */
  readonly newest: GenerationFile | null
  readonly owner: OwnerFile | null
  /** Time since the owner wrote last, by the clock of the store. */
  readonly silentMs: number
  /** Of several who create the same object one is told that it did. */
  readonly createsHonestly: boolean
  /** The newest generation of which there is a checkpoint: something to restore. -1: none. */
  readonly archivedGeneration: number
  readonly hasSegments: boolean
  /** End of what the newest generation has archived; -1: nothing. */
  readonly archivedTo: number
}

export type StartDecision =
  /** The directory owns the store. */
  | { readonly kind: 'go-on' }
  /** It owns a generation that its log does not know of yet. */
  | { readonly kind: 'resume'; readonly generation: number }
  /** It is to own the next one, with the log that it has. */
  | { readonly kind: 'claim'; readonly generation: number; readonly losesSegments: boolean }
  /** The same, and its log is to be made from the store. */
  | { readonly kind: 'restore'; readonly generation: number }
  | { readonly kind: 'refuse'; readonly code: string; readonly error: ErrorKind; readonly message: string }

/** Times of objects may be rounded down to it. */
export const STORE_CLOCK_STEP_MS = 1000
/** Of an owner that has not said when it gives up. */
export const DEFAULT_TAKEOVER_MS = 10_000

export function decideStart(directory: DirectoryFacts, store: StoreFacts, takeOver: boolean): StartDecision {
  if (directory.log === null) return decideEmpty(directory.id, store, takeOver)
  if (store.newest === null) return decideUnused(directory.log, store, takeOver)
  return decideBoth({ ...directory, log: directory.log }, { ...store, newest: store.newest }, takeOver)
}

type LogFacts = NonNullable<DirectoryFacts['log']>

function decideUnused(log: LogFacts, { place }: StoreFacts, takeOver: boolean): StartDecision {
  const isBound = log.generation > 0 || log.segmentCount > 0
  if (isBound && !takeOver) {
    return refuse(
      'STORE_IS_ANOTHER',
      `the data directory belongs to another store, where it has ${log.segmentCount} segments, and ${place} was never used: name the ` +
        'store it had. If that is lost, --take-over goes on with this one, without the records of its segments',
    )
  }
  return { kind: 'claim', generation: log.generation + 1, losesSegments: log.segmentCount > 0 }
}

function decideEmpty(id: string, store: StoreFacts, takeOver: boolean): StartDecision {
  const { place, newest } = store
  if (newest === null && (store.owner !== null || store.hasSegments)) {
    // Somebody emptied it under its owner, who goes on: what is there now would be taken for that of a new one.
    return refuse(
      'NOTHING_TO_RESTORE',
      `${place} was used, and what says by whom is gone: put its objects back from a copy, or choose another prefix for a new start`,
    )
  }
  if (newest === null) return { kind: 'claim', generation: 1, losesSegments: false }
  const isOwn = newest.ownerId === id
  const refusal = isOwn || takeOver ? null : mayNotTake(store, newest)
  if (refusal !== null) return refusal
  if (store.archivedGeneration < 0 && store.hasSegments) {
    return refuse(
      'NOTHING_TO_RESTORE',
      `${place} has segments, but neither a checkpoint nor a log of what they belong to: choose another prefix for a new start`,
    )
  }
  return { kind: 'restore', generation: newest.generation + 1 }
}

/** Whoever answered last for the store has said that it does not any more. */
export function isStopped(owner: OwnerFile | null, newest: GenerationFile): boolean {
  return owner !== null && owner.generation === newest.generation && owner.phase === 'stopped'
}

function mayNotTake(store: StoreFacts, newest: GenerationFile): StartDecision | null {
  const { place, owner, silentMs } = store
  if (!store.createsHonestly) {
    return refuse(
      'STORE_CREATES_TWICE',
      `${place} tells several that they have created the same object: whether ${describeOwner(newest)} is gone only you can ` +
        'know. If it is, start with --take-over',
    )
  }
  if (isStopped(owner, newest) || silentMs >= silenceMs(owner, newest)) return null
  const seconds = Math.round(silentMs / 1000)
  return refuse(
    'STORE_HAS_OWNER',
    `${place} belongs to ${describeOwner(newest)}, which wrote ${seconds} s ago: stop that one, or if it is gone wait, or start ` +
      'with --take-over',
    'conflict',
  )
}

/** Behind such a silence the owner has surely stopped answering, and whoever was the owner before. */
export function silenceMs(owner: OwnerFile | null, newest: GenerationFile): number {
  const promisedMs = promiseOf(owner, newest)
  return promisedMs < 0 ? Number.POSITIVE_INFINITY : promisedMs + STORE_CLOCK_STEP_MS
}

function promiseOf(owner: OwnerFile | null, newest: GenerationFile): number {
  if (owner?.generation === newest.generation) return owner.takeoverAfterMs
  // A takeover that did not come to its end: the owner before it may still answer, for as long as that has promised.
  if (owner === null || owner.phase === 'stopped') return DEFAULT_TAKEOVER_MS
  return owner.takeoverAfterMs < 0 ? owner.takeoverAfterMs : Math.max(owner.takeoverAfterMs, DEFAULT_TAKEOVER_MS)
}

function decideBoth(
  { id, log }: DirectoryFacts & { log: LogFacts },
  store: StoreFacts & { newest: GenerationFile },
  takeOver: boolean,
): StartDecision {
  const { place, newest, archivedTo, archivedGeneration } = store
  const isSame = newest.generation === log.generation && newest.ownerId === log.ownerId
  if (isSame && archivedTo <= log.position) return { kind: 'go-on' }
  if (isSame && takeOver) return { kind: 'claim', generation: newest.generation + 1, losesSegments: false }
  if (isSame) {
    return refuse(
      'STORE_IS_AHEAD',
      `${place} has the log up to position ${archivedTo}, the data directory up to ${log.position}: it is an older copy, or was ` +
        'cut. Empty it to get back what the store has, or --take-over to go on with what is here',
    )
  }
  if (newest.ownerId === id && newest.generation > log.generation && archivedTo < 0) {
    return { kind: 'resume', generation: newest.generation }
  }
  if (log.generation === 0) {
    return refuse(
      'STORE_IS_ANOTHERS',
      `${place} belongs to ${describeOwner(newest)}, and this data directory was never part of it: choose another bucket or prefix`,
      'conflict',
    )
  }
  // Who took it over has not come so far that it could have answered: it would find another generation behind its own.
  if (archivedGeneration <= log.generation && takeOver) {
    return { kind: 'claim', generation: newest.generation + 1, losesSegments: false }
  }
  if (archivedGeneration <= log.generation) {
    return refuse(
      'STORE_TAKEN_OVER',
      `${place} was taken over by ${describeOwner(newest)}, which has written nothing yet: stop that one if it runs, and start this one ` +
        'with --take-over to go on with all that this data directory has',
      'conflict',
    )
  }
  return refuse(
    'STORE_TAKEN_OVER',
    `${place} was taken over by ${describeOwner(newest)}; this data directory had generation ${log.generation}. What it has that the ` +
      'store has not is not part of the log any more: keep it aside, and start with an empty data directory to take over again',
    'conflict',
  )
}

function refuse(code: string, message: string, error: ErrorKind = 'invalid'): StartDecision {
  return { kind: 'refuse', code, error, message }
}
