// Kill, start, compare: again and again on one data directory, under the load of several writers, an administrator and a
// consumer.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type BrokerProcess,
  type BrokerProcessOptions,
  BrokerStartFailed,
  startBrokerProcess,
} from '#test/support/broker-process.ts'
import { Prng } from '#test/support/sim/prng.ts'
import { until } from '#test/support/until.ts'
import { WireClient } from '#test/support/wire-client.ts'
import { Administrator } from './administrator.ts'
import { checkDump, dumpLog } from './dump.ts'
import { History } from './history.ts'
import { checkPartitions, follow } from './reading.ts'
import { type Retried, Writer } from './writer.ts'

export interface CycleFigures extends Retried {
  cycles: number
  killsWhileStarting: number
  acknowledgedRequests: number
  acknowledgedRecords: number
}

export interface CycleOptions {
  readonly seed: number
  readonly cycles: number
  readonly dataDir: string
  /** Settings besides those that keep files small. */
  readonly environment?: Readonly<Record<string, string>>
}

// The smallest files there are: each is left several times a second, with an index and a checkpoint written meanwhile.
export const SMALL_FILES = { CHRONIK_WAL_FILE_BYTES: '262144', CHRONIK_LOG_CACHE_BYTES: '1048576' }
const LEAST_LOAD_MS = 20
const MOST_LOAD_MS = 400
const DUMP_EVERY = 10

/** Everything that works on one broker, from one start to the next. */
export class Workload {
  readonly history: History
  readonly administrator: Administrator
  readonly writers: Writer[] = []
  readonly #prng: Prng

  constructor(seed: number) {
    this.#prng = new Prng(seed)
    this.history = new History({ orders: 4, payments: 2 })
    this.administrator = new Administrator(this.history, this.#prng.fork())
  }

  /** On a new broker: makes the topics and the writers. */
  async begin(broker: BrokerProcess): Promise<void> {
    const client = await WireClient.connect(broker.kafka)
    const topics = Map.groupBy(this.history.partitions, partition => partition.topic)
    for (const [topic, partitions] of topics) await this.administrator.createTopic(client, topic, partitions.length)
    for (let i = 0; i < 3; i++) {
      const producer = await this.administrator.newProducer(client)
      this.writers.push(new Writer(`idempotent-${i}`, this.history, this.#prng.fork(), producer))
      this.writers.push(new Writer(`plain-${i}`, this.history, this.#prng.fork(), null))
    }
    client.close()
  }

  /** All of them at once, until the broker is gone or `isOver` says so. */
  async run(broker: BrokerProcess, isOver: () => boolean = () => false): Promise<void> {
    const clients = await Promise.all(
      Array.from({ length: this.writers.length + 2 }, () => WireClient.connect(broker.kafka)),
    )
    const [administration, consumer, ...producing] = clients
    const following = follow(consumer!, this.history)
    await Promise.all([
      this.administrator.work(administration!, isOver),
      ...this.writers.map((writer, i) => writer.write(producing[i]!, isOver)),
    ])
    for (const client of clients) client.close()
    await following
  }

  /** After a start: everything that was promised is there, and unanswered requests of idempotent writers are sent again. */
  async check(broker: BrokerProcess, retried: Retried): Promise<void> {
    const client = await WireClient.connect(broker.kafka)
    await this.administrator.check(client)
    await checkPartitions(client, this.history)
    for (const writer of this.writers) await writer.retry(client, retried)
    client.close()
  }
}

export async function runCycles({ seed, cycles, ...options }: CycleOptions): Promise<CycleFigures> {
  const { dataDir } = options
  const settings = { dataDir, environment: { ...SMALL_FILES, ...options.environment } }
  const prng = new Prng(seed)
  const load = new Workload(seed)
  const retried: Retried = { recognised: 0, appended: 0 }
  const figures = { cycles: 0, killsWhileStarting: 0 }
  const start = () => startBrokerProcess(settings)
  let broker = await start()
  try {
    await load.begin(broker)
    for (; figures.cycles < cycles; figures.cycles++) {
      await runUntilKilled(broker, load, prng.between(LEAST_LOAD_MS, MOST_LOAD_MS))
      if (figures.cycles % DUMP_EVERY === DUMP_EVERY - 1) checkDump(await dumpLog(dataDir), load.history)
      if (prng.chance(0.1)) {
        await killWhileStarting(settings, prng.between(0, 40))
        figures.killsWhileStarting++
      }
      broker = await start()
      await load.check(broker, retried)
    }
    await broker.kill9()
    checkDump(await dumpLog(dataDir), load.history)
  } catch (thrown) {
    throw new Error(`seed ${seed}, cycle ${figures.cycles}\n${broker.output()}`, { cause: thrown })
  } finally {
    await broker.remove()
  }
  const sum = (of: (writer: Writer) => number) => load.writers.reduce((total, writer) => total + of(writer), 0)
  return {
    ...figures,
    ...retried,
    acknowledgedRequests: sum(writer => writer.acknowledgedRequests),
    acknowledgedRecords: sum(writer => writer.acknowledgedRecords),
  }
}

async function runUntilKilled(broker: BrokerProcess, load: Workload, afterMs: number): Promise<void> {
  const running = load.run(broker)
  const killing = new Promise(resolve => setTimeout(resolve, afterMs)).then(() => broker.kill9())
  await Promise.all([running, killing])
}

/** The process is killed so long after it took the lock: while it reads the log back, as a rule. */
async function killWhileStarting(options: BrokerProcessOptions & { dataDir: string }, afterMs: number): Promise<void> {
  const { dataDir } = options
  const before = await lockOwner(dataDir)
  const starting = startBrokerProcess(options).then(
    broker => broker.kill9(),
    thrown => {
      if (!(thrown instanceof BrokerStartFailed)) throw thrown
    },
  )
  let owner = before
  const isNew = async () => {
    owner = await lockOwner(dataDir)
    return owner !== '' && owner !== before
  }
  await until('a broker owns the directory', isNew)
  await new Promise(resolve => setTimeout(resolve, afterMs))
  const pid = Number(/^process (\d+)/.exec(owner)?.[1])
  try {
    process.kill(pid, 'SIGKILL')
  } catch (thrown) {
    // It had started, and was killed already.
    if ((thrown as NodeJS.ErrnoException).code !== 'ESRCH') throw thrown
  }
  await starting
}

function lockOwner(dataDir: string): Promise<string> {
  return readFile(join(dataDir, 'lock.owner'), 'utf8').catch(() => '')
}
