import { messageOf } from '#base/errors.ts'
import type { Clock, Timer } from '#base/ports.ts'
import { Walk } from '#base/walk.ts'
import type { Garbage } from '#core/garbage.ts'
import type { Log } from '#log/log.ts'
import type { ObjectStore } from '#object-store/object-store.ts'
import type { TierWork } from '#observe/tier-metrics.ts'
import { keyOfGarbage, parseSegmentKey, SEGMENT_PREFIX } from '#segments/segment-names.ts'
import { type InFlight, isUnreferenced } from './orphans.ts'
import { generationKey, OWNER_KEY } from './recovery/archive-names.ts'

// Deletes objects that nothing refers to any more. Garbage is known to the state; it goes when the restore window has passed, when
// the store knows that it is garbage (a restore must not want it), and when nobody reads it any more. Orphans are not known to
// anybody: objects of uploads that were never committed. They are looked for among all that there is, every few hours, and go when
// they were found twice.

/** Kafka: file.delete.delay.ms. Whoever began to read an object before has read it, or was told that the store is slow. */
const READ_GRACE_MS = 60_000
const CHECK_INTERVAL_MS = 30_000
const FIRST_SWEEP_MS = 600_000
const SWEEP_INTERVAL_MS = 6 * 3_600_000
const DELETES_AT_ONCE = 16
/** Garbage that is told to be gone in one record. */
const GARBAGE_AT_ONCE = 256
/** If so much in a row cannot be deleted, it is the store that fails, and the rest waits. */
const FAILURES_IN_A_ROW = 3
/** What could not be deleted is tried again after so long, so that it keeps nothing else waiting. */
const ASIDE_MS = 600_000

export interface CollectorOptions {
  readonly log: Log
  readonly store: ObjectStore
  readonly clock: Clock
  /** So long it can be gone back to what was. */
  readonly restoreWindowMs: number
  readonly metrics: CollectorMetrics
  /** What is under way, and not to be taken for an orphan. */
  inFlight(): InFlight
  /** Would a restore from the store know what happened before the position? */
  isArchived(position: number): boolean
  /** Rejects if somebody else owns the store by now. */
  confirm(): Promise<void>
  /** The object is gone. */
  forget(key: string): Promise<void> | undefined
  report(level: 'info' | 'warn', message: string, fields?: Record<string, unknown>): void
}

export interface CollectorMetrics {
  deleted(objects: number): void
  orphansFound(objects: number): void
  failed(kind: TierWork): void
}

export class Collector {
  readonly #options: CollectorOptions
  readonly #ended = new AbortController()
  /** When garbage was first met here, and where the log stood then: oldest first, as garbage is. */
  #met: Meeting[] = []
  /** Garbage that could not be deleted, and until when it is left alone. */
  readonly #aside = new Map<number, number>()
  /** Orphans of the sweeps before this one. */
  #suspects = new Set<string>()
  /** What could not be deleted the last time. */
  readonly #failing = new Set<string>()
  #sweepAtMs: number
  #timer: Timer | null = null
  #working: Promise<void> = Promise.resolve()

  constructor(options: CollectorOptions) {
    this.#options = options
    this.#sweepAtMs = options.clock.monotonicMs() + FIRST_SWEEP_MS
    this.#wait()
  }

