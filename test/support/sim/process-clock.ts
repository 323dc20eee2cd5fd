import type { Clock, Timer } from '#base/ports.ts'
import type { SimClock } from './sim-clock.ts'

/** The time of one process of several: it can be stopped for a while, as by SIGSTOP, and it can be gone. */
export class ProcessClock implements Clock {
  readonly #clock: SimClock
  #isDead = false
  #isPaused = false
  #missed: (() => void)[] = []

  constructor(clock: SimClock) {
    this.#clock = clock
  }

  nowMs(): number {
    return this.#clock.nowMs()
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }

  after(delayMs: number, call: () => void): Timer {
    let isCancelled = false
    const timer = this.#clock.after(delayMs, () => this.#happen(() => isCancelled || call()))
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
