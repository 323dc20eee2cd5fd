import type { Clock } from './ports.ts'

/** Steps of a walk: a fraction of a millisecond. */
const STEPS_AT_ONCE = 500

/** A walk over groups, offsets or transactions that may be long: with breaks, in which others have their turn. */
export class Walk {
  readonly #clock: Pick<Clock, 'soon'>
  #steps = 0

  constructor(clock: Pick<Clock, 'soon'>) {
    this.#clock = clock
  }

  /** Is it time for a break? */
  stepped(steps = 1): boolean {
    this.#steps += steps
    return this.#steps >= STEPS_AT_ONCE
  }

  rest(): Promise<void> {
    this.#steps = 0
    return new Promise(resolve => this.#clock.soon(resolve))
  }
}
