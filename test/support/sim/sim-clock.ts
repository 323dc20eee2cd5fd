import { assert } from '#base/assert.ts'
import type { Clock, Timer } from '#base/ports.ts'
import type { Prng } from './prng.ts'

// Time that passes only when a test lets it: what is due lies on a heap and happens in the order of its time. Between two
// events everything that promises have to do is done, so that the same events always meet the same program.

interface SimEvent {
  readonly atMs: number
  readonly order: number
  call: (() => void) | null
  /** It happens whatever becomes of the process. */
  readonly isOutside: boolean
}

/** Most that a timer comes late, if there is a source of chance. */
const LATE_MS = 0.2
/** What a turn of the event loop takes. */
const TURN_MS = 0.01

export class SimClock implements Clock {
  /** What passes whenever the monotonic clock is asked: work takes time then, as far as somebody looks at the clock meanwhile. */
  msPerLook = 0
  readonly #events: SimEvent[] = []
  readonly #prng: Prng | null
  #elapsedMs = 0
  #wallMs: number
  #order = 0

  constructor(options: { prng?: Prng; startMs?: number } = {}) {
    this.#prng = options.prng ?? null
    this.#wallMs = options.startMs ?? Date.UTC(2026, 0, 1)
  }

  nowMs(): number {
    return Math.floor(this.#wallMs + this.#elapsedMs)
  }

  monotonicMs(): number {
    this.#elapsedMs += this.msPerLook
    return this.#elapsedMs
  }

  after(delayMs: number, call: () => void): Timer {
    const lateMs = this.#prng === null ? 0 : this.#prng.fraction() * LATE_MS
    return this.#add(Math.max(0, delayMs) + lateMs, call)
  }

  soon(call: () => void): void {
    this.#add(TURN_MS, call)
  }

  /** Time passes and nothing happens: what a call takes that blocks the thread. */
  elapse(delayMs: number): void {
    this.#elapsedMs += delayMs
  }

  /** Somebody sets the clock on the wall. */
  jump(byMs: number): void {
    this.#wallMs += byMs
  }

  /** The process is gone, and with it everything it wanted to do. */
  forgetAll(): void {
    const outside = this.#events.filter(event => event.isOutside).sort((one, other) => (isBefore(one, other) ? -1 : 1))
    this.#events.splice(0, this.#events.length, ...outside)
  }

  /** The same time for what is no part of the process. */
  outside(): Clock {
    return {
      nowMs: () => this.nowMs(),
      monotonicMs: () => this.monotonicMs(),
      after: (delayMs, call) => this.#add(Math.max(0, delayMs), call, true),
      soon: call => void this.#add(TURN_MS, call, true),
    }
  }

  /** Lets happen what is due until the promise is settled. Fails if it never will be. */
  async run<T>(promise: Promise<T>, withinMs = Number.POSITIVE_INFINITY): Promise<T> {
    const endMs = this.#elapsedMs + withinMs
    let settled = false
    const settle = (): void => {
      settled = true
    }
    promise.then(settle, settle)
    await promisesDone()
    while (!settled) {
      assert(this.#events.length > 0, 'nothing will ever happen any more, and somebody waits')
      assert(this.#events[0]!.atMs <= endMs, `what is waited for did not happen within ${withinMs} ms`)
      await this.#step()
    }
    return promise
  }

  /** Lets happen what is due within a time, and no more. */
  async runFor(delayMs: number): Promise<void> {
    const endMs = this.#elapsedMs + delayMs
    await promisesDone()
    while (this.#events.length > 0 && this.#events[0]!.atMs <= endMs) await this.#step()
    this.#elapsedMs = Math.max(this.#elapsedMs, endMs)
  }

  /** Lets happen what is due until the condition holds or nothing is left to happen. */
  async runUntil(condition: () => boolean): Promise<void> {
    await promisesDone()
    while (!condition() && this.#events.length > 0) await this.#step()
  }

  async #step(): Promise<void> {
    const event = this.#takeFirst()
    if (event.call === null) return
    // A call that blocked the thread may have made what is due late.
    this.#elapsedMs = Math.max(this.#elapsedMs, event.atMs)
    event.call()
    await promisesDone()
  }

  #add(delayMs: number, call: () => void, isOutside = false): Timer {
    const event: SimEvent = { atMs: this.#elapsedMs + delayMs, order: this.#order++, call, isOutside }
    const heap = this.#events
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(event, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = event
    return {
      cancel() {
        event.call = null
      },
    }
  }

  #takeFirst(): SimEvent {
    const heap = this.#events
    const first = heap[0]!
    const last = heap.pop()!
    if (heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, last)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
    return first
  }
}

function isBefore(one: SimEvent, other: SimEvent): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order)
}

/** An immediate comes when no promise has anything left to do. */
function promisesDone(): Promise<void> {
  return new Promise(resolve => {
    setImmediate(resolve)
  })
}
