import { ChronikError } from '#base/errors.ts'
import type { Segment } from '#core/segments.ts'
import type { Partition } from '#core/state.ts'
import { SEGMENT_PREFIX, storedSegment, TAIL_PREFIX } from '#segments/segment-names.ts'
import type { ArchiveReader } from './read-archive.ts'

// What a state of the past refers to may be deleted by now: the owner may have kept less for a while than its window says today.
// The names of all objects tell, without a request for each.

/** Of these keys those that are not in the store. */
export async function missingOf(reader: ArchiveReader, wanted: Iterable<string>): Promise<Set<string>> {
  const { store, signal } = reader
  const missing = new Set(wanted)
  if (missing.size === 0) return missing
  for (const prefix of [SEGMENT_PREFIX, TAIL_PREFIX]) {
    for await (const { key } of store.list(prefix, '', signal)) missing.delete(key)
  }
  return missing
}

export function* keysOf(partitions: Iterable<Partition | undefined>): Generator<string> {
  for (const partition of partitions) {
    if (partition === undefined) continue
    const { segments } = partition
    for (let i = 0; i < segments.length; i++) yield keyOf(partition, segments.at(i))
  }
}

export function keyOf(partition: Partition, segment: Segment): string {
  return storedSegment(partition, segment).key
}

export const IS_MISSING = 'it is not in the store any more'

/** For who wants all that was there. */
export function missesSegments(place: string, [first, ...others]: readonly string[]): ChronikError {
  const more = others.length > 0 ? ` and ${others.length} others are` : ' is'
  const message =
    `${first}${more} not in ${place} any more, and the records of that time that were there are nowhere else: put it back from a copy of ` +
    "the store, or choose a later time. 'chronik restore --accept-loss' restores the rest; reads of those records will fail"
  return new ChronikError('RESTORE_LOSES_RECORDS', 'corrupt', message)
}
