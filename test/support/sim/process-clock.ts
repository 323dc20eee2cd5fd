import type { Clock, Timer } from '#base/ports.ts'
import type { SimClock } from './sim-clock.ts'

/** How the clock of a machine goes wrong. */
export interface Skew {
  /** Of its time to the true one: above 1 it is fast. */
  readonly rate: number
  /** Of the clock on its wall. */
  readonly aheadMs: number
}

/** The time of one process of several: it can be stopped for a while, as by SIGSTOP, and it can be gone. */
export class ProcessClock implements Clock {
  readonly #clock: SimClock
  readonly #skew: Skew
  #isDead = false
  #isPaused = false
  #missed: (() => void)[] = []

  constructor(clock: SimClock, skew: Skew = { rate: 1, aheadMs: 0 }) {
    this.#clock = clock
    this.#skew = skew
  }

  nowMs(): number {
    const { rate, aheadMs } = this.#skew
    const driftMs = this.#clock.monotonicMs() * (rate - 1)
    return Math.floor(this.#clock.nowMs() + aheadMs + driftMs)
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs() * this.#skew.rate
  }

  after(delayMs: number, call: () => void): Timer {
    let isCancelled = false
    const timer = this.#clock.after(delayMs / this.#skew.rate, () => this.#happen(() => isCancelled || call()))
    return {
      cancel: () => {
        isCancelled = true
        timer.cancel()
      },
    }
  }

  soon(call: () => void): void {
    this.#clock.soon(() => this.#happen(call))
  }

  kill(): void {
    this.#isDead = true
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    for (const call of this.#missed.splice(0)) this.#clock.soon(() => this.#happen(call))
  }

  #happen(call: () => void): void {
    if (this.#isDead) return
    if (this.#isPaused) this.#missed.push(call)
    else call()
  }
}
