import { assert } from '#base/assert.ts'
import type { Clock, Disk, Random } from '#base/ports.ts'
import { placeCheckpoint } from '#log/place-checkpoint.ts'
import type { ObjectStore } from '#object-store/object-store.ts'
import { awaitSilence, createGeneration, readOwner } from './ownership.ts'
import type { ArchiveReader } from './read-archive.ts'
import { planAround, type RestorePlan } from './restore.ts'
import { placeRestored } from './restored-objects.ts'
import type { StartDecision, StoreFacts } from './start-decision.ts'

// Taking over a store with an empty data directory: first nobody else may own it, then it is read, then the data directory gets its
// state, all at once. A crash on the way leaves an empty directory and a generation that was begun for it: it is done again.

export interface TakeOverOptions extends ArchiveReader {
  readonly store: ObjectStore
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  readonly dataDir: string
  readonly host: string
  /** Of the data directory. */
  readonly id: string
  /** To which time; null: all there is. */
  readonly atMs: number | null
  /** Go on without what is damaged, and what is lost by that. */
  readonly acceptsLoss: boolean
}

/** Null: there was nothing to restore, and the data directory is as empty as it was. */
export async function takeOverStore(
  options: TakeOverOptions,
  facts: StoreFacts,
  { generation }: Extract<StartDecision, { kind: 'restore' }>,
): Promise<RestorePlan | null> {
  const { store, signal, id, host, clock, atMs, acceptsLoss, progress, report } = options
  const { newest } = facts
  assert(newest !== null, 'a store that is taken over had an owner')
  const beganMs = clock.monotonicMs()
  progress.step = 'ownership'
  report('info', `taking over ${store.place}`, { generation, owner: newest.ownerId, host: newest.host })
  await createGeneration(options, { generation, ownerId: id, host })
  await awaitSilence(options, newest)
  // It may have stopped in good order while it was waited for.
  const owner = await readOwner(store, signal)
  const place = { ...options, generation }
  const plan = await planAround(options, { atMs, owner, acceptsLoss, nextGeneration: generation }, found =>
    placeRestored(place, found),
  )
  if (plan === null) return null
  await placeCheckpoint({ ...options, writtenMs: clock.nowMs() }, plan.position, plan.state)
  report('info', `restored from ${store.place}`, {
    ...summaryOf(plan),
    tookMs: Math.round(clock.monotonicMs() - beganMs),
  })
  return plan
}

/** For people. */
export function summaryOf({ state, mended, damage, ...plan }: RestorePlan): Record<string, unknown> {
  return {
    stateTime: new Date(plan.stateTimeMs).toISOString(),
    position: plan.position,
    fromGeneration: plan.generation,
    topics: state.topics.size,
    partitions: state.partitionCount(),
    groups: state.groups.size,
    records: state.recordCount(),
    lostRecords: mended.lostRecords,
    cutPartitions: mended.cutPartitions.length,
    abortedTransactions: mended.abortedTransactions,
    ...(damage.length === 0 ? {} : { damage: damage.map(({ what }) => what) }),
  }
}
