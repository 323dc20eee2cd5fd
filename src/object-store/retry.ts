// The one way in which remote stores are asked again: what they could not answer is tried again after a while, each time about
// twice as long, at random so that many who failed together do not come again together. Each attempt has a time limit, so has the
// whole; who cancels is let go at once. The clients of the services are told not to try anything again themselves.
//
// An attempt without an answer may have done what it was for. For a create that makes the next one find the object: it is then
// read, and if it is what was written, it was us.

import type { Clock, Random } from '#base/ports.ts'
import { compareKeys, LIST_PAGE_OBJECTS } from './keys.ts'
import type { ObjectFacts, ObjectStore } from './object-store.ts'
import { StoreError } from './store-errors.ts'
import { bytesOf } from './transfer.ts'

export interface RetryPolicy {
  readonly firstDelayMs: number
  readonly maxDelayMs: number
  /** How long an attempt may take that moves no bytes to speak of. */
  readonly attemptMs: number
  /** What it may take longer for each byte that it, and who shares the connection, is to move. */
  readonly attemptMsPerByte: number
  /** A call may take so many times as long as one attempt. */
  readonly callAttempts: number
}

/** The slowest connection that is of use brings 256 KiB/s to all who share it. */
const SLOWEST_MS_PER_BYTE = 4 / 1024
/** So many who move much at once are reckoned with by who does not see the others. */
const SHARERS = 4

/** How much longer a call may take for the bytes that it moves: who gives up sooner begins again for ever. */
export function slowestMs(sizeBytes: number): number {
  return sizeBytes * SLOWEST_MS_PER_BYTE * SHARERS
}

export const REMOTE_POLICY: RetryPolicy = {
  firstDelayMs: 50,
  maxDelayMs: 5_000,
  attemptMs: 10_000,
  attemptMsPerByte: SLOWEST_MS_PER_BYTE,
  callAttempts: 3,
}

export interface RetrySurroundings {
  readonly clock: Clock
  readonly random: Random
}

export interface RetryOptions extends RetrySurroundings {
  readonly policy: RetryPolicy
}

export function retrying(store: ObjectStore, options: RetryOptions): ObjectStore {
  return new RetryingStore(store, new Retries(store.place, options))
}

interface Call<T> {
  readonly sizeBytes: number
  readonly signal: AbortSignal
  attempt(signal: AbortSignal): Promise<T>
}

class Retries {
  readonly #place: string
  readonly #clock: Clock
  readonly #random: Random
  readonly #policy: RetryPolicy
  readonly #underWay = new Set<{ readonly sizeBytes: number }>()

  constructor(place: string, { clock, random, policy }: RetryOptions) {
    this.#place = place
    this.#clock = clock
    this.#random = random
    this.#policy = policy
  }

  async run<T>(call: Call<T>): Promise<T> {
    call.signal.throwIfAborted()
    this.#underWay.add(call)
    try {
      return await this.#try(call)
    } finally {
      this.#underWay.delete(call)
    }
  }

  async #try<T>(call: Call<T>): Promise<T> {
    const { signal, attempt } = call
    const beganMs = this.#clock.monotonicMs()
    let callMs = 0
    for (let tries = 1; ; tries++) {
      const limitMs = this.#limitMs(call)
      callMs = Math.max(callMs, limitMs * this.#policy.callAttempts)
      const leftMs = beganMs + callMs - this.#clock.monotonicMs()
      try {
        return await this.#within(Math.min(limitMs, leftMs), signal, attempt)
      } catch (error) {
        if (!isWorthAnother(error)) throw error
        const delayMs = this.#delayMs(tries)
        const passedMs = this.#clock.monotonicMs() - beganMs
        if (passedMs + delayMs >= callMs) throw givenUp(error, tries, passedMs)
        await this.#wait(delayMs, signal)
      }
    }
  }

  /** Of an attempt. When all its bytes are through, as many are of each of the others that have so many. */
  #limitMs(call: { readonly sizeBytes: number }): number {
    let sizeBytes = 0
    for (const other of this.#underWay) sizeBytes += Math.min(call.sizeBytes, other.sizeBytes)
    return this.#policy.attemptMs + sizeBytes * this.#policy.attemptMsPerByte
  }

  /** Lets go of the attempt when the time is over or the caller cancels, even if the attempt does not. */
  #within<T>(limitMs: number, signal: AbortSignal, attempt: Call<T>['attempt']): Promise<T> {
    const controller = new AbortController()
    return new Promise((resolve, reject) => {
      const end = () => {
        timer.cancel()
        signal.removeEventListener('abort', cancel)
      }
      const stop = (reason: unknown) => {
        end()
        controller.abort(reason)
        reject(reason)
      }
      const cancel = () => stop(signal.reason)
      signal.addEventListener('abort', cancel, { once: true })
      const timer = this.#clock.after(limitMs, () => {
        stop(new StoreError('STORE_UNAVAILABLE', `${this.#place} did not answer within ${Math.round(limitMs)} ms`))
      })
      attempt(controller.signal).then(resolve, reject).finally(end)
    })
  }

  #wait(delayMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = () => {
        timer.cancel()
        reject(signal.reason)
      }
      const timer = this.#clock.after(delayMs, () => {
        signal.removeEventListener('abort', cancel)
        resolve()
      })
      signal.addEventListener('abort', cancel, { once: true })
    })
  }

  /** Anything up to twice as much as the last time. */
  #delayMs(tries: number): number {
    const { firstDelayMs, maxDelayMs } = this.#policy
    const mostMs = Math.min(maxDelayMs, firstDelayMs * 2 ** Math.min(tries - 1, 30))
    return (this.#random.bytes(4).readUInt32BE() / 2 ** 32) * mostMs
  }
}