  #wait(): void {
    if (this.#ended.signal.aborted) return
    this.#timer = this.#options.clock.after(CHECK_INTERVAL_MS, () => {
      this.#working = this.#work().finally(() => this.#wait())
    })
  }

  async #work(): Promise<void> {
    await this.#try('objects', () => this.collect())
    const nowMs = this.#options.clock.monotonicMs()
    if (nowMs < this.#sweepAtMs) return
    this.#sweepAtMs = nowMs + SWEEP_INTERVAL_MS
    await this.#try('orphans', () => this.sweep())
  }

  async #try(what: 'objects' | 'orphans', work: () => Promise<void>): Promise<void> {
    const { report, metrics } = this.#options
    try {
      await work()
      // What was put aside was not tried.
      const isMended = what === 'orphans' || this.#aside.size === 0
      if (isMended && this.#failing.delete(what)) report('info', `${what} can be deleted again`)
    } catch (thrown) {
      if (this.#ended.signal.aborted) return
      metrics.failed('collection')
      if (!this.#failing.has(what))
        report('warn', `${what} could not be deleted, it is tried again: ${messageOf(thrown)}`)
      this.#failing.add(what)
    }
  }

  /** Deletes the garbage that may go: the oldest, up to the first that may not. */
  async collect(): Promise<void> {
    const { log, clock } = this.#options
    this.#meet()
    const deleted: number[] = []
    const failures: unknown[] = []
    let failedInARow = 0
    const [oldest] = log.state.garbage.values()
    if (oldest === undefined || !this.#mayGo(oldest)) return
    await this.#makeSure()
    for (const garbage of log.state.garbage.values()) {
      if (!this.#mayGo(garbage) || failedInARow === FAILURES_IN_A_ROW) break
      if ((this.#aside.get(garbage.id) ?? 0) > clock.monotonicMs()) continue
      try {
        await this.#delete(keysOf(garbage))
        deleted.push(garbage.id)
        failedInARow = 0
      } catch (thrown) {
        if (this.#ended.signal.aborted) break
        this.#aside.set(garbage.id, clock.monotonicMs() + ASIDE_MS)
        failures.push(thrown)
        failedInARow++
      }
      if (deleted.length === GARBAGE_AT_ONCE) await this.#remove(deleted.splice(0))
    }
    if (deleted.length > 0) await this.#remove(deleted)
    if (failures.length > 0) throw failures[0]
  }

  /** Nobody refers to what is garbage: neither this log after a power loss, nor who has taken over. */
  async #makeSure(): Promise<void> {
    await this.#options.log.commits.sync()
    await this.#options.confirm()
  }

  async #remove(ids: number[]): Promise<void> {
    await this.#options.log.propose({ kind: 'garbage-removed', ids })
    for (const id of ids) this.#aside.delete(id)
  }

  /** Takes note of what has become garbage since the last time. */
  #meet(): void {
    const { log, clock } = this.#options
    const { garbage, garbageCount } = log.state
    const oldest = garbage.keys().next().value ?? garbageCount
    this.#met = this.#met.filter(({ end }) => end > oldest)
    if ((this.#met.at(-1)?.end ?? oldest) === garbageCount) return
    this.#met.push({ end: garbageCount, position: log.commits.position, atMs: clock.monotonicMs() })
  }

  /** If one may not, no later one may. */
  #mayGo({ id, sinceMs }: Garbage): boolean {
    const { clock, restoreWindowMs, isArchived } = this.#options
    const met = this.#met.find(({ end }) => end > id)
    if (met === undefined || clock.monotonicMs() - met.atMs < READ_GRACE_MS) return false
    return clock.nowMs() - sinceMs >= restoreWindowMs && isArchived(met.position)
  }

  /** Looks through all segments in the store for those that nothing refers to. */
  async sweep(): Promise<void> {
    const { log, store, inFlight, metrics, report } = this.#options
    const suspects = new Set<string>()
    const orphans: string[] = []
    const earlierMayGo = await this.#earlierMayGo()
    const known = await this.#garbageKeys()
    for await (const { key } of store.list(SEGMENT_PREFIX, '', this.#ended.signal)) {
      const name = parseSegmentKey(key)
      if (name === null || known.has(key) || !isUnreferenced(name, log.state, inFlight())) continue
      suspects.add(key)
      const mayGo = name.generation === log.state.generation || earlierMayGo
      if (this.#suspects.has(key) && mayGo) orphans.push(key)
    }
    metrics.orphansFound([...suspects].filter(key => !this.#suspects.has(key)).length)
    if (orphans.length > 0) await this.#makeSure()
    await this.#delete(orphans)
    if (orphans.length > 0) report('info', `deleted ${orphans.length} objects of uploads that were never finished`)
    for (const key of orphans) suspects.delete(key)
    this.#suspects = suspects
  }

  async #garbageKeys(): Promise<Set<string>> {
    const { log, clock } = this.#options
    const walk = new Walk(clock)
    const keys = new Set<string>()
    for (const garbage of log.state.garbage.values()) {
      for (let i = 0; i < garbage.segments.length; i++) {
        keys.add(keyOfGarbage(garbage, garbage.segments.at(i)))
        if (walk.stepped()) await walk.rest()
      }
    }
    return keys
  }

  /**
   * What this owner knows nothing of an earlier one may have had until the end, and a restore to his last moment wants it, however
   * old it is: until that moment is out of reach. By the clock of the store.
   */
  async #earlierMayGo(): Promise<boolean> {
    const { log, store, restoreWindowMs } = this.#options
    const begun = await store.head(generationKey(log.state.generation), this.#ended.signal)
    const now = await store.head(OWNER_KEY, this.#ended.signal)
    return begun !== null && now !== null && now.modifiedMs - begun.modifiedMs >= restoreWindowMs
  }

  /** Deletes all that can be; throws if some cannot. */
  async #delete(keys: readonly string[]): Promise<void> {
    const { store, forget, metrics } = this.#options
    let failure: { reason: unknown } | null = null
    for (let at = 0; at < keys.length; at += DELETES_AT_ONCE) {
      const some = keys.slice(at, at + DELETES_AT_ONCE)
      const deletes = await Promise.allSettled(some.map(key => store.delete(key, this.#ended.signal)))
      const deleted = some.filter((_, i) => deletes[i]!.status === 'fulfilled')
      await Promise.all(deleted.map(key => forget(key)))
      metrics.deleted(deleted.length)
      failure ??= (deletes.find(({ status }) => status === 'rejected') as PromiseRejectedResult | undefined) ?? null
      if (deleted.length === 0) break
    }
    if (failure !== null) throw failure.reason
  }

  async close(): Promise<void> {
    this.#ended.abort()
    this.#timer?.cancel()
    await this.#working
  }
}

/** Garbage before `end` was known then. */
interface Meeting {
  readonly end: number
  readonly position: number
  readonly atMs: number
}

function keysOf(garbage: Garbage): string[] {
  const keys: string[] = []
  for (let i = 0; i < garbage.segments.length; i++) keys.push(keyOfGarbage(garbage, garbage.segments.at(i)))
  return keys
}
