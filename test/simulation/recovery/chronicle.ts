import { Violation } from '#test/simulation/history.ts'

// What a log was, event by event: each batch, each marker and each change is one. A takeover goes on from some moment of it: what
// came later never was, and has to be something that nobody was promised.

export type EntryKind = 'batch' | 'commit' | 'abort'

/** A batch in its place. */
export interface Entry {
  readonly kind: EntryKind
  readonly baseOffset: number
  readonly nextOffset: number
  readonly crc: number
  readonly producerId: number
  readonly producerEpoch: number
  /** -1 for markers and plain producers. */
  readonly sequence: number
  readonly event: number
  readonly appliedMs: number
  ackedMs: number | null
}

/** At an event it came to an offset, and not before. */
interface Step {
  readonly event: number
  readonly offset: number
}

export class PartitionStory {
  readonly topicId: string
  readonly index: number
  readonly bornAt: number
  /** The event with which its topic went. */
  goneAt = Number.POSITIVE_INFINITY
  readonly entries: Entry[] = []
  readonly logStarts: Step[] = []
  /** Records before it are in segments. */
  readonly sealed: Step[] = []
  /** By producer, epoch and sequence. */
  readonly #batches = new Map<string, Entry>()

  constructor(topicId: string, index: number, bornAt: number) {
    this.topicId = topicId
    this.index = index
    this.bornAt = bornAt
  }

  get key(): string {
    return `${this.topicId}:${this.index}`
  }

  get nextOffset(): number {
    return this.entries.at(-1)?.nextOffset ?? this.logStarts.at(-1)?.offset ?? 0
  }

  isThereAt(event: number): boolean {
    return this.bornAt <= event && event < this.goneAt
  }

  add(entry: Entry): void {
    const { kind, baseOffset, producerId, producerEpoch, sequence } = entry
    if (this.entries.length > 0 && baseOffset !== this.nextOffset) {
      throw new Violation(`${this.key} goes on at ${baseOffset}, not ${this.nextOffset}`)
    }
    if (kind === 'batch' && sequence >= 0) {
      const name = `${producerId}/${producerEpoch}/${sequence}`
      const twin = this.#batches.get(name)
      if (twin !== undefined) {
        throw new Violation(`${this.key} has batch ${name} at ${twin.baseOffset} and once more at ${baseOffset}`)
      }
      this.#batches.set(name, entry)
    }
    this.entries.push(entry)
  }

  find(baseOffset: number): Entry | undefined {
    return this.entries.findLast(entry => entry.baseOffset === baseOffset)
  }

  logStartAt(event: number): number {
    return offsetAt(this.logStarts, event)
  }

  sealedAt(event: number): number {
    return offsetAt(this.sealed, event)
  }

  copy(): PartitionStory {
    const copy = new PartitionStory(this.topicId, this.index, this.bornAt)
    copy.goneAt = this.goneAt
    for (const entry of this.entries) copy.add({ ...entry })
    copy.logStarts.push(...this.logStarts)
    copy.sealed.push(...this.sealed)
    return copy
  }

  cutTo(event: number): void {
    while ((this.entries.at(-1)?.event ?? 0) > event) {
      const { producerId, producerEpoch, sequence } = this.entries.pop()!
      this.#batches.delete(`${producerId}/${producerEpoch}/${sequence}`)
    }
    for (const steps of [this.logStarts, this.sealed]) while ((steps.at(-1)?.event ?? 0) > event) steps.pop()
    if (this.goneAt > event) this.goneAt = Number.POSITIVE_INFINITY
  }
}

function offsetAt(steps: readonly Step[], event: number): number {
  return steps.findLast(step => step.event <= event)?.offset ?? 0
}

/** When an event was, by the log's own time, and where its group ends; Infinity while that is not committed. */
interface Moment {
  readonly timeMs: number
  endPosition: number
}

export class Chronicle {
  readonly stories = new Map<string, PartitionStory>()
  /** By event: the first one is 1. Before it there is what was found. */
  readonly #moments: Moment[] = []
  #openFrom = 0
  /** The last event that somebody was told of: answers go in the order of the log. */
  ackedTo = 0

  /** Moments between these positions cannot be gone back to. */
  readonly #gaps: { readonly from: number; readonly to: number }[] = []

  get lastEvent(): number {
    return this.#moments.length
  }

  get endPosition(): number {
    return this.#moments[this.#openFrom - 1]?.endPosition ?? 0
  }

  happens(timeMs: number): number {
    this.#moments.push({ timeMs, endPosition: Number.POSITIVE_INFINITY })
    return this.#moments.length
  }

  groupEnded(endPosition: number): void {
    for (; this.#openFrom < this.#moments.length; this.#openFrom++)
      this.#moments[this.#openFrom]!.endPosition = endPosition
  }

  /** The last event that is wholly before the position. */
  eventAt(position: number): number {
    return this.#moments.findLastIndex(({ endPosition }) => endPosition <= position) + 1
  }

  /** The last event of the group that comes next. */
  endOfGroupBehind(event: number): number {
    const next = this.#moments[event]
    if (next === undefined) return event
    return this.#moments.findLastIndex(({ endPosition }) => endPosition === next.endPosition) + 1
  }

  gap(from: number, to: number): void {
    if (from < to) this.#gaps.push({ from, to })
  }

  isInGap(event: number): boolean {
    const position = this.positionOf(event)
    return this.#gaps.some(({ from, to }) => position > from && position <= to)
  }

  /** Of what was in no segment then, only copies may tell, and these go when what comes behind the gap knows better. */
  isBeforeGap(event: number): boolean {
    return this.#gaps.some(({ to }) => this.positionOf(event) <= to)
  }

  timeOf(event: number): number {
    return this.#moments[event - 1]?.timeMs ?? 0
  }

  positionOf(event: number): number {
    return this.#moments[event - 1]?.endPosition ?? 0
  }

  ack(event: number): void {
    this.ackedTo = Math.max(this.ackedTo, event)
  }

  /** What came later never was. */
  cutTo(event: number): void {
    this.#moments.length = Math.min(this.#moments.length, event)
    this.#openFrom = Math.min(this.#openFrom, event)
    this.ackedTo = Math.min(this.ackedTo, event)
    for (const [key, story] of this.stories) {
      if (story.bornAt > event) this.stories.delete(key)
      else story.cutTo(event)
    }
  }

  copy(): Chronicle {
    const copy = new Chronicle()
    for (const [key, story] of this.stories) copy.stories.set(key, story.copy())
    copy.#moments.push(...this.#moments.map(moment => ({ ...moment })))
    copy.#openFrom = this.#openFrom
    copy.#gaps.push(...this.#gaps)
    copy.ackedTo = this.ackedTo
    return copy
  }

  born(topicId: string, index: number, event: number): PartitionStory {
    const story = new PartitionStory(topicId, index, event)
    this.stories.set(story.key, story)
    return story
  }

  story(topicId: string, index: number): PartitionStory {
    const story = this.stories.get(`${topicId}:${index}`)
    if (story === undefined) throw new Violation(`partition ${index} of ${topicId} was never made`)
    return story
  }
}
