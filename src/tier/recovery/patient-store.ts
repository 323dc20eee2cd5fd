import type { Clock } from '#base/ports.ts'
import { bytesOf, type ObjectFacts, type ObjectStore, slowestMs } from '#object-store/object-store.ts'
import { withPatience } from './patience.ts'

const PAGE_OBJECTS = 1000

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

  /** A page, before the first of it is handed out: whoever takes them may take its time. Each page is a call. */
  async *list(prefix: string, after: string, signal: AbortSignal): AsyncIterable<ObjectFacts> {
    let behind = after
    let listing: Listing | null = null
    try {
      for (;;) {
        const page: ObjectFacts[] = []
        const current: Listing = listing ?? new Listing(this.#store, prefix, behind)
        listing = current
        const isOver = await this.#patiently(signal, limited => current.next(page, limited)).catch(thrown => {
          listing = null
          // Another one goes on behind what this one has brought.
          if (signal.aborted || !current.hasBrought) throw thrown
          return false
        })
        behind = page.at(-1)?.key ?? behind
        yield* page
        if (isOver) return
      }
    } finally {
      await listing?.end()
    }
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

/** One walk through the objects behind a key. */
class Listing {
  readonly #controller = new AbortController()
  readonly #objects: AsyncIterator<ObjectFacts>
  hasBrought = false

  constructor(store: ObjectStore, prefix: string, after: string) {
    this.#objects = store.list(prefix, after, this.#controller.signal)[Symbol.asyncIterator]()
  }

  /** Brings a page more; true if it was the last one. When it has failed, the walk is over. */
  async next(page: ObjectFacts[], signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted()
    const cancel = () => this.#controller.abort(signal.reason)
    signal.addEventListener('abort', cancel, { once: true })
    try {
      while (page.length < PAGE_OBJECTS) {
        const { done, value } = await this.#objects.next()
        if (done === true) return true
        page.push(value)
        this.hasBrought = true
      }
      return false
    } finally {
      signal.removeEventListener('abort', cancel)
    }
  }

  /** Between two pages. */
  async end(): Promise<void> {
    await this.#objects.return?.()
  }
}
