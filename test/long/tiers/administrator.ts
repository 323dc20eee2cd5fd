// Makes, changes and deletes topics all the time, at the pace of people. What it was answered must be there.

import { Administrator as Administration } from '#test/crash/administrator.ts'
import { History } from '#test/crash/history.ts'
import type { Prng } from '#test/support/sim/prng.ts'
import { ConnectionClosed, WireClient } from '#test/support/wire-client.ts'
import { pause } from './pause.ts'
import type { Gate } from './producers.ts'
import type { Topic } from './topics.ts'

const PACE_MS = 1500
const AGAIN_MS = 300

interface Address {
  readonly host: string
  readonly port: number
}

export class Administrator {
  readonly #administration: Administration
  readonly #gate: Gate
  changes = 0
  #isOver = false
  #running: Promise<void> = Promise.resolve()

  constructor(gate: Gate, prng: Prng) {
    // Records are none of its business: a topic without any.
    this.#administration = new Administration(new History({ none: 1 }), prng)
    this.#gate = gate
  }

  async create(address: Address, topics: readonly Topic[]): Promise<void> {
    const client = await WireClient.connect(address)
    for (const { name, partitions, configs } of topics) {
      await this.#administration.createTopic(client, name, partitions, configs)
    }
    client.close()
  }

  run(address: Address): Promise<void> {
    this.#running = this.#run(address)
    return this.#running
  }

  async #run(address: Address): Promise<void> {
    let client: WireClient | null = null
    for await (const _ of this.#gate.turns()) {
      if (this.#isOver) break
      client ??= await this.#connect(address)
      if (client !== null && !(await this.#changeOnce(client))) {
        client.close()
        client = null
      }
      await pause(PACE_MS)
    }
    client?.close()
  }

  /** After what it is about. */
  async stop(): Promise<void> {
    this.#isOver = true
    await this.#running
  }

  /** On a connection of its own. */
  async check(address: Address): Promise<void> {
    const client = await WireClient.connect(address)
    try {
      await this.#administration.check(client)
    } finally {
      client.close()
    }
  }

  /** What was not answered is looked for first. */
  async #connect(address: Address): Promise<WireClient | null> {
    try {
      const client = await WireClient.connect(address)
      await this.#administration.check(client)
      return client
    } catch (thrown) {
      if (!isAway(thrown)) throw thrown
      await pause(AGAIN_MS)
      return null
    }
  }

  /** False: it was not answered. */
  async #changeOnce(client: WireClient): Promise<boolean> {
    let begun = 0
    try {
      await this.#administration.work(client, () => begun++ > 0)
    } catch (thrown) {
      if (!isAway(thrown)) throw thrown
      return false
    }
    this.changes++
    return !client.isClosed
  }
}

function isAway(thrown: unknown): boolean {
  if (thrown instanceof ConnectionClosed) return true
  const { code, message } = thrown as NodeJS.ErrnoException
  return ['ECONNREFUSED', 'ECONNRESET'].includes(code ?? '') || message.startsWith('no answer within')
}
