// An object store in memory that keeps only what ObjectStore promises, on the simulated clock: the same seed, the same trace.
// Writes that are under way at once happen in any order. Whoever cancels a write, or dies in it, does not know whether it
// happened or will happen yet. Every call goes through `onCall`, which may choose a fault; else chance does, by `faults`.

import { assert } from '#base/assert.ts'
import type { Clock } from '#base/ports.ts'
import { assertKey, compareKeys } from '#object-store/keys.ts'
import type { ObjectFacts, ObjectStore } from '#object-store/object-store.ts'
import { objectMissing, StoreError } from '#object-store/store-errors.ts'
import { Prng } from './prng.ts'

export type StoreVerb = 'put' | 'create' | 'get' | 'head' | 'list' | 'delete'

export interface StoreCall {
  readonly verb: StoreVerb
  readonly key: string
  readonly sizeBytes: number
}

/** What can go wrong with a call, and how likely it is. */
export interface StoreFaults {
  /** 503: nothing happened. */
  unavailable: number
  /** No answer until the signal; nothing happened. */
  hanging: number
  /** It happened, and the answer was lost. */
  lost: number
  /** No answer until the signal; it happens later, after whatever came meanwhile. Writes only. */
  late: number
  /** A part of the bytes, as if there were no more. Reads only. */
  truncated: number
  /** What was written is not seen for a while, but what was there before. Writes only. */
  unseen: number
  denied: number
  full: number
  /** All the bytes, and a bit of them is another one. Reads only. */
  altered: number
}

export type StoreFault = keyof StoreFaults

export interface SimBucketOptions {
  prng?: Prng
  /** Without one, calls take no time. */
  clock?: Clock
  /** How long a request, and how long its answer, is on its way. */
  latencyMs?: (call: StoreCall, prng: Prng) => number
  faults?: Partial<StoreFaults>
  capacityBytes?: number
  /** Whether of several that create one object at once only one is told that it did. */
  isHonest?: boolean
}

interface Version {
  readonly bytes: Buffer
  readonly modifiedMs: number
}

interface Stored {
  /** Null when it is deleted, and that is not seen yet. */
  readonly version: Version | null
  readonly seenFromMs: number
  readonly before: Version | null
}

const LATE_MS = 60_000
const UNSEEN_MS = 2_000
const PRECISION_MS = 1000
const WRITES: ReadonlySet<StoreVerb> = new Set(['put', 'create', 'delete'])

/** What all who use the bucket share. */
export class SimBucket {
  readonly place = 'sim://bucket'
  readonly faults: StoreFaults
  capacityBytes: number
  isHonest: boolean
  /** Of the store's clock before ours. */
  skewMs = 0
  onCall: (call: StoreCall) => StoreFault | null = () => null
  readonly clock: Clock | null
  readonly #prng: Prng
  readonly #latencyMs: (call: StoreCall, prng: Prng) => number
  readonly #objects = new Map<string, Stored>()

  constructor(options: SimBucketOptions = {}) {
    const { prng, clock = null, latencyMs, faults = {}, capacityBytes, isHonest = true } = options
    this.#prng = prng ?? new Prng(0)
    this.clock = clock
    this.#latencyMs = latencyMs ?? ((_, chance) => 1 + chance.fraction() * 9)
    this.faults = { ...NO_FAULTS, ...faults }
    this.capacityBytes = capacityBytes ?? Number.POSITIVE_INFINITY
    this.isHonest = isHonest
  }

  // ---- what tests do

  /** The same objects again, to try something with: calls take no time. */
  static copyOf(other: SimBucket, clock: Clock): SimBucket {
    const bucket = new SimBucket({ clock, latencyMs: () => 0 })
    for (const key of other.seenKeys()) {
      const version = other.see(key)!
      bucket.#objects.set(key, { version, seenFromMs: Number.NEGATIVE_INFINITY, before: null })
    }
    return bucket
  }

  /** For one process. */
  connect(): SimObjectStore {
    return new SimObjectStore(this)
  }

