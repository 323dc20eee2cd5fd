import type { Clock, Timer } from '#base/ports.ts'

/** A clock on which each look at it takes so long. What is to be done later waits until a test lets it have its turn. */
export class SlowClock implements Pick<Clock, 'monotonicMs' | 'soon' | 'after'> {
  msPerLook: number
  /** Of `after`. */
  readonly delaysMs: number[] = []
  readonly #turns: (() => void)[] = []
  #nowMs = 0

  constructor(msPerLook: number) {
    this.msPerLook = msPerLook
  }

  /** Turns that are waited for. */
  get waiting(): number {
    return this.#turns.length
  }

  monotonicMs(): number {
    this.#nowMs += this.msPerLook
    return this.#nowMs
  }

  soon(call: () => void): void {
    this.#turns.push(call)
  }

  after(delayMs: number, call: () => void): Timer {
    this.delaysMs.push(delayMs)
    this.#turns.push(call)
    return { cancel: () => void this.#turns.splice(this.#turns.indexOf(call), 1) }
  }

  /** Until there are no more, or so many; says how many there were. */
  takeTurns(most = Number.POSITIVE_INFINITY): number {
    let count = 0
    for (; count < most && this.#turns.length > 0; count++) this.#turns.shift()!()
    return count
  }
}
