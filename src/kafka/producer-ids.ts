import type { Log } from '#log/log.ts'

/** Ids that one record of the commit log sets aside (Kafka: ProducerIdsBlock). */
const BLOCK_IDS = 1000

/** Hands out producer ids that were never handed out before, over restarts too: a block is durable before its first use. */
export class ProducerIds {
  readonly #log: Log
  #next = 0
  #end = 0
  #allocating: Promise<void> | null = null

  constructor(log: Log) {
    this.#log = log
  }

  async take(): Promise<number> {
    while (this.#next === this.#end) {
      this.#allocating ??= this.#allocate().finally(() => {
        this.#allocating = null
      })
      await this.#allocating
    }
    return this.#next++
  }

  async #allocate(): Promise<void> {
    await this.#log.propose({ kind: 'producer-ids-allocated', count: BLOCK_IDS })
    this.#end = this.#log.state.nextProducerId
    this.#next = this.#end - BLOCK_IDS
  }
}
