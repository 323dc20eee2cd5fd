import type { Clock, Timer } from '#base/ports.ts'
import { systemClock } from '#system/clock.ts'

/** The time of this machine until a test lets it pass faster, for everything that waits by then, too. */
export class HurriedClock implements Clock {
  readonly soon = systemClock.soon
  readonly #beganMs = systemClock.nowMs()
  readonly #waiting = new Set<() => void>()
  #rate = 1
  #elapsedMs = 0
  #sinceMs = systemClock.monotonicMs()

  /** From now on so many times as fast. */
  hurry(rate: number): void {
    this.#elapsedMs = this.monotonicMs()
    this.#sinceMs = systemClock.monotonicMs()
    this.#rate = rate
    for (const arm of this.#waiting) arm()
  }

  nowMs(): number {
    return Math.floor(this.#beganMs + this.monotonicMs())
  }

  monotonicMs(): number {
    return this.#elapsedMs + (systemClock.monotonicMs() - this.#sinceMs) * this.#rate
  }

  after(delayMs: number, call: () => void): Timer {
    const dueMs = this.monotonicMs() + delayMs
    let timer: Timer | null = null
    const happen = () => {
      this.#waiting.delete(arm)
      call()
    }
    const arm = () => {
      timer?.cancel()
      timer = systemClock.after(Math.max(0, dueMs - this.monotonicMs()) / this.#rate, happen)
    }
    this.#waiting.add(arm)
    arm()
    return {
      cancel: () => {
        this.#waiting.delete(arm)
        timer?.cancel()
      },
    }
  }
}
