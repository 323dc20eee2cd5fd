import { describe, expect, it } from 'vitest'
import { encodeState } from '#core/checkpoint.ts'
import { ACCEPTED } from '#core/core.ts'
import type { Partition, State } from '#core/state.ts'
import { type Machine, RecoveryLab } from '#test/support/recovery-lab.ts'
import type { Prng } from '#test/support/sim/prng.ts'

// Random histories of a broker: whatever it did, the store gives it back.

const STEPS = 60

/** What it may do next; each leaves everything answered. */
class Life {
  readonly #machine: Machine
  readonly #prng: Prng
  readonly #sequences = new Map<string, number>()
  #topics = 0

  constructor(machine: Machine, prng: Prng) {
    this.#machine = machine
    this.#prng = prng
  }

  get #log() {
    return this.#machine.running.lab
  }

  get #partitions(): Partition[] {
    return this.#machine.log.state.partitions.filter(partition => partition !== undefined)
  }

  async step(): Promise<void> {
    const prng = this.#prng
    const partitions = this.#partitions
    const partition = partitions[prng.between(0, Math.max(0, partitions.length - 1))]
    const kind = prng.between(0, 11)
    if (partition === undefined || kind === 0) await this.#log.topic(`topic-${++this.#topics}`, prng.between(1, 3))
    else if (kind <= 4) await this.#produce(partition)
    else if (kind <= 6) await this.#transact(partition)
    else if (kind === 7) await this.#commitOffsets(partition)
    else if (kind === 8)
      await this.#machine.seal(
        partitions.filter(() => prng.chance(0.5)),
        true,
      )
    else if (kind === 9) await this.#machine.seal([partition])
    else if (kind === 10) {
      const offset = partition.logStart + prng.between(0, 3)
      await this.#log.propose({ kind: 'log-start-moved', ordinal: partition.ordinal, offset })
    } else if (prng.chance(0.3)) await this.#log.propose({ kind: 'topic-deleted', id: partition.topic.id })
    await this.#machine.lab.clock.runFor(prng.between(0, 600))
  }

  async #produce(partition: Partition): Promise<void> {
    const id = this.#prng.between(0, 3)
    const recordCount = this.#prng.between(1, 4)
    const producer =
      id === 0 ? undefined : { id: 1000 + id, epoch: 0, sequence: this.#next(partition, id, recordCount) }
    await this.#log.append(partition, { recordCount, ...(producer && { producer }) })
  }

  #next(partition: Partition, id: number, count: number): number {
    const key = `${partition.topic.id}:${partition.index}:${id}`
    const sequence = this.#sequences.get(key) ?? 0
    this.#sequences.set(key, sequence + count)
    return sequence
  }

  /** A transaction that begins, goes on, or ends. */
  async #transact(partition: Partition): Promise<void> {
    const { state } = this.#machine.log
    const id = this.#prng.between(0, 2)
    const transactionalId = `writer-${id}`
    const transaction = state.transactions.get(transactionalId)
    if (transaction?.isOngoing && this.#prng.chance(0.4)) {
      await this.#log.endTransaction(transactionalId, this.#prng.chance(0.5))
      return
    }
    if (transaction === undefined) {
      const from = { fromProducerId: -1, fromEpoch: -1, isNamed: false }
      const claim = { transactionalId, timeoutMs: 60_000, ...from, producerId: id, epoch: 0 }
      await this.#log.propose({ kind: 'transactional-id-claimed', ...claim })
    }
    const epoch = state.transactions.get(transactionalId)!.epoch
    const last = partition.producers?.get(id)?.batches.at(-1)
    const sequence = last === undefined ? 0 : last.lastSequence + 1
    const producer = { id, epoch, sequence, isTransactional: true }
    const { verdict } = await this.#machine.lab.clock.run(this.#log.send(this.#log.batch(partition, { producer })))
    expect(verdict).toBe(ACCEPTED)
  }

  async #commitOffsets(partition: Partition): Promise<void> {
    const committed = { offset: partition.nextOffset, leaderEpoch: 0, metadata: '', expiresMs: -1 }
    const topics = [{ topicId: partition.topic.id, partitions: [{ partition: partition.index, ...committed }] }]
    await this.#log.propose({ kind: 'offsets-committed', groupId: `group-${this.#prng.between(0, 2)}`, topics })
  }
}

