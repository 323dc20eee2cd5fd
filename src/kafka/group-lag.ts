import { Walk } from '#base/walk.ts'
import type { Partition } from '#core/state.ts'
import type { Log } from '#log/log.ts'
import { highWatermark } from '#log/read-bounds.ts'
import type { Series } from '#observe/metrics.ts'
import { type GroupFigures, NO_GROUPS } from '#observe/product-metrics.ts'
import type { Broker } from './broker.ts'
import { viewGroup } from './group-view.ts'

// How far groups are behind. Nothing is kept for it: it is computed when somebody asks, from the committed offsets and the ends
// of the partitions, with breaks in which others have their turn.

/** What is between a committed offset and the end; records that are gone are not waited for. */
export function lagRecords(log: Log, partition: Partition, committedOffset: number): number {
  return Math.max(0, highWatermark(log, partition) - Math.max(committedOffset, partition.logStart))
}

/** Counts groups for the metrics. */
export class GroupMeter {
  readonly #broker: Broker
  /** States that were ever seen: what is zero now is said to be zero. */
  readonly #states = new Set<string>()
  #measuring: Promise<GroupFigures> | null = null

  constructor(broker: Broker) {
    this.#broker = broker
  }

  /** Who asks while others wait hears the same. */
  measure(): Promise<GroupFigures> {
    this.#measuring ??= this.#walk().finally(() => {
      this.#measuring = null
    })
    return this.#measuring
  }

  async #walk(): Promise<GroupFigures> {
    const { groups, clock } = this.#broker
    const counted = { ...NO_GROUPS, groupsInState: new Map([...this.#states].map(state => [state, 0])) }
    const lags: Series[] = []
    const walk = new Walk(clock)
    for (const id of groups.ids()) {
      const found = viewGroup(this.#broker, id)
      if (found === null) continue
      this.#states.add(found.state)
      counted.groupsInState.set(found.state, (counted.groupsInState.get(found.state) ?? 0) + 1)
      counted.members += found.memberCount
      if (walk.stepped(1 + found.memberCount)) await walk.rest()
      counted.committedOffsets += await this.#addLags(id, lags, walk)
    }
    return { ...counted, lags }
  }

  /** Returns how many offsets the group has, those that find no place among the series too. */
  async #addLags(groupId: string, lags: Series[], walk: Walk): Promise<number> {
    const { log, settings } = this.#broker
    let count = 0
    for (const [topicId, offsets] of log.state.groups.get(groupId)?.offsets ?? []) {
      const topic = log.state.topicsById.get(topicId)
      if (topic === undefined) continue
      let shown = 0
      for (const [index, { offset }] of offsets) {
        if (lags.length >= settings.metricsMaxGroupSeries) break
        const value = lagRecords(log, topic.partitions[index]!, offset)
        lags.push({ labelValues: [groupId, topic.name, String(index)], value })
        shown++
        if (walk.stepped()) await walk.rest()
      }
      // Offsets come and go in the breaks.
      count += Math.max(shown, offsets.size)
      if (walk.stepped()) await walk.rest()
    }
    return count
  }
}
