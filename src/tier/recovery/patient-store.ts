import type { Clock } from '#base/ports.ts'
import { bytesOf, type ObjectFacts, type ObjectStore, slowestMs } from '#object-store/object-store.ts'
import { withPatience } from './patience.ts'

/** A store of which no call takes for ever: an owner that waits for an answer does not notice that it is one no more. */
export class PatientStore implements ObjectStore {
  readonly #store: ObjectStore
  readonly #clock: Clock
  readonly #patienceMs: number

  constructor(store: ObjectStore, clock: Clock, patienceMs: number) {
    this.#store = store
    this.#clock = clock
    this.#patienceMs = patienceMs
  }

  get place(): string {
    return this.#store.place
  }

  put(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
    return this.#patiently(signal, limited => this.#store.put(key, pieces, limited), bytesOf(pieces))
  }

  putIfAbsent(key: string, pieces: readonly Uint8Array[], signal: AbortSignal): Promise<boolean> {
    return this.#patiently(signal, limited => this.#store.putIfAbsent(key, pieces, limited), bytesOf(pieces))
  }

  getRange(key: string, from: number, length: number, signal: AbortSignal): Promise<Buffer> {
    return this.#patiently(signal, limited => this.#store.getRange(key, from, length, limited), length)
  }

  head(key: string, signal: AbortSignal): Promise<ObjectFacts | null> {
    return this.#patiently(signal, limited => this.#store.head(key, limited))
  }

  /** All of them, before the first is handed out: whoever takes them may take its time. */
  async *list(prefix: string, after: string, signal: AbortSignal): AsyncIterable<ObjectFacts> {
    const found: ObjectFacts[] = []
    let behind = after
    // A list of many pages may take longer than one call may: it goes on behind what it has brought.
    for (let isOver = false; !isOver; ) {
      const countBefore = found.length
      try {
        await this.#patiently(signal, async limited => {
          for await (const facts of this.#store.list(prefix, behind, limited)) {
            found.push(facts)
            behind = facts.key
          }
        })
        isOver = true
      } catch (thrown) {
        if (signal.aborted || found.length === countBefore) throw thrown
      }
    }
    yield* found
  }

  delete(key: string, signal: AbortSignal): Promise<void> {
    return this.#patiently(signal, limited => this.#store.delete(key, limited))
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  #patiently<T>(ended: AbortSignal, call: (signal: AbortSignal) => Promise<T>, sizeBytes = 0): Promise<T> {
    return withPatience({ clock: this.#clock, ended, patienceMs: this.#patienceMs + slowestMs(sizeBytes) }, call)
  }
}
