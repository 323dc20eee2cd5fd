// A broker whose store is a real server behind a bad connection, under the load of real clients, killed again and again; and what
// must be found then, on its own disk and on none.

import { type FaultLink, startFaultLink } from '#test/support/fault-link.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { until } from '#test/support/until.ts'
import { Administrator } from './administrator.ts'
import { type AuditFigures, type AuditWish, audit } from './audit.ts'
import { GroupReader, Rereader } from './consumers.ts'
import { Ledger } from './ledger.ts'
import { Offsets } from './offsets.ts'
import { pause } from './pause.ts'
import { type Client, clientOf, Gate, produce, transact } from './producers.ts'
import { Supervisor, type SupervisorOptions } from './supervisor.ts'
import { LEDGER, PRODUCERS, TOPICS, TRANSACTORS } from './topics.ts'
import { Weather } from './weather.ts'

export interface SoakOptions extends Omit<SupervisorOptions, 'environment'> {
  readonly seed: number
  /** Of the store itself. */
  readonly endpoint: string
  /** By the address of the store. */
  environment(endpoint: string): Readonly<Record<string, string>>
}

/** The connection of a client breaks off after so many bytes, instead of an answer. */
const CLIENT_RESET_BYTES = [10_000, 3_000_000] as const
const KILL_EVERY_MS = 30_000
const KILL_SPREAD_MS = 5000
/** Longer than a transaction may be open, and than the store may have been away. */
const SETTLED_WITHIN_MS = 300_000
const SEALED_WITHIN_MS = 300_000
const CAUGHT_UP_MS = 2000

export class Soak {
  readonly supervisor: Supervisor
  readonly weather: Weather
  readonly ledger: Ledger
  readonly #offsets = new Offsets()
  readonly #gate = new Gate()
  readonly #administrator: Administrator
  readonly #group: GroupReader
  readonly #rereaders: readonly Rereader[]
  readonly #client: Client
  /** Between real clients and the broker. */
  readonly #clientLink: FaultLink
  readonly #options: SoakOptions
  readonly #prng: Prng
  #working: Promise<unknown> = Promise.resolve()
  readonly #failed = Promise.withResolvers<never>()

