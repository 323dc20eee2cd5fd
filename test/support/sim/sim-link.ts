import type { ObjectFacts, ObjectStore } from '#object-store/object-store.ts'
import { StoreError } from '#object-store/store-errors.ts'
import type { SimObjectStore } from './sim-object-store.ts'

/** The way of one machine to the bucket, which can be cut: then calls are refused, or nothing is heard of them. */
export class SimLink implements ObjectStore {
  isCut = false
  /** The key of this machine may not write any more. */
  isReadOnly = false
  /** Of calls on a way that is cut. */
  isSilent = false
  readonly #store: SimObjectStore
  #isDead = false

  constructor(store: SimObjectStore) {
    this.#store = store
  }

  get place(): string {
    return this.#store.place
  }

  async #nothing(signal: AbortSignal): Promise<never> {
    if (this.#isDead) await new Promise(() => {})
    if (this.isSilent) {
      await new Promise((_, reject) => {
        signal.throwIfAborted()
        signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      })
    }
    throw new StoreError('STORE_UNAVAILABLE', 'simulated: the network is cut')
  }

  async put(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
    if (this.isCut) await this.#nothing(signal)
    if (this.isReadOnly) throw new StoreError('STORE_DENIED', 'simulated: the key may only read')
    return this.#store.put(key, pieces, signal)
  }

  async putIfAbsent(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<boolean> {
    if (this.isCut) await this.#nothing(signal)
    return this.#store.putIfAbsent(key, pieces, signal)
  }

  async getRange(key: string, from: number, length: number, signal: AbortSignal): Promise<Buffer> {
    if (this.isCut) await this.#nothing(signal)
    return this.#store.getRange(key, from, length, signal)
  }

  async head(key: string, signal: AbortSignal): Promise<ObjectFacts | null> {
    if (this.isCut) await this.#nothing(signal)
    return this.#store.head(key, signal)
  }

  async *list(prefix: string, after: string, signal: AbortSignal): AsyncIterable<ObjectFacts> {
    if (this.isCut) await this.#nothing(signal)
    yield* this.#store.list(prefix, after, signal)
  }

  async delete(key: string, signal: AbortSignal): Promise<void> {
    if (this.isCut) await this.#nothing(signal)
    return this.#store.delete(key, signal)
  }

  async close(): Promise<void> {}

  /** The process is gone. */
  kill(): void {
    this.#isDead = true
    this.#store.kill()
  }
}
