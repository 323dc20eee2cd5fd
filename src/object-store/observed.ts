// Counts what a store is asked for, and knows since when it has not answered as it should. Below the retries, so that each
// attempt counts.

import { ChronikError } from '#base/errors.ts'
import type { Clock } from '#base/ports.ts'
import type { LogFields } from '#observe/log.ts'
import {
  STORE_FAILURES,
  STORE_VERBS,
  type StoreFailure,
  type StoreMetrics,
  type StoreVerb,
} from '#observe/store-metrics.ts'
import { LIST_PAGE_OBJECTS } from './keys.ts'
import type { ObjectFacts, ObjectStore, ReadInto } from './object-store.ts'
import { isCancelled } from './store-errors.ts'
import { bytesOf } from './transfer.ts'

export interface Observer {
  readonly clock: Clock
  readonly metrics: StoreMetrics
  report(level: 'info' | 'warn', message: string, fields: LogFields): void
}

/** Who cancels a request that waited for so long has seen the store not answering. */
const SLOW_MS = 2_000
/** A log line says that the store fails when it has failed for so long. */
const REPORTED_AFTER_MS = 5_000

const verbNumbers = new Map(STORE_VERBS.map((verb, number) => [verb, number]))
const failureNumbers = new Map<string, number>(STORE_FAILURES.map((failure, number) => [failure, number]))

export class ObservedStore implements ObjectStore {
  readonly place: string
  readonly #store: ObjectStore
  readonly #observer: Observer
  #failingSinceMs: number | null = null
  #failure: Error | null = null
  #isReported = false

  readonly readInto: ReadInto | undefined

  constructor(store: ObjectStore, observer: Observer) {
    this.place = store.place
    const readInto = store.readInto?.bind(store)
    if (readInto !== undefined) {
      this.readInto = async (key, from, into, signal) => {
        const count = await this.#observe('get', signal, () => readInto(key, from, into, signal))
        observer.metrics.storeReadBytes.value += count
        return count
      }
    }
    this.#store = store
    this.#observer = observer
  }

  /** Wall time of the first failure that no success followed; null while it works. That an object is missing is no failure. */
  get failingSinceMs(): number | null {
    return this.#failingSinceMs
  }

  /** With what it failed last, as far as it said so; null while it works. */
  get failure(): Error | null {
    return this.#failure
  }

  async put(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
    await this.#observe('put', signal, () => this.#store.put(key, pieces, signal))
    this.#observer.metrics.storeWrittenBytes.value += bytesOf(pieces)
  }

  async putIfAbsent(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<boolean> {
    const isCreated = await this.#observe('create', signal, () => this.#store.putIfAbsent(key, pieces, signal))
    if (isCreated) this.#observer.metrics.storeWrittenBytes.value += bytesOf(pieces)
    return isCreated
  }

  async getRange(key: string, from: number, length: number, signal: AbortSignal): Promise<Buffer> {
    const bytes = await this.#observe('get', signal, () => this.#store.getRange(key, from, length, signal))
    this.#observer.metrics.storeReadBytes.value += bytes.length
    return bytes
  }

  head(key: string, signal: AbortSignal): Promise<ObjectFacts | null> {
    return this.#observe('head', signal, () => this.#store.head(key, signal))
  }

  /** So many objects come with one answer. */
  async *list(prefix: string, after: string, signal: AbortSignal): AsyncIterable<ObjectFacts> {
    const objects = this.#store.list(prefix, after, signal)[Symbol.asyncIterator]()
    const take = () => objects.next()
    for (let count = 0; ; count++) {
      const isAsked = count % LIST_PAGE_OBJECTS === 0
      const next = await (isAsked ? this.#observe('list', signal, take) : this.#failing('list', signal, take))
      if (next.done === true) return
      yield next.value
    }
  }

  delete(key: string, signal: AbortSignal): Promise<void> {
    return this.#observe('delete', signal, () => this.#store.delete(key, signal))
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  async #observe<T>(verb: StoreVerb, signal: AbortSignal, act: () => Promise<T>): Promise<T> {
    const { clock, metrics } = this.#observer
    const number = verbNumbers.get(verb)!
    const startMs = clock.monotonicMs()
    metrics.storeRequests.of(number).value++
    try {
      return await this.#failing(verb, signal, act)
    } finally {
      metrics.storeLatency.of(number).observe((clock.monotonicMs() - startMs) / 1000)
    }
  }

  async #failing<T>(verb: StoreVerb, signal: AbortSignal, act: () => Promise<T>): Promise<T> {
    const { clock, metrics } = this.#observer
    const startMs = clock.monotonicMs()
    try {
      const answer = await act()
      this.#answered()
      return answer
    } catch (error) {
      const failure = failureOf(error, signal)
      metrics.storeErrors.count(verbNumbers.get(verb)!, failureNumbers.get(failure)!)
      if (failure === 'OBJECT_MISSING') this.#answered()
      else if (failure !== 'CANCELLED' || clock.monotonicMs() - startMs >= SLOW_MS) this.#failed(failure, error)
      throw error
    }
  }

  #answered(): void {
    if (this.#failingSinceMs === null) return
    const forMs = this.#observer.clock.nowMs() - this.#failingSinceMs
    this.#failingSinceMs = null
    this.#failure = null
    if (this.#isReported) this.#observer.report('info', 'the object store works again', { place: this.place, forMs })
    this.#isReported = false
  }

  #failed(failure: StoreFailure, error: unknown): void {
    const nowMs = this.#observer.clock.nowMs()
    this.#failingSinceMs ??= nowMs
    if (failure !== 'CANCELLED' && error instanceof Error) this.#failure = error
    const forMs = nowMs - this.#failingSinceMs
    if (this.#isReported || forMs < REPORTED_AFTER_MS) return
    this.#isReported = true
    this.#observer.report('warn', 'the object store fails', { place: this.place, forMs, failure, error })
  }
}

function failureOf(error: unknown, signal: AbortSignal): StoreFailure {
  if (error instanceof ChronikError && failureNumbers.has(error.code)) return error.code as StoreFailure
  return isCancelled(error, signal) ? 'CANCELLED' : 'INTERNAL'
}
