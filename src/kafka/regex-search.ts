import type { Clock } from '#base/ports.ts'
import type { Regex } from './regular-expressions.ts'

// Which of many things an expression matches, by a text of each: found out in slices of the broker's thread, between which whoever searches lets others
// have their turn. What takes too long is given up (docs/decisions/regular-expressions.md).

/** One slice. */
const SLICE_MS = 2
/** What takes longer than this in all is given up. */
const GIVE_UP_MS = 1000
/** Instructions times characters: 10 ms at worst, and no slice ends before. Topics have no longer names, transactions may have. */
const MAX_STEPS_OF_A_MATCH = 250_000

export type SearchStage = 'unfinished' | 'done' | 'given-up'

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

  /** The next slice. */
  goOn(): SearchStage {
    const beganMs = this.#clock.monotonicMs()
    let tookMs = 0
    while (this.#next < this.#things.length && tookMs < SLICE_MS) {
      const thing = this.#things[this.#next++]!
      const text = this.#textOf(thing)
      if (this.#regex.programSize() * text.length > MAX_STEPS_OF_A_MATCH) return 'given-up'
      if (this.#regex.matches(text)) this.found.push(thing)
      tookMs = this.#clock.monotonicMs() - beganMs
    }
    this.#spentMs += tookMs
    if (this.#spentMs > GIVE_UP_MS) return 'given-up'
    return this.#next < this.#things.length ? 'unfinished' : 'done'
  }

  /** All slices. Null: it is given up. */
  async finish(): Promise<T[] | null> {
    let stage = this.goOn()
    while (stage === 'unfinished') {
      await new Promise<void>(resolve => this.#clock.soon(resolve))
      stage = this.goOn()
    }
    return stage === 'done' ? this.found : null
  }
}