class RetryingStore implements ObjectStore {
  readonly place: string
  readonly #store: ObjectStore
  readonly #retries: Retries

  constructor(store: ObjectStore, retries: Retries) {
    this.place = store.place
    this.#store = store
    this.#retries = retries
  }

  put(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
    const attempt = (limited: AbortSignal) => this.#store.put(key, pieces, limited)
    return this.#retries.run({ sizeBytes: bytesOf(pieces), signal, attempt })
  }

  putIfAbsent(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<boolean> {
    let isFirst = true
    const attempt = async (limited: AbortSignal): Promise<boolean> => {
      const mayBeThere = !isFirst
      isFirst = false
      if (await this.#store.putIfAbsent(key, pieces, limited)) return true
      return mayBeThere && (await this.#holds(key, pieces, limited))
    }
    return this.#retries.run({ sizeBytes: bytesOf(pieces), signal, attempt })
  }

  /** Whether an object is what was to be written. */
  async #holds(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<boolean> {
    const wanted = Buffer.concat(pieces)
    const facts = await this.#store.head(key, signal)
    if (facts?.sizeBytes !== wanted.length) return false
    if (wanted.length === 0) return true
    try {
      return (await this.#store.getRange(key, 0, wanted.length, signal)).equals(wanted)
    } catch (error) {
      if (error instanceof StoreError && error.code === 'OBJECT_MISSING') return false
      throw error
    }
  }

  getRange(key: string, from: number, length: number, signal: AbortSignal): Promise<Buffer> {
    const attempt = (limited: AbortSignal) => this.#store.getRange(key, from, length, limited)
    return this.#retries.run({ sizeBytes: length, signal, attempt })
  }

  head(key: string, signal: AbortSignal): Promise<ObjectFacts | null> {
    return this.#retries.run({ sizeBytes: 0, signal, attempt: limited => this.#store.head(key, limited) })
  }

  /** Goes on behind the last object that came. */
  async *list(prefix: string, after: string, signal: AbortSignal): AsyncIterable<ObjectFacts> {
    let last = after
    let listing: Listing | null = null
    for (let isOver = false; !isOver; ) {
      const found: ObjectFacts[] = []
      const attempt = async (limited: AbortSignal): Promise<boolean> => {
        // One that failed has brought something.
        if (found.length > 0) return false
        const begun = listing ?? new Listing(this.#store, prefix, last)
        // It is not gone on with where it fails.
        listing = null
        const isAll = await begun.addPage(found, limited)
        listing = begun
        return isAll
      }
      isOver = await this.#retries.run({ sizeBytes: 0, signal, attempt })
      for (const facts of found) {
        if (compareKeys(facts.key, last) <= 0) throw disordered(this.place, last, facts.key)
        last = facts.key
        yield facts
        signal.throwIfAborted()
      }
    }
  }

  delete(key: string, signal: AbortSignal): Promise<void> {
    return this.#retries.run({ sizeBytes: 0, signal, attempt: limited => this.#store.delete(key, limited) })
  }

  close(): Promise<void> {
    return this.#store.close()
  }
}

/** One walk through the objects behind a key. */
class Listing {
  readonly #controller = new AbortController()
  readonly #objects: AsyncIterator<ObjectFacts>

  constructor(store: ObjectStore, prefix: string, after: string) {
    this.#objects = store.list(prefix, after, this.#controller.signal)[Symbol.asyncIterator]()
  }

  /** As many as one answer of the store has; true: there are no more. */
  async addPage(to: ObjectFacts[], signal: AbortSignal): Promise<boolean> {
    const cancel = () => this.#controller.abort(signal.reason)
    signal.addEventListener('abort', cancel, { once: true })
    try {
      while (to.length < LIST_PAGE_OBJECTS) {
        const next = await this.#objects.next()
        signal.throwIfAborted()
        if (next.done === true) return true
        to.push(next.value)
      }
      return false
    } finally {
      signal.removeEventListener('abort', cancel)
    }
  }
}

function isWorthAnother(error: unknown): error is StoreError {
  return error instanceof StoreError && error.code === 'STORE_UNAVAILABLE'
}

function givenUp(error: StoreError, tries: number, passedMs: number): StoreError {
  const times = tries === 1 ? 'once' : `${tries} times`
  return new StoreError(error.code, `${error.message} (tried ${times} in ${Math.round(passedMs)} ms)`, error)
}

function disordered(place: string, before: string, key: string): StoreError {
  const message = `${place} lists ${key} behind ${before}: only a bucket that lists its objects in order can be used`
  return new StoreError('STORE_REFUSED', message)
}
