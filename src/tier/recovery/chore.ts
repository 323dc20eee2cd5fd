import { messageOf } from '#base/errors.ts'
import type { Clock } from '#base/ports.ts'

// Deletions take their time, and nothing waits for them: they are done beside the jobs of the archive.

/** What fails is not begun again sooner. */
const PAUSE_MS = 5_000

export interface ChoreOptions {
  readonly clock: Clock
  /** For people: what cannot be done. */
  readonly what: string
  work(signal: AbortSignal): Promise<void>
  report(level: 'info' | 'warn', message: string): void
}

/** Work that is never under way twice, and that nobody waits for. What is left of it by a failure is for the next time. */
export class Chore {
  readonly #options: ChoreOptions
  readonly #ended = new AbortController()
  #running: Promise<void> | null = null
  #isFailing = false
  #notBeforeMs = Number.NEGATIVE_INFINITY

  constructor(options: ChoreOptions) {
    this.#options = options
  }

  /** Unless it is under way. */
  begin(): void {
    if (this.#ended.signal.aborted || this.#options.clock.monotonicMs() < this.#notBeforeMs) return
    this.#running ??= this.#run().finally(() => {
      this.#running = null
    })
  }

  async #run(): Promise<void> {
    const { clock, what, work, report } = this.#options
    try {
      await work(this.#ended.signal)
      this.#isFailing = false
    } catch (thrown) {
      if (this.#ended.signal.aborted) return
      if (!this.#isFailing) report('warn', `${what} cannot be deleted, it is tried again: ${messageOf(thrown)}`)
      this.#isFailing = true
      this.#notBeforeMs = clock.monotonicMs() + PAUSE_MS
    }
  }

  /** What was begun ends. */
  async close(): Promise<void> {
    this.#ended.abort()
    await this.#running
  }
}
