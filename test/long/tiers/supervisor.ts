// Keeps a broker running as a service manager does: who is killed, or cannot start because the store is away, is started again.

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { BrokenPromise } from '#test/crash/history.ts'
import {
  type BrokerProcess,
  BrokerStartFailed,
  type ProcessEnd,
  startBrokerProcess,
} from '#test/support/broker-process.ts'
import { type MetricsPage, scrape } from '#test/support/metrics-page.ts'
import { until } from '#test/support/until.ts'
import { pause } from './pause.ts'

export interface SupervisorOptions {
  readonly dataDir: string
  readonly kafkaPort: number
  readonly environment: Readonly<Record<string, string>>
  note(text: string): void
}

export interface SupervisorFigures {
  kills: number
  refusedStarts: number
  longestStartMs: number
}

const AGAIN_MS = 500
/** The probe of the store has a minute, and the machine may be busy. */
const START_TIMEOUT_MS = 300_000
/** What a start may end with while the way to the store is bad. */
const REFUSALS = /chronik: .*(object store|s3:\/\/|take-over)/
/** Of what a broker printed, for people. */
const LAST_LINES = 60

export class Supervisor {
  readonly #options: SupervisorOptions
  #broker: BrokerProcess | null = null
  #expectsEnd = false
  readonly figures: SupervisorFigures = { kills: 0, refusedStarts: 0, longestStartMs: 0 }
  /** Settles when the broker ended of itself. */
  readonly #unexpected = Promise.withResolvers<never>()
  /** Lines of all brokers so far that are no matter of course. */
  readonly #printed: string[] = []

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#unexpected.promise.catch(() => {})
  }

  get unexpectedEnd(): Promise<never> {
    return this.#unexpected.promise
  }

  get broker(): BrokerProcess {
    if (this.#broker === null) throw new Error('no broker runs')
    return this.#broker
  }

  /** As often as it takes. */
  async start(): Promise<void> {
    const beganMs = performance.now()
    while (this.#broker === null) {
      try {
        this.#broker = await startBrokerProcess({ ...this.#options, startTimeoutMs: START_TIMEOUT_MS })
      } catch (thrown) {
        this.#mayBeRefused(thrown)
        await pause(AGAIN_MS)
      }
    }
    const tookMs = performance.now() - beganMs
    this.figures.longestStartMs = Math.max(this.figures.longestStartMs, tookMs)
    this.#options.note(`started after ${Math.round(tookMs)} ms`)
    this.#expectsEnd = false
    const broker = this.#broker
    // It listens for clients first.
    await until('its metrics', () =>
      this.scrape().then(
        () => true,
        () => false,
      ),
    )
    void broker.ended.then(end => this.#ended(broker, end))
  }

  async kill(): Promise<void> {
    this.#expectsEnd = true
    this.figures.kills++
    const { broker } = this
    await broker.kill9()
    this.#forget(broker)
  }

  async stop(): Promise<void> {
    this.#expectsEnd = true
    const { broker } = this
    await broker.stop()
    this.#forget(broker)
  }

  /** What the machine had is gone. */
  async wipe(): Promise<void> {
    await rm(this.#options.dataDir, { recursive: true })
  }

  /** What is in no other place than the store is read from there. */
  async wipeCache(): Promise<void> {
    await rm(join(this.#options.dataDir, 'cache'), { recursive: true, force: true })
  }

  scrape(): Promise<MetricsPage> {
    return scrape({ host: this.broker.kafka.host, port: this.broker.metricsPort })
  }

  /** The last that the brokers have said. */
  get printed(): string {
    return [...this.#printed, this.#broker?.output() ?? ''].join('').split('\n').slice(-LAST_LINES).join('\n')
  }

  async close(): Promise<void> {
    this.#expectsEnd = true
    await this.#broker?.remove()
  }

  #mayBeRefused(thrown: unknown): void {
    if (!(thrown instanceof BrokerStartFailed)) throw thrown
    this.#keep(thrown.output)
    this.figures.refusedStarts++
    const lastLine = thrown.output.trimEnd().split('\n').at(-1) ?? ''
    this.#options.note(`refused to start: ${lastLine}`)
    if (!REFUSALS.test(lastLine)) throw new BrokenPromise(`a start that says no reason of the store: ${thrown.message}`)
  }

  #ended(broker: BrokerProcess, end: ProcessEnd): void {
    this.#forget(broker)
    if (this.#expectsEnd) return
    this.#unexpected.reject(new BrokenPromise(`the broker ended with ${JSON.stringify(end)}`))
  }

  #forget(broker: BrokerProcess): void {
    if (this.#broker !== broker) return
    this.#keep(broker.output())
    this.#broker = null
  }

  #keep(output: string): void {
    this.#printed.push(output)
    if (this.#printed.length > 10) this.#printed.shift()
  }
}
