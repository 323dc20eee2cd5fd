import type { Change } from '#core/change-records.ts'
import { Line, NoAnswer } from './line.ts'
import type { RecoveryWorld } from './recovery-world.ts'

const NAMES = ['orders', 'clicks', 'audit']
const WAIT_MS = 2000

/** Makes topics, and now and then takes away something. */
export class Keeper {
  readonly #world: RecoveryWorld
  isEnding = false

  constructor(world: RecoveryWorld) {
    this.#world = world
  }

  async run(): Promise<void> {
    const { clock, prng, plan } = this.#world
    for (;;) {
      const line = Line.open(this.#world)
      const isFirst = line !== null && line.log.state.topics.size === 0
      try {
        if (line !== null && !line.isBusy && !this.isEnding && !this.#world.isQuiet) await this.#change(line)
      } catch (thrown) {
        if (!(thrown instanceof NoAnswer)) this.#world.violation ??= thrown
      }
      const delayMs = isFirst ? 1 : plan.gapMs * prng.between(4, 20)
      await new Promise<void>(resolve => clock.after(delayMs, resolve))
    }
  }

  async #change(line: Line): Promise<void> {
    const change = this.#next(line)
    if (change === null) return
    const { chronicle } = line.host
    const outcome = await line.ask(line.decided(line.log.propose(change)), WAIT_MS)
    if (change.kind !== 'topic-created' || outcome !== 'NONE') return
    const story = chronicle!.stories.get(`${change.id}:0`)
    if (story !== undefined) chronicle!.ack(story.bornAt)
  }

  #next({ log }: Line): Change | null {
    const { prng, plan } = this.#world
    const { topics, partitions } = log.state
    if (topics.size === 0 || (topics.size < 2 && prng.chance(0.3))) {
      const id = `id-${this.#world.nextId()}`
      const configs = new Map<string, string>()
      return { kind: 'topic-created', id, name: prng.pick(NAMES), partitionCount: prng.between(1, 3), configs }
    }
    if (!plan.deletes) return null
    const partition = prng.pick(partitions.filter(one => one !== undefined))
    if (prng.chance(0.1)) return { kind: 'topic-deleted', id: partition.topic.id }
    const offset = prng.between(partition.logStart, partition.nextOffset)
    return { kind: 'log-start-moved', ordinal: partition.ordinal, offset }
  }
}
