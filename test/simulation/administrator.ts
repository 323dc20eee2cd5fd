import type { Change } from '#core/change-records.ts'
import { retainedFrom } from '#log/retention.ts'
import type { World } from './world.ts'

const NAMES = ['orders', 'clicks', 'logs', 'audit']
const MOST_TOPICS = 4

/** Makes, changes and deletes topics, moves log starts as retention and as users do, and takes producer ids. */
export class Administrator {
  readonly #world: World
  isWaiting = false

  constructor(world: World) {
    this.#world = world
  }

  disconnected(): void {
    this.isWaiting = false
  }

  step(): void {
    if (this.isWaiting) return
    const change = this.#nextChange()
    if (change === null) return
    this.isWaiting = true
    const done = (): void => {
      this.isWaiting = false
    }
    this.#world.own(this.#world.propose(change).then(done))
  }

  #nextChange(): Change | null {
    const { prng, log, plan } = this.#world
    const topics = [...log.state.topics.values()]
    if (plan.keepsLittle && prng.chance(0.9)) {
      const held = log.state.partitions.find(partition => partition !== undefined && partition.extents.length > 0)
      if (held !== undefined) return { kind: 'log-start-moved', ordinal: held.ordinal, offset: held.nextOffset }
    }
    if (topics.length === 0 || (topics.length < MOST_TOPICS && prng.chance(0.1))) {
      const partitionCount = prng.between(1, 3)
      const configs = new Map(prng.chance(0.3) ? [['segment.bytes', String(plan.batchBytes[1] * 3)]] : [])
      return {
        kind: 'topic-created',
        id: `id-${this.#world.nextId()}`,
        name: prng.pick(NAMES),
        partitionCount,
        configs,
      }
    }
    const topic = prng.pick(topics)
    const partition = prng.pick(topic.partitions)
    const what = prng.fraction()
    if (what < 0.05) return { kind: 'topic-deleted', id: topic.id }
    if (what < 0.1) return { kind: 'partitions-added', id: topic.id, partitionCount: prng.between(1, 4) }
    if (what < 0.2) return { kind: 'topic-configs-set', id: topic.id, configs: new Map([['segment.ms', '1000']]) }
    if (what < 0.25) return { kind: 'producer-ids-allocated', count: 1000 }
    if (what < 0.6) {
      const { logStart, nextOffset } = partition
      const offset = prng.chance(0.3) ? nextOffset : prng.between(logStart, nextOffset)
      return { kind: 'log-start-moved', ordinal: partition.ordinal, offset }
    }
    const limits = { retentionMs: Number.POSITIVE_INFINITY, retentionBytes: plan.walFileBytes / 2 }
    const offset = retainedFrom(partition, limits, log.clock.nowMs())
    return offset > partition.logStart ? { kind: 'log-start-moved', ordinal: partition.ordinal, offset } : null
  }
}
