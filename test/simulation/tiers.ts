import { messageOf, systemCodeOf } from '#base/errors.ts'
import { settingsFrom } from '#config/load-settings.ts'
import { type Log, TopicRules } from '#log/log.ts'
import { openLocalStore } from '#object-store/local-store.ts'
import type { ObjectStore } from '#object-store/object-store.ts'
import type { RangeSource } from '#object-store/range-source.ts'
import { scribblingSource } from '#test/support/scribbling-source.ts'
import { Prng } from '#test/support/sim/prng.ts'
import type { SimClock } from '#test/support/sim/sim-clock.ts'
import type { SimDisk } from '#test/support/sim/sim-disk.ts'
import { NO_FAULTS, SimBucket, SimObjectStore } from '#test/support/sim/sim-object-store.ts'
import { startTier, type Tier } from '#tier/tier.ts'
import type { TierPlan } from './tier-plan.ts'
import type { Trace } from './trace.ts'

const STORE = '/data/store'
/** A range that is cut short is taken for damage, an object that is not seen yet for a missing one. */
const FAULT_CODES = new Set(['STORE_UNAVAILABLE', 'STORE_DENIED', 'STORE_FULL', 'SEGMENT_DAMAGED', 'OBJECT_MISSING'])

/** Where the segments of a run are, through all lives of the broker, and what seals and collects them. */
export class Tiers {
  readonly plan: TierPlan
  readonly counts = { sealed: 0, sealFailures: 0, deleted: 0, merged: 0 }
  readonly #bucket: SimBucket | null
  readonly #trace: Trace
  readonly #prng: Prng
  #store: ObjectStore | null = null
  #tier: Tier | null = null
  #isCalm = false

  constructor(plan: TierPlan, { clock, trace }: { clock: SimClock; trace: Trace }) {
    this.plan = plan
    this.#trace = trace
    this.#prng = new Prng(plan.seed + 0.75 * 2 ** 32)
    const { faults, slowestRequestMs } = plan
    const latencyMs = (_: unknown, prng: Prng) => slowestRequestMs * (0.2 + 0.8 * prng.fraction())
    const options = { clock: clock.outside(), prng: this.#prng.fork(), latencyMs, faults }
    this.#bucket = plan.store === 'bucket' ? new SimBucket(options) : null
  }

  get store(): ObjectStore {
    if (this.#store === null) throw new Error('the store is not open')
    return this.#store
  }

  // ---- a life

  /** The store of a process that begins. `called` is told of each request. */
  async open(disk: SimDisk, called: () => void): Promise<ObjectStore> {
    this.#store = this.#bucket === null ? await this.#directoryOn(disk) : this.#bucket.connect()
    if (this.#bucket === null) return this.#store
    this.#bucket.onCall = ({ verb, key, sizeBytes }) => {
      this.#trace.note(`${verb} ${key} ${sizeBytes}`)
      called()
      return null
    }
    return this.#store
  }

  #directoryOn(disk: SimDisk): Promise<ObjectStore> {
    const bytes = (count: number) => Buffer.from(Array.from({ length: count }, () => this.#prng.between(0, 255)))
    return openLocalStore({ disk, random: { bytes }, directory: STORE })
  }

  start(log: Log): void {
    const { segmentBytes, segmentMs, tailMs, walLimitBytes } = this.plan
    const loaded = settingsFrom({})
    if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
    const { counts } = this
    this.#tier = startTier({
      log,
      topicRules: new TopicRules(log.state, loaded.settings, loaded.sources),
      cache: null,
      store: this.store,
      clock: log.clock,
      random: { bytes: count => Buffer.alloc(count, 7) },
      limits: { segmentBytes, segmentMs, tailMs },
      walLimitBytes,
      restoreWindowMs: 0,
      isArchived: () => true,
      confirm: async () => {},
      metrics: {
        sealed(segments) {
          counts.sealed += segments
        },
        sealFailed() {
          counts.sealFailures++
        },
        compacted() {},
        merged(segments) {
          counts.merged += segments
        },
        deleted(objects) {
          counts.deleted += objects
        },
        orphansFound() {},
        failed() {},
      },
      report: (level, message) => this.#trace.note(`${level}: ${message}`),
    })
  }

  /** As the broker ends well. */
  async stop(): Promise<void> {
    await this.#tier?.close(this.plan.drainMs)
    this.#tier = null
  }

  /** The last thing: nobody reads any more. */
  async close(): Promise<void> {
    await this.#store?.close().catch(thrown => this.#trace.note(`the store did not close: ${messageOf(thrown)}`))
  }

  disconnected(): void {
    if (this.#store instanceof SimObjectStore) this.#store.kill()
    this.#store = null
    this.#tier = null
  }

  // ---- faults

  /** Whether something may be said of a request that the plan has in store. */
  isExpected(thrown: unknown): boolean {
    const code = systemCodeOf(thrown)
    return Object.keys(this.plan.faults).length > 0 && FAULT_CODES.has(code)
  }

  /** Nothing goes wrong until it is told otherwise. */
  calm(isCalm: boolean): void {
    this.#isCalm = isCalm
    if (this.#bucket !== null) Object.assign(this.#bucket.faults, NO_FAULTS, isCalm ? {} : this.plan.faults)
  }

  get isCalm(): boolean {
    return this.#isCalm
  }

  // ---- what there is

  /** What an experiment with a copy of the disk reads from. */
  async sourceOf(disk: SimDisk): Promise<RangeSource> {
    const bucket = this.#bucket
    if (bucket === null) return scribblingSource(await this.#directoryOn(disk))
    return {
      readRange: async (key, from, length) => {
        const bytes = Buffer.from(bucket.peek(key).subarray(from, from + length))
        return { bytes, release: () => bytes.fill(0) }
      },
      forget: async () => {},
    }
  }

  /** All objects, as they are after a life. */
  objectsOn(disk: SimDisk): [key: string, bytes: Buffer][] {
    const bucket = this.#bucket
    if (bucket !== null) return bucket.keys.map(key => [key, bucket.peek(key)])
    const paths = disk.paths.filter(path => path.startsWith(`${STORE}/`) && !path.startsWith(`${STORE}/.`))
    return paths.map(path => [path.slice(STORE.length + 1), disk.peek(path)])
  }

  /** Names of all objects, as they are. */
  async keys(): Promise<string[]> {
    if (this.#bucket !== null) return this.#bucket.keys
    const keys: string[] = []
    for await (const { key } of this.store.list('', '', new AbortController().signal)) keys.push(key)
    return keys
  }
}