async function lived(seed: number): Promise<{ lab: RecoveryLab; machine: Machine; life: Life }> {
  const lab = new RecoveryLab({ seed })
  const machine = await lab.machine()
  // So that there are checkpoints in between.
  await machine.start({ checkpointRecords: 20 })
  const life = new Life(machine, lab.prng.fork())
  for (let i = 0; i < STEPS; i++) await life.step()
  return { lab, machine, life }
}

/** By topic id and partition. */
async function contentOf(machine: Machine): Promise<Map<string, string[]>> {
  const content = new Map<string, string[]>()
  for (const partition of machine.log.state.partitions) {
    if (partition === undefined) continue
    content.set(`${partition.topic.id}:${partition.index}`, await machine.content(partition))
  }
  return content
}

function openIn({ openTransactions }: State): string[] {
  return [...openTransactions].map(({ id, epoch }) => `${id} ${epoch}`).sort()
}

const SEEDS = Array.from({ length: 25 }, (_, i) => i + 1)

describe('a random history', () => {
  it.each(SEEDS)('that was stopped with everything sealed is the same state, byte for byte (seed %i)', async seed => {
    const { lab, machine } = await lived(seed)
    const { state } = machine.log
    for (const id of [...state.openTransactions].map(transaction => transaction.id)) {
      await machine.running.lab.endTransaction(id, true)
    }
    await machine.seal(
      state.partitions.filter(partition => partition !== undefined),
      true,
    )
    const content = await contentOf(machine)
    await machine.stop()
    const second = await lab.machine()
    await second.start()
    const restored = second.log.state
    expect(await contentOf(second)).toEqual(content)
    Object.assign(restored, { generation: state.generation, ownerId: state.ownerId, timeMs: state.timeMs })
    expect(encodeState(restored).equals(encodeState(state))).toBe(true)
  })

  it.each(SEEDS)(
    'that was stopped keeps open transactions and records that are in no segment (seed %i)',
    async seed => {
      const { lab, machine } = await lived(seed)
      const { state } = machine.log
      const content = await contentOf(machine)
      const open = openIn(state)
      await machine.stop()
      const second = await lab.machine()
      await second.start()
      expect(await contentOf(second)).toEqual(content)
      expect(openIn(second.log.state)).toEqual(open)
    },
  )

  it.each(SEEDS)('that was cut off at any moment has what was answered two seconds before (seed %i)', async seed => {
    const { lab, machine, life } = await lived(seed)
    const sure = await contentOf(machine)
    await lab.clock.runFor(2000)
    await life.step()
    const deleted = new Set(sure.keys())
    for (const key of (await contentOf(machine)).keys()) deleted.delete(key)
    const starts = new Map(
      machine.log.state.partitions
        .filter(partition => partition !== undefined)
        .map(partition => [`${partition.topic.id}:${partition.index}`, partition.logStart]),
    )
    machine.kill()
    await lab.clock.runFor(12_000)
    const second = await lab.machine()
    await second.start()
    const { state } = second.log
    const found = await contentOf(second)
    for (const [key, batches] of sure) {
      if (deleted.has(key)) continue
      const logStart = starts.get(key) ?? 0
      const kept = batches.filter(batch => Number(batch.split(':')[0]) >= logStart)
      expect(found.get(key) ?? []).toEqual(expect.arrayContaining(kept))
    }
    // Nobody knows what the last moments were: nothing is open, everything is fenced.
    expect(state.openTransactions.size).toBe(0)
    for (const partition of state.partitions) {
      if (partition === undefined) continue
      expect(partition.lastStableOffset).toBe(partition.nextOffset)
      expect(partition.leaderEpoch).toBe(1)
    }
  })
})
