import { Violation } from '#test/simulation/history.ts'
import { Chronicle, type Entry, type PartitionStory } from './chronicle.ts'
import type { FoundBatch, FoundLog, FoundPartition } from './found-log.ts'
import type { RestoreNote } from './host.ts'

// What a log was, and what was found to go on with: may that follow from it?

/** What may be gone when another machine goes on. */
export interface Loss {
  /** Nothing that was ever acknowledged. */
  readonly isNothing: boolean
  /** The owner has stopped in good order. */
  readonly isStopped: boolean
  /** The store has the records of all that it knows of. */
  readonly keepsUnsealed: boolean
  /** The same for a time before some of them were deleted, unsealed. */
  readonly bringsBackDeleted: boolean
  /** It has records that are in no segment, but for those that were to be sealed soon. */
  readonly isTailed: boolean
  /** The owner knew that the store has everything up to here. */
  readonly sureTo: number
  /** What was there for longer than this when the owner lost the bucket is there. */
  readonly boundMs: number
  readonly contactMs: number
  readonly segmentMs: number
}

/** The same disk: what is behind what was decided is something undecided. */
export function goesOnFrom(chronicle: Chronicle, found: FoundLog, isLossAllowed: boolean): { undecided: number } {
  const event = chronicle.eventAt(found.position)
  if (event < chronicle.lastEvent && !isLossAllowed) {
    throw new Violation(`the log ends at ${found.position}: ${chronicle.lastEvent - event} events are gone`)
  }
  chronicle.cutTo(event)
  const before = chronicle.lastEvent
  const isMore = found.position > chronicle.endPosition
  const now = isMore ? chronicle.happens(found.timeMs) : before
  for (const story of chronicle.stories.values()) {
    const partition = found.partitions.get(story.key)
    if (partition !== undefined) {
      const lost = compare(story, before, partition)
      if (lost.length > 0) throw new Violation(`${story.key} ends at ${partition.nextOffset}: ${lost.length} are gone`)
      addFound(story, partition, now)
    } else if (story.isThereAt(before)) {
      if (!isMore) throw new Violation(`${story.key} is gone`)
      story.goneAt = now
    }
  }
  for (const partition of found.partitions.values()) {
    if (chronicle.stories.get(`${partition.topicId}:${partition.index}`) !== undefined) continue
    if (!isMore) throw new Violation(`${partition.topicId}:${partition.index} was never made`)
    addFound(chronicle.born(partition.topicId, partition.index, now), partition, now)
  }
  if (isMore) chronicle.groupEnded(found.position)
  return { undecided: isMore ? 1 : 0 }
}

/** A disk while its broker runs: it has all that was decided, and perhaps more. */
export function stillIs(chronicle: Chronicle, found: FoundLog): void {
  const event = chronicle.lastEvent
  for (const story of chronicle.stories.values()) {
    const partition = found.partitions.get(story.key)
    if (partition === undefined) {
      if (story.isThereAt(event) && found.position <= chronicle.endPosition) throw new Violation(`${story.key} is gone`)
      continue
    }
    const lost = compare(story, event, partition)
    if (lost.length > 0) throw new Violation(`${story.key} has not the batch at ${lost[0]!.baseOffset} any more`)
  }
}

/** Another disk, made from the store: returns what the log is from here on. */
export function succeeds(from: Chronicle, found: FoundLog, position: number, loss: Loss): Chronicle {
  const event = from.eventAt(position)
  demandEvents(from, event, loss)
  const gone = (lost: readonly Entry[], story: PartitionStory): Entry | undefined =>
    lost.find(entry => !mayBeLost(entry, story, { event, position: from.positionOf(entry.event) }, loss))
  demandPartitions(from, event, found, gone)
  // Perhaps they were ended.
  if (!loss.isNothing && !loss.isStopped) demandNoneOpen(found)
  return chronicleOf(found)
}

function demandNoneOpen({ openTransactions }: FoundLog): void {
  if (openTransactions.length > 0) throw new Violation(`the transaction of ${openTransactions[0]} is still open`)
}

function demandEvents(from: Chronicle, event: number, loss: Loss): void {
  const { isNothing, isStopped, sureTo, boundMs, contactMs } = loss
  if ((isNothing || isStopped) && event < from.ackedTo) {
    throw new Violation(`the store gives back ${event} events, ${from.ackedTo} were acknowledged`)
  }
  if (event < from.eventAt(sureTo)) {
    throw new Violation(`the store gives back ${event} events, it was said to have ${from.eventAt(sureTo)}`)
  }
  for (const { key, entries } of from.stories.values()) {
    const entry = entries.find(one => one.event > event)
    if (entry === undefined || entry.appliedMs >= contactMs - boundMs) continue
    const agoMs = Math.round(contactMs - entry.appliedMs)
    throw new Violation(`${key} at ${entry.baseOffset} is not in the store, ${agoMs} ms after it was stored`)
  }
}

