import { ChronikError, messageOf } from '#base/errors.ts'
import { type Segment, TAIL_REVISION } from '#core/segments.ts'
import type { ObjectFacts, ObjectReader } from '#object-store/object-store.ts'
import { readDirectory, readTrailer, type SegmentPart, TRAILER_BYTES } from '#segments/segment-format.ts'
import { parseSegmentKey, type SegmentName, TAIL_PREFIX } from '#segments/segment-names.ts'
import { mapAtOnce } from './map-at-once.ts'
import type { RecoveryProgress } from './progress.ts'

// The objects of the record tail of one owner, and what is in them: their directories, not their records.

/** A read that is likely to have all of a directory. */
const LIKELY_BYTES = 64 << 10
const READS_AT_ONCE = 16

export interface TailObject {
  readonly key: string
  readonly name: SegmentName
  readonly parts: readonly SegmentPart[]
}

export function tailFolder(generation: number): string {
  return `${TAIL_PREFIX}g${generation}/`
}

/** In the order in which they were written. What cannot be read is told of and left out. */
export async function readTailObjects(
  { store, signal, progress }: { store: ObjectReader; signal: AbortSignal; progress: RecoveryProgress },
  generation: number,
  unreadable: (key: string, why: string) => void,
): Promise<TailObject[]> {
  const found: ObjectFacts[] = []
  for await (const facts of store.list(tailFolder(generation), '', signal)) {
    found.push(facts)
    progress.expect(1, Math.min(facts.sizeBytes, LIKELY_BYTES))
  }
  const read = await mapAtOnce(found, READS_AT_ONCE, async facts => {
    const name = parseSegmentKey(facts.key)
    if (name === null) return null
    try {
      return { key: facts.key, name, parts: await readParts(store, facts, signal) }
    } catch (thrown) {
      if (!isLoss(thrown)) throw thrown
      // One that is gone since it was listed was not needed any more.
      if (!isMissing(thrown)) unreadable(facts.key, messageOf(thrown))
      return null
    } finally {
      progress.did(Math.min(facts.sizeBytes, LIKELY_BYTES))
    }
  })
  return read.filter(object => object !== null)
}

/** It will not come back by asking again. */
export function isLoss(thrown: unknown): boolean {
  return isMissing(thrown) || (thrown instanceof ChronikError && thrown.kind === 'corrupt')
}

function isMissing(thrown: unknown): boolean {
  return thrown instanceof ChronikError && thrown.code === 'OBJECT_MISSING'
}

async function readParts(
  store: ObjectReader,
  facts: ObjectFacts,
  signal: AbortSignal,
): Promise<readonly SegmentPart[]> {
  const { key, sizeBytes } = facts
  const likelyBytes = Math.min(sizeBytes, LIKELY_BYTES)
  // Of an object that is too short, too, it is said what is wrong.
  if (likelyBytes < TRAILER_BYTES) readTrailer(Buffer.alloc(0), facts)
  const end = await store.getRange(key, sizeBytes - likelyBytes, likelyBytes, signal)
  const { directoryBytes } = readTrailer(end, facts)
  if (directoryBytes <= end.length) return readDirectory(end, facts).parts
  return readDirectory(await store.getRange(key, sizeBytes - directoryBytes, directoryBytes, signal), facts).parts
}

/** A part of the tail as a segment of its partition. */
export function tailSegment({ name }: TailObject, part: SegmentPart): Segment {
  const { generation, sharedAt, hash } = name
  const { baseOffset, nextOffset, sizeBytes, maxTimestampMs, createdMs, place, indexPlace, indexBytes } = part
  const where = { place, indexPlace, indexBytes, generation, revision: TAIL_REVISION, sharedAt, hash }
  return { baseOffset, nextOffset, sizeBytes, maxTimestampMs, createdMs, ...where }
}
