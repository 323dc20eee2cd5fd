import { ChronikError } from '#base/errors.ts'
import type { Clock, Timer } from '#base/ports.ts'
import type { ObjectStore } from './object-store.ts'
import { orAborted } from './or-aborted.ts'
import { StoreError } from './store-errors.ts'

// Requests to the store: as many at once as the limits allow, and as many bytes of their answers in memory. Who needs bytes waits in
// line; who fetches ahead goes at once or not at all, and leaves room for those who wait.

/** Who waits for room tries again after so long. */
const TRY_LATER_MS = 20

export interface FetchLimits {
  /** Requests at once. */
  readonly fetches: number
  /** Of these, for what nobody waits for yet. */
  readonly fetchesAhead: number
  /** What was asked for and is not done with, in bytes. A single request may be larger. */
  readonly memoryBytes: number
  /** Of these, for what nobody waits for yet. */
  readonly memoryAheadBytes: number
  /** A request that takes longer has failed. */
  readonly fetchMs: number
}

export interface FetchRange {
  readonly key: string
  readonly from: number
  readonly length: number
}

export interface FetchPorts {
  readonly store: ObjectStore
  readonly clock: Clock
  readonly limits: FetchLimits
  /** A request begins. */
  began(): void
  /** Lets go of bytes that nobody needs, at least so many if there are. */
  makeRoom(neededBytes: number): void
}

/** Who waits for what is fetched. */
export interface Wanting {
  isWanted(): boolean
  /** It was not wanted any more when its turn came: from now on nobody may want it. */
  abandoned(): void
}

interface Waiting {
  readonly range: FetchRange
  readonly wanting: Wanting
  readonly start: () => void
  readonly refuse: (error: Error) => void
}

export class FetchQueue {
  readonly #ports: FetchPorts
  readonly #waiting: Waiting[] = []
  readonly #running = new Set<AbortController>()
  #runningAhead = 0
  #memoryBytes = 0
  #aheadBytes = 0
  #isStarting = false
  #timer: Timer | null = null

  constructor(ports: FetchPorts) {
    this.#ports = ports
  }

  /** Bytes that were asked for and are not done with. */
  get memoryBytes(): number {
    return this.#memoryBytes
  }

  /**
   * Fetches as soon as it may, if it is still wanted then. The bytes count until `done` is told of them; after a failure they do
   * not.
   */
  fetch(range: FetchRange, wanting: Wanting): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const start = (): void => resolve(this.#run(range, false))
      this.#waiting.push({ range, wanting, start, refuse: reject })
      this.#startWaiting()
    })
  }

  /** Fetches what nobody waits for yet; null if that may not begin now. */
  fetchAhead(range: FetchRange): Promise<Buffer> | null {
    const { fetchesAhead, memoryAheadBytes } = this.#ports.limits
    if (this.#waiting.length > 0 || this.#runningAhead >= fetchesAhead) return null
    if (this.#aheadBytes + range.length > memoryAheadBytes || !this.#hasRoom(range.length)) return null
    return this.#run(range, true)
  }

  /** What was fetched is done with: `length` as it was asked for. */
  done(length: number, isAhead: boolean): void {
    this.#memoryBytes -= length
    if (isAhead) this.#aheadBytes -= length
    this.#startWaiting()
  }

  #startWaiting(): void {
    if (this.#isStarting) return // making room for one of them
    this.#isStarting = true
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const isWanted = next.wanting.isWanted()
      if (isWanted && !this.#hasRoom(next.range.length)) {
        this.#tryLater()
        break
      }
      this.#waiting.shift()
      if (isWanted) {
        next.start()
      } else {
        next.wanting.abandoned()
        next.refuse(notWantedError(next.range))
      }
    }
    this.#isStarting = false
  }

  /** What is in memory need not be kept any more after a while, and nobody says so. */
  #tryLater(): void {
    this.#timer ??= this.#ports.clock.after(TRY_LATER_MS, () => {
      this.#timer = null
      this.#startWaiting()
    })
  }

  #hasRoom(length: number): boolean {
    const { limits, makeRoom } = this.#ports
    if (this.#running.size >= limits.fetches) return false
    const missingBytes = this.#memoryBytes + length - limits.memoryBytes
    if (missingBytes > 0) makeRoom(missingBytes)
    return this.#memoryBytes === 0 || this.#memoryBytes + length <= limits.memoryBytes
  }

  async #run({ key, from, length }: FetchRange, isAhead: boolean): Promise<Buffer> {
    const { store, clock, limits, began } = this.#ports
    const patience = new AbortController()
    this.#running.add(patience)
    this.#memoryBytes += length
    if (isAhead) {
      this.#runningAhead++
      this.#aheadBytes += length
    }
    began()
    const timer = clock.after(limits.fetchMs, () => patience.abort(slowError(store.place, key, limits.fetchMs)))
    const ended = (): void => {
      timer.cancel()
      this.#running.delete(patience)
      if (isAhead) this.#runningAhead--
    }
    try {
      const bytes = await orAborted(store.getRange(key, from, length, patience.signal), patience.signal)
      ended()
      this.#startWaiting()
      return bytes
    } catch (thrown) {
      ended()
      this.done(length, isAhead)
      throw thrown
    }
  }

  /** Requests under way fail, and so do those that wait. */
  close(reason: Error): void {
    this.#timer?.cancel()
    for (const { refuse } of this.#waiting.splice(0)) refuse(reason)
    for (const patience of this.#running) patience.abort(reason)
  }
}

function slowError(place: string, key: string, afterMs: number): StoreError {
  const message = `${place} did not give ${key} within ${afterMs / 1000} s`
  return new StoreError('STORE_UNAVAILABLE', message)
}

/** Nobody hears of it. */
function notWantedError({ key }: FetchRange): ChronikError {
  return new ChronikError('FETCH_NOT_WANTED', 'closed', `nobody waits for ${key} any more`)
}
