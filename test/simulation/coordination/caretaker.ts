import { buildBatch } from '#test/support/batch-builder.ts'
import { Over } from './agreements.ts'
import type { Machine } from './machine.ts'
import { SimLine } from './sim-line.ts'

// Makes topics and deletes them, deletes records under open transactions, and writes without any.

const NAMES = ['orders', 'clicks']

export class Caretaker {
  readonly #machine: Machine
  readonly #line: SimLine

  constructor(machine: Machine) {
    this.#machine = machine
    this.#line = new SimLine(machine, 'caretaker')
  }

  async run(): Promise<void> {
    try {
      for (;;) {
        await this.#step()
        await this.#machine.sleep(this.#machine.prng.between(0, 100))
      }
    } catch (thrown) {
      if (!(thrown instanceof Over)) throw thrown
    }
  }

  async #step(): Promise<void> {
    const { ledger, prng, plan } = this.#machine
    const names = [...ledger.topics.values()].map(({ name }) => name)
    const missing = NAMES.filter(name => !names.includes(name))
    if (missing.length > 0) await this.#create(prng.pick(missing))
    else if (prng.chance(plan.deletions)) {
      const topics = [{ name: prng.pick(names) }]
      await this.#line.ask('DeleteTopics', 6, { topics, timeoutMs: 1000 }, { manner: 'once' })
    } else if (prng.chance(0.3)) await this.#deleteRecords()
    else await this.#write()
  }

  async #create(name: string): Promise<void> {
    const numPartitions = this.#machine.prng.between(1, 3)
    const topic = { name, numPartitions, replicationFactor: 1, assignments: [], configs: [] }
    await this.#line.ask('CreateTopics', 7, { topics: [topic], timeoutMs: 1000 }, { manner: 'once' })
  }

  #pick(): { name: string; index: number; logStart: number; nextOffset: number } | null {
    const { ledger, prng } = this.#machine
    const partitions = ledger.partitions.filter(partition => partition !== undefined)
    if (partitions.length === 0) return null
    const { topicId, index, logStart, nextOffset } = prng.pick(partitions)
    return { name: ledger.topics.get(topicId)!.name, index, logStart, nextOffset }
  }

  async #deleteRecords(): Promise<void> {
    const picked = this.#pick()
    if (picked === null) return
    const { name, index: partitionIndex, logStart, nextOffset } = picked
    const offset = this.#machine.prng.between(logStart, nextOffset)
    const topics = [{ name, partitions: [{ partitionIndex, offset }] }]
    await this.#line.ask('DeleteRecords', 2, { topics, timeoutMs: 1000 }, { manner: 'once' })
  }

  async #write(): Promise<void> {
    const picked = this.#pick()
    if (picked === null) return
    const value = `plain ${this.#machine.prng.u32()}`
    const records = buildBatch([{ value }], { baseTimestampMs: this.#machine.clock.nowMs() })
    const topicData = [{ name: picked.name, partitionData: [{ index: picked.index, records }] }]
    await this.#line.ask('Produce', 9, { acks: -1, timeoutMs: 1000, topicData }, { manner: 'once' })
  }
}