/** A batch whose event the store knows. */
function mayBeLost(
  entry: Entry,
  story: PartitionStory,
  { event, position }: { event: number; position: number },
  loss: Loss,
): boolean {
  const { isNothing, keepsUnsealed, isStopped, isTailed, sureTo, boundMs, contactMs } = loss
  if (entry.baseOffset < story.sealedAt(event) || (isNothing && entry.ackedMs !== null)) return false
  // Who stops in good order copies what is in no segment.
  if (isStopped) return false
  // The store may know of it before it has it: until the next piece is there, too, nobody says so.
  if (keepsUnsealed) return position > sureTo
  return !isTailed || entry.appliedMs >= contactMs - boundMs
}

/** The store as it was at a time. */
export function succeedsInTime(
  from: Chronicle,
  found: FoundLog,
  about: { readonly note: RestoreNote; readonly atMs: number | null; readonly sureTo: number; readonly loss: Loss },
): Chronicle {
  const { note, sureTo, loss } = about
  const atMs = about.atMs ?? Number.POSITIVE_INFINITY
  const first = from.eventAt(note.position)
  demandNoneOpen(found)
  if (from.timeOf(first) > atMs) throw new Violation(`what is restored is of ${from.timeOf(first)}, behind ${atMs}`)
  let wanted = first
  for (let event = first + 1; event <= from.lastEvent && from.timeOf(event) < atMs; event++) {
    if (from.positionOf(event) <= sureTo && !from.isInGap(event)) wanted = event
  }
  let why: unknown = null
  for (let event = from.endOfGroupBehind(first); event >= first; event--) {
    const gone = (lost: readonly Entry[], story: PartitionStory): Entry | undefined =>
      lost.find(entry => {
        const isSure = from.positionOf(entry.event) <= sureTo && !from.isBeforeGap(event)
        return (loss.bringsBackDeleted && isSure) || entry.baseOffset < story.sealedAt(event)
      })
    try {
      demandPartitions(from, event, found, gone)
      if (event < wanted) throw new Violation(`${event} events are restored, ${wanted} were before ${atMs}`)
      return chronicleOf(found)
    } catch (thrown) {
      why = thrown
    }
  }
  throw why
}

function demandPartitions(
  from: Chronicle,
  event: number,
  found: FoundLog,
  gone: (lost: readonly Entry[], story: PartitionStory) => Entry | undefined,
): void {
  for (const story of from.stories.values()) {
    const partition = found.partitions.get(story.key)
    if (story.isThereAt(event) !== (partition !== undefined)) {
      throw new Violation(`${story.key} is ${partition === undefined ? 'gone' : 'back'}`)
    }
    if (partition === undefined) continue
    const lost = compare(story, event, partition)
    const entry = gone(lost, story)
    if (entry === undefined) continue
    throw new Violation(
      `${story.key} has lost the batch at ${entry.baseOffset}, of event ${entry.event} of ${event}, at ${from.positionOf(entry.event)}, sealed to ${story.sealedAt(event)}`,
    )
  }
  for (const key of found.partitions.keys()) {
    if (!from.stories.has(key)) throw new Violation(`${key} came from nowhere`)
  }
}

/** Returns what is missing at the end: behind that there may be nothing but ends of transactions. */
function compare(story: PartitionStory, event: number, found: FoundPartition): readonly Entry[] {
  const { logStart, batches } = found
  const expected = story.entries.filter(entry => entry.event <= event && entry.nextOffset > logStart)
  if (story.logStartAt(event) > logStart) {
    throw new Violation(`${story.key} begins at ${logStart}, and began at ${story.logStartAt(event)}`)
  }
  let same = 0
  while (same < Math.min(expected.length, batches.length) && isSame(expected[same]!, batches[same]!)) same++
  const lost = expected.slice(same)
  const more = batches.slice(same)
  if (lost.length > 0 && more.some(({ kind }) => kind !== 'abort')) {
    throw new Violation(`${story.key} has another batch at ${more[0]?.baseOffset} than it had`)
  }
  return lost
}

function isSame(entry: Entry, batch: FoundBatch): boolean {
  return entry.baseOffset === batch.baseOffset && entry.kind === batch.kind && entry.crc === batch.crc
}

/** What is behind the story that is known. */
function addFound(
  story: PartitionStory,
  { batches, logStart, walStart, nextOffset }: FoundPartition,
  event: number,
): void {
  const end = story.entries.length === 0 ? -1 : story.nextOffset
  for (const batch of batches) {
    if (batch.baseOffset < end) continue
    const { isTransactional: _, ...of } = batch
    story.add({ ...of, event, appliedMs: Number.NEGATIVE_INFINITY, ackedMs: null })
  }
  if (logStart !== story.logStartAt(event)) story.logStarts.push({ event, offset: logStart })
  if (walStart !== story.sealedAt(event)) story.sealed.push({ event, offset: walStart })
  if (nextOffset !== story.nextOffset)
    throw new Violation(`${story.key} ends at ${nextOffset}, not ${story.nextOffset}`)
}

function chronicleOf(found: FoundLog): Chronicle {
  const chronicle = new Chronicle()
  for (const partition of found.partitions.values()) {
    addFound(chronicle.born(partition.topicId, partition.index, 0), partition, 0)
  }
  return chronicle
}