  private constructor(options: SoakOptions, weather: Weather, clientLink: FaultLink, prng: Prng) {
    this.#options = options
    this.#prng = prng
    this.#clientLink = clientLink
    this.weather = weather
    const clientPort = new URL(clientLink.endpoint).port
    const environment = { ...options.environment(weather.endpoint), CHRONIK_ADVERTISED_PORT: clientPort }
    this.supervisor = new Supervisor({ ...options, environment })
    this.ledger = new Ledger(prng.fork())
    this.#administrator = new Administrator(this.#gate, prng.fork())
    const kafka = clientOf(`127.0.0.1:${clientPort}`, 'soak')
    this.#client = { kafka, ledger: this.ledger, offsets: this.#offsets, prng: prng.fork(), gate: this.#gate }
    this.#group = new GroupReader(this.#client, LEDGER.name)
    this.#rereaders = Array.from(
      { length: 2 },
      () => new Rereader({ address: this.address, ledger: this.ledger, topics: TOPICS, prng: prng.fork() }),
    )
    this.#failed.promise.catch(() => {})
  }

  static async begin(options: SoakOptions): Promise<Soak> {
    const prng = new Prng(options.seed)
    const weather = await Weather.before(options.endpoint, prng.fork(), text => options.note(`weather: ${text}`))
    const clientLink = await startFaultLink(`http://127.0.0.1:${options.kafkaPort}`)
    const resets = prng.fork()
    await clientLink.change({ kind: 'losing answers', afterBytes: () => resets.between(...CLIENT_RESET_BYTES) })
    const soak = new Soak(options, weather, clientLink, prng)
    await soak.supervisor.start()
    await soak.#administrator.create(soak.address, TOPICS)
    soak.#work()
    return soak
  }

  get address(): { host: string; port: number } {
    return { host: '127.0.0.1', port: this.#options.kafkaPort }
  }

  /** Bad weather, and a kill every half minute, for so long. */
  async endure(forMs: number): Promise<void> {
    const endMs = performance.now() + forMs
    await this.#unlessFailed(Promise.all([this.weather.change(forMs), this.#killUntil(endMs)]))
  }

  /** Fair weather. */
  async run(forMs: number): Promise<void> {
    await this.#unlessFailed(pause(forMs))
  }

  /** Nobody is about anything any more, and everything that was begun was answered. */
  async settle(): Promise<void> {
    this.#gate.shut()
    const isSettled = () => this.#gate.passing === 0
    await this.#unlessFailed(until('everything is answered', isSettled, SETTLED_WITHIN_MS))
  }

  /** Consumers and administrators go away: with the disk they would lose what they know. Producers stay. */
  async dismiss(): Promise<void> {
    await this.dismissAdministrator()
    for (const reader of this.#rereaders) reader.stop()
    await this.#group.close()
  }

  /** It looks at topics that nobody was told of yet, and would miss them. */
  async dismissAdministrator(): Promise<void> {
    await this.#unlessFailed(this.#administrator.stop())
  }

  /** Killed in the middle of everything, and the machine is gone with its disk. */
  async lose(): Promise<void> {
    await this.supervisor.kill()
    await this.supervisor.wipe()
    await this.supervisor.start()
  }

  goOn(): void {
    this.#gate.open()
  }

  /** Nothing is in the write-ahead log alone. */
  async untilSealed(): Promise<void> {
    const isSealed = async () => (await this.supervisor.scrape()).get('chronik_unsealed_bytes') === 0
    await this.#unlessFailed(until('everything is sealed', isSealed, SEALED_WITHIN_MS))
  }

  /** What the broker says that would be lost with its disk. */
  async uploadLagMs(): Promise<number> {
    return ((await this.supervisor.scrape()).get('chronik_upload_lag_seconds') ?? 0) * 1000
  }

  /** After bad weather what waited is brought first. */
  async untilCaughtUp(): Promise<void> {
    const isCaughtUp = async () => (await this.uploadLagMs()) < CAUGHT_UP_MS
    await this.#unlessFailed(until('the store has nearly all', isCaughtUp, SETTLED_WITHIN_MS))
  }

  /** Bytes of records by tier. */
  async tiers(): Promise<Record<string, number>> {
    const sums: Record<string, number> = { wal: 0, store: 0 }
    for (const [name, value] of await this.supervisor.scrape()) {
      const tier = /^chronik_tier_bytes\{.*tier="(\w+)"/.exec(name)?.[1]
      if (tier !== undefined) sums[tier] = (sums[tier] ?? 0) + value
    }
    return sums
  }

  async audit(what: string, wish: AuditWish | null = null): Promise<AuditFigures> {
    const { ledger } = this
    const promised = { ledger, offsets: this.#offsets, administrator: this.#administrator, topics: TOPICS }
    const auditing = audit(this.address, promised, wish)
    const figures = await this.#unlessFailed(auditing)
    this.#options.note(`audit ${what}: ${JSON.stringify(figures)}, tiers ${JSON.stringify(await this.tiers())}`)
    return figures
  }

  get figures(): Record<string, unknown> {
    const sum = (of: (reader: Rereader) => number) => this.#rereaders.reduce((total, reader) => total + of(reader), 0)
    return {
      ...this.supervisor.figures,
      stored: this.ledger.storedCount,
      groupRead: this.#group.readCount,
      groupCommits: this.#group.commitCount,
      reread: sum(reader => reader.readCount),
      rereadRounds: sum(reader => reader.rounds),
      storageErrors: sum(reader => reader.storageErrors),
      lateAnswers: sum(reader => reader.lateAnswers),
      topicChanges: this.#administrator.changes,
      weather: Object.fromEntries(this.weather.met),
    }
  }

  async close(): Promise<void> {
    this.#gate.end()
    for (const reader of this.#rereaders) reader.stop()
    await this.#group.close()
    await this.supervisor.close()
    await this.#working.catch(() => {})
    await this.weather.close()
    await this.#clientLink.close()
  }

  #work(): void {
    this.#working = Promise.all([
      ...PRODUCERS.map(plan => produce(this.#client, plan)),
      ...TRANSACTORS.map(plan => transact(this.#client, plan)),
      ...this.#rereaders.map(reader => reader.run()),
      this.#group.run(),
      this.#administrator.run(this.address),
    ])
    this.#working.catch(this.#failed.reject)
    this.supervisor.unexpectedEnd.catch(this.#failed.reject)
  }

  #unlessFailed<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#failed.promise])
  }

  async #killUntil(endMs: number): Promise<void> {
    for (;;) {
      const waitMs = KILL_EVERY_MS + this.#prng.between(-KILL_SPREAD_MS, KILL_SPREAD_MS)
      if (performance.now() + waitMs >= endMs) return
      await pause(waitMs)
      this.#options.note(`kill -9, in ${this.weather.now}`)
      await this.supervisor.kill()
      await this.supervisor.start()
    }
  }
}
