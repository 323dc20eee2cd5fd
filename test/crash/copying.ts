// Kill, start, again and again, under a group of transactional copiers, some of which are zombies, and a group that reads what
// they commit. In the end each record of the input must be in the committed output once.

import { type BrokerProcess, freePorts, startBrokerProcess } from '#test/support/broker-process.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { until } from '#test/support/until.ts'
import { WireClient } from '#test/support/wire-client.ts'
import { Copier, TRANSACTION_TIMEOUT_MS } from './copier.ts'
import { checkFollowers, checkOutput, Follower } from './copy-check.ts'
import {
  BEFORE_KIP_890,
  type CopyFigures,
  CopyHistory,
  INPUT,
  INPUT_PARTITIONS,
  OUTPUT,
  OUTPUT_PARTITIONS,
  SINCE_KIP_890,
} from './copy-history.ts'
import { SMALL_FILES } from './cycles.ts'
import { feed } from './feeder.ts'
import { leaveOpen } from './forgetful.ts'
import { BrokenPromise } from './history.ts'
import { Line, sleep } from './line.ts'
import { Readers } from './readers.ts'
import { watchStability } from './stability.ts'

export interface CopyOptions {
  readonly seed: number
  readonly cycles: number
  readonly dataDir: string
  readonly copiers: number
  readonly readers: number
}

export interface CopyResult extends CopyFigures {
  readonly records: number
  readonly rebalances: number
  readonly longestUnstableMs: number
  readonly readersKilled: number
  readonly readersPaused: number
}

const FLAGS = ['--group-initial-rebalance-delay-ms', '0', '--group-min-session-timeout-ms', '100']
const HOST = '127.0.0.1'
const [LEAST_LOAD_MS, MOST_LOAD_MS] = [50, 900]
/** What a slow machine, and the broker's restarts, may add to a transaction's timeout. */
const SLACK_MS = 3000
const ALL_COPIED_WITHIN_MS = 60_000
const ZOMBIES = 0.3
const LEFT_OPEN = 0.3

export async function runCopying(options: CopyOptions): Promise<CopyResult> {
  const copying = new Copying(options, (await freePorts(1))[0]!)
  try {
    return await copying.run()
  } finally {
    await copying.close()
  }
}

class Copying {
  readonly #options: CopyOptions
  readonly #port: number
  readonly #prng: Prng
  readonly #history = new CopyHistory()
  readonly #lines: Line[] = []
  /** All that works; it ends when the lines are stopped. */
  readonly #working: Promise<unknown>[] = []
  /** By place: the copier that has its transactional id. */
  readonly #copiers: Copier[] = []
  readonly #zombies: Copier[] = []
  readonly #followers: Follower[] = []
  #broken: unknown = null
  #readers: Readers | null = null
  #broker: BrokerProcess | null = null
  #cycle = 0

  constructor(options: CopyOptions, port: number) {
    this.#options = options
    this.#port = port
    this.#prng = new Prng(options.seed)
  }

