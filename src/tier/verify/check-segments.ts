import { ChronikError, messageOf } from '#base/errors.ts'
import type { Finding, Inspector } from '#base/inspection.ts'
import type { ObjectFacts, ObjectReader } from '#object-store/object-store.ts'
import { parseSegmentKey, SEGMENT_PREFIX, type SegmentName, TAIL_PREFIX } from '#segments/segment-names.ts'
import { BodyCheck } from './body-check.ts'
import { checkSegment, type HeldSegment, rangeOf, type SegmentTools } from './check-segment.ts'
import { eachAtOnce } from './each-at-once.ts'
import type { HeldObjects } from './held-objects.ts'

// Checks every segment object that is in the store, and says which are missing.

/** Memory: for each of them what it reads, and reads ahead, and the largest batch. */
const OBJECTS_AT_ONCE = 4
/** If the store gives none of so many, one after the other, it is not the objects that are at fault. */
const FAILURES_IN_A_ROW = 8

export interface Counted {
  objects: number
  sizeBytes: number
}

export interface SegmentCounts {
  readonly segments: Counted
  /** Of the record tail. */
  readonly tail: Counted
  /** Nothing refers to them: the collector finds them. */
  readonly unreferenced: Counted
  /** They wait to be deleted. */
  readonly garbage: Counted
  /** Of how many bytes of record batches the log has a segment. */
  readonly heldBytes: number
}

export interface SegmentsToCheck {
  readonly store: ObjectReader
  readonly inspector: Inspector
  /** Null: it is not known what is referred to. */
  readonly held: HeldObjects | null
  /** Something was found that may be explained by what a broker did meanwhile. */
  suspect(finding: Finding): void
}

export async function checkSegments(options: SegmentsToCheck): Promise<SegmentCounts> {
  const { store, inspector, held } = options
  inspector.begins('segments', held?.sizeBytes ?? 0)
  const check = new SegmentsCheck(options)
  for (const prefix of [SEGMENT_PREFIX, TAIL_PREFIX]) {
    await eachAtOnce(store.list(prefix, '', inspector.signal), OBJECTS_AT_ONCE, facts => check.object(facts))
  }
  if (held !== null) for (const { key, held: rows } of held.missing()) check.tellMissing(key, rows)
  return { ...check.counts, heldBytes: held?.sizeBytes ?? 0 }
}

class SegmentsCheck {
  readonly #options: SegmentsToCheck
  readonly #idle: BodyCheck[] = []
  #failures = 0
  readonly counts = { segments: none(), tail: none(), unreferenced: none(), garbage: none() }

  constructor(options: SegmentsToCheck) {
    this.#options = options
  }

  async object(facts: ObjectFacts): Promise<void> {
    const { key } = facts
    const name = parseSegmentKey(key)
    // Names that mean nothing are told of all together.
    if (name === null) return
    const rows = this.#options.held?.meet(key, name) ?? []
    this.#count(facts, rows)
    const body = this.#idle.pop() ?? new BodyCheck()
    try {
      await this.#check(facts, name, { rows, body })
      this.#failures = 0
    } catch (thrown) {
      this.#tellUnread(key, rows, thrown)
    } finally {
      this.#idle.push(body)
    }
  }

  #count({ key, sizeBytes }: ObjectFacts, rows: readonly HeldSegment[]): void {
    const { counts } = this
    const { held } = this.#options
    add(key.startsWith(TAIL_PREFIX) ? counts.tail : counts.segments, sizeBytes)
    if (rows.length > 0 || held === null) return
    if (held.isGarbage(key)) add(counts.garbage, sizeBytes)
    else if (!key.startsWith(TAIL_PREFIX)) add(counts.unreferenced, sizeBytes)
  }

  async #check(
    { key, sizeBytes }: ObjectFacts,
    { hash, revision }: SegmentName,
    { rows, body }: { rows: readonly HeldSegment[]; body: BodyCheck },
  ): Promise<void> {
    const { store, inspector, suspect } = this.#options
    const { signal } = inspector
    const tools: SegmentTools = { store, signal, body, passed: bytes => inspector.passed(bytes) }
    // What nobody refers to may have been shared by segments that were compacted: its name does not say.
    const isCompacted = revision > 0 || rows.length === 0 || rows.some(({ segment }) => segment.revision > 0)
    for (const finding of await checkSegment(tools, { key, sizeBytes, hash, held: rows, isCompacted })) suspect(finding)
  }

  #tellUnread(key: string, rows: readonly HeldSegment[], thrown: unknown): void {
    const { suspect, inspector } = this.#options
    inspector.signal.throwIfAborted()
    if (!(thrown instanceof ChronikError)) throw thrown
    if (thrown.code === 'OBJECT_MISSING') {
      // It was listed a moment ago: who deleted it meanwhile was allowed to, or it is missing.
      if (rows.length > 0) this.tellMissing(key, rows)
      return
    }
    if (thrown.kind !== 'unavailable' || ++this.#failures >= FAILURES_IN_A_ROW) throw thrown
    const message = `${key} could not be read, so nothing is known of it: ${messageOf(thrown)}`
    suspect({ kind: 'damage', where: key, message, affected: rows.map(rangeOf) })
  }

  tellMissing(key: string, rows: readonly HeldSegment[]): void {
    const { suspect, store } = this.#options
    const message = `the segment ${key} is not in ${store.place}: put it back from a copy of the store`
    suspect({ kind: 'damage', where: key, message, affected: rows.map(rangeOf) })
  }
}

function none(): Counted {
  return { objects: 0, sizeBytes: 0 }
}

function add(counted: Counted, sizeBytes: number): void {
  counted.objects++
  counted.sizeBytes += sizeBytes
}
