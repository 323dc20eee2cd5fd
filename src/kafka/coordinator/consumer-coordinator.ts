import type { Clock, Timer } from '#base/ports.ts'
import type { Change } from '#core/change-records.ts'
import type { ConsumerGroup } from '#core/consumer-groups.ts'
import { storageRefusal } from '#kafka/refusal.ts'
import type { Log } from '#log/log.ts'
import type { Logger } from '#observe/log.ts'
import type { Counter } from '#observe/metrics.ts'
import type { ClassicGroup } from './classic-group.ts'
import { generationOf } from './classic-saving.ts'
import { consumerTick } from './consumer-members.ts'
import { type ConsumerLimits, ConsumerStep, ConsumerTimers, NEVER } from './consumer-step.ts'
import { TopicView } from './topic-view.ts'

// The shell of consumer groups: lets steps happen one after the other, makes a record of what each has changed, and answers when
// that is durable. While a record of a group is on its way, whatever else is asked of the group waits: steps see the log's
// state, nothing that may still be refused. Steps that change nothing, as most heartbeats do, answer at once.

interface Known {
  timers: ConsumerTimers
  timer: Timer | null
  /** When it rings. */
  atMs: number
}

export interface StepOptions<A> {
  act(step: ConsumerStep): A
  /** The answer if the log does not take the changes. */
  readonly refused: A
  /** Called when the fate of changes is known, before the answer. */
  landed?(isDurable: boolean): void
}

export class ConsumerCoordinator {
  readonly topics: TopicView
  readonly #log: Log
  readonly #clock: Clock
  readonly #rebalances: Counter
  readonly #limitsOf: (groupId: string) => ConsumerLimits
  readonly #becameClassic: (group: ClassicGroup, rebalances: boolean) => void
  readonly #known = new Map<string, Known>()
  /** What waits for a record that is on its way, by group id. */
  readonly #waiting = new Map<string, (() => void)[]>()
  #isClosed = false

  constructor(options: {
    log: Log
    clock: Clock
    logger: Logger
    rebalances: Counter
    limitsOf(groupId: string): ConsumerLimits
    /** A group has no member any more that speaks the consumer protocol. */
    becameClassic(group: ClassicGroup, rebalances: boolean): void
  }) {
    this.#log = options.log
    this.#clock = options.clock
    this.#rebalances = options.rebalances
    this.#limitsOf = options.limitsOf
    this.#becameClassic = options.becameClassic
    this.topics = new TopicView(options.log.state, options.clock, options.logger)
    // After a restart members go on with their epochs; their sessions begin anew.
    for (const [id, { consumer }] of options.log.state.groups) if (consumer !== null) this.#begin(id, consumer)
  }

  /** Null: there is no such group, or it is of another type. */
  find(groupId: string): ConsumerGroup | null {
    return this.#log.state.groups.get(groupId)?.consumer ?? null
  }

  /** Is a record of the group on its way? */
  isBusy(groupId: string): boolean {
    return this.#waiting.has(groupId)
  }

  /** Acts at once, or after what is on its way. */
  whenSettled<T>(groupId: string, act: () => T | Promise<T>): T | Promise<T> {
    const waiting = this.#waiting.get(groupId)
    if (waiting === undefined) return act()
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    waiting.push(() => {
      try {
        resolve(act())
      } catch (thrown) {
        reject(thrown)
      }
    })
    return promise
  }

  /** Nothing of the group is on its way; whatever is asked of it during the work waits. */
  async exclusively<T>(groupId: string, work: () => Promise<T>): Promise<T> {
    this.#waiting.set(groupId, [])
    try {
      return await work()
    } finally {
      const waiting = this.#waiting.get(groupId) ?? []
      this.#waiting.delete(groupId)
      this.#resume(groupId, waiting)
    }
  }

