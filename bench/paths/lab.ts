import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '#base/errors.ts'
import { type Broker, freePort, logTail, startBroker, type Target } from './brokers.ts'
import { type Flags, type Load, type LoadResult, runLoad } from './load.ts'

const SETTLE = '10s'

export interface LabOptions {
  readonly load: Load
  /** A disk to measure on. */
  readonly dir: string
  readonly ourCommand: string
  /** Short runs that do not wait for a quiet machine. */
  readonly quick: boolean
  /** Held during each run of the load program. */
  readonly lockPath: string | undefined
  readonly signal: AbortSignal
}

export interface StartOptions {
  /** Where the client knows already that it will be. */
  readonly port?: number
  /** Of ours. */
  readonly flags?: readonly string[]
}

/**
 * The brokers under measurement and all their data. Topics are kept and directories are removed only at the end: deleting
 * big files can stall the syncs of a file system for a minute.
 */
export class Lab {
  readonly quick: boolean
  readonly dir: string
  readonly #options: LabOptions
  readonly #shared = new Map<Target, Promise<Broker>>()
  readonly #starting = new Set<Promise<Broker>>()
  readonly #running = new Set<Broker>()
  #dirs = 0

  constructor(options: LabOptions) {
    this.#options = options
    this.quick = options.quick
    mkdirSync(options.dir, { recursive: true })
    this.dir = mkdtempSync(join(options.dir, 'run-'))
  }

  freshDir(target: Target): string {
    return join(this.dir, `${target}-${this.#dirs++}`)
  }

  /** The broker that the load rows share. */
  shared(target: Target): Promise<Broker> {
    let broker = this.#shared.get(target)
    if (broker === undefined) {
      broker = this.start(target, this.freshDir(target))
      this.#shared.set(target, broker)
    }
    return broker
  }

  /** A broker of one row. */
  async start(target: Target, dir: string, { port, flags = [] }: StartOptions = {}): Promise<Broker> {
    this.#options.signal.throwIfAborted()
    const ourCommand = [this.#options.ourCommand, ...flags].join(' ')
    const starting = startBroker(target, ourCommand, dir, port ?? (await freePort()))
    this.#starting.add(starting)
    try {
      const broker = await starting
      this.#running.add(broker)
      return broker
    } finally {
      this.#starting.delete(starting)
    }
  }

  async stop(broker: Broker): Promise<void> {
    this.#running.delete(broker)
    await broker.stop()
  }

  async kill(broker: Broker): Promise<void> {
    this.#running.delete(broker)
    await broker.kill()
  }

  load(mode: string, flags: Flags, onLine?: (line: string) => void): Promise<LoadResult> {
    const { load, lockPath, quick, signal } = this.#options
    const common = { ...(lockPath === undefined ? {} : { lock: lockPath }), ...(quick ? {} : { settle: SETTLE }) }
    return runLoad(load, mode, { ...common, ...flags }, { signal, onLine })
  }

  /** Load on a broker, which is observed. Topics stay. */
  async loadOn(broker: Broker, mode: string, flags: Flags): Promise<LoadResult> {
    try {
      return await this.load(mode, { brokers: broker.address, pid: broker.pid, keep: true, ...flags })
    } catch (error) {
      throw new Error(`${messageOf(error)}\nlog of ${broker.target}:\n${logTail(broker.logPath)}`, { cause: error })
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#starting)
    const stopped = await Promise.allSettled([...this.#running].map(broker => this.stop(broker)))
    rmSync(this.dir, { recursive: true, force: true })
    for (const result of stopped) if (result.status === 'rejected') throw result.reason
  }
}