  get keys(): string[] {
    return [...this.#objects].flatMap(([key, { version }]) => (version === null ? [] : [key])).sort(compareKeys)
  }

  /** The bytes as they are, however they are seen. */
  peek(key: string): Buffer {
    const version = this.#objects.get(key)?.version
    assert(version !== null && version !== undefined, `there is an object ${key}`)
    return version.bytes
  }

  /** Puts an object there, whatever was there. */
  poke(key: string, bytes: Uint8Array): void {
    const version = { bytes: Buffer.from(bytes), modifiedMs: this.#nowMs() }
    this.#objects.set(key, { version, seenFromMs: Number.NEGATIVE_INFINITY, before: null })
  }

  remove(key: string): void {
    this.#objects.delete(key)
  }

  calm(): void {
    Object.assign(this.faults, NO_FAULTS)
  }

  // ---- what its clients need

  faultOf(call: StoreCall): StoreFault | null {
    const chosen = this.onCall(call)
    if (chosen !== null) return chosen
    for (const [fault, chance] of Object.entries(this.faults) as [StoreFault, number][]) {
      if (chance > 0 && concerns(fault, call.verb) && this.#prng.chance(chance)) return fault
    }
    return null
  }

  latencyMs(call: StoreCall): number {
    return this.clock === null ? 0 : this.#latencyMs(call, this.#prng)
  }

  chance(probability: number): boolean {
    return this.#prng.chance(probability)
  }

  lateMs(): number {
    return this.#prng.fraction() * LATE_MS
  }

  /** How much of what was asked for is given. */
  partOf(sizeBytes: number): number {
    return sizeBytes === 0 ? 0 : this.#prng.between(0, sizeBytes - 1)
  }

  alter(bytes: Buffer): void {
    if (bytes.length > 0) bytes[this.partOf(bytes.length)]! ^= 1 << this.#prng.between(0, 7)
  }

  see(key: string): Version | null {
    const stored = this.#objects.get(key)
    if (stored === undefined) return null
    return stored.seenFromMs <= this.#monotonicMs() ? stored.version : stored.before
  }

  write(key: string, bytes: Buffer | null, isUnseen: boolean): void {
    if (bytes !== null && this.#usedBytes() + bytes.length > this.capacityBytes) throw failureOf('full', key)
    const before = isUnseen ? this.see(key) : null
    const seenFromMs = this.#monotonicMs() + (isUnseen ? this.#prng.fraction() * UNSEEN_MS : 0)
    if (bytes === null && !isUnseen) this.#objects.delete(key)
    else this.#objects.set(key, { version: bytes && { bytes, modifiedMs: this.#nowMs() }, seenFromMs, before })
  }

  has(key: string): boolean {
    return (this.#objects.get(key)?.version ?? null) !== null
  }

  seenKeys(): string[] {
    return [...this.#objects.keys()].filter(key => this.see(key) !== null).sort(compareKeys)
  }

  #nowMs(): number {
    const nowMs = (this.clock?.nowMs() ?? 0) + this.skewMs
    return nowMs - (nowMs % PRECISION_MS)
  }

  #monotonicMs(): number {
    return this.clock?.monotonicMs() ?? 0
  }

  #usedBytes(): number {
    let sizeBytes = 0
    for (const { version } of this.#objects.values()) sizeBytes += version?.bytes.length ?? 0
    return sizeBytes
  }
}

const LIST_PAGE = 1000

export class SimObjectStore implements ObjectStore {
  readonly place: string
  readonly #bucket: SimBucket
  #isDead = false

  constructor(bucket: SimBucket) {
    this.#bucket = bucket
    this.place = bucket.place
  }

  /** The process is gone: nothing comes back to it. What it had sent may have arrived, or may arrive. */
  kill(): void {
    this.#isDead = true
  }

  async put(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
    await this.#write('put', { key, pieces, signal })
  }

  putIfAbsent(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<boolean> {
    return this.#write('create', { key, pieces, signal })
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    await this.#write('delete', { key, pieces: [], signal })
  }

  async getRange(key: string, from: number, length: number, signal: AbortSignal): Promise<Buffer> {
    assert(length > 0 && from >= 0, 'a range has a byte at least')
    return this.#read('get', { key, signal }, fault => {
      const version = this.#bucket.see(key)
      if (version === null) throw objectMissing(this.place, key)
      const range = Buffer.from(version.bytes.subarray(from, from + length))
      if (fault === 'altered') this.#bucket.alter(range)
      return fault === 'truncated' ? range.subarray(0, this.#bucket.partOf(range.length)) : range
    })
  }

  async head(key: string, signal: AbortSignal): Promise<ObjectFacts | null> {
    return this.#read('head', { key, signal }, () => this.#factsOf(key))
  }

  async *list(prefix: string, after: string, signal: AbortSignal): AsyncIterable<ObjectFacts> {
    for (let behind = after; ; ) {
      const page = await this.#read('list', { key: prefix, signal }, () =>
        this.#bucket
          .seenKeys()
          .filter(key => key.startsWith(prefix) && key > behind)
          .slice(0, LIST_PAGE)
          .map(key => this.#factsOf(key)!),
      )
      for (const facts of page) {
        yield facts
        signal.throwIfAborted()
      }
      if (page.length < LIST_PAGE) return
      behind = page.at(-1)!.key
    }
  }

  async close(): Promise<void> {}

  #factsOf(key: string): ObjectFacts | null {
    const version = this.#bucket.see(key)
    return version && { key, sizeBytes: version.bytes.length, modifiedMs: version.modifiedMs }
  }

  async #read<T>(verb: StoreVerb, asked: Asked, look: (fault: StoreFault | null) => T): Promise<T> {
    if (verb !== 'list') assertKey(asked.key)
    asked.signal.throwIfAborted()
    const call = { verb, key: asked.key, sizeBytes: 0 }
    const fault = this.#bucket.faultOf(call)
    if (fault === 'hanging') return this.#never(asked.signal)
    await this.#pass(call, asked.signal)
    if (fault !== null && fault !== 'truncated' && fault !== 'altered') throw failureOf(fault, asked.key)
    const found = look(fault)
    await this.#pass(call, asked.signal)
    return found
  }

  async #write(verb: StoreVerb, asked: Written): Promise<boolean> {
    const { key, pieces, signal } = asked
    assertKey(key)
    signal.throwIfAborted()
    const given = Buffer.concat(pieces)
    const call = { verb, key, sizeBytes: given.length }
    const fault = this.#bucket.faultOf(call)
    if (fault === 'hanging') return this.#never(signal)
    const mayWrite = verb !== 'create' || this.#bucket.isHonest || !this.#bucket.has(key)
    const apply = () => this.#apply(verb, { key, bytes: given, isUnseen: fault === 'unseen', mayWrite })
    if (fault === 'late') {
      this.#bucket.clock?.after(this.#bucket.lateMs(), () => ignoring(apply))
      return this.#never(signal)
    }
    const isRefused = fault !== null && fault !== 'lost' && fault !== 'unseen'
    await this.#pass(call, signal, () => isRefused || ignoring(apply))
    assert(Buffer.concat(pieces).equals(given), 'bytes stay as they are while they are written')
    if (isRefused) throw failureOf(fault, key)
    const isDone = apply()
    await this.#pass(call, signal)
    if (fault === 'lost') throw failureOf(fault, key)
    return isDone
  }

  #apply(verb: StoreVerb, { key, bytes, isUnseen, mayWrite }: Applied): boolean {
    if (verb === 'create' && (!mayWrite || (this.#bucket.isHonest && this.#bucket.has(key)))) return false
    this.#bucket.write(key, verb === 'delete' ? null : bytes, isUnseen)
    return true
  }

  /** A request or an answer takes its time. Who cancels does not wait; `arrive`: the request may arrive all the same. */
  async #pass(call: StoreCall, signal: AbortSignal, arrive: () => unknown = () => {}): Promise<void> {
    const { clock } = this.#bucket
    if (clock !== null) {
      await new Promise<void>((resolve, reject) => {
        const cancel = () => this.#isDead || reject(signal.reason)
        signal.addEventListener('abort', cancel, { once: true })
        clock.after(this.#bucket.latencyMs(call), () => {
          signal.removeEventListener('abort', cancel)
          if ((signal.aborted || this.#isDead) && this.#bucket.chance(0.5)) arrive()
          resolve()
        })
      })
    }
    if (this.#isDead) return this.#never(signal)
  }

  #never(signal: AbortSignal): Promise<never> {
    return new Promise((_, reject) => {
      if (this.#isDead) return
      signal.addEventListener('abort', () => this.#isDead || reject(signal.reason), { once: true })
    })
  }
}

interface Asked {
  readonly key: string
  readonly signal: AbortSignal
}

interface Written extends Asked {
  readonly pieces: readonly Uint8Array[]
}

interface Applied {
  readonly key: string
  readonly bytes: Buffer
  readonly isUnseen: boolean
  readonly mayWrite: boolean
}

export const NO_FAULTS: StoreFaults = {
  unavailable: 0,
  hanging: 0,
  lost: 0,
  late: 0,
  truncated: 0,
  unseen: 0,
  denied: 0,
  full: 0,
  altered: 0,
}

function concerns(fault: StoreFault, verb: StoreVerb): boolean {
  if (fault === 'truncated' || fault === 'altered') return verb === 'get'
  return (fault !== 'late' && fault !== 'unseen') || WRITES.has(verb)
}

function failureOf(fault: StoreFault, key: string): StoreError {
  if (fault === 'denied') return new StoreError('STORE_DENIED', `simulated: no right to ${key}`)
  if (fault === 'full') return new StoreError('STORE_FULL', `simulated: no room for ${key}`)
  return new StoreError('STORE_UNAVAILABLE', `simulated: no answer for ${key}`)
}

/** Nobody is told how it went. */
function ignoring(act: () => void): void {
  try {
    act()
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
  }
}
