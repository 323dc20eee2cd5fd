// A store behind a connection that does all that connections do, for a while, under load: what was answered for must be so.

import { expect, it } from 'vitest'
import type { ObjectStore } from '#object-store/object-store.ts'
import { REMOTE_POLICY, type RetryPolicy, retrying } from '#object-store/retry.ts'
import { StoreError } from '#object-store/store-errors.ts'
import { systemClock } from '#system/clock.ts'
import { systemRandom } from '#system/random.ts'
import { type FaultProxy, faultsByChance } from '#test/support/fault-proxy.ts'
import { Prng } from '#test/support/sim/prng.ts'

const WORKERS = 8
const USUAL_BYTES = [100, 10_000, 100_000, 1_000_000]
/** Sent in parts, where there are any. */
const LARGEST_BYTES = 12 * 2 ** 20
const SHARED_KEYS = 20
const chances = {
  ...{ answer: 0.05, reset: 0.03, lose: 0.05, cut: 0.05 },
  ...{ slow: 0.05, hang: 0.01, stall: 0.01, late: 0.02 },
}
/** Connections that hang are given up sooner, so that more of them can be had. */
const policy: RetryPolicy = { ...REMOTE_POLICY, attemptMs: 3000 }
const patient = new AbortController().signal

type Connect = () => Promise<{ proxy: FaultProxy; store: ObjectStore }>

export function describeBadConnection(name: string, durationMs: number, connect: Connect): void {
  it(`${name} keeps what was answered for over a bad connection`, { timeout: durationMs + 300_000 }, async () => {
    const { proxy, store: raw } = await connect()
    const store = retrying(raw, { clock: systemClock, random: systemRandom, policy })
    const prng = new Prng(durationMs)
    const load = new Load(store, prng)
    proxy.onRequest = faultsByChance(prng.fork(), chances)
    const endMs = performance.now() + durationMs
    await Promise.all(Array.from({ length: WORKERS }, (_, i) => load.work(i, endMs)))
    proxy.onRequest = () => null
    await load.audit()
    expect(load.counts.put).toBeGreaterThan(durationMs / 1000)
    expect(load.counts.get).toBeGreaterThan(durationMs / 1000)
    await store.close()
    await proxy.close()
  })
}

/** What is known of what was written. Every object has a key of its own, but for the shared ones, which many try to create. */
class Load {
  readonly counts = { put: 0, create: 0, get: 0, list: 0, delete: 0, failed: 0 }
  readonly #store: ObjectStore
  readonly #prng: Prng
  /** Answered for, and not deleted. */
  readonly #kept = new Map<string, Buffer>()
  /** Of each shared key who was told that it created it. */
  readonly #winners = new Map<string, string[]>()

  constructor(store: ObjectStore, prng: Prng) {
    this.#store = store
    this.#prng = prng
  }

  async work(worker: number, endMs: number): Promise<void> {
    for (let i = 0; performance.now() < endMs; i++) {
      try {
        await this.#act(`worker-${worker}/${i}`)
      } catch (error) {
        // It may have happened, or not.
        if (!(error instanceof StoreError) || error.code !== 'STORE_UNAVAILABLE') throw error
        this.counts.failed++
      }
    }
  }

  /** Of every object the bytes, and that there is none that nobody wrote. */
  async audit(): Promise<void> {
    for (const [key, bytes] of this.#kept) {
      const found = await this.#store.getRange(key, 0, bytes.length + 1, patient)
      expect(found.equals(bytes), `${key} is what was written`).toBe(true)
    }
    const listed = new Set<string>()
    for await (const { key } of this.#store.list('', '', patient)) listed.add(key)
    expect([...this.#kept.keys()].filter(key => !listed.has(key))).toEqual([])
    for (const [key, winners] of this.#winners) {
      expect(winners.length, `${key} was created by ${winners}`).toBeLessThanOrEqual(1)
      const content = (await this.#store.getRange(key, 0, 100, patient)).toString()
      if (winners.length === 1) expect(content).toBe(winners[0])
    }
  }

  async #act(name: string): Promise<void> {
    const choice = this.#prng.between(0, 9)
    if (choice <= 3) await this.#put(name)
    else if (choice <= 6) await this.#get()
    else if (choice === 7) await this.#create(name)
    else if (choice === 8) await this.#delete()
    else await this.#list()
  }

  async #put(key: string): Promise<void> {
    const bytes = this.#bytes()
    const cut = this.#prng.between(0, bytes.length)
    await this.#store.put(key, [bytes.subarray(0, cut), bytes.subarray(cut)], patient)
    this.#kept.set(key, bytes)
    this.counts.put++
  }

  async #create(name: string): Promise<void> {
    const key = `shared/${this.#prng.between(1, SHARED_KEYS)}`
    if (!(await this.#store.putIfAbsent(key, [Buffer.from(name)], patient))) return
    this.#winners.set(key, [...(this.#winners.get(key) ?? []), name])
    this.counts.create++
  }

  async #get(): Promise<void> {
    const key = this.#anyKept()
    if (key === undefined) return
    const bytes = this.#kept.get(key)!
    const from = this.#prng.between(0, bytes.length)
    const length = this.#prng.between(1, bytes.length + 1)
    const found = await this.#store.getRange(key, from, length, patient).catch((error: unknown) => {
      // Somebody has begun to delete it meanwhile.
      if (error instanceof StoreError && error.code === 'OBJECT_MISSING' && !this.#kept.has(key)) return null
      throw error
    })
    this.counts.get++
    if (found !== null) expect(found.equals(bytes.subarray(from, from + length)), `${key} from ${from}`).toBe(true)
  }

  async #delete(): Promise<void> {
    const key = this.#anyKept()
    if (key === undefined) return
    this.#kept.delete(key)
    await this.#store.delete(key, patient)
    this.counts.delete++
  }

  async #list(): Promise<void> {
    const sure = new Set(this.#kept.keys())
    const listed = new Set<string>()
    for await (const { key } of this.#store.list('worker-', '', patient)) listed.add(key)
    const missing = [...sure].filter(key => !listed.has(key) && this.#kept.has(key))
    expect(missing, 'every object is listed').toEqual([])
    this.counts.list++
  }

  #anyKept(): string | undefined {
    return this.#kept.size === 0 ? undefined : this.#prng.pick([...this.#kept.keys()])
  }

  #bytes(): Buffer {
    const sizeBytes = this.#prng.between(1, this.#prng.chance(0.03) ? LARGEST_BYTES : this.#prng.pick(USUAL_BYTES))
    const bytes = Buffer.alloc(sizeBytes, this.#prng.u32().toString(36))
    return bytes
  }
}