  async run(): Promise<CopyResult> {
    try {
      await this.#start()
      await this.#createTopics()
      let isFed = false
      const feeding = feed(this.#line(), this.#history, this.#prng.fork(), () => isFed)
      this.#own(feeding)
      const watcher = this.#line()
      const watching = watchStability(watcher, TRANSACTION_TIMEOUT_MS + SLACK_MS)
      this.#own(watching)
      for (let partition = 0; partition < OUTPUT_PARTITIONS; partition++) {
        const follower = new Follower(this.#line(), partition)
        this.#followers.push(follower)
        this.#own(follower.follow())
      }
      for (let place = 0; place < this.#options.copiers; place++) this.#startCopier(place)
      this.#readers = new Readers(`${HOST}:${this.#port}`, this.#options.readers, this.#prng.fork())
      for (; this.#cycle < this.#options.cycles; this.#cycle++) await this.#killOnce()
      isFed = true
      await feeding
      return await this.#finish(watcher, watching)
    } catch (thrown) {
      const where = `seed ${this.#options.seed}, cycle ${this.#cycle}`
      throw new Error(`${where}: ${(this.#broken ?? thrown) as Error}\n${this.#broker?.output()}`, {
        cause: this.#broken ?? thrown,
      })
    }
  }

  async #start(): Promise<void> {
    const { dataDir } = this.#options
    this.#broker = await startBrokerProcess({ dataDir, kafkaPort: this.#port, flags: FLAGS, environment: SMALL_FILES })
  }

  async #createTopics(): Promise<void> {
    const client = await WireClient.connect(this.#broker!.kafka)
    const topics = [
      { name: INPUT, numPartitions: INPUT_PARTITIONS, replicationFactor: 1 },
      { name: OUTPUT, numPartitions: OUTPUT_PARTITIONS, replicationFactor: 1 },
    ]
    await client.send('CreateTopics', 7, {
      topics: topics.map(topic => ({ ...topic, assignments: [], configs: [] })),
      timeoutMs: 10_000,
    })
    client.close()
  }

  async #killOnce(): Promise<void> {
    this.#readers!.disturb()
    if (this.#prng.chance(ZOMBIES)) this.#makeZombie()
    if (this.#prng.chance(0.5)) this.#zombies.shift()?.line.resume()
    if (this.#prng.chance(LEFT_OPEN)) this.#own(leaveOpen(this.#line(), this.#history, this.#prng.fork()))
    await sleep(this.#prng.between(LEAST_LOAD_MS, MOST_LOAD_MS))
    await this.#broker!.kill9()
    if (this.#broken !== null) throw this.#broken
    await this.#start()
    const client = await WireClient.connect(this.#broker!.kafka)
    await this.#readers!.checkOffsets(client)
    client.close()
  }

  // ---- copiers

  #startCopier(place: number): void {
    const copier = new Copier({
      line: this.#line(),
      transactionalId: `copier-${place}`,
      generation: this.#prng.pick([BEFORE_KIP_890, SINCE_KIP_890]),
      history: this.#history,
      prng: this.#prng.fork(),
    })
    this.#copiers[place] = copier
    const restart = (): void => {
      if (this.#copiers[place] === copier && !copier.line.isStopped) this.#startCopier(place)
    }
    this.#own(copier.run().then(restart))
  }

  /** It does not know that its time has come: another one takes its place while it is paused. */
  #makeZombie(): void {
    const place = this.#prng.between(0, this.#copiers.length - 1)
    const zombie = this.#copiers[place]!
    zombie.line.pause()
    zombie.isReplaced = true
    this.#zombies.push(zombie)
    this.#history.figures.zombies++
    this.#startCopier(place)
  }

  #line(): Line {
    const line = new Line({ host: HOST, port: this.#port }, this.#prng.fork())
    this.#lines.push(line)
    return line
  }

  #own(work: Promise<unknown>): void {
    this.#working.push(
      work.catch((thrown: unknown) => {
        this.#broken ??= thrown
      }),
    )
  }

  // ---- the end

  async #finish(watcher: Line, watching: Promise<number>): Promise<CopyResult> {
    for (const zombie of this.#zombies.splice(0)) zombie.line.resume()
    const { committed, written, figures, facts } = this.#history
    const isDone = () => this.#broken !== null || written.every((count, i) => committed[i] === count)
    await until('all is copied', isDone, ALL_COPIED_WITHIN_MS).catch((thrown: Error) => {
      throw new BrokenPromise(`${thrown.message}: ${committed} of ${written}`)
    })
    for (const line of this.#lines) if (line !== watcher) line.stop()
    const client = await WireClient.connect(this.#broker!.kafka)
    await until('nothing is open', () => this.#isStable(client), TRANSACTION_TIMEOUT_MS + SLACK_MS)
    watcher.stop()
    await Promise.all(this.#working)
    if (this.#broken !== null) throw this.#broken
    checkFollowers(this.#followers, await checkOutput(this.#line(), this.#history))
    await this.#checkOffsets(client)
    await this.#readers!.check(written)
    client.close()
    return {
      ...figures,
      records: written.reduce((sum, count) => sum + count, 0),
      rebalances: facts.rebalances,
      longestUnstableMs: await watching,
      readersKilled: this.#readers!.killed,
      readersPaused: this.#readers!.paused,
    }
  }

  async #isStable(client: WireClient): Promise<boolean> {
    for (let partition = 0; partition < OUTPUT_PARTITIONS; partition++) {
      const { responses } = await client.send('Fetch', 12, {
        maxWaitMs: 0,
        maxBytes: 1,
        topics: [{ topic: OUTPUT, partitions: [{ partition, fetchOffset: 0, partitionMaxBytes: 1 }] }],
      })
      const { lastStableOffset, highWatermark } = responses[0]!.partitions[0]!
      if (lastStableOffset !== highWatermark) return false
    }
    return true
  }

  /** What is committed of the input is what was copied: all of it. */
  async #checkOffsets(client: WireClient): Promise<void> {
    const { facts, written } = this.#history
    const { topics } = await client.send('OffsetFetch', 7, {
      groupId: facts.groupId,
      topics: [{ name: INPUT, partitionIndexes: written.map((_, partition) => partition) }],
      requireStable: true,
    })
    for (const { partitionIndex, committedOffset } of topics[0]!.partitions) {
      if (committedOffset === written[partitionIndex]) continue
      throw new BrokenPromise(`input-${partitionIndex} is at ${committedOffset}, not ${written[partitionIndex]}`)
    }
  }

  async close(): Promise<void> {
    for (const line of this.#lines) line.stop()
    await Promise.all(this.#working)
    await this.#readers?.close()
    await this.#broker?.remove()
  }
}
