import type { Clock } from '#base/ports.ts'
import type { Regex } from './regular-expressions.ts'

// Which of many things an expression matches, by a text of each: found out in slices of the broker's thread, between which whoever
// searches lets others have their turn (docs/decisions/regular-expressions.md).

/** One slice. */
const SLICE_MS = 2
/** What takes longer than this in all is slow. */
const QUICK_MS = 1000
/** Most that one text takes. What takes longer is the thread's standing still. */
const MATCH_MAX_MS = 20
/** Instructions times characters: 10 ms at worst, and no slice ends before. Topics have no longer names, transactions may have. */
const MAX_STEPS_OF_A_MATCH = 250_000

export type SearchStage = 'unfinished' | 'done' | 'too-many-steps'

export class RegexSearch<T> {
  readonly found: T[] = []
  readonly #regex: Regex
  readonly #things: readonly T[]
  readonly #textOf: (thing: T) => string
  readonly #clock: Pick<Clock, 'monotonicMs' | 'soon'>
  #next = 0
  #spentMs = 0

  constructor(
    regex: Regex,
    things: readonly T[],
    textOf: (thing: T) => string,
    clock: Pick<Clock, 'monotonicMs' | 'soon'>,
  ) {
    this.#regex = regex
    this.#things = things
    this.#textOf = textOf
    this.#clock = clock
  }

  get isSlow(): boolean {
    return this.#spentMs > QUICK_MS
  }

  /** The next slice. */
  goOn(): SearchStage {
    const beganMs = this.#clock.monotonicMs()
    let atMs = beganMs
    while (this.#next < this.#things.length && atMs - beganMs < SLICE_MS) {
      const thing = this.#things[this.#next++]!
      const text = this.#textOf(thing)
      if (this.#regex.programSize() * text.length > MAX_STEPS_OF_A_MATCH) return 'too-many-steps'
      if (this.#regex.matches(text)) this.found.push(thing)
      const doneMs = this.#clock.monotonicMs()
      this.#spentMs += Math.min(doneMs - atMs, MATCH_MAX_MS)
      atMs = doneMs
    }
    return this.#next < this.#things.length ? 'unfinished' : 'done'
  }

  /** All slices. Null: it is given up, as it is slow or takes too many steps. */
  async finish(): Promise<T[] | null> {
    let stage = this.goOn()
    while (stage === 'unfinished' && !this.isSlow) {
      await new Promise<void>(resolve => this.#clock.soon(resolve))
      stage = this.goOn()
    }
    return stage === 'done' && !this.isSlow ? this.found : null
  }
}
