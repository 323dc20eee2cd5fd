// What the way to the store is like, for some seconds each: one kind of trouble after the other, in an order by chance, with
// fair weather between them.

import { type FaultLink, type LinkState, startFaultLink } from '#test/support/fault-link.ts'
import { type ChooseFault, type FaultProxy, faultsByChance, startFaultProxy } from '#test/support/fault-proxy.ts'
import type { Prng } from '#test/support/sim/prng.ts'
import { pause } from './pause.ts'

interface Phase {
  readonly name: string
  /** Seconds, at least and at most. */
  readonly lasts: readonly [number, number]
  readonly link?: (prng: Prng) => LinkState
  readonly requests?: (prng: Prng) => ChooseFault
}

const FAIR: Phase = { name: 'fair', lasts: [2, 8] }
/** So much of the path of a connection a reset leaves intact. */
const RESET_AFTER_BYTES = [500, 20_000, 500_000]

const TROUBLES: readonly Phase[] = [
  { name: 'connections refused', lasts: [3, 12], link: () => ({ kind: 'refused' }) },
  { name: 'connections hanging', lasts: [3, 14], link: () => ({ kind: 'hanging' }) },
  { name: 'an outage', lasts: [15, 20], link: prng => ({ kind: prng.pick(['refused', 'hanging']) }) },
  {
    name: 'connections reset',
    lasts: [5, 12],
    link: prng => ({ kind: 'resets', afterBytes: () => prng.between(0, prng.pick(RESET_AFTER_BYTES)) }),
  },
  { name: 'slow', lasts: [5, 15], link: prng => ({ kind: 'slow', bytesPerSecond: prng.between(20_000, 200_000) }) },
  { name: 'a storm of 503', lasts: [5, 12], requests: prng => faultsByChance(prng, { answer: 0.9 }) },
  { name: 'lost answers', lasts: [5, 12], requests: prng => faultsByChance(prng, { lose: 0.5 }) },
  {
    name: 'a little of all',
    lasts: [8, 15],
    requests: prng =>
      faultsByChance(prng, {
        ...{ answer: 0.1, reset: 0.05, lose: 0.1, cut: 0.1 },
        ...{ slow: 0.1, hang: 0.02, stall: 0.03, late: 0.05 },
      }),
  },
]

export class Weather {
  readonly #prng: Prng
  readonly #link: FaultLink
  readonly #proxy: FaultProxy
  readonly #note: (text: string) => void
  #isOver = false
  #now = FAIR.name
  /** How often each was. */
  readonly met = new Map<string, number>()

  private constructor(parts: { prng: Prng; link: FaultLink; proxy: FaultProxy; note: (text: string) => void }) {
    this.#prng = parts.prng
    this.#link = parts.link
    this.#proxy = parts.proxy
    this.#note = parts.note
  }

  /** Before a server: connections first, then requests. */
  static async before(endpoint: string, prng: Prng, note: (text: string) => void): Promise<Weather> {
    const proxy = await startFaultProxy(endpoint)
    return new Weather({ prng, note, proxy, link: await startFaultLink(proxy.endpoint) })
  }

  get endpoint(): string {
    return this.#link.endpoint
  }

  get now(): string {
    return this.#now
  }

  /** For so long; fair at the end. */
  async change(forMs: number): Promise<void> {
    const endMs = performance.now() + forMs
    while (performance.now() < endMs && !this.#isOver) {
      for (const phase of this.#shuffled()) {
        for (const next of [phase, FAIR]) {
          const leftMs = endMs - performance.now()
          if (leftMs > 0 && !this.#isOver) await this.#let(next, leftMs)
        }
      }
    }
    await this.#become(FAIR)
  }

  async close(): Promise<void> {
    this.#isOver = true
    await this.#link.close()
    await this.#proxy.close()
  }

  #shuffled(): Phase[] {
    const left = [...TROUBLES]
    return TROUBLES.map(() => left.splice(this.#prng.between(0, left.length - 1), 1)[0]!)
  }

  async #let(phase: Phase, mostMs: number): Promise<void> {
    await this.#become(phase)
    await pause(Math.min(mostMs, this.#prng.between(...phase.lasts) * 1000))
  }

  async #become(phase: Phase): Promise<void> {
    if (this.#isOver) return
    this.#now = phase.name
    this.met.set(phase.name, (this.met.get(phase.name) ?? 0) + 1)
    this.#note(phase.name)
    this.#proxy.onRequest = phase.requests?.(this.#prng) ?? (() => null)
    await this.#link.change(phase.link?.(this.#prng) ?? { kind: 'open' })
  }
}