  /** Nothing of the group is on its way. */
  step<A>(groupId: string, { act, refused, landed }: StepOptions<A>): A | Promise<A> {
    const known = this.#known.get(groupId) ?? { timers: new ConsumerTimers(), timer: null, atMs: 0 }
    const step = new ConsumerStep({
      groupId,
      group: this.find(groupId),
      timers: known.timers,
      topics: this.topics,
      nowMs: this.#clock.monotonicMs(),
      limits: this.#limitsOf(groupId),
    })
    const answer = act(step)
    if (step.changes.length === 0 && step.downgrade === null) {
      if (this.#known.has(groupId)) this.#arm(groupId, known)
      return answer
    }
    this.#known.set(groupId, known)
    return this.#save(groupId, step, isDurable => {
      landed?.(isDurable)
      return isDurable ? answer : refused
    })
  }

  async #save<A>(groupId: string, step: ConsumerStep, landed: (isDurable: boolean) => A): Promise<A> {
    this.#waiting.set(groupId, [])
    let isDurable = false
    let answer: A
    try {
      await this.#log.propose(changeOf(groupId, step))
      isDurable = true
    } catch (thrown) {
      storageRefusal(thrown)
    } finally {
      const waiting = this.#waiting.get(groupId) ?? []
      this.#waiting.delete(groupId)
      this.#settle(groupId, step, isDurable)
      answer = landed(isDurable)
      this.#resume(groupId, waiting)
    }
    return answer
  }

  #settle(groupId: string, { changes, downgrade }: ConsumerStep, isDurable: boolean): void {
    if (isDurable) for (const { kind } of changes) if (kind === 'epoch') this.#rebalances.value++
    const known = this.#known.get(groupId)
    const group = this.find(groupId)
    if (isDurable && downgrade !== null) {
      this.forget(groupId)
      this.#becameClassic(downgrade.group, downgrade.rebalances)
    } else if (!isDurable) {
      // What the step did to the timers did not happen either.
      this.forget(groupId)
      if (group !== null) this.#begin(groupId, group)
    } else if (known !== undefined) this.#arm(groupId, known)
  }

  /** Whatever has waited goes on, until the next record is on its way. */
  #resume(groupId: string, waiting: readonly (() => void)[]): void {
    for (const [i, act] of waiting.entries()) {
      const next = this.#waiting.get(groupId)
      if (next !== undefined) {
        next.push(...waiting.slice(i))
        return
      }
      act()
    }
  }

  forgetUnused(): void {
    for (const id of [...this.#known.keys()]) if (!this.isBusy(id) && this.find(id) === null) this.forget(id)
  }

  /** The group is gone, or is of another type now. */
  forget(groupId: string): void {
    this.#known.get(groupId)?.timer?.cancel()
    this.#known.delete(groupId)
  }

  /** Nothing happens by itself any more. */
  close(): void {
    this.#isClosed = true
    for (const groupId of [...this.#known.keys()]) this.forget(groupId)
    this.topics.close()
  }

  #begin(groupId: string, group: ConsumerGroup): void {
    const nowMs = this.#clock.monotonicMs()
    const { sessionTimeoutMs } = this.#limitsOf(groupId)
    const known: Known = { timers: new ConsumerTimers(), timer: null, atMs: 0 }
    for (const { id, classic, revoking, rebalanceTimeoutMs } of group.members.values()) {
      known.timers.set(id, { sessionMs: nowMs + (classic?.sessionTimeoutMs ?? sessionTimeoutMs) })
      // Who has left for a while gave all that up.
      if (classic === null && revoking.size > 0) known.timers.set(id, { revokeMs: nowMs + rebalanceTimeoutMs })
    }
    this.#known.set(groupId, known)
    this.#arm(groupId, known)
  }

  /** Sets the timer of a group, unless one is set that rings early enough: then it is set anew when it rings. */
  #arm(groupId: string, known: Known): void {
    const atMs = known.timers.nearestMs
    if (known.timer !== null && known.atMs <= atMs) return
    known.timer?.cancel()
    known.timer = null
    if (atMs === NEVER || this.#isClosed) return
    known.atMs = atMs
    known.timer = this.#clock.after(Math.max(0, atMs - this.#clock.monotonicMs()), () => {
      known.timer = null
      void this.whenSettled(groupId, () => {
        if (this.#known.get(groupId) !== known) return undefined
        return this.step(groupId, { act: consumerTick, refused: undefined })
      })
    })
  }
}

function changeOf(groupId: string, { changes, downgrade }: ConsumerStep): Change {
  if (downgrade === null) return { kind: 'consumer-group-changed', groupId, changes }
  return { kind: 'group-saved', groupId, saved: generationOf(downgrade.group, ({ assignment }) => assignment) }
}
